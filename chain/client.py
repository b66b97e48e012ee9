"""The chain as the application sees it: wallets, tokens and anchors by operation id.

Every operation takes `op` first, the id of the log entry that intends it, and happens exactly once under it.
Each returns a `Receipt` and raises what `chain/errors.py` draws: `Retryable`, `Refused`, `Final`,
`ForeignTransaction`. Money is in pence of face, times in Unix seconds, hashes in 32 bytes, wallets in
checksummed hex.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
from eth_utils.address import to_checksum_address
from web3 import Web3

from chain import orders
from chain.abi import artifact, method_data, unword, word
from chain.claims import ECDSA_SCHEME, TOPICS, Claim, encode_data, read_claim, topic_number, typed_data
from chain.deployment import DEFAULT_LOG_ID, Deployment, deploy_contracts, find_deployment
from chain.doctor import Finding, examine
from chain.errors import Refused
from chain.header import Header, header_of
from chain.journal import Calldata, Journal, Receipt
from chain.keys import KeyPort, Role
from chain.rpc import DEFAULT_TIMEOUT_SECONDS, connect, node_errors
from chain.status import KeyStatus, NodeStatus, key_statuses, node_status
from eventstore.journal import JournalRows

WalletRole = Literal["platform", "sme_seller", "lender", "investor"]
ROLE_NUMBERS: dict[WalletRole, int] = {"platform": 1, "sme_seller": 2, "lender": 3, "investor": 4}
STATUSES = ("none", "live", "burned")

UNITED_KINGDOM = 826
PLATFORM_WALLET = "platform:minting"
PLATFORM_TOPICS = ("KYC_VERIFIED", "AML_CLEARED", "JURISDICTION_UK")
PLATFORM_CLAIM_SECONDS = 10 * 365 * 86400
ZERO_HASH = bytes(32)
TOKEN_ID_BYTES = 16

# Gas limits: about twice what was measured, for the largest case the contract allows.
GAS_SMALL = 250_000
GAS_IDENTITY = 400_000
GAS_CLAIM = 600_000
GAS_MINT = 700_000
GAS_TRANSFER = 900_000
GAS_FRACTIONALISE = 700_000
GAS_BURN = 5_000_000
GAS_LOCK_EACH = 60_000
GAS_ORDER = 900_000
GAS_ORDER_EACH = 200_000


class Receivable(msgspec.Struct, frozen=True):
    """A token as the contract knows it."""

    face_pence: int
    status: Literal["none", "live", "burned"]
    fractionalised: bool


class AnchoredBatch(msgspec.Struct, frozen=True):
    """A batch as the contract knows it."""

    batch_id: int
    from_position: int
    to_position: int
    root: bytes
    head: bytes
    anchored_at: int


def token_id(reference: str) -> int:
    """Returns the token id of a token reference: 128 bits of its sha256."""
    return int.from_bytes(hashlib.sha256(reference.encode()).digest()[:TOKEN_ID_BYTES], "big")


def operation_ref(op: str) -> bytes:
    """Returns the reference an operation leaves on the chain."""
    return hashlib.sha256(op.encode()).digest()


class Chain:
    """Operations and reads over one deployment."""

    def __init__(self, w3: Web3, chain_id: int, journal: Journal, keys: KeyPort, log_id: bytes) -> None:
        self.chain_id = chain_id
        self.journal = journal
        self._w3 = w3
        self._keys = keys
        self._log_id = log_id
        self._deployment: Deployment | None = None
        self._contracts: dict[str, Any] = {}

    @classmethod
    def connect(
        cls,
        url: str,
        expected_chain_id: int | None,
        rows: JournalRows,
        keys: KeyPort,
        *,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        log_id: bytes = DEFAULT_LOG_ID,
        set_time: Callable[[int], None] | None = None,
        now: Callable[[], int] | None = None,
        request_kwargs: dict[str, Any] | None = None,
        confirmations: int = 0,
    ) -> "Chain":
        """Connects to a node. With the embedded Anvil, pass its `set_time` and the platform clock as `now`.

        `confirmations` is the number of blocks on top of its own before a transaction's outcome counts.
        Raises `Final` on the wrong chain id and `Retryable` when nobody answers.
        """
        w3, chain_id = connect(url, expected_chain_id, timeout, request_kwargs)
        with node_errors():
            gas_price = 2 * w3.eth.get_block("latest").get("baseFeePerGas", 0)
        journal = Journal(
            rows,
            w3,
            keys,
            chain_id,
            gas_price=gas_price,
            confirmations=confirmations,
            set_time=set_time,
            now=now,
        )
        return cls(w3, chain_id, journal, keys, log_id)

    @property
    def platform_wallet(self) -> str:
        """The wallet tokens are minted to and listed from."""
        return self._keys.custody_address(PLATFORM_WALLET)

    def role_address(self, role: Role) -> str:
        """Returns the address that signs for a role."""
        return self._keys.address(role)

    # Deployment

    def deploy(self) -> Deployment:
        """Deploys the contracts, registers the platform's wallet with its claims and sends a first
        heartbeat.
        """
        self._deployment = deploy_contracts(self.journal, self._keys, self.chain_id, self._log_id)
        self._contracts.clear()
        wallet = self.platform_wallet
        self.register_wallet("deploy:platform_wallet", wallet, "platform", operation_ref(PLATFORM_WALLET))
        self.sanctions_heartbeat("deploy:heartbeat", ZERO_HASH)
        expires_at = self.block_time() + PLATFORM_CLAIM_SECONDS
        self.issue_claims("deploy:platform_claims", wallet, PLATFORM_TOPICS, expires_at)
        return self._deployment

    def deployment(self) -> Deployment:
        """Returns the addresses, from the journal. Raises `Final` before `deploy`."""
        if self._deployment is None:
            self._deployment = find_deployment(self.journal, self.chain_id, self._log_id)
        return self._deployment

    def reconcile(self) -> int:
        """Brings a chain that lost blocks back to the journal; see `Journal.reconcile`. Call it at start."""
        return self.journal.reconcile()

    # Wallets

    def register_wallet(
        self, op: str, wallet: str, role: WalletRole, subject_hash: bytes, country: int = UNITED_KINGDOM
    ) -> Receipt:
        """Registers a wallet, active and without claims. `subject_hash` must be keyed: never a hash of a
        name.
        """
        arguments = (wallet, country, ROLE_NUMBERS[role], subject_hash)
        return self._run(op, "registrar", "FXIdentityRegistry", "registerIdentity", arguments, GAS_IDENTITY)

    def issue_claims(self, op: str, wallet: str, topics: Sequence[str], expires_at: int) -> Receipt:
        """Issues a claim for every topic, each its own transaction; returns the last one's receipt."""
        if not topics:
            raise ValueError("no topics")
        identity = self.deployment().identity_of(wallet)
        for topic in topics:
            each = f"{op}:{topic}"
            claim = self._claim_data(each, wallet, topic, expires_at)
            receipt = self.journal.run_when_it_passes(each, "registrar", identity, claim, GAS_CLAIM)
        return receipt

    def revoke_claims(self, op: str, wallet: str, topics: Sequence[str]) -> Receipt:
        """Revokes for good the claims the wallet holds now about these topics. New ones can be issued at once.

        A topic without a claim needs no revoking. Raises `Refused` with UNKNOWN_WALLET.
        """

        def build() -> bytes:
            identity = self.deployment().identity_of(wallet)
            held = [(topic_number(topic), data) for topic, data in self._signed_claims(wallet, topics).items()]
            digests = [self._read("FXClaimIssuer", "digest", identity, topic, data) for topic, data in held]
            return self._encode("FXClaimIssuer", "revoke", (digests,))

        gas = GAS_SMALL + GAS_LOCK_EACH * len(topics)
        issuer = self.deployment()["FXClaimIssuer"]
        return self.journal.run_when_it_passes(op, "revoker", issuer, build, gas)

    def claims(self, wallet: str) -> dict[str, Claim]:
        """Returns the claims a wallet holds, by topic, valid or not. Raises `Refused` with UNKNOWN_WALLET."""
        return {
            topic: read_claim(data, self._read("FXIdentityRegistry", "hasClaim", wallet, topic_number(topic)))
            for topic, data in self._signed_claims(wallet, TOPICS).items()
        }

    def set_active(self, op: str, wallet: str, active: bool) -> Receipt:
        """Makes a wallet active or inactive. An inactive one is refused with the neutral code RESTRICTED."""
        arguments = (wallet, active)
        return self._run_when_it_passes(op, "registrar", "FXIdentityRegistry", "setActive", arguments, GAS_SMALL)

    # Tokens

    def mint(self, op: str, token_id: int, face_pence: int) -> Receipt:
        """Mints a receivable, whole, to the platform's wallet; once what stands in the way for now is gone."""
        arguments = (self.platform_wallet, token_id, face_pence)
        return self._run_when_it_passes(op, "minter", "FXReceivableToken", "mint", arguments, GAS_MINT)

    def transfer(
        self, op: str, from_wallet: str, to_wallet: str, token_id: int, amount_pence: int
    ) -> Receipt:
        """Moves face between wallets, under a reference the contract accepts once."""
        arguments = (from_wallet, to_wallet, token_id, amount_pence, operation_ref(op))
        return self._run(op, "operator", "FXReceivableToken", "transferWithRef", arguments, GAS_TRANSFER)

    def fractionalise(self, op: str, token_id: int, faces: Sequence[int]) -> Receipt:
        """Splits a receivable its sole holder has; the faces in pence add up to the whole."""
        arguments = (token_id, list(faces), operation_ref(op))
        return self._run(op, "operator", "FXReceivableToken", "fractionalise", arguments, GAS_FRACTIONALISE)

    def burn(self, op: str, token_id: int) -> Receipt:
        """Burns every balance of a paid receivable."""
        return self._run_when_it_passes(op, "minter", "FXReceivableToken", "burn", (token_id,), GAS_BURN)

    def set_paused(self, op: str, paused: bool) -> Receipt:
        """Stops or resumes every mint and transfer."""
        return self._run(op, "pauser", "FXReceivableToken", "setPaused", (paused,), GAS_SMALL)

    def lock(self, op: str, token_ids: Sequence[int], reason: str) -> Receipt:
        """Locks tokens with a neutral reason code of at most 32 ASCII characters. A locked token can be burned."""
        arguments = (list(token_ids), word(reason), operation_ref(op))
        gas = GAS_SMALL + GAS_LOCK_EACH * len(token_ids)
        return self._run_when_it_passes(op, "locker", "FXLockupRule", "lock", arguments, gas)

    def unlock(self, op: str, token_ids: Sequence[int], reason: str) -> Receipt:
        """Unlocks tokens with a reason code of at most 32 ASCII characters."""
        arguments = (list(token_ids), word(reason), operation_ref(op))
        gas = GAS_SMALL + GAS_LOCK_EACH * len(token_ids)
        return self._run_when_it_passes(op, "locker", "FXLockupRule", "unlock", arguments, gas)

    def sanctions_heartbeat(self, op: str, list_hash: bytes) -> Receipt:
        """Reports that screening ran; without it for 26 hours every transfer is refused as
        SCREENING_STALE.
        """
        return self._run(op, "oracle", "FXSanctionsRule", "heartbeat", (list_hash,), GAS_SMALL)

    def set_sanctioned(self, op: str, wallet: str, sanctioned: bool) -> Receipt:
        """Restricts a wallet or lifts it; the chain says RESTRICTED and no more."""
        return self._run(op, "oracle", "FXSanctionsRule", "set", (wallet, sanctioned), GAS_SMALL)

    def can_transfer(
        self, from_wallet: str, to_wallet: str, token_id: int, amount_pence: int
    ) -> tuple[bool, str]:
        """Returns whether a transfer would be accepted now, and the refusal code if not."""
        ok, reason = self._read(
            "FXReceivableToken", "canTransfer", from_wallet, to_wallet, token_id, amount_pence
        )
        return ok, unword(reason)

    def balance(self, wallet: str, token_id: int) -> int:
        """Returns a wallet's face in pence."""
        return self._read("FXReceivableToken", "balanceOf", wallet, token_id)

    def holders(self, token_id: int) -> dict[str, int]:
        """Returns every holder's face in pence."""
        wallets, faces = self._read("FXReceivableToken", "holders", token_id)
        return dict(zip(wallets, faces, strict=True))

    def receivable(self, token_id: int) -> Receivable:
        """Returns the token's state; status is "none" when it was never minted."""
        face, status, fractionalised = self._read("FXReceivableToken", "receivables", token_id)
        return Receivable(face, STATUSES[status], fractionalised)

    # Register orders: two keys, and the rules run. A proposal can be approved for seven days.

    def propose_forced_transfer(
        self,
        op: str,
        from_wallet: str,
        to_wallet: str,
        token_id: int,
        amount_pence: int,
        reason: orders.OrderReason,
    ) -> Receipt:
        """Proposes to move face a holder did not ask to move. Nothing moves before a second key approves."""
        order = orders.forced_transfer(
            from_wallet, to_wallet, token_id, amount_pence, reason, operation_ref(op)
        )
        return self._run(op, "recovery_proposer", "FXRecovery", "propose", (order,), GAS_ORDER)

    def approve_forced_transfer(
        self,
        op: str,
        proposal: str,
        from_wallet: str,
        to_wallet: str,
        token_id: int,
        amount_pence: int,
        reason: orders.OrderReason,
    ) -> Receipt:
        """Approves what was proposed under the operation id `proposal`, and carries it out.

        The content is given again: any difference is refused with OTHER_CONTENT. A refusal by the rules leaves the
        proposal in place, to be approved under another `op` when the cause is gone.
        """
        order = orders.forced_transfer(
            from_wallet, to_wallet, token_id, amount_pence, reason, operation_ref(proposal)
        )
        return self._run(op, "recovery_approver", "FXRecovery", "approve", (order,), GAS_ORDER)

    def propose_recovery(
        self, op: str, lost_wallet: str, new_wallet: str, token_ids: Sequence[int]
    ) -> Receipt:
        """Proposes to move every listed receivable, whole, to a new wallet of the same subject and role."""
        order = orders.recovery(lost_wallet, new_wallet, tuple(token_ids), operation_ref(op))
        gas = GAS_ORDER + GAS_LOCK_EACH * len(token_ids)
        return self._run(op, "recovery_proposer", "FXRecovery", "propose", (order,), gas)

    def approve_recovery(
        self, op: str, proposal: str, lost_wallet: str, new_wallet: str, token_ids: Sequence[int]
    ) -> Receipt:
        """Approves the recovery proposed under the operation id `proposal`: all moves, and the lost wallet becomes
        inactive, or nothing happens.
        """
        order = orders.recovery(lost_wallet, new_wallet, tuple(token_ids), operation_ref(proposal))
        gas = GAS_ORDER + GAS_ORDER_EACH * len(token_ids)
        return self._run(op, "recovery_approver", "FXRecovery", "approve", (order,), gas)

    def withdraw_proposal(self, op: str, proposal: str) -> Receipt:
        """Takes back what was proposed under the operation id `proposal`."""
        arguments = (operation_ref(proposal),)
        return self._run(op, "recovery_proposer", "FXRecovery", "withdraw", arguments, GAS_SMALL)

    # Anchors

    def anchor(
        self, op: str, batch_id: int, from_position: int, to_position: int, root: bytes, prev_head: bytes
    ) -> Receipt:
        """Anchors a batch of the log. `chain/anchor.py` computes what to give here."""
        count = to_position - from_position + 1
        arguments = (batch_id, from_position, to_position, count, root, prev_head)
        return self._run(op, "anchorer", "FXAuditAnchor", "anchor", arguments, GAS_SMALL)

    def signed_anchor(self, op: str) -> tuple[int, int, int] | None:
        """Returns batch id and range of an anchor operation already signed; None when it was not."""
        data = self.journal.signed_data(op)
        if data is None:
            return None
        _, arguments = self._contract("FXAuditAnchor").decode_function_input(data)
        return arguments["batchId"], arguments["fromPosition"], arguments["toPosition"]

    def batch(self, batch_id: int) -> AnchoredBatch:
        """Returns an anchored batch. Raises `Refused` with UNKNOWN_BATCH when there is none."""
        root, head, first, last, anchored_at = self._read("FXAuditAnchor", "getBatch", batch_id)
        return AnchoredBatch(batch_id, first, last, root, head, anchored_at)

    def batch_count(self) -> int:
        """Returns the number of anchored batches."""
        return self._read("FXAuditAnchor", "batchCount")

    def anchor_head(self) -> bytes:
        """Returns the head after the last batch."""
        return self._read("FXAuditAnchor", "head")

    def next_position(self) -> int:
        """Returns the log position the next batch starts at."""
        return self._read("FXAuditAnchor", "nextPosition")

    def verify_inclusion(
        self, batch_id: int, position: int, entry_hash: bytes, proof: Sequence[bytes]
    ) -> bool:
        """Asks the contract whether an entry is in a batch."""
        return self._read("FXAuditAnchor", "verifyInclusion", batch_id, position, entry_hash, list(proof))

    # The operator's view

    def node(self, now: int) -> NodeStatus:
        """Returns how the node is. `now` is the platform's time in Unix seconds."""
        return node_status(self._w3, self.journal.confirmations, now)

    def key_statuses(self) -> list[KeyStatus]:
        """Returns every role's key, with the operations it waits for."""
        return key_statuses(self._w3, self.journal.rows, self._keys, self.journal.confirmations)

    def examine(self, now: int) -> list[Finding]:
        """Returns what is wrong with the chain, each with its remedy; nothing when all is well."""
        return examine(self._w3, self._keys, self.deployment(), now)

    def block_number(self) -> int:
        """Returns the number of the newest block."""
        with node_errors():
            return int(self._w3.eth.block_number)

    def header(self, number: int) -> Header | None:
        """Returns a block's header; None when the node does not keep it (any more)."""
        with node_errors():
            return header_of(self._w3, number)

    def block_time(self) -> int:
        """Returns the latest block's time."""
        with node_errors():
            return self._w3.eth.get_block("latest").get("timestamp", 0)

    # How it is done

    def _claim_data(self, op: str, wallet: str, topic: str, expires_at: int) -> Calldata:
        """Returns a function that signs the claim and encodes its delivery; called for a new operation
        only.
        """

        def build() -> bytes:
            issuer = self.deployment()["FXClaimIssuer"]
            identity = self._registered_identity(wallet)
            number = topic_number(topic)
            data = encode_data(self.block_time(), expires_at, operation_ref(op))
            signature = self._keys.sign_claim(*typed_data(self.chain_id, issuer, identity, number, data))
            arguments = (number, ECDSA_SCHEME, issuer, signature, data, "")
            return self._encode("FXIdentity", "addClaim", arguments)

        return build

    def _signed_claims(self, wallet: str, topics: Sequence[str]) -> dict[str, bytes]:
        """Returns the signed data of the claims a wallet holds about these topics."""
        identity = self._w3.eth.contract(
            address=to_checksum_address(self._registered_identity(wallet)), abi=artifact("FXIdentity")["abi"]
        )
        with node_errors():
            held = {topic: identity.functions.signedClaim(topic_number(topic)).call()[1] for topic in topics}
        return {topic: data for topic, data in held.items() if data}

    def _registered_identity(self, wallet: str) -> str:
        """Returns a wallet's identity. A call to a clone that is not there would succeed and do nothing."""
        if not self._read("FXIdentityRegistry", "isRegistered", wallet):
            raise Refused("UNKNOWN_WALLET")
        return self.deployment().identity_of(wallet)

    def _run(
        self, op: str, role: Role, contract: str, method: str, arguments: Sequence[Any], gas: int
    ) -> Receipt:
        to = self.deployment()[contract]
        return self.journal.run(op, role, to, lambda: self._encode(contract, method, arguments), gas)

    def _run_when_it_passes(
        self, op: str, role: Role, contract: str, method: str, arguments: Sequence[Any], gas: int
    ) -> Receipt:
        to = self.deployment()[contract]
        return self.journal.run_when_it_passes(op, role, to, lambda: self._encode(contract, method, arguments), gas)

    def _encode(self, contract: str, method: str, arguments: Sequence[Any]) -> bytes:
        return method_data(contract, method, arguments)

    def _read(self, contract: str, method: str, *arguments: Any) -> Any:
        with node_errors():
            return self._contract(contract).functions[method](*arguments).call()

    def _contract(self, name: str) -> Any:
        if name not in self._contracts:
            address = to_checksum_address(self.deployment()[name])
            self._contracts[name] = self._w3.eth.contract(address=address, abi=artifact(name)["abi"])
        return self._contracts[name]
