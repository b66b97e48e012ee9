"""Who signs: one key for each role, and the custodial wallets' addresses.

`KeyPort` is what the rest of the room needs. `FolderKeys` keeps the keys in files, for a single machine; a
hardware module implements the same four methods. No key appears in a repr, a log line or an error.
"""

import hashlib
import hmac
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

import rlp
from coincurve import PrivateKey
from eth_account import Account
from eth_utils.crypto import keccak

from chain.errors import Final
from eventstore.files import private_folder, write_whole

Role = Literal[
    "admin",
    "minter",
    "operator",
    "anchorer",
    "registrar",
    "revoker",
    "claim_signer",
    "oracle",
    "locker",
    "pauser",
    "recovery_proposer",
    "recovery_approver",
]
ROLES: tuple[Role, ...] = get_args(Role)

KEY_BYTES = 32
OTHERS_MASK = 0o077
WALLET_SEED = "wallets"


class SignedTransaction(NamedTuple):
    """The bytes to broadcast and the hash under which the chain will know them."""

    raw: bytes
    tx_hash: bytes


class KeyPort(Protocol):
    """Signs on behalf of the platform's roles and names the custodial wallets."""

    def address(self, role: Role) -> str:
        """Returns the checksummed address of a role's key."""
        ...

    def sign_transaction(self, role: Role, transaction: dict[str, Any]) -> SignedTransaction:
        """Signs a transaction whose nonce, gas and chain id are set."""
        ...

    def sign_claim(self, domain: dict[str, Any], message: dict[str, Any]) -> bytes:
        """Signs EIP-712 claim data with the claim signer's key; returns 65 bytes."""
        ...

    def custody_address(self, subject_id: str) -> str:
        """Returns the wallet the platform keeps for a subject; always the same one."""
        ...


CLAIM_TYPES = {
    "Claim": [
        {"name": "identity", "type": "address"},
        {"name": "topic", "type": "uint256"},
        {"name": "dataHash", "type": "bytes32"},
    ]
}


class FolderKeys:
    """Keys in a folder, one file of mode 0600 for each role, made when missing.

    With a `seed`, missing keys are derived from it, so that a demonstration gives the same addresses every
    time. Without one they are random. Files that exist are always used as they are. Raises `Final` when a
    file can be read by others or holds anything but 32 bytes in hex.
    """

    def __init__(self, folder: Path, seed: bytes | None = None) -> None:
        self._folder = folder
        self._seed = seed
        private_folder(folder)
        self._accounts = {role: Account.from_key(self._load(role)) for role in ROLES}
        self._signers = {role: PrivateKey(bytes(account.key)) for role, account in self._accounts.items()}
        self._wallet_seed = self._load(WALLET_SEED)

    def __repr__(self) -> str:
        return f"FolderKeys({len(self._accounts)} roles)"

    def address(self, role: Role) -> str:
        return self._accounts[role].address

    def sign_transaction(self, role: Role, transaction: dict[str, Any]) -> SignedTransaction:
        """Signs a legacy transaction (EIP-155), as eth_account would and four times faster."""
        chain_id = transaction["chainId"]
        to = bytes.fromhex(transaction["to"][2:]) if "to" in transaction else b""
        fields = [*(transaction[name] for name in ("nonce", "gasPrice", "gas")), to, transaction["value"],
                  transaction["data"]]
        digest = keccak(rlp.encode([*fields, chain_id, 0, 0]))
        signature = self._signers[role].sign_recoverable(digest, hasher=None)
        r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:64]))
        raw = rlp.encode([*fields, signature[64] + 35 + 2 * chain_id, r, s])
        return SignedTransaction(raw, keccak(raw))

    def sign_claim(self, domain: dict[str, Any], message: dict[str, Any]) -> bytes:
        signer = self._accounts["claim_signer"]
        signed = signer.sign_typed_data(domain_data=domain, message_types=CLAIM_TYPES, message_data=message)
        return bytes(signed.signature)

    def custody_address(self, subject_id: str) -> str:
        return Account.from_key(_derive(self._wallet_seed, subject_id)).address

    def _load(self, name: str) -> bytes:
        path = self._folder / f"{name}.key"
        if not path.exists():
            self._create(path, name)
        if path.stat().st_mode & OTHERS_MASK:
            raise Final(f"key file {path.name} can be read by others: run chmod 600 on it")
        try:
            key = bytes.fromhex(path.read_text("ascii").strip())
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise Final(f"key file {path.name} does not hold {KEY_BYTES} bytes in hex")
        return key

    def _create(self, path: Path, name: str) -> None:
        """When two processes race, the first one's key stands."""
        key = secrets.token_bytes(KEY_BYTES) if self._seed is None else _derive(self._seed, name)
        with suppress(FileExistsError):
            write_whole(path, key.hex().encode("ascii") + b"\n", replace=False)


def _derive(seed: bytes, name: str) -> bytes:
    return hmac.new(seed, name.encode(), hashlib.sha256).digest()
