"""The compiled contracts: what to deploy, how to call it, and what a revert means."""

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.abi import function_abi_to_4byte_selector, get_abi_input_types
from eth_utils.crypto import keccak

ARTIFACTS = Path(__file__).resolve().parent / "artifacts"
CONTRACTS = (
    "FXClaimsTopicRegistry",
    "FXClaimIssuer",
    "FXTrustedIssuersRegistry",
    "FXIdentity",
    "FXIdentityRegistry",
    "FXJurisdictionRule",
    "FXMiFIDRule",
    "FXLockupRule",
    "FXSanctionsRule",
    "FXComplianceModularised",
    "FXReceivableToken",
    "FXRecovery",
    "FXAuditAnchor",
)

SELECTOR_BYTES = 4
WORD_BYTES = 32
TRANSFER_REFUSED = "TransferRefused"
UNNAMED_REVERT = "REVERTED"


@cache
def artifact(contract: str) -> dict[str, Any]:
    """Returns the committed artifact: abi, bytecode, deployedBytecodeSha256, solc, settings."""
    return json.loads((ARTIFACTS / f"{contract}.json").read_text("utf-8"))


def creation_code(contract: str, *arguments: Any) -> bytes:
    """Returns the data of the transaction that deploys a contract."""
    entry = artifact(contract)
    constructor = next((item for item in entry["abi"] if item["type"] == "constructor"), {"inputs": []})
    types = [parameter["type"] for parameter in constructor["inputs"]]
    return bytes.fromhex(entry["bytecode"].removeprefix("0x")) + encode(types, arguments)


def method_data(contract: str, method: str, arguments: Sequence[Any]) -> bytes:
    """Returns the data of a call. web3's own way to it costs forty times as much."""
    selector, types = _method(contract, method, len(arguments))
    return selector + encode(types, arguments)


@cache
def _method(contract: str, method: str, count: int) -> tuple[bytes, list[str]]:
    """Returns a method's selector and types; overloads differ in how many arguments they take."""
    found = [
        item
        for item in artifact(contract)["abi"]
        if item["type"] == "function" and item["name"] == method and len(item["inputs"]) == count
    ]
    assert len(found) == 1, f"{contract}.{method} of {count} arguments"
    return function_abi_to_4byte_selector(found[0]), get_abi_input_types(found[0])


def word(text: str) -> bytes:
    """Returns a short ASCII text as a left-aligned bytes32. Raises ValueError when it is too long."""
    encoded = text.encode("ascii")
    if len(encoded) > WORD_BYTES:
        raise ValueError(f"{text!r} does not fit {WORD_BYTES} bytes")
    return encoded.ljust(WORD_BYTES, b"\0")


def unword(value: bytes) -> str:
    """Returns the text in a bytes32 code; empty for zero."""
    return value.rstrip(b"\0").decode("ascii", "replace")


def refusal_code(revert: bytes) -> str:
    """Names a revert: the reason inside TransferRefused, else the error's name as UPPER_SNAKE."""
    name = _error_names().get(revert[:SELECTOR_BYTES])
    if name is None:
        return UNNAMED_REVERT
    if name == TRANSFER_REFUSED:
        return unword(decode(["bytes32"], revert[SELECTOR_BYTES:])[0])
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


@cache
def _error_names() -> dict[bytes, str]:
    errors = (item for contract in CONTRACTS for item in artifact(contract)["abi"] if item["type"] == "error")
    return {_selector(item): item["name"] for item in errors}


def _selector(item: dict[str, Any]) -> bytes:
    types = ",".join(parameter["type"] for parameter in item["inputs"])
    return keccak(text=f"{item['name']}({types})")[:SELECTOR_BYTES]
