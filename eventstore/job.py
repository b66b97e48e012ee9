"""What the writer is given and what becomes of it: drafts of events, appends, and jobs that decide them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from uuid import UUID

import msgspec


class VersionConflict(Exception):
    """Another command changed the aggregate first: load it again and decide afresh."""


class KeyKnown(Exception):
    """A command with this key is already in the log."""


class Overloaded(Exception):
    """The queue is full; nothing was stored. Try again shortly."""


class Draft(msgspec.Struct, frozen=True):
    """One event on its way in: stream, version, topic and the exact body."""

    originator_id: UUID
    version: int
    topic: str
    body: bytes


class Appended(msgspec.Struct, frozen=True):
    first_position: int
    last_position: int
    recorded_us: int


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """All of one command: it lands whole or not at all."""

    key: str
    fingerprint: bytes
    drafts: tuple[Draft, ...]
    unchanged: tuple[tuple[UUID, int], ...] = ()
    """Streams it was decided on and adds nothing to, with their versions: stale if one of them has grown since."""

    response: bytes | None = None
    bookmark: tuple[str, int] | None = None


Stored = tuple[int, bytes]
"""Version and body of one event of a loaded stream."""

Loaded = Mapping[UUID, Sequence[Stored]]
"""Every stream that was asked for, its events in order."""


class Job(ABC):
    """What a lane is given: streams to load, then a decision; and whoever waits for its fate."""

    loop: asyncio.AbstractEventLoop | None = None
    """Where `tell` must run; None: anywhere."""

    def __init__(self, key: str, streams: Sequence[UUID], deadline: float):
        self.key = key
        self.streams = streams
        self.deadline = deadline
        """Monotonic seconds; a decision that conflicts later than this is given up."""
        self.claims: list[object] = [key, *streams]
        self.fate: Appended | Exception | None = None

    @abstractmethod
    def decide(self, loaded: Loaded) -> Append:
        """Called again after a conflict. What it raises is the job's fate."""

    @abstractmethod
    def tell(self) -> None:
        """The fate is known."""


class Decided(Job):
    """A bare append: the decision was taken beforehand, so a conflict is its end."""

    def __init__(self, append: Append):
        super().__init__(append.key, (), deadline=0.0)
        self.claims = [append.key, *{draft.originator_id for draft in append.drafts}]
        self._append = append
        self.future: Future[Appended] = Future()

    def decide(self, loaded: Loaded) -> Append:
        return self._append

    def tell(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return  # its caller has gone away
        if isinstance(self.fate, Exception):
            self.future.set_exception(self.fate)
        elif self.fate is not None:
            self.future.set_result(self.fate)


def tell(batch: Sequence[Job]) -> None:
    """Each caller its fate; callers that share an event loop are woken together."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in batch:
        if job.fate is None:
            continue  # it goes again
        if job.loop is None:
            job.tell()
        else:
            by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_each_told, jobs)


def _each_told(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.tell()
