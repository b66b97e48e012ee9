"""Every transaction happens exactly once.

The rule: nonce, signature and raw bytes are in the journal before they are sent, and afterwards only those
bytes are ever sent again. A lost answer, a killed process, two processes, a dropped transaction or lost
blocks then change nothing: the chain accepts a nonce once, and the nonce belongs to one operation. Signing
again after a lost answer is what doubles a transfer.

The transactions of one key wait for each other in nonce order, so whoever runs an operation first sends what
an earlier, killed process had only signed. When one of them can never be mined, an operator fills its nonce
with a no-op, which is a row of its own; only once that is settled may the operation be signed anew.
"""

import threading
import time
from collections.abc import Callable, Sequence
from itertools import groupby

import msgspec
import rlp
from eth_utils.conversions import to_hex
from web3 import Web3

from chain.abi import UNNAMED_REVERT
from chain.errors import Cancelled, Final, ForeignTransaction, Refused, RefusedForNow, Retryable
from chain.keys import ROLES, KeyPort, Role
from chain.lane import FIRST_POLL_SECONDS, WAIT_SECONDS, Calldata, Footing, Lane, Request, send
from chain.outcomes import RAW_DATA, Call, canonical_blocks, canonical_head, receipts, refusal
from chain.rpc import ask, node_errors
from eventstore.journal import JournalRow, JournalRows

BLOCKS_AT_ONCE = 64

# What contracts say of the moment and not of the operation: somebody pauses, mends a rule, gives a new key its role.
# Without a name: out of gas, or over before we asked why.
PASSING = {
    "PAUSED",
    "SCREENING_STALE",
    "RULE_UNAVAILABLE",
    "COMPLIANCE_UNAVAILABLE",
    "ACCESS_CONTROL_UNAUTHORIZED_ACCOUNT",
    UNNAMED_REVERT,
}


class Receipt(msgspec.Struct, frozen=True):
    """A mined, successful transaction. Hashes are 0x hex; `block_time` is in Unix seconds."""

    tx_hash: str
    block_number: int
    block_hash: str
    gas_used: int
    block_time: int
    contract_address: str | None = None


class Journal:
    """Runs operations through the journal; callers that come together share signing, sending and looking.

    `confirmations` is how many blocks must stand on a transaction's own before its outcome counts: 0 where a
    block is final at once (QBFT, IBFT, the embedded chain). `set_time` and `now` let an embedded chain carry
    the platform's clock: before transactions are sent, the coming block gets `now()`; one that is sent again
    after blocks were lost gets the time it had.
    """

    def __init__(
        self,
        rows: JournalRows,
        w3: Web3,
        keys: KeyPort,
        chain_id: int,
        *,
        gas_price: int = 0,
        confirmations: int = 0,
        set_time: Callable[[int], None] | None = None,
        now: Callable[[], int] | None = None,
    ) -> None:
        self.confirmations = confirmations
        self.rows = rows
        self._w3 = w3
        self._keys = keys
        self._chain_id = chain_id
        self._set_time = set_time
        self._footing = Footing(rows, w3, keys, chain_id, gas_price, confirmations, set_time, now)
        self._lanes: dict[str, Lane] = {}
        self._reconciling = threading.RLock()
        self._head: tuple[int, str] | None = None

    def run(self, op_id: str, role: Role, to: str | None, data: Calldata, gas: int) -> Receipt:
        """Carries out an operation, or reports what became of it.

        The same `op_id` is the same operation, whatever the other arguments say: a settled one is answered
        from the journal without asking the chain. `data` may be a function, called only for a new operation.
        Raises `Retryable` while the transaction is not mined deep enough, `Refused` when it reverted,
        `Cancelled` when a no-op took its nonce while this call waited.
        """
        row = self.rows.find(op_id)
        if row is None or not row.settled:
            row = self._carry_out(row, Request(op_id, role, to, data, gas, row))
        self._require_chain(row.chain_id)
        if row.refusal is not None:
            raise Refused(row.refusal)
        return _receipt(row)

    def run_when_it_passes(self, op_id: str, role: Role, to: str, data: Calldata, gas: int) -> Receipt:
        """Carries out an operation that stays owed while the contracts refuse it for a reason that passes.

        A refusal is recorded for good, so the next try is an operation of its own, `op_id` with #2, #3 and so on; it is
        signed only when a simulation says that the reason is gone. A reorganisation may let an earlier one succeed
        after all, so the contract must refuse the second of two, or find nothing left to do. Raises as `run` does, and
        `RefusedForNow` for a refusal in `PASSING`.
        """
        number = 1
        while (row := self.rows.find(_try(op_id, number))) is not None and row.refusal in PASSING:
            number += 1
        owed = data if number == 1 else lambda: self._passing(op_id, role, to, data, gas)
        try:
            return self.run(_try(op_id, number), role, to, owed, gas)
        except Refused as refused:
            if refused.code in PASSING:
                raise RefusedForNow(op_id, refused.code) from refused
            return self._earlier(op_id, number, refused)

    def receipt(self, op_id: str) -> Receipt | None:
        """Returns a confirmed operation's receipt from the journal alone."""
        row = self.rows.find(op_id)
        return _receipt(row) if row is not None and row.status == "CONFIRMED" else None

    def signed_data(self, op_id: str) -> bytes | None:
        """Returns the call data signed for an operation, settled or not; None when it was never signed."""
        row = self.rows.find(op_id)
        return None if row is None else rlp.decode(row.raw)[RAW_DATA]

    def cancel(self, op_id: str, reason: str) -> JournalRow:
        """Fills the nonce of an operation that stays unmined with a no-op, so that those behind it move on.

        Where somebody else used the nonce there is nothing to fill, and the operation is written off. An operator's
        decision; `reason` is kept. Returns the operation's row once it is settled: CANCELLED, or the outcome it had
        after all, when its own bytes were mined first. The operation is signed anew only by a `run` after that.
        Raises `Final` when there is nothing to cancel, `Retryable` while what has the nonce is not deep enough.
        """
        row = self.rows.find(op_id)
        if row is None or row.status != "SIGNED":
            raise Final(f"{op_id} is {'unknown' if row is None else row.status.lower()}: there is nothing to fill")
        if row.replaces is not None:
            raise Final(f"{op_id} is a no-op itself: name the operation it replaces, {row.replaces}")
        self._require_chain(row.chain_id)
        lane = self._lane(row.sender)
        if lane.is_used(row):
            lane.write_off(row, reason)
        else:
            lane.settle(lane.fill(row, self._role(row.sender), reason))
        return self.rows.again([row.seq])[0]

    def reconcile(self) -> int:
        """Brings a chain that lost blocks back to the journal; returns how many transactions it had lost.

        The same bytes go out again in the order the chain had them, so contracts return to the same
        addresses. What stands in another block than before is looked up there. Also sends what a killed
        process had only signed. Call it when the application starts, and when the chain reorganised.
        Raises `ForeignTransaction` when the chain has a history of our keys that the journal does not know,
        `Final` when the journal belongs to another chain, `Retryable` while the node still catches up.
        """
        with self._reconciling:
            senders = self.rows.senders()
            for _, chain_id in senders:
                self._require_chain(chain_id)
            if ask(self._w3, [("eth_syncing", [])])[0]:
                raise Retryable("the node is catching up with its network")
            lost = sum(self._put_back_lost(sender) for sender, _ in senders) + self._put_back_moved()
            rows = self.rows.to_replay()
            filled = {(row.sender, row.nonce) for row in rows if row.replaces is not None}
            rows = [row for row in rows if row.replaces is not None or (row.sender, row.nonce) not in filled]
            for _, together in groupby(rows, key=lambda row: (row.sender, row.block_number)):
                self._send_again(list(together))
            for sender, _ in senders:
                self._lane(sender).look()
            return lost

    def follow(self) -> None:
        """Reconciles when the chain left the block it had at the last call. Call it every second or so."""
        seen, self._head = self._head, canonical_head(self._w3)
        if seen is not None:
            number, block_hash = seen
            block = canonical_blocks(self._w3, [number]).get(number)
            if block is None or block["hash"] != block_hash:
                self.reconcile()

    def _carry_out(self, row: JournalRow | None, request: Request) -> JournalRow:
        if row is not None:
            self._require_chain(row.chain_id)
        lane = self._lane(self._keys.address(request.role) if row is None or row.status == "CANCELLED" else row.sender)
        with self._reconciling:
            pass  # what is being put back goes first
        row = lane.settle(lane.submit(request))
        if row.status == "CANCELLED":
            raise Cancelled(f"{row.op_id} was cancelled: its nonce {row.nonce} was filled")
        return row

    def _passing(self, op_id: str, role: Role, to: str, data: Calldata, gas: int) -> bytes:
        """Builds call data, or raises `RefusedForNow` when the contract would refuse it for a reason that passes."""
        built = data() if callable(data) else data
        with node_errors():
            code = refusal(self._w3, Call(self._keys.address(role), to, built, gas, self._footing.gas_price))
        if code is not None and code in PASSING:
            raise RefusedForNow(op_id, code)
        return built

    def _earlier(self, op_id: str, number: int, refused: Refused) -> Receipt:
        """Returns the receipt of an earlier try that succeeded after all, for that may be why this one is refused."""
        if number > 1:
            self.reconcile()
        done = filter(None, (self.receipt(_try(op_id, before)) for before in range(1, number)))
        if (receipt := next(done, None)) is None:
            raise refused
        return receipt

    def _lane(self, sender: str) -> Lane:
        return self._lanes.setdefault(sender, Lane(sender, self._footing, self.reconcile))

    def _role(self, sender: str) -> Role:
        for role in ROLES:
            if self._keys.address(role) == sender:
                return role
        raise Final(f"the key of {sender} is not here")

    def _require_chain(self, chain_id: int) -> None:
        if chain_id != self._chain_id:
            raise Final(f"the journal was signed for chain {chain_id}, this is chain {self._chain_id}")

    # Reconciling

    def _put_back_lost(self, sender: str) -> int:
        return self.rows.put_back(sender, self._mined(sender))

    def _put_back_moved(self) -> int:
        """Rows whose block is not the chain's any more are looked for again, newest blocks first."""
        below, moved = 1 << 62, 0
        while blocks := self.rows.last_blocks(below, BLOCKS_AT_ONCE):
            found = canonical_blocks(self._w3, sorted({number for number, _ in blocks}))
            stale = [number for number, block_hash in blocks if _other(found.get(number), block_hash)]
            moved += self.rows.put_back_blocks(stale) if stale else 0
            below = blocks[-1][0]
            if below not in stale:
                break
        return moved

    def _send_again(self, rows: Sequence[JournalRow]) -> None:
        """Sends rows of one key that stood in one block, and waits until they are mined: what follows may need them.

        Nothing can need rows that were never mined: what a node says against those, their callers hear in time.
        """
        mined, before = self._mined(rows[0].sender), rows[0].block_number is not None
        if due := [row for row in rows if row.nonce >= mined]:
            self._tell_time(due[0].block_time)
            problem = next(filter(None, send(self._w3, due)), None)
            if before and problem:
                raise Retryable(f"the node refused {due[0].op_id}: {problem}")
        if before:
            self._wait_until_mined(rows)

    def _tell_time(self, block_time: int | None) -> None:
        if self._set_time is None:
            return
        if block_time is not None:
            self._set_time(block_time)
        elif self._footing.now is not None:
            self._set_time(self._footing.now())

    def _wait_until_mined(self, rows: Sequence[JournalRow]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while missing := [row for row, found in zip(rows, receipts(self._w3, rows), strict=True) if found is None]:
            if time.monotonic() > deadline:
                first = missing[0]
                if self._mined(first.sender) > first.nonce and receipts(self._w3, [first]) == [None]:
                    raise ForeignTransaction(f"nonce {first.nonce} is used, but not by {first.op_id}")
                raise Retryable(f"pending: {first.op_id}")
            time.sleep(FIRST_POLL_SECONDS)

    def _mined(self, sender: str) -> int:
        return int(ask(self._w3, [("eth_getTransactionCount", [sender, "latest"])])[0], 16)


def _try(op_id: str, number: int) -> str:
    return op_id if number == 1 else f"{op_id}#{number}"


def _other(block: dict[str, object] | None, block_hash: bytes) -> bool:
    return block is None or block["hash"] != to_hex(block_hash)


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
