"""Freshness: how old the oldest entry is that no anchor covers yet, and whether money must therefore stand still.

Read from the log and the platform's clock alone, so every process of the platform comes to the same answer, also while
the chain is away or the anchorer hangs. A young entry once seen answers for all that follow: a check costs nothing
until the cap draws near.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import msgspec

from domain.audit_freeze import STALE_AFTER
from domain.platform import BATCH, BatchAnchored
from eventstore.clock import Clock
from eventstore.entry import Entry
from eventstore.store import Store

ASK_AGAIN_S = 0.05
"""How often at most the log is asked while the answer is "stale"."""


class AnchorStale(Exception):
    """Entries older than an hour are not anchored: nothing that moves money is begun."""


class Lag(msgspec.Struct, frozen=True):
    """`position` and age, in platform time, of the oldest entry that is not anchored; None and 0 when there is none."""

    position: int | None
    age: timedelta
    anchored_to: int

    @property
    def stale(self) -> bool:
        return self.age > STALE_AFTER


class Freshness:
    def __init__(self, store: Store, clock: Clock):
        self._store, self._clock = store, clock
        self._lock = threading.Lock()
        self._batches = self._anchored_to = 0
        self._oldest: Entry | None = None
        self._asked = 0.0
        self.wanted = threading.Event()
        """Set when somebody waits for the next anchor: the anchorer need not sleep its turn out."""

    def lag(self) -> Lag:
        """As the log stands now."""
        with self._lock:
            self._ask()
            if self._oldest is None:
                return Lag(None, timedelta(0), self._anchored_to)
            return Lag(self._oldest.position, max(self._clock.now() - self._oldest.at, timedelta(0)),
                       self._anchored_to)

    def stale(self) -> bool:
        with self._lock:
            if self._young():
                return False
            if time.monotonic() - self._asked >= ASK_AGAIN_S:
                self._ask()
            return self._oldest is not None and not self._young()

    def catch_up(self, timeout_s: float) -> bool:
        """Wait until the anchorer has caught up; False when it has not in time."""
        deadline = time.monotonic() + timeout_s
        while self.stale():
            if time.monotonic() > deadline:
                return False
            self.wanted.set()
            time.sleep(ASK_AGAIN_S)
        return True

    def _young(self) -> bool:
        """The oldest entry known may be anchored by now: then the true one is younger still."""
        return self._oldest is not None and self._clock.now() - self._oldest.at <= STALE_AFTER

    def _ask(self) -> None:
        self._asked = time.monotonic()
        self._batches = self._last_batch(self._batches)
        following = self._store.read(self._anchored_to, 1)
        self._oldest = following[0] if following else None

    def _last_batch(self, known: int) -> int:
        """Batches are recorded without a gap; after a start their number is found in steps that double."""
        step = 1
        while self._reaches(known + step):
            known += step
            step *= 2
        while step > 1:
            step //= 2
            if self._reaches(known + step):
                known += step
        return known

    def _reaches(self, batch: int) -> bool:
        for entry in self._store.history(BATCH, str(batch)):
            if isinstance(entry.event, BatchAnchored):
                self._anchored_to = max(self._anchored_to, entry.event.to_position)
                return True
        return False
