"""Every transaction happens exactly once.

The rule: nonce, signature and raw bytes are in the journal before they are sent, and afterwards only those
bytes are ever sent again. A lost answer, a killed process, two processes, a dropped transaction or lost
blocks then change nothing: the chain accepts a nonce once, and the nonce belongs to one operation. Signing
again after a lost answer is what doubles a transfer.

The transactions of one key wait for each other in nonce order, so whoever runs an operation first sends what
an earlier, killed process had only signed.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import rlp
from eth_utils.address import to_checksum_address
from eth_utils.conversions import to_hex
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3RPCError
from web3.types import TxReceipt

from chain.abi import refusal_code
from chain.errors import Final, ForeignTransaction, Refused, Retryable
from chain.keys import KeyPort, Role
from chain.rpc import UNNAMED_REVERT, node_errors, revert_bytes
from eventstore.journal import JournalRow, JournalRows, Outcome

WAIT_SECONDS = 1.0
FIRST_POLL_SECONDS, LAST_POLL_SECONDS = 0.002, 0.02  # an embedded chain answers within the first few
DEPLOYMENT_REVERTED = "DEPLOYMENT_REVERTED"

# What nodes say about bytes they have or had. Besu: "Known transaction", "Nonce too low".
SEEN = ("already known", "already imported", "known transaction", "nonce too low")
# What nodes say about bytes they will never take.
UNACCEPTABLE = ("intrinsic gas", "gas limit", "chain id", "signer")

RAW_GAS, RAW_TO, RAW_DATA = 2, 3, 5  # fields of a legacy transaction

Calldata = bytes | Callable[[], bytes]


class Receipt(msgspec.Struct, frozen=True):
    """A mined, successful transaction. Hashes are 0x hex; `block_time` is in Unix seconds."""

    tx_hash: str
    block_number: int
    block_hash: str
    gas_used: int
    block_time: int
    contract_address: str | None = None


class Journal:
    """Runs operations through the journal.

    `set_time` and `now` let an embedded chain carry the platform's clock: before a transaction is sent, the
    coming block gets `now()`; one that is sent again after blocks were lost gets the time it had.
    """

    def __init__(
        self,
        rows: JournalRows,
        w3: Web3,
        keys: KeyPort,
        chain_id: int,
        *,
        gas_price: int = 0,
        set_time: Callable[[int], None] | None = None,
        now: Callable[[], int] | None = None,
    ) -> None:
        self._rows = rows
        self._w3 = w3
        self._keys = keys
        self._chain_id = chain_id
        self._gas_price = gas_price
        self._set_time = set_time
        self._now = now
        self._reconciling = threading.Lock()

    def run(self, op_id: str, role: Role, to: str | None, data: Calldata, gas: int) -> Receipt:
        """Carries out an operation, or reports what became of it.

        The same `op_id` is the same operation, whatever the other arguments say: a settled one is answered
        from the journal without asking the chain. `data` may be a function, called only for a new operation.
        Raises `Retryable` while the transaction is not mined, `Refused` when it reverted.
        """
        row = self._rows.find(op_id) or self._sign(op_id, role, to, data, gas)
        self._require_chain(row.chain_id)
        if row.status == "SIGNED":
            row = self._settle_through(row)
        if row.refusal is not None:
            raise Refused(row.refusal)
        return _receipt(row)

    def receipt(self, op_id: str) -> Receipt | None:
        """Returns a confirmed operation's receipt from the journal alone."""
        row = self._rows.find(op_id)
        return _receipt(row) if row is not None and row.status == "CONFIRMED" else None

    def signed_data(self, op_id: str) -> bytes | None:
        """Returns the call data signed for an operation, settled or not; None when it was never signed."""
        row = self._rows.find(op_id)
        return None if row is None else rlp.decode(row.raw)[RAW_DATA]

    def reconcile(self) -> int:
        """Brings a chain that lost blocks back to the journal; returns how many transactions it had lost.

        The same bytes go out again in the order the chain had them, so contracts return to the same
        addresses. Also sends what a killed process had only signed. Call it when the application starts.
        Raises `ForeignTransaction` when the chain has a history of our keys that the journal does not know,
        `Final` when the journal belongs to another chain.
        """
        with self._reconciling:
            senders = self._rows.senders()
            for _, chain_id in senders:
                self._require_chain(chain_id)
            lost = sum(self._put_back_lost(sender) for sender, _ in senders)
            for row in self._rows.to_replay():
                self._send_unless_mined(row, self._mined(row.sender))
                self._wait([row])
            return lost

    def _require_chain(self, chain_id: int) -> None:
        if chain_id != self._chain_id:
            raise Final(f"the journal was signed for chain {chain_id}, this is chain {self._chain_id}")

    def _sign(self, op_id: str, role: Role, to: str | None, data: Calldata, gas: int) -> JournalRow:
        sender = self._keys.address(role)
        calldata = data() if callable(data) else data
        with node_errors():
            used = self._w3.eth.get_transaction_count(to_checksum_address(sender), "pending")
        with self._rows.signing(sender) as signing:
            if row := signing.find(op_id):
                return row
            nonce = signing.next_nonce()
            if used > nonce:
                raise ForeignTransaction(f"{sender} has used {used} nonces, the journal knows {nonce}")
            transaction: dict[str, Any] = {
                "chainId": self._chain_id,
                "nonce": nonce,
                "gasPrice": self._gas_price,
                "gas": gas,
                "value": 0,
                "data": calldata,
            }
            if to is not None:
                transaction["to"] = to
            signed = self._keys.sign_transaction(role, transaction)
            return signing.insert(op_id, self._chain_id, nonce, signed.raw, signed.tx_hash)

    def _settle_through(self, row: JournalRow) -> JournalRow:
        """Sends and settles everything the sender signed up to this row."""
        pending = self._rows.unsettled(row.sender, row.nonce)
        mined = self._mined(row.sender)
        if pending and pending[0].nonce > mined:
            self.reconcile()
        for unsettled in pending:
            self._send_unless_mined(unsettled, mined)
        self._wait(pending)
        settled = self._rows.find(row.op_id)
        assert settled is not None
        return settled

    def _send_unless_mined(self, row: JournalRow, mined: int) -> None:
        """Sends the row's bytes. A node that has them already says so, and that is as good."""
        if row.nonce < mined:
            return
        self._tell_time(row)
        with node_errors():
            try:
                self._w3.eth.send_raw_transaction(row.raw)  # pyright: ignore[reportArgumentType]
            except ContractLogicError:
                return  # some nodes report a revert at once; the receipt will tell
            except Web3RPCError as error:
                self._accept_seen(row, str(error))

    def _accept_seen(self, row: JournalRow, message: str) -> None:
        lowered = message.lower()
        if any(phrase in lowered for phrase in SEEN):
            return
        if any(phrase in lowered for phrase in UNACCEPTABLE):
            raise Final(f"no node will take {row.op_id}: {message}")
        raise Retryable(f"the node refused {row.op_id}: {message}")

    def _wait(self, pending: Sequence[JournalRow]) -> None:
        """Records outcomes until none is missing.

        After WAIT_SECONDS raises `Retryable`, or `ForeignTransaction` when another transaction has the nonce.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        pause = FIRST_POLL_SECONDS
        while True:
            pending = [row for row in pending if not self._record_if_mined(row)]
            if not pending:
                return
            if time.monotonic() > deadline:
                break
            time.sleep(pause)
            pause = min(2 * pause, LAST_POLL_SECONDS)
        first = pending[0]
        if self._mined(first.sender) > first.nonce and not self._record_if_mined(first):
            raise ForeignTransaction(
                f"nonce {first.nonce} of {first.sender} was used by a transaction not ours"
            )
        raise Retryable(f"pending: {first.op_id}")

    def _record_if_mined(self, row: JournalRow) -> bool:
        receipt = self._chain_receipt(row)
        if receipt is None:
            return False
        number = receipt["blockNumber"]
        with node_errors():
            block_time = self._w3.eth.get_block(number).get("timestamp", 0)
            refusal = None if receipt["status"] == 1 else self._why_reverted(row, number)
        outcome = Outcome(
            refusal=refusal,
            block_number=number,
            block_hash=bytes(receipt["blockHash"]),
            block_time=block_time,
            gas_used=receipt["gasUsed"],
            contract_address=receipt.get("contractAddress"),
        )
        self._rows.settle(row.op_id, outcome)
        return True

    def _chain_receipt(self, row: JournalRow) -> TxReceipt | None:
        with node_errors():
            try:
                return self._w3.eth.get_transaction_receipt(HexBytes(row.tx_hash))
            except TransactionNotFound:
                return None

    def _why_reverted(self, row: JournalRow, block_number: int) -> str:
        """Asks the state the transaction met, then the latest one, for a node that keeps no old states."""
        fields = rlp.decode(row.raw)
        if not fields[RAW_TO]:
            return DEPLOYMENT_REVERTED
        call: Any = {
            "from": row.sender,
            "to": to_checksum_address(fields[RAW_TO]),
            "data": to_hex(fields[RAW_DATA]),
            "gas": int.from_bytes(fields[RAW_GAS], "big"),
            "gasPrice": self._gas_price,
        }
        for block in (block_number, "latest"):
            try:
                self._w3.eth.call(call, block)  # pyright: ignore[reportArgumentType]
            except ContractLogicError as error:
                return refusal_code(revert_bytes(error))
            except Web3RPCError:
                continue
        return UNNAMED_REVERT

    def _put_back_lost(self, sender: str) -> int:
        mined = self._mined(sender)
        lost = self._rows.put_back(sender, mined)
        last = self._rows.last_settled(sender)
        if last is not None and self._chain_receipt(last) is None:
            raise ForeignTransaction(f"nonce {last.nonce} is used, but not by {last.op_id}")
        return lost

    def _mined(self, sender: str) -> int:
        with node_errors():
            return self._w3.eth.get_transaction_count(to_checksum_address(sender), "latest")

    def _tell_time(self, row: JournalRow) -> None:
        if self._set_time is None:
            return
        if row.block_time is not None:
            self._set_time(row.block_time)
        elif self._now is not None:
            self._set_time(self._now())


def _receipt(row: JournalRow) -> Receipt:
    assert row.block_number is not None and row.block_hash is not None
    assert row.gas_used is not None and row.block_time is not None
    return Receipt(
        tx_hash=to_hex(row.tx_hash),
        block_number=row.block_number,
        block_hash=to_hex(row.block_hash),
        gas_used=row.gas_used,
        block_time=row.block_time,
        contract_address=row.contract_address,
    )
