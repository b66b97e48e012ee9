"""Witnessing: every anchored batch becomes a checkpoint that independent witnesses countersign (docs/witness.md).

Each witness is asked for batch after batch, so that every batch has a line of its own. The line is checked against
the pinned key and recorded in the batch's stream. A witness that holds another past, that was set back, or
that will not sign, is an alarm at once; one that has been away for an hour is an alarm, and asked again.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from chain.checkpoint import BatchRecord, Checkpoint, Tip, genesis_of
from chain.cosigning import WitnessAhead, WitnessAt, Witnesses, WitnessRefused
from chain.errors import ChainError, Retryable
from chain.notes import Note, Signature, Signer, time_of
from domain.base import Command, Context
from domain.party import SYSTEM
from domain.platform import BATCH, BatchAnchored, RaiseAlarm, RecordCosignature
from eventstore.entry import Entry
from eventstore.follow import Feed, Leadership
from eventstore.loops import Loop
from processes.outside import Outside
from processes.process import clear_alarm, loop_ended, raise_alarm

log = structlog.get_logger("witnessing")

TURN_S = 0.5
SILENCE = timedelta(hours=1)
"""The same hour after which an entry that is not anchored is a breach."""

OVER_WHEN_IT_SIGNS = ("witness_silent", "witness_refused")
"""Alarms about a witness that its next signature ends."""

AWAY_S, REFUSED_S = 5.0, 60.0
"""How long a witness that is away, or that refused, is left alone (real seconds)."""


@dataclass
class Standing:
    """How one witness stands: the batch it countersigned last, and when it is asked again."""

    witness: WitnessAt
    batch_id: int | None = None
    again_at: float = 0.0


class Witnessing:
    """Follows the recorded batches. `signer` is the log's key, named by the log's origin."""

    def __init__(self, outside: Outside, feed: Feed, signer: Signer, witnesses: Witnesses):
        self.outside, self.store, self.feed, self.signer = outside, outside.store, feed, signer
        self._standings = [Standing(witness) for witness in witnesses.listed]
        self._genesis = genesis_of(signer.name)
        self._newest: int | None = None
        self._lead = Leadership(outside.store.conninfo, f"{outside.store.tenant}/witnessing")
        self._stop = threading.Event()
        self.loop = Loop("fx-witnessing", self._run, self._stop, loop_ended(self.store, outside.clock))

    def start(self) -> None:
        if self._standings:
            self.loop.start()

    def stop(self) -> None:
        self._stop.set()
        self.loop.join()
        self._lead.release()

    def _run(self) -> None:
        while not self._stop.wait(TURN_S):
            if not self._lead.held():
                self._forget()
                continue
            try:
                self.turn()
            except ChainError as error:
                log.warning("witnessing.waiting", reason=str(error)[:200])
                self._stop.wait(1.0)
            except Exception:
                log.exception("witnessing.failed")
                self._stop.wait(1.0)

    def turn(self) -> None:
        """Ask every witness for what it has not countersigned yet."""
        newest = self._find_newest()
        for standing in self._standings:
            if time.monotonic() >= standing.again_at and not self._stop.is_set():
                self._catch_up(standing, newest)

    # ------------------------------------------------------------ asking

    def _catch_up(self, standing: Standing, newest: int) -> None:
        if standing.batch_id is None:
            standing.batch_id = self._last_recorded(standing.witness.name, newest)
        try:
            while standing.batch_id < newest and not self._stop.is_set():
                standing.batch_id = self._next(standing.witness, standing.batch_id, newest)
        except Retryable as error:
            log.warning("witness.away", witness=standing.witness.name, reason=str(error)[:200])
            standing.again_at = time.monotonic() + AWAY_S
            self._tell_silence(standing.witness.name, standing.batch_id + 1)
        except (WitnessAhead, WitnessRefused) as error:
            standing.again_at = time.monotonic() + REFUSED_S
            self._alarm("witness_refused", standing.witness.name,
                        f"witness {standing.witness.name} does not countersign this log: {error}")

    def _next(self, witness: WitnessAt, done: int, newest: int) -> int:
        """Have the batch after `done` countersigned; the last one that is."""
        try:
            return self._ask(witness, done, done + 1)
        except WitnessAhead as ahead:
            held = self._batch_of(ahead, newest)
            if held == done:
                raise
            if held < done:
                self._tell_set_back(witness.name, done, held)
            # Its last answer never reached our log, or it was set back: either way it goes on from what it holds.
            return self._ask(witness, held, held if held > done else held + 1)

    def _ask(self, witness: WitnessAt, done: int, upto: int) -> int:
        records = [self._record(number) for number in range(done + 1, upto + 1)]
        signature = witness.ask(self._tip(done).size, records, self.checkpoint(upto))
        self._keep(witness.name, upto, signature)
        return upto

    def checkpoint(self, batch_id: int) -> Note:
        """The signed checkpoint after a batch; the same every time."""
        return self.signer.sign(Checkpoint(self.signer.name, self._tip(batch_id)).text)

    def _batch_of(self, ahead: WitnessAhead, newest: int) -> int:
        """The batch whose head the witness holds; raises what it said when this log has no such head."""
        numbers = range(newest + 1)
        number = bisect_left(numbers, ahead.size, key=lambda number: self._tip(number).size)
        if number > newest or not ahead.holds(self._tip(number)):
            raise ahead
        return number

    # ------------------------------------------------------------ recording

    def _keep(self, witness: str, batch_id: int, signature: Signature) -> None:
        self._execute(
            RecordCosignature(batch_id=batch_id, witness=witness, cosignature=signature.line.rstrip("\n"),
                              signed_at=datetime.fromtimestamp(time_of(signature), UTC)),
            key=f"cosign:{batch_id}:{witness}")
        for code in OVER_WHEN_IT_SIGNS:
            clear_alarm(self.store, f"{code}:{witness}", self._context())

    def _tell_silence(self, witness: str, batch_id: int) -> None:
        since = self._anchored(batch_id).at
        if self.outside.clock.now() >= since + SILENCE:
            self._alarm("witness_silent", witness,
                        f"witness {witness} has countersigned nothing since batch {batch_id} was anchored at {since}")

    def _tell_set_back(self, witness: str, done: int, held: int) -> None:
        """A witness promises one thing: never to go back. What it signs from here on says nothing of what it forgot."""
        self._alarm("witness_set_back", f"{witness}:{done}",
                    f"witness {witness} holds batch {held} ({self._told(held)}), and its line under batch {done} "
                    f"({self._told(done)}) is in the log: its state was set back, and it may have signed another past")

    def _told(self, batch_id: int) -> str:
        tip = self._tip(batch_id)
        return f"size {tip.size}, head {tip.head.hex()}"

    def _alarm(self, code: str, about: str, detail: str) -> None:
        log.error("witness.alarm", code=code, about=about, detail=detail)
        raise_alarm(self.store, RaiseAlarm(alarm=f"{code}:{about}", source="witnessing", code=code, detail=detail),
                    self._context())

    def _execute(self, command: Command, key: str) -> None:
        self.store.execute(command, context=self._context(), key=key)

    def _context(self) -> Context:
        return Context(actor="system:witnessing", actor_role=SYSTEM, tenant=self.store.tenant,
                       now=self.outside.clock.now())

    # ------------------------------------------------------------ what the log says of batches

    def _forget(self) -> None:
        """Another process leads, and goes on."""
        self._newest = None
        for standing in self._standings:
            standing.batch_id = None

    def _find_newest(self) -> int:
        """The last recorded batch: the chain says where to begin, the log says how it went on."""
        if self._newest is None:
            self._newest = self.outside.chain().batch_count()
            while self._newest and not self._is_recorded(self._newest):
                self._newest -= 1
        while self._is_recorded(self._newest + 1):
            self._newest += 1
        return self._newest

    def _is_recorded(self, batch_id: int) -> bool:
        return self.store.load(BATCH, str(batch_id)).tx is not None

    def _last_recorded(self, witness: str, newest: int) -> int:
        while newest and witness not in self.store.load(BATCH, str(newest)).cosigned_by:
            newest -= 1
        return newest

    def _anchored(self, batch_id: int) -> Entry:
        return next(entry for entry in self.store.history(BATCH, str(batch_id))
                    if isinstance(entry.event, BatchAnchored))

    def _record(self, batch_id: int) -> BatchRecord:
        event = self._anchored(batch_id).event
        assert isinstance(event, BatchAnchored)
        return BatchRecord(batch_id, event.from_position, event.to_position, bytes.fromhex(event.root))

    def _tip(self, batch_id: int) -> Tip:
        if not batch_id:
            return self._genesis
        event = self._anchored(batch_id).event
        assert isinstance(event, BatchAnchored)
        return Tip(batch_id, event.to_position, bytes.fromhex(event.head))
