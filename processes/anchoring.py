"""Anchoring: every 10 minutes of platform time the entries since the last batch get a Merkle root on the chain.

Source: seeds 002 "Audit log & tamper-evident store". The record of a batch is itself an entry, so an idle log still
closes its intervals, and no batch is ever empty. Each tenant has contracts of its own and anchors the whole chain in
them, its neighbours' entries as bare hashes: nobody's evidence depends on a neighbour's process. A crash between the
chain and the record is repaired on the next turn: the chain says which batches exist, the log is told of those it
misses.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import structlog

from chain.anchor import anchor_pending
from chain.client import Chain
from chain.errors import ChainError
from domain.base import Context
from domain.party import SYSTEM
from domain.platform import BATCH, RecordBatch
from eventstore.follow import Feed, Leadership
from processes.outside import Outside

log = structlog.get_logger("anchoring")

INTERVAL = timedelta(minutes=10)
TURN_S = 0.5


class Anchorer:
    def __init__(self, outside: Outside, feed: Feed):
        self.outside, self.store, self.feed = outside, outside.store, feed
        self._last: datetime | None = None
        self._lead = Leadership(outside.store.conninfo, f"{outside.store.tenant}/anchorer")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fx-anchorer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._lead.release()

    def _run(self) -> None:
        while not self._stop.wait(TURN_S):
            if not self._lead.held():
                continue
            try:
                self.turn()
            except ChainError as error:
                log.warning("anchor.waiting", reason=str(error)[:200])
                self._stop.wait(1.0)
            except Exception:
                log.exception("anchor.failed")
                self._stop.wait(1.0)

    def turn(self) -> None:
        """Anchor if an interval of platform time has passed since the last batch."""
        now = self.outside.clock.now()
        if self._last is not None and now < self._last + INTERVAL:
            return
        chain = self.outside.chain()
        self._record_missing(chain)
        if self._last is None:
            self._last = self._last_anchored(chain)
            if self._last is None or now < self._last + INTERVAL:
                return
        anchored = anchor_pending(chain, self.store.links.hashes, self.store.links.head())
        if anchored is None:
            return
        self._record(chain, anchored.batch.batch_id, now)
        self._last = now

    def _last_anchored(self, chain: Chain) -> datetime | None:
        """When the last batch was recorded; before the first one, when the log began."""
        count = chain.batch_count()
        if count:
            return self.store.history(BATCH, str(count))[0].at
        first = self.store.read(0, 1)
        return first[0].at if first else None

    def _record_missing(self, chain: Chain) -> None:
        batch_id = chain.batch_count()
        while batch_id and self.store.load(BATCH, str(batch_id)).tx is None:
            self._record(chain, batch_id, self.outside.clock.now())
            batch_id -= 1

    def _record(self, chain: Chain, batch_id: int, now: datetime) -> None:
        batch = chain.batch(batch_id)
        receipt = chain.journal.receipt(f"anchor:{batch_id}")
        context = Context(actor="system:anchoring", actor_role=SYSTEM, tenant=self.store.tenant, now=now)
        self.store.execute(
            RecordBatch(batch_id=batch_id, from_position=batch.from_position, to_position=batch.to_position,
                        root=batch.root.hex(), head=batch.head.hex(), tx=receipt.tx_hash if receipt else "",
                        block=receipt.block_number if receipt else 0),
            context=context, key=f"anchor:{batch_id}")
