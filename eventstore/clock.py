"""The platform clock: what `Context.now` is read from. In a sandbox it stands still and moves forward on command."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Protocol

from domain.platform import CLOCK, ClockAdvanced
from eventstore.entry import Entry
from eventstore.store import Store


class Clock(Protocol):
    def now(self) -> datetime: ...

    def observe(self, entry: Entry) -> None:
        """Tell the clock of an entry that passed by."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def observe(self, entry: Entry) -> None:
        pass


class SandboxClock:
    """Reads the newest CLOCK_ADVANCED entry; every process of the platform agrees on it."""

    def __init__(self, store: Store, start: datetime):
        self._lock = threading.Lock()
        self._now = max(start, store.load(CLOCK, "platform").now or start)

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def observe(self, entry: Entry) -> None:
        if isinstance(entry.event, ClockAdvanced):
            with self._lock:
                self._now = max(self._now, entry.event.to)
