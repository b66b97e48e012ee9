"""Whether the chain is the one we think it is: code, roles, keys, gas and time. Every finding says what to do."""

import hashlib
from collections.abc import Iterator

import msgspec
from eth_utils.conversions import to_hex
from eth_utils.crypto import keccak
from web3 import Web3

from chain.abi import artifact, method_data
from chain.deployment import Deployment
from chain.keys import ROLES, KeyPort, Role
from chain.rpc import ask
from chain.status import node_status

HEAD_AGE_LIMIT_S = 600
CLOCK_DRIFT_LIMIT_S = 60
GAS_RESERVE = 10_000_000  # about thirty transfers

DEFAULT_ADMIN = bytes(32)
NOBODY: frozenset[str] = frozenset()
HOLDERS: dict[tuple[str, str], frozenset[str]] = {
    ("FXClaimIssuer", "SIGNER_ROLE"): frozenset({"claim_signer"}),
    ("FXClaimIssuer", "REVOKER_ROLE"): frozenset({"revoker"}),
    ("FXIdentityRegistry", "AGENT_ROLE"): frozenset({"registrar"}),
    ("FXIdentityRegistry", "RECOVERY_ROLE"): frozenset({"FXRecovery"}),
    ("FXLockupRule", "LOCKER_ROLE"): frozenset({"locker"}),
    ("FXSanctionsRule", "ORACLE_ROLE"): frozenset({"oracle"}),
    ("FXReceivableToken", "MINTER_ROLE"): frozenset({"minter"}),
    ("FXReceivableToken", "BURNER_ROLE"): frozenset({"minter"}),
    ("FXReceivableToken", "OPERATOR_ROLE"): frozenset({"operator", "FXRecovery"}),
    ("FXReceivableToken", "PAUSER_ROLE"): frozenset({"pauser"}),
    ("FXRecovery", "RECOVERY_PROPOSER_ROLE"): frozenset({"recovery_proposer"}),
    ("FXRecovery", "RECOVERY_APPROVER_ROLE"): frozenset({"recovery_approver"}),
    ("FXAuditAnchor", "ANCHOR_ROLE"): frozenset({"anchorer"}),
}
"""Who holds which role after deployment. Nobody holds the others, and the admin key the admin roles."""

GRANTED = keccak(text="RoleGranted(bytes32,address,address)")


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it should be, and what an operator does about it."""

    what: str
    remedy: str


def examine(w3: Web3, keys: KeyPort, deployment: Deployment, now: int) -> list[Finding]:
    """Returns every finding; none when all is well. `now` is the platform's time in Unix seconds."""
    return [
        *_keys(keys),
        *_code(w3, deployment),
        *_roles(w3, keys, deployment),
        *_gas(w3, keys),
        *_time(w3, now),
    ]


def _keys(keys: KeyPort) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for role in ROLES:
        if (other := seen.setdefault(keys.address(role), role)) != role:
            yield Finding(f"{other} and {role} are one key", f"give {role} a key of its own and grant its role anew")


def _code(w3: Web3, deployment: Deployment) -> Iterator[Finding]:
    names = list(deployment.addresses)
    codes = ask(w3, [("eth_getCode", [deployment[name], "latest"]) for name in names])
    for name, code in zip(names, codes, strict=True):
        if not is_code_of(name, bytes.fromhex(code[2:])):
            yield Finding(
                f"{name} at {deployment[name]} has other code than chain/artifacts/{name}.json",
                "check FX_CHAIN_URL: this is another chain, or another release deployed there",
            )


def is_code_of(contract: str, code: bytes) -> bool:
    """Whether code is a contract's, whatever its immutable values.

    The artifact's creation code carries the code to be deployed with PUSH32 of zero where an immutable goes; its
    length and sha256 tell where.
    """
    entry = artifact(contract)
    creation, digest = bytes.fromhex(entry["bytecode"].removeprefix("0x")), entry["deployedBytecodeSha256"]
    for start in range(len(creation) - len(code) + 1):
        model = creation[start : start + len(code)]
        if code and hashlib.sha256(model).hexdigest() == digest:
            return _equal_but_for_immutables(model, code)
    return False


def _equal_but_for_immutables(model: bytes, code: bytes) -> bool:
    filled, at = bytearray(code), -1
    placeholder = b"\x7f" + bytes(32)
    while (at := model.find(placeholder, at + 1)) >= 0:
        filled[at + 1 : at + 33] = bytes(32)
    return bytes(filled) == model


def _roles(w3: Web3, keys: KeyPort, deployment: Deployment) -> Iterator[Finding]:
    """Asks about every address we know and every one that was ever granted a role, as far as the node keeps logs."""
    names = {keys.address(role): str(role) for role in ROLES}
    names |= {address: contract for contract, address in deployment.addresses.items()}
    for contract, role, role_id in _all_roles(w3, deployment):
        address = deployment[contract]
        asked = list(names | dict.fromkeys(_ever_granted(w3, address, role_id), ""))
        data = [to_hex(method_data(contract, "hasRole", (role_id, one))) for one in asked]
        answers = ask(w3, [("eth_call", [{"to": address, "data": each}, "latest"]) for each in data])
        found = {names.get(one) or one for one, answer in zip(asked, answers, strict=True) if int(answer, 16)}
        expected = {"admin"} if role_id == DEFAULT_ADMIN else HOLDERS.get((contract, role), NOBODY)
        for holder in sorted(found - expected):
            yield Finding(
                f"{holder} holds {role} of {contract}", "revoke it with the admin key, and find out who granted it"
            )
        for holder in sorted(expected - found):
            yield Finding(f"{holder} does not hold {role} of {contract}", "grant it with the admin key")


def _all_roles(w3: Web3, deployment: Deployment) -> list[tuple[str, str, bytes]]:
    pairs = [
        (contract, item["name"])
        for contract in deployment.addresses
        for item in artifact(contract)["abi"]
        if item["type"] == "function" and item["name"].endswith("_ROLE")
    ]
    data = [(deployment[contract], to_hex(method_data(contract, role, ()))) for contract, role in pairs]
    ids = ask(w3, [("eth_call", [{"to": to, "data": each}, "latest"]) for to, each in data])
    return [(contract, role, bytes.fromhex(each[2:])) for (contract, role), each in zip(pairs, ids, strict=True)]


def _ever_granted(w3: Web3, contract: str, role_id: bytes) -> list[str]:
    wanted = {"address": contract, "fromBlock": "earliest", "toBlock": "latest"}
    logs = ask(w3, [("eth_getLogs", [{**wanted, "topics": [to_hex(GRANTED), to_hex(role_id)]}])])[0]
    return [w3.to_checksum_address("0x" + log["topics"][2][-40:]) for log in logs]


def _gas(w3: Web3, keys: KeyPort) -> Iterator[Finding]:
    price = int(ask(w3, [("eth_gasPrice", [])])[0], 16)
    fee = int(ask(w3, [("eth_getBlockByNumber", ["latest", False])])[0].get("baseFeePerGas", "0x0"), 16)
    if fee == 0:
        return
    senders: list[Role] = [role for role in ROLES if role != "claim_signer"]  # it signs claims, never transactions
    balances = ask(w3, [("eth_getBalance", [keys.address(role), "latest"]) for role in senders])
    for role, balance in zip(senders, balances, strict=True):
        if int(balance, 16) < GAS_RESERVE * max(price, fee):
            yield Finding(
                f"{role} ({keys.address(role)}) holds {int(balance, 16)} wei, and gas has a price",
                f"send it at least {GAS_RESERVE * max(price, fee)} wei",
            )


def _time(w3: Web3, now: int) -> Iterator[Finding]:
    node = node_status(w3, 0, now)
    if node.client.startswith("anvil/"):
        return  # makes a block when it has a transaction, with the time it is told
    if node.head_age_s > HEAD_AGE_LIMIT_S:
        yield Finding(f"the newest block is {node.head_age_s} s old", "the validators stand still: look at their logs")
    if node.head_age_s < -CLOCK_DRIFT_LIMIT_S:
        yield Finding(
            f"the newest block is {-node.head_age_s} s ahead of this machine's clock", "set the clocks by NTP"
        )
