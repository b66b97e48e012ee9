"""The load: callers that work on aggregates of their own, one that opens it and seven that change it, then the next.

Every command is the full path: load, fold, decide, append one event of about 550 bytes. One `Side` per thing compared;
`threads` and `tasks` drive it and say how fast it was.
"""

from __future__ import annotations

import asyncio
import resource
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Protocol
from uuid import uuid4

import msgspec

from domain.base import Command, Context, Event, Kind
from domain.catalogue import KINDS
from domain.platform import AlarmRaised
from eventstore.access import Access
from eventstore.store import Store

LIFE = 8
"""Events of one aggregate."""

WARM_UP_S = 0.3
DETAIL = "paid in full against the debtor's confirmation of the twenty-first of July, less fee and duty"
NOW = datetime(2026, 5, 22, 9, 42, tzinfo=UTC)
CONTEXT = Context(actor="sub_0123456789abcdef", actor_role="sme_seller", tenant="tnt_fintokenx", now=NOW)


class Note(Command, frozen=True, kw_only=True):
    """Write one line into a book. It is recorded as ALARM_RAISED, an event that every version knows."""

    kind = "bench"
    book: str

    @property
    def key(self) -> str:
        return self.book


class Book(msgspec.Struct, frozen=True):
    lines: int = 0
    last: str = ""


def _decide(book: Book, command: Note, context: Context) -> list[Event]:
    return [AlarmRaised(source="bench", code=str(book.lines), detail=DETAIL)]


def _evolve(book: Book, event: Event) -> Book:
    return Book(book.lines + 1, event.detail) if isinstance(event, AlarmRaised) else book


BOOK: Kind[Book] = Kind("bench", Book(), _decide, _evolve)


class Round(msgspec.Struct, frozen=True):
    """What one round of a side came to."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """This process's CPU per command, the callers' own share included."""


class Side(Protocol):
    """One of the things compared."""

    def caller(self, name: str) -> Callable[[], object]:
        """A caller of its own: each call is one command, done when it returns."""
        ...

    def close(self) -> None: ...


class Ours:
    def __init__(self, access: Access):
        KINDS[BOOK.name] = BOOK
        self.store = Store(access)

    def caller(self, name: str) -> Callable[[], object]:
        commands = _commands(name)

        def call() -> object:
            note, key = next(commands)
            return self.store.execute(note, context=CONTEXT, key=key)

        return call

    def acaller(self, name: str) -> Callable[[], Awaitable[object]]:
        """The same on an event loop."""
        commands = _commands(name)

        def call() -> Awaitable[object]:
            note, key = next(commands)
            return self.store.aexecute(note, context=CONTEXT, key=key)

        return call

    def close(self) -> None:
        self.store.close()


def _commands(name: str) -> Iterator[tuple[Note, str]]:
    for number in count():
        yield Note(book=f"{name}/{number // LIFE}"), f"{name}/{number}"


def threads(side: Side, callers: int, seconds: float) -> Round:
    """So many callers on threads of their own."""
    run, took = uuid4().hex, [list[float]() for _ in range(callers)]
    watch = _Watch(seconds)

    def work(number: int) -> None:
        call = side.caller(f"{run}/{number}")
        while (started := time.perf_counter()) < watch.end:
            call()
            if started >= watch.begin:
                took[number].append(time.perf_counter() - started)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(callers)]
    for worker in workers:
        worker.start()
    watch.wait()
    for worker in workers:
        worker.join()
    return watch.round([one for list_ in took for one in list_])


def tasks(side: Ours, callers: int, seconds: float) -> Round:
    """So many callers on one event loop."""
    run, took = uuid4().hex, list[float]()

    async def work(number: int) -> None:
        call = side.acaller(f"{run}/{number}")
        while (started := time.perf_counter()) < watch.end:
            await call()
            if started >= watch.begin:
                took.append(time.perf_counter() - started)

    async def everybody() -> None:
        await asyncio.gather(asyncio.to_thread(watch.wait), *(work(number) for number in range(callers)))

    watch = _Watch(seconds)
    asyncio.run(everybody())
    return watch.round(took)


class _Watch:
    """Counts what begins between `begin` and `end`, after everybody has warmed up."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.begin = time.perf_counter() + WARM_UP_S
        self.end = self.begin + seconds
        self.cpu_s = 0.0

    def wait(self) -> None:
        """Until the end, and note the CPU between."""
        time.sleep(max(0.0, self.begin - time.perf_counter()))
        before = cpu_s()
        time.sleep(max(0.0, self.end - time.perf_counter()))
        self.cpu_s = cpu_s() - before

    def round(self, took: Sequence[float]) -> Round:
        ordered = sorted(took) or [0.0]
        return Round(per_s=len(took) / self.seconds, p50_ms=1e3 * ordered[len(ordered) // 2],
                     p99_ms=1e3 * ordered[int(len(ordered) * 0.99)], cpu_us=1e6 * self.cpu_s / max(1, len(took)))


def cpu_s() -> float:
    """This process's CPU seconds, finer than a tick."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
