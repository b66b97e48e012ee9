"""One key's way to the chain: its callers' operations are signed together, sent together, looked for together.

Group commit: whatever queues while one turn runs becomes the next turn, and a caller that finds nobody working works
the turn itself. A turn signs in one database transaction and sends in one request; while its callers wait for blocks,
the next turn may run. A look reads all receipts of the key in one request and settles them in one statement.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import rlp
from eth_utils.conversions import to_hex
from eth_utils.crypto import keccak
from web3 import Web3

from chain.errors import Final, ForeignTransaction, Pending, Refused, Retryable
from chain.keys import KeyPort, Role
from chain.outcomes import RAW_GAS_PRICE, outcomes, receipts
from chain.rpc import Reply, ask, replies, rouse
from eventstore.journal import Draft, JournalRow, JournalRows, Signing

TURN_LIMIT = 256
WAIT_SECONDS, SHORT_WAIT_SECONDS = 1.0, 0.1  # on a chain with blocks of seconds, threads have better things to do
RESEND_SECONDS = 1.0
ROUSE_SECONDS = 0.1
LET_MINE_SECONDS = 0.1
FIRST_POLL_SECONDS, LAST_POLL_SECONDS = 0.002, 0.02  # an embedded chain answers within the first few
NOOP_GAS = 21_000

# What nodes say about bytes they have or had. Besu: "Known transaction", "Nonce too low".
SEEN = ("already known", "already imported", "known transaction", "nonce too low")
# What nodes say about bytes they will never take.
UNACCEPTABLE = ("intrinsic gas", "gas limit", "chain id", "signer")
# Some nodes report a revert at once; the receipt will tell.
REVERTED_AT_ONCE = "revert"

Calldata = bytes | Callable[[], bytes]


@dataclass(frozen=True)
class Footing:
    """What every lane stands on. `now` and `set_time` are given where the chain carries the platform's clock."""

    rows: JournalRows
    w3: Web3
    keys: KeyPort
    chain_id: int
    gas_price: int
    confirmations: int
    set_time: Callable[[int], None] | None
    now: Callable[[], int] | None


class Request:
    """One caller's operation on its way into the journal: answered with its row, or with why it cannot go."""

    def __init__(
        self, op_id: str, role: Role, to: str | None, data: Calldata, gas: int, row: JournalRow | None = None
    ) -> None:
        self.op_id = op_id
        self.role: Role = role
        self.to = to
        self.gas = gas
        self._data = data
        self._built: bytes | None = None
        self.row = row
        self.error: Exception | None = None
        self.done = False

    def calldata(self) -> bytes:
        """Returns the call data, built once."""
        if self._built is None:
            self._built = self._data() if callable(self._data) else self._data
        return self._built

    def answer(self) -> JournalRow:
        """Returns the row, or raises what kept the operation from being sent."""
        if self.error is not None:
            raise self.error
        assert self.row is not None
        return self.row


class Waiter:
    """One caller that waits for a row's outcome; the row is replaced when it has one."""

    def __init__(self, row: JournalRow) -> None:
        self.row = row


class Lane:
    """The operations of one key, in nonce order. `reconcile` is called when the chain has lost some of them."""

    def __init__(self, sender: str, footing: Footing, reconcile: Callable[[], object]) -> None:
        self.sender = sender
        self._on = footing
        self._reconcile = reconcile
        self._queue: deque[Request] = deque()
        self._turn = threading.Lock()
        self._looking = threading.Lock()
        self._waiting: set[Waiter] = set()
        self._sent: dict[int, float] = {}
        self._looked = 0.0
        self._stood = -1
        self._slow = False

    # Signing and sending

    def submit(self, request: Request) -> JournalRow:
        """Signs the operation unless it is signed, sends it with everything before it, and returns its row.

        Raises `Retryable` when the node did not take it, `Final` when no node will, `ForeignTransaction` when
        somebody else used the key; then nothing more is signed with it.
        """
        self._queue.append(request)
        while not request.done:
            with self._turn:
                if not request.done:
                    self._work([self._queue.popleft() for _ in range(min(len(self._queue), TURN_LIMIT))])
        return request.answer()

    def _work(self, turn: Sequence[Request]) -> None:
        unexpected: Exception = Retryable("the turn was broken off")
        try:
            self._sign_and_send(turn)
        except Exception as error:  # noqa: BLE001 - every caller of the turn is told, whatever it is
            unexpected = error
        finally:
            for request in turn:
                if not request.done and request.error is None:
                    request.error = unexpected
                request.done = True

    def _sign_and_send(self, turn: Sequence[Request]) -> None:
        latest, pending = self._nonces()
        self._require_own(latest)
        self._sign(turn, pending)
        unsettled = self._on.rows.unsettled(self.sender)
        if self._lost(unsettled, latest):
            self._reconcile()
            refused = {}
        else:
            refused = self._send([row for row in unsettled if row.nonce >= latest])
        for request in turn:
            if request.error is None:
                request.error = self._why_not_taken(request, refused)
                request.done = True

    def _nonces(self) -> tuple[int, int]:
        """Returns how many nonces of the key are mined, and how many are used or waiting."""
        calls = [("eth_getTransactionCount", [self.sender, block]) for block in ("latest", "pending")]
        latest, pending = ask(self._on.w3, calls)
        return int(latest, 16), int(pending, 16)

    def _sign(self, turn: Sequence[Request], used: int) -> None:
        asked: dict[str, Request] = {}
        for request in turn:
            try:
                if _to_sign(request.row):
                    self._build(request)
                asked.setdefault(request.op_id, request)
            except Exception as error:  # noqa: BLE001 - the caller's own
                request.error = error
        with self._on.rows.signing(self.sender) as signing:
            known = signing.find(list(asked))
            new = [request for op_id, request in asked.items() if _to_sign(known.get(op_id))]
            known.update((row.op_id, row) for row in self._insert(signing, new, known, used))
        for request in turn:
            if request.error is None:
                request.row = known[request.op_id]

    def _build(self, request: Request) -> None:
        """What is read of a chain that has lost its blocks is no refusal: only the second answer counts."""
        try:
            request.calldata()
        except Refused:
            self._reconcile()
            request.calldata()

    def _insert(
        self, signing: Signing, new: Sequence[Request], known: dict[str, JournalRow], used: int
    ) -> list[JournalRow]:
        if not new:
            return []
        if any(self._on.keys.address(request.role) != self.sender for request in new):
            raise Retryable(f"{self.sender} is not the key any more")  # the lane of the new key has its own nonces
        nonce = signing.next_nonce()
        if used > nonce:
            raise ForeignTransaction(f"{self.sender} has used {used} nonces, the journal knows {nonce}")
        drafts: list[Draft] = []
        for request in new:
            before = known.get(request.op_id)
            raw, tx_hash = self._signed(request.role, nonce, request.to, request.calldata(), request.gas)
            attempt = before.attempt + 1 if before else 1
            drafts.append(Draft(request.op_id, attempt, self._on.chain_id, nonce, raw, tx_hash))
            nonce += 1
        return signing.insert(drafts)

    def _signed(
        self, role: Role, nonce: int, to: str | None, data: bytes, gas: int, gas_price: int | None = None
    ) -> tuple[bytes, bytes]:
        transaction = {
            "chainId": self._on.chain_id,
            "nonce": nonce,
            "gasPrice": self._on.gas_price if gas_price is None else gas_price,
            "gas": gas,
            "value": 0,
            "data": data,
        }
        signed = self._on.keys.sign_transaction(role, {**transaction, "to": to} if to else transaction)
        return signed.raw, signed.tx_hash

    def _lost(self, unsettled: Sequence[JournalRow], latest: int) -> bool:
        """Whether transactions are missing on the chain that were there. Looks again: a turn is not a moment."""

        def missing(mined: int) -> bool:
            before = any(row.block_number is not None and row.nonce >= mined for row in unsettled)
            return before or (bool(unsettled) and unsettled[0].nonce > mined)

        return missing(latest) and missing(self._nonces()[0])

    def _send(self, unsettled: Sequence[JournalRow]) -> dict[int, str]:
        """Sends what was not sent a moment ago, for it may have been dropped; returns what the node said against it."""
        now = time.monotonic()
        last_of_nonce = {row.nonce: row for row in unsettled}.values()  # a no-op comes after what it replaces
        self._sent = {row.seq: self._sent[row.seq] for row in unsettled if row.seq in self._sent}
        due = [row for row in last_of_nonce if now - self._sent.get(row.seq, 0) > RESEND_SECONDS]
        if not due:
            return {}
        self._let_mine()
        if self._on.set_time is not None and self._on.now is not None:
            self._on.set_time(self._on.now())
        refused = {row.nonce: problem for row, problem in zip(due, send(self._on.w3, due), strict=True) if problem}
        self._sent.update((row.seq, now) for row in due if row.nonce not in refused)
        return refused

    def _let_mine(self) -> None:
        """Lets a node that mines at once finish what it has of this key: larger batches, fewer and fuller blocks."""
        deadline = time.monotonic() + LET_MINE_SECONDS
        while not self._slow and (nonces := self._nonces())[0] < nonces[1] and time.monotonic() < deadline:
            time.sleep(FIRST_POLL_SECONDS)

    def _why_not_taken(self, request: Request, refused: dict[int, str]) -> Exception | None:
        assert request.row is not None
        nonce = request.row.nonce
        if (problem := refused.get(nonce)) is not None:
            final = any(phrase in problem.lower() for phrase in UNACCEPTABLE)
            said = "no node will take" if final else "the node refused"
            return (Final if final else Retryable)(f"{said} {request.op_id}: {problem}")
        if request.row.status == "SIGNED" and refused and nonce > min(refused):
            return Retryable(f"{request.op_id} waits behind nonce {min(refused)}: {refused[min(refused)]}")
        return None

    # Looking

    def settle(self, row: JournalRow) -> JournalRow:
        """Waits for the outcome of a row that was sent and returns the row with it.

        Raises `Pending` after WAIT_SECONDS (less on a chain found to be slow), or `ForeignTransaction` when another
        transaction has the nonce.
        """
        waiter = Waiter(row)
        self._waiting.add(waiter)
        try:
            begun, pause = time.monotonic(), FIRST_POLL_SECONDS
            deadline = begun + (SHORT_WAIT_SECONDS if self._slow else WAIT_SECONDS)
            while True:
                if self._looking.acquire(timeout=pause):
                    try:
                        if not _ended(waiter.row) and time.monotonic() - self._looked >= pause:
                            self.look()
                            self._looked = time.monotonic()
                            if time.monotonic() - begun > ROUSE_SECONDS:
                                begun = time.monotonic()
                                self._rouse()
                    finally:
                        self._looking.release()
                if _ended(waiter.row):
                    return waiter.row
                if time.monotonic() > deadline:
                    break
                time.sleep(pause)
                pause = min(2 * pause, LAST_POLL_SECONDS)
        finally:
            self._waiting.discard(waiter)
        self._slow = self._on.set_time is None  # an embedded chain is only ever late
        self._require_own(self._nonces()[0], patience=0)
        raise Pending(f"pending: {row.op_id}")

    def look(self) -> list[JournalRow]:
        """Settles everything of the key that is mined deep enough; returns it."""
        unsettled = self._on.rows.unsettled(self.sender)
        settled = self._record(unsettled)
        self._tell(settled)
        left = {row.seq for row in unsettled} - {row.seq for row in settled}
        waiting = {waiter.row.seq for waiter in list(self._waiting) if not _ended(waiter.row)}
        if elsewhere := waiting - left:
            self._tell(self._on.rows.again(list(elsewhere)))
        return settled

    def _rouse(self) -> None:
        """Where the node has stood still since the last call, wakes it, and sends what waits once more if it must."""
        stood, self._stood = self._stood, self._nonces()[0]
        if self._stood == stood and rouse(self._on.w3, self.sender, stood):
            unsettled = self._on.rows.unsettled(self.sender)
            send(self._on.w3, list({row.nonce: row for row in unsettled if row.nonce >= stood}.values()))

    def _record(self, unsettled: Sequence[JournalRow]) -> list[JournalRow]:
        found = outcomes(self._on.w3, unsettled, self._on.confirmations)
        return self._on.rows.settle(found) if found else []

    def _tell(self, rows: Sequence[JournalRow]) -> None:
        told = {row.seq: row for row in rows}
        for waiter in list(self._waiting):
            waiter.row = told.get(waiter.row.seq, waiter.row)

    def _require_own(self, latest: int, patience: float = WAIT_SECONDS) -> None:
        """Raises `ForeignTransaction` when a nonce the journal waits for was used by a transaction it does not know.

        What was sent a moment ago is beyond suspicion; for the rest a node may know the nonce before the receipt.
        """
        long_ago = time.monotonic() - RESEND_SECONDS
        deadline = time.monotonic() + patience
        while True:
            mined = [row for row in self._on.rows.unsettled(self.sender) if row.nonce < latest]
            if not any(self._sent.get(row.seq, 0) <= long_ago for row in mined):
                return
            known = receipts(self._on.w3, mined)
            ours = {row.nonce for row, receipt in zip(mined, known, strict=True) if receipt is not None}
            foreign = [row for row in mined if row.nonce not in ours]
            if not foreign:
                return
            if time.monotonic() >= deadline:
                raise ForeignTransaction(self._whose(foreign[0]))
            time.sleep(LAST_POLL_SECONDS)

    def _whose(self, row: JournalRow) -> str:
        with self._on.rows.signing(self.sender) as signing:
            rivals = [rival for rival in signing.at(row.nonce) if rival.status == "CANCELLED"]
        for rival, receipt in zip(rivals, receipts(self._on.w3, rivals), strict=True):
            if receipt is not None:
                return f"nonce {row.nonce} of {self.sender}: {rival.op_id} was mined after it had been cancelled"
        return f"nonce {row.nonce} of {self.sender} was used by a transaction not ours"

    # Giving a nonce up

    def is_used(self, row: JournalRow) -> bool:
        """Returns whether a row's nonce is used on the chain, by whatever transaction."""
        return row.nonce < self._nonces()[0]

    def fill(self, row: JournalRow, role: Role, reason: str) -> JournalRow:
        """Signs and sends a transaction that does nothing, under the nonce of one that stays unmined.

        Returns the no-op's row. From now on the operation's own bytes are not sent any more; whichever of the two
        is mined cancels the other. Where gas has a price, the no-op outbids.
        """
        with self._turn:
            if self.is_used(row):
                raise Retryable(f"nonce {row.nonce} was used a moment ago")
            price = max(self._on.gas_price, _outbidding(row))
            raw, tx_hash = self._signed(role, row.nonce, self.sender, b"", NOOP_GAS, price)
            with self._on.rows.signing(self.sender) as signing:
                rivals = signing.at(row.nonce)
                if any(_ended(rival) for rival in rivals):
                    raise Final(f"{row.op_id} is settled: there is nothing to fill")
                if twin := next((rival for rival in rivals if rival.tx_hash == tx_hash), None):
                    noop = twin
                else:
                    noop = signing.insert([self._noop(row, len(rivals), raw, tx_hash, reason)])[0]
            (problem,) = send(self._on.w3, [noop])
        if problem:
            raise Retryable(f"the node refused the no-op: {problem}")
        return noop

    def write_off(self, row: JournalRow, reason: str) -> None:
        """Cancels an operation whose nonce a transaction not ours has used: its own bytes can never be mined.

        `reason` is kept with a no-op that nobody has to sign, for the key may be gone. When the nonce turns out to be
        used by one of our transactions, that is recorded instead. Raises `Retryable` while either is too shallow.
        """
        with self._turn:
            self._require_deep(row.nonce)
            if self._is_ours(row):
                self.look()
                if not _ended(self._on.rows.again([row.seq])[0]):
                    raise Retryable(f"pending: {row.op_id}")
                return
            unsigned = [row.nonce, 0, NOOP_GAS, bytes.fromhex(self.sender[2:]), 0, b"", self._on.chain_id, 0, 0]
            raw = rlp.encode(unsigned)
            with self._on.rows.signing(self.sender) as signing:
                rivals = signing.at(row.nonce)
                if not all(_ended(rival) for rival in rivals):
                    signing.insert([self._noop(row, len(rivals), raw, keccak(raw), reason)])
                    signing.cancel(row.nonce)

    def _noop(self, row: JournalRow, number: int, raw: bytes, tx_hash: bytes, reason: str) -> Draft:
        op_id = f"noop:{row.op_id}:{row.attempt}.{number}"
        return Draft(op_id, 1, self._on.chain_id, row.nonce, raw, tx_hash, row.op_id, reason)

    def _require_deep(self, nonce: int) -> None:
        """Raises `Retryable` while a reorganisation could still free a nonce that is used."""
        if depth := self._on.confirmations:
            head = int(ask(self._on.w3, [("eth_blockNumber", [])])[0], 16)
            block = hex(max(head - depth, 0))
            if int(ask(self._on.w3, [("eth_getTransactionCount", [self.sender, block])])[0], 16) <= nonce:
                raise Retryable(f"nonce {nonce} of {self.sender} was used less than {depth} blocks ago")

    def _is_ours(self, row: JournalRow) -> bool:
        """Whether one of our transactions has used the row's nonce. A node may know the nonce before the receipt."""
        with self._on.rows.signing(self.sender) as signing:
            rivals = signing.at(row.nonce)
        deadline = time.monotonic() + WAIT_SECONDS
        while not any(receipts(self._on.w3, rivals)):
            if time.monotonic() > deadline:
                return False
            time.sleep(LAST_POLL_SECONDS)
        return True


def send(w3: Web3, rows: Sequence[JournalRow]) -> list[str | None]:
    """Sends the rows' bytes; returns for each what the node says against it. Bytes it has already are as good."""
    answered = replies(w3, [("eth_sendRawTransaction", [to_hex(row.raw)]) for row in rows])
    return [_problem(reply) for reply in answered]


def _problem(reply: Reply) -> str | None:
    if "error" not in reply:
        return None
    message = str(reply["error"].get("message", reply["error"]))
    lowered = message.lower()
    return None if REVERTED_AT_ONCE in lowered or any(phrase in lowered for phrase in SEEN) else message


def _to_sign(row: JournalRow | None) -> bool:
    return row is None or row.status == "CANCELLED"


def _ended(row: JournalRow) -> bool:
    return row.status != "SIGNED"


def _outbidding(row: JournalRow) -> int:
    """Nodes replace a waiting transaction when the other pays at least a tenth more; nothing outbids nothing."""
    price = int.from_bytes(rlp.decode(row.raw)[RAW_GAS_PRICE], "big")
    return price + -(-price // 8)
