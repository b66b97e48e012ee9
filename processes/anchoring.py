"""Anchoring: every 10 minutes of platform time, or as soon as enough entries wait (FX_ANCHOR_ENTRIES), what came since
the last batch gets a Merkle root on the chain.

Source: seeds 002 "Audit log & tamper-evident store". The record of a batch is itself an entry, so an idle log still
closes its intervals, and no batch is ever empty. Each tenant has contracts of its own and anchors the whole chain in
them, its neighbours' entries as bare hashes: nobody's evidence depends on a neighbour's process. A crash between the
chain and the record is repaired on the next turn: the chain says which batches exist, the log is told of those it
misses. While the chain stays away past the cap, money stands still and the log says so (processes/freshness.py); an
anchor ends it.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import structlog

from chain.anchor import anchor_pending
from chain.client import Chain
from chain.errors import ChainError
from domain.audit_freeze import AUDIT_FREEZE, BeginAuditFreeze, EndAuditFreeze
from domain.base import Context
from domain.party import SYSTEM
from domain.platform import BATCH, BatchAnchored, ClearAlarm, RaiseAlarm, RecordBatch
from eventstore.follow import Feed, Leadership
from eventstore.loops import Loop
from processes.freshness import Lag
from processes.outside import Outside
from processes.process import loop_ended

log = structlog.get_logger("anchoring")

INTERVAL = timedelta(minutes=10)
TURN_S = 0.5


class Anchorer:
    def __init__(self, outside: Outside, feed: Feed, entries: int):
        """`entries`: so many that wait, of all tenants, are anchored at once. It must be well above what the tenants'
        anchors themselves add."""
        self.outside, self.store, self.feed, self.entries = outside, outside.store, feed, entries
        self._last: datetime | None = None
        self._anchored_to = 0
        self._frozen: bool | None = None
        self._lead = Leadership(outside.store.conninfo, f"{outside.store.tenant}/anchorer")
        self._stop = threading.Event()
        self.loop = Loop("fx-anchorer", self._run, self._stop, loop_ended(self.store, outside.clock))

    def start(self) -> None:
        self.loop.start()

    def stop(self) -> None:
        self._stop.set()
        self.outside.freshness.wanted.set()
        self.loop.join()
        self._lead.release()

    def _run(self) -> None:
        wanted = self.outside.freshness.wanted
        while not self._stop.is_set():
            wanted.wait(TURN_S)
            wanted.clear()
            if self._stop.is_set() or not self._lead.held():
                continue
            try:
                self._attempt()
                self.judge()
            except Exception:
                log.exception("anchor.failed")
                self._stop.wait(1.0)

    def _attempt(self) -> None:
        try:
            self.turn()
        except ChainError as error:
            log.warning("anchor.waiting", reason=str(error)[:200])
            self._stop.wait(1.0)

    def judge(self) -> None:
        """Record where a freeze begins and where it ends: after the anchor was tried, so a jump of the sandbox clock
        alone is none."""
        stale = self.outside.freshness.stale()
        if stale == self._frozen:
            return
        frozen = self.store.load(AUDIT_FREEZE, "log").oldest
        lag = self.outside.freshness.lag()
        if lag.stale and frozen is None:
            self._begin(lag)
        elif not lag.stale and frozen is not None:
            self._end(lag, frozen)
        self._frozen = lag.stale

    def _begin(self, lag: Lag) -> None:
        assert lag.position is not None
        now = self.outside.clock.now()
        since = now - lag.age
        alarm = RaiseAlarm(alarm=f"audit_anchor_stale:{lag.position}", source="anchoring", code="audit_anchor_stale",
                           detail=f"entry {lag.position} and what follows is not anchored since {since}")
        self.store.execute(BeginAuditFreeze(oldest=lag.position, since=since), alarm, context=self._context(now),
                           key=f"audit-freeze:{lag.position}")

    def _end(self, lag: Lag, frozen: int) -> None:
        self.store.execute(EndAuditFreeze(anchored_to=lag.anchored_to),
                           ClearAlarm(alarm=f"audit_anchor_stale:{frozen}"),
                           context=self._context(self.outside.clock.now()), key=f"audit-release:{frozen}")

    def turn(self) -> None:
        """Anchor if it is time, and go on while as many entries wait as are anchored at once."""
        now = self.outside.clock.now()
        if self._last is not None and not self._due(self._last, now):
            return
        chain = self.outside.chain()
        self._record_missing(chain)
        if self._last is None:
            self._last, self._anchored_to = self._last_anchored(chain), chain.next_position() - 1
            if self._last is None or not self._due(self._last, now):
                return
        while not self._stop.is_set():
            anchored = anchor_pending(chain, self.store.links.hashes, self.store.links.head())
            if anchored is None:
                return
            self._record(chain, anchored.batch.batch_id, now)
            self._last, self._anchored_to = now, anchored.batch.to_position
            self.outside.freshness.lag()  # whoever waits for this anchor learns of it now
            if not self._crowded():
                return

    def _due(self, last: datetime, now: datetime) -> bool:
        return now >= last + INTERVAL or self._crowded() or self.outside.freshness.stale()

    def _crowded(self) -> bool:
        return self.store.links.head() - self._anchored_to >= self.entries

    def _last_anchored(self, chain: Chain) -> datetime | None:
        """When the last batch was recorded; before the first one, when the log began."""
        count = chain.batch_count()
        if count:
            return next(entry.at for entry in self.store.history(BATCH, str(count))
                        if isinstance(entry.event, BatchAnchored))
        first = self.store.read(0, 1)
        return first[0].at if first else None

    def _record_missing(self, chain: Chain) -> None:
        """From the first that is missing on: a crash on the way leaves no gap behind."""
        count = missing = chain.batch_count()
        while missing and self.store.load(BATCH, str(missing)).tx is None:
            missing -= 1
        for batch_id in range(missing + 1, count + 1):
            self._record(chain, batch_id, self.outside.clock.now())

    def _record(self, chain: Chain, batch_id: int, now: datetime) -> None:
        batch = chain.batch(batch_id)
        receipt = chain.journal.receipt(f"anchor:{batch_id}")
        self.store.execute(
            RecordBatch(batch_id=batch_id, from_position=batch.from_position, to_position=batch.to_position,
                        root=batch.root.hex(), head=batch.head.hex(), tx=receipt.tx_hash if receipt else "",
                        block=receipt.block_number if receipt else 0),
            context=self._context(now), key=f"anchor:{batch_id}")

    def _context(self, now: datetime) -> Context:
        return Context(actor="system:anchoring", actor_role=SYSTEM, tenant=self.store.tenant, now=now)
