"""Group commit: whatever queues while one COMMIT runs becomes the next batch. One thread, one connection.

Each command keeps its own version check, key and fate. A lost connection leaves the outcome of a COMMIT unknown;
the command keys then say which commands landed, and only the others are sent again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from uuid import UUID

import msgspec
import psycopg
from psycopg import Connection

from eventstore.database import Unavailable

BATCH_EVENTS = 1_000
QUEUE_LIMIT = 10_000
RECONNECT_DELAY_S = 0.2


class VersionConflict(Exception):
    """Another command changed the aggregate first: load it again and decide afresh."""


class KeyKnown(Exception):
    """A command with this key is already in the log."""


class Overloaded(Exception):
    """The queue is full; nothing was stored. Try again shortly."""


class Draft(msgspec.Struct, frozen=True):
    """One event on its way in: stream, version, topic and the exact body."""

    tenant: str
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

    tenant: str
    key: str
    fingerprint: bytes
    drafts: tuple[Draft, ...]
    response: bytes | None = None
    bookmark: tuple[str, int] | None = None


class _Waiting:
    __slots__ = ("append", "future")

    def __init__(self, append: Append):
        self.append = append
        self.future: Future[Appended] = Future()


SQL = ("SELECT first_position, recorded_us, stale, known FROM fx.append_batch("
       "%b::int[], %b::text[], %b::uuid[], %b::bigint[], %b::text[], %b::bytea[], "
       "%b::int[], %b::text[], %b::text[], %b::bytea[], %b::bytea[], %b::int[], %b::text[], %b::bigint[])")

# What a key stands for now, and whether that is all this very command would have stored.
SETTLE = ("SELECT first_position, recorded_us, fingerprint = %b AND response IS NOT DISTINCT FROM %b::bytea AND "
          "(SELECT coalesce(array_agg(body ORDER BY position), '{}') FROM fx.audit_entries "
          "WHERE position BETWEEN first_position AND first_position + %b - 1) = %b::bytea[] "
          "FROM fx.command_keys WHERE tenant_id = %b AND key = %b")


class Writer:
    def __init__(self, connect: Callable[[], Connection[tuple[object, ...]]], give_up_after_s: float = 30.0):
        self._connect = connect
        self._give_up_after_s = give_up_after_s
        self._queue: deque[_Waiting] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._connection: Connection[tuple[object, ...]] | None = None
        self._thread = threading.Thread(target=self._run, name="fx-writer", daemon=True)
        self._thread.start()

    def submit(self, append: Append) -> Future[Appended]:
        waiting = _Waiting(append)
        with self._wake:
            if self._closed:
                raise Unavailable("the event store is closed")
            if len(self._queue) >= QUEUE_LIMIT:
                raise Overloaded("the event store's queue is full")
            self._queue.append(waiting)
            self._wake.notify()
        return waiting.future

    def close(self) -> None:
        """Writes what is queued, then stops."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()
        if self._connection is not None:
            self._connection.close()

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._write(batch)
            except Exception as error:  # noqa: BLE001 - the callers wait for an answer, whatever went wrong
                for waiting in batch:
                    if not waiting.future.done():
                        waiting.future.set_exception(error)

    def _next_batch(self) -> list[_Waiting]:
        """At most one command per stream and per key: the second must see what the first did."""
        with self._wake:
            while not self._queue and not self._closed:
                self._wake.wait()
            batch: list[_Waiting] = []
            later: list[_Waiting] = []
            seen: set[object] = set()
            events = 0
            while self._queue and events < BATCH_EVENTS:
                waiting = self._queue.popleft()
                append = waiting.append
                claims = {(append.tenant, append.key), *(draft.originator_id for draft in append.drafts)}
                if seen.isdisjoint(claims):
                    batch.append(waiting)
                    events += len(append.drafts)
                else:
                    later.append(waiting)
                seen |= claims
            self._queue.extendleft(reversed(later))
            return batch

    def _write(self, batch: list[_Waiting]) -> None:
        try:
            self._send(batch)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            self._recover(batch)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, its caller is told
            self._isolate(batch, error)

    def _isolate(self, batch: list[_Waiting], error: Exception) -> None:
        """One poisoned command must not fail its neighbours: each is tried alone."""
        if len(batch) == 1:
            batch[0].future.set_exception(error)
            return
        for waiting in batch:
            self._write([waiting])

    def _send(self, batch: list[_Waiting]) -> None:
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        row = self._connection.execute(SQL, _columns([waiting.append for waiting in batch])).fetchone()
        assert row is not None
        position, recorded_us, stale, known = row
        assert isinstance(position, int) and isinstance(recorded_us, int)
        refused_keys, refused_versions = _numbers(known), _numbers(stale)
        for number, waiting in enumerate(batch):
            if number in refused_keys:
                waiting.future.set_exception(KeyKnown(waiting.append.key))
            elif number in refused_versions:
                waiting.future.set_exception(VersionConflict(waiting.append.key))
            else:
                count = len(waiting.append.drafts)
                waiting.future.set_result(Appended(position, position + count - 1, recorded_us))
                position += count

    def _recover(self, batch: list[_Waiting]) -> None:
        """The COMMIT's outcome is unknown: keep what the keys prove, send the rest again."""
        deadline = time.monotonic() + self._give_up_after_s
        missing = batch
        while True:
            try:
                if self._connection is not None:
                    self._connection.close()
                self._connection = self._connect()
                missing = [waiting for waiting in batch if not self._landed(waiting)]
                if missing:
                    self._send(missing)
                return
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if time.monotonic() > deadline or self._closed:
                    failure = Unavailable(f"the database does not answer: {type(error).__name__}")
                    for waiting in batch:
                        if not waiting.future.done():
                            waiting.future.set_exception(failure)
                    return
                time.sleep(RECONNECT_DELAY_S)
            except Exception as error:  # noqa: BLE001 - as in `_write`
                self._isolate(missing, error)
                return

    def _landed(self, waiting: _Waiting) -> bool:
        """Whether the key is known. A twin's landing is not ours: its answer differs, and it is read by the key."""
        if waiting.future.done():
            return True
        assert self._connection is not None
        append = waiting.append
        row = self._connection.execute(SETTLE, (
            append.fingerprint, append.response, len(append.drafts), [draft.body for draft in append.drafts],
            append.tenant, append.key)).fetchone()
        if row is None:
            return False
        first, recorded_us, ours = row
        if not ours:
            waiting.future.set_exception(KeyKnown(append.key))
            return True
        assert isinstance(recorded_us, int)
        first = first if isinstance(first, int) else 0
        waiting.future.set_result(Appended(first, first + len(append.drafts) - 1, recorded_us))
        return True


def _numbers(value: object) -> frozenset[int]:
    return frozenset(value) if isinstance(value, list) else frozenset()  # pyright: ignore[reportUnknownArgumentType]


def _columns(appends: Sequence[Append]) -> tuple[list[object], ...]:
    events = [(number, draft) for number, append in enumerate(appends) for draft in append.drafts]
    marks = [(number, append.bookmark) for number, append in enumerate(appends) if append.bookmark]
    return (
        [number for number, _ in events],
        [draft.tenant for _, draft in events],
        [draft.originator_id for _, draft in events],
        [draft.version for _, draft in events],
        [draft.topic for _, draft in events],
        [draft.body for _, draft in events],
        list(range(len(appends))),
        [append.tenant for append in appends],
        [append.key for append in appends],
        [append.fingerprint for append in appends],
        [append.response for append in appends],
        [number for number, _ in marks],
        [mark[0] for _, mark in marks],
        [mark[1] for _, mark in marks],
    )
