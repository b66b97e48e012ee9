"""A store, a clock and a doorbell: what the engine needs to run, with nothing of ours replaced."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from domain.platform import AlarmRaised, ClaimFingerprint, CompanyRegistered
from eventstore.access import Access
from eventstore.clock import SandboxClock
from eventstore.follow import Feed
from eventstore.store import Store
from processes import effects, reactor
from processes.effects import Effects
from processes.process import Process
from processes.reactor import Reactor
from tests.projections.story import NOW, context


@dataclass
class Bell:
    """Stands outside: counts who rang, and answers as scripted before it answers well."""

    rung: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    script: dict[str, list[Exception]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ring(self, key: str) -> None:
        with self.lock:
            self.rung[key] += 1
            trouble = self.script.get(key)
            if trouble:
                raise trouble.pop(0)


@dataclass
class Works:
    """One process of the platform: its store, and the engines it started."""

    store: Store
    feed: Feed
    clock: SandboxClock
    bell: Bell
    started: list[Any] = field(default_factory=list)

    def reactor(self, *processes: Process) -> Reactor:
        return self._start(Reactor(self.store, self.feed, self.clock, list(processes)))

    def effects(self, *processes: Process) -> Effects:
        outside: Any = SimpleNamespace(store=self.store, clock=self.clock, bell=self.bell, look=self.store.load)
        return self._start(Effects(self.store, self.feed, self.clock, list(processes), outside))

    def _start(self, worker: Any) -> Any:
        self.started.append(worker)
        worker.start()
        return worker

    def trigger(self, name: str) -> int:
        """One entry for processes to see; its position."""
        return self.store.execute(ClaimFingerprint(fingerprint=name, invoice=name), context=context(),
                                  key=f"trigger:{name}").position

    def registered(self) -> list[str]:
        return [entry.event.company_number for entry in self.store.read(0, 10_000)
                if isinstance(entry.event, CompanyRegistered)]

    def alarms(self) -> list[tuple[str, str]]:
        return [(entry.resource, entry.event.code) for entry in self.store.read(0, 10_000)
                if isinstance(entry.event, AlarmRaised)]


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def make_works(access: Access, bell: Bell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Works]]:
    """Each call is one more process of the platform on the same database."""
    monkeypatch.setattr(effects, "BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(effects, "BACKOFF_MAX_S", 0.1)
    monkeypatch.setattr(reactor, "RETRIES_S", (0.01, 0.02))
    made: list[Works] = []

    def make() -> Works:
        store = Store(access)
        made.append(Works(store, Feed(store.conninfo), SandboxClock(store, NOW), bell))
        return made[-1]

    yield make
    for works in made:
        for worker in works.started:
            worker.stop()
    for works in made:
        works.feed.close()
        works.store.close()


@pytest.fixture
def works(make_works: Callable[[], Works]) -> Works:
    return make_works()


def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
