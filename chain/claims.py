"""Claims as they are signed and stored: what FXClaimIssuer checks and FXIdentity keeps.

Claim data is two times in Unix seconds and an evidence hash. The evidence hash names the operation that issued the
claim, so that two claims of one second are two claims, and revoking the first does not revoke the second.
"""

from typing import Any

import msgspec
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

TOPICS = ("KYC_VERIFIED", "AML_CLEARED", "JURISDICTION_UK", "MIFID_PROFESSIONAL", "MIFID_ECP")
ECDSA_SCHEME = 1
DATA_TYPES = ("uint64", "uint64", "bytes32")


class Claim(msgspec.Struct, frozen=True):
    """The claim a wallet holds about a topic. `valid`: signed, in its period and not revoked, at the newest block."""

    valid: bool
    issued_at: int
    expires_at: int
    evidence_hash: bytes


def topic_number(topic: str) -> int:
    """Returns a topic's number, the keccak256 of its name. Raises ValueError when no contract asks for it."""
    if topic not in TOPICS:
        raise ValueError(f"unknown claim topic {topic!r}")
    return int.from_bytes(keccak(text=topic), "big")


def encode_data(issued_at: int, expires_at: int, evidence_hash: bytes) -> bytes:
    """Returns the signed part of a claim."""
    return encode(DATA_TYPES, [issued_at, expires_at, evidence_hash])


def read_claim(data: bytes, valid: bool) -> Claim:
    """Returns a stored claim."""
    return Claim(valid, *decode(DATA_TYPES, data))


def typed_data(
    chain_id: int, issuer: str, identity: str, topic: int, data: bytes
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the EIP-712 domain and message a claim signer signs."""
    domain = {"name": "FXClaimIssuer", "version": "1", "chainId": chain_id, "verifyingContract": issuer}
    return domain, {"identity": identity, "topic": topic, "dataHash": keccak(data)}
