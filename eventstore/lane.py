"""A lane: two connections, on which a batch of jobs is loaded, decided and appended in two round trips.

Each job keeps its own version check, key and fate. A lost connection leaves the outcome of a COMMIT unknown; the keys
then say which jobs landed, and only the others are sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection

from eventstore.access import APPEND, READ, Access
from eventstore.database import Unavailable, away
from eventstore.job import Append, Appended, Job, KeyKnown, Loaded, Stored, VersionConflict

RECONNECT_DELAY_S = 0.2

LOAD = ("SELECT s.n, e.originator_version, e.body FROM unnest(%b::uuid[]) WITH ORDINALITY AS s(o, n) "
        "CROSS JOIN LATERAL (SELECT originator_version, body FROM fx.audit_entries "
        "WHERE originator_id = s.o ORDER BY originator_version) e")
# Planned once, while the log may be small, and run when it is large: by index, always.
BY_INDEX = ("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; "
            "SET plan_cache_mode = force_generic_plan")

SQL = ("SELECT first_position, recorded_us, stale, known FROM fx.append_batch("
       "%b::int[], %b::uuid[], %b::bigint[], %b::text[], %b::bytea[], "
       "%b::int[], %b::text[], %b::bytea[], %b::bytea[], %b::int[], %b::text[], %b::bigint[])")

# What a key stands for now, and whether that is all this very command would have stored.
SETTLE = ("SELECT first_position, recorded_us, fingerprint = %b AND response IS NOT DISTINCT FROM %b::bytea AND "
          "(SELECT coalesce(array_agg(body ORDER BY position), '{}') FROM fx.audit_entries "
          "WHERE position BETWEEN first_position AND first_position + %b - 1) = %b::bytea[] "
          "FROM fx.command_keys WHERE key = %b")


class Lane:
    """One batch at a time: load, decide, append. Whoever calls `turn` has the lane to itself."""

    def __init__(self, access: Access, give_up_after_s: float, closing: Callable[[], bool]):
        self._access = access
        self._give_up_after_s = give_up_after_s
        self._closing = closing
        self._reading: Connection[Any] | None = None
        self._appending: Connection[Any] | None = None
        self._again: list[Job] = []
        self.failure: Unavailable | None = None
        """Why the last turn was given up: whoever waits behind it need not wait as long again."""

    def turn(self, batch: Sequence[Job]) -> list[Job]:
        """Give every job of the batch its fate, but for those returned: they lost a race and go again."""
        self._again, self.failure = [], None
        try:
            self._decide_and_append(batch)
        except Exception as error:  # noqa: BLE001 - the callers wait for an answer, whatever went wrong
            for job in batch:
                job.fate = job.fate or error
        return [job for job in self._again if job.fate is None]

    def close(self) -> None:
        for connection in (self._reading, self._appending):
            if connection is not None:
                connection.close()
        self._reading = self._appending = None

    def _decide_and_append(self, batch: Sequence[Job]) -> None:
        loaded = self._load([stream for job in batch for stream in job.streams])
        decided: list[tuple[Job, Append]] = []
        for job in batch:
            try:
                decided.append((job, job.decide(loaded)))
            except Exception as error:  # noqa: BLE001 - the job's own
                job.fate = error
        if decided:
            self._write(decided)

    # ------------------------------------------------------------ loading

    def _load(self, streams: list[UUID]) -> Loaded:
        if not streams:
            return {}
        found: list[list[Stored]] = [[] for _ in streams]
        for number, version, body in self._rows(streams):
            found[number - 1].append((version, body))
        return dict(zip(streams, found, strict=True))

    def _rows(self, streams: list[UUID]) -> list[tuple[int, int, bytes]]:
        """(number of the stream, from 1; version; body). Asks until the database answers, or for too long."""
        deadline = time.monotonic() + self._give_up_after_s
        while True:
            try:
                return self._reader().cursor(binary=True).execute(LOAD, (streams,)).fetchall()
            except psycopg.Error as error:
                if not away(error):
                    raise
                self.close()
                self._give_up(deadline, error)

    def _give_up(self, deadline: float, error: Exception) -> None:
        """Unavailable when the time is up; otherwise a short rest."""
        if time.monotonic() > deadline or self._closing():
            self.failure = Unavailable(f"the database does not answer: {type(error).__name__}")
            raise self.failure from error
        time.sleep(RECONNECT_DELAY_S)

    def _reader(self) -> Connection[Any]:
        if self._reading is None or self._reading.closed:
            self._reading = self._access.connect(READ)
            self._reading.execute(BY_INDEX)
            self._reading.prepare_threshold = 0
        return self._reading

    def _appender(self) -> Connection[Any]:
        if self._appending is None or self._appending.closed:
            self._appending = self._access.connect(APPEND)
            self._appending.prepare_threshold = 0
        return self._appending

    # ------------------------------------------------------------ appending

    def _write(self, decided: Sequence[tuple[Job, Append]]) -> None:
        try:
            self._send(decided)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, its caller is told
            if away(error):
                self._recover(decided)
            else:
                self._isolate(decided, error)

    def _isolate(self, decided: Sequence[tuple[Job, Append]], error: Exception) -> None:
        """One poisoned command must not fail its neighbours: each is tried alone."""
        if len(decided) == 1:
            decided[0][0].fate = error
            return
        for one in decided:
            self._write([one])

    def _send(self, decided: Sequence[tuple[Job, Append]]) -> None:
        row = self._appender().execute(SQL, _columns([append for _, append in decided])).fetchone()
        assert row is not None
        position, recorded_us, stale, known = row
        refused_keys, refused_versions = frozenset[int](known or ()), frozenset[int](stale or ())
        now = time.monotonic()
        for number, (job, append) in enumerate(decided):
            if number in refused_keys:
                job.fate = KeyKnown(append.key)
            elif number in refused_versions:
                if now < job.deadline:
                    self._again.append(job)
                else:
                    job.fate = VersionConflict(append.key)
            else:
                count = len(append.drafts)
                job.fate = Appended(position, position + count - 1, recorded_us)
                position += count

    def _recover(self, decided: Sequence[tuple[Job, Append]]) -> None:
        """The COMMIT's outcome is unknown: keep what the keys prove, send the rest again."""
        deadline = time.monotonic() + self._give_up_after_s
        missing = list(decided)
        while True:
            try:
                self.close()
                missing = [one for one in missing if not (one[0].fate or self._landed(*one))]
                if missing:
                    self._send(missing)
                return
            except Exception as error:  # noqa: BLE001 - as in `_write`
                if not away(error):
                    self._isolate([one for one in missing if one[0].fate is None], error)
                    return
                self._give_up(deadline, error)  # raised, it is the fate of those that have none

    def _landed(self, job: Job, append: Append) -> bool:
        """Whether the key is known. A twin's landing is not ours: its answer differs, and it is read by the key."""
        row = self._reader().execute(SETTLE, (
            append.fingerprint, append.response, len(append.drafts), [draft.body for draft in append.drafts],
            append.key)).fetchone()
        if row is None:
            return False
        first, recorded_us, ours = row
        last = (first or 0) + len(append.drafts) - 1
        job.fate = Appended(first or 0, last, recorded_us) if ours else KeyKnown(append.key)
        return True


def _columns(appends: Sequence[Append]) -> tuple[list[object], ...]:
    """A row per event, and one without a body per stream that must still be as it was."""
    rows: list[tuple[object, ...]] = []
    for number, append in enumerate(appends):
        rows += [(number, draft.originator_id, draft.version, draft.topic, draft.body) for draft in append.drafts]
        rows += [(number, stream, version + 1, None, None) for stream, version in append.unchanged]
    marks = [(number, append.bookmark) for number, append in enumerate(appends) if append.bookmark]
    return (
        *([row[column] for row in rows] for column in range(5)),
        list(range(len(appends))),
        [append.key for append in appends],
        [append.fingerprint for append in appends],
        [append.response for append in appends],
        [number for number, _ in marks],
        [mark[0] for _, mark in marks],
        [mark[1] for _, mark in marks],
    )
