"""Group commit: whatever queues while one COMMIT runs becomes the next batch.

A lane (eventstore/lane.py) loads the streams of a batch in one query, lets every job decide, appends what they decided
in one call, and answers. One thread works a lane; in a crowd a second decides while the database works for the first.
A caller that finds nobody else about works a lane itself. Jobs on one stream or under one key follow one another.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial

from eventstore.access import Access
from eventstore.database import Unavailable
from eventstore.job import Append, Appended, Decided, Job, Overloaded, tell
from eventstore.lane import Lane
from eventstore.loops import Loop

BATCH_JOBS = 256
QUEUE_LIMIT = 10_000
LANES = 2
CROWD = 6
"""Waiting jobs from which a second lane is worth its thread; below, one lane makes the larger batches.

Measured with 16 callers: 1 -> 4,000/s, 6 -> 4,500/s, 64 -> 3,300/s; with 256 callers it makes no difference.
"""

GIVE_UP_AFTER_S = 30.0


class Writer:
    """The only way into the log for one tenant of one process."""

    def __init__(self, access: Access, *, lanes: int = LANES, give_up_after_s: float = GIVE_UP_AFTER_S):
        self._queue: deque[Job] = deque()
        self._busy: set[object] = set()
        self._working = 0
        self._turn = threading.Condition()
        self._closed = False
        self._lanes = [Lane(access, give_up_after_s, lambda: self._closed) for _ in range(lanes + 1)]
        self._ending = threading.Event()
        self.loops = [Loop(f"fx-writer-{number}", partial(self._run, lane), self._ending)
                      for number, lane in enumerate(self._lanes[1:], 1)]
        for loop in self.loops:
            loop.start()

    def submit(self, append: Append) -> Future[Appended]:
        job = Decided(append)
        self.put(job)
        return job.future

    def run(self, job: Job) -> None:
        """For a caller that waits: when nobody else is about, it does the work itself and no thread changes hands."""
        with self._turn:
            alone = not (self._working or self._queue or self._closed)
            if alone:
                self._begin([job])
        if alone:
            self._turn_of(self._lanes[0], [job])
        else:
            self.put(job)

    def put(self, job: Job) -> None:
        with self._turn:
            if self._closed:
                raise Unavailable("the event store is closed")
            if len(self._queue) >= QUEUE_LIMIT:
                raise Overloaded("the event store's queue is full")
            self._queue.append(job)
            self._turn.notify()

    def close(self) -> None:
        """Writes what is queued, then stops."""
        with self._turn:
            self._closed = True
            self._ending.set()
            self._turn.notify_all()
            self._turn.wait_for(lambda: not self._working and not self._queue)
        for loop in self.loops:
            loop.join()
        for lane in self._lanes:
            lane.close()

    # ------------------------------------------------------------ the lanes

    def _run(self, lane: Lane) -> None:
        while batch := self._take():
            self._turn_of(lane, batch)

    def _turn_of(self, lane: Lane, batch: Sequence[Job]) -> None:
        again: list[Job] = []
        try:
            again = lane.turn(batch)
        finally:
            given_up = self._end(batch, again, lane.failure)
        tell([*batch, *given_up])

    def _take(self) -> list[Job]:
        """The next batch, first come first served; empty when the writer is closed and everything is written.

        At most one job per stream and per key is under way: the second must see what the first did.
        """
        with self._turn:
            while True:
                batch: list[Job] = []
                later: list[Job] = []
                waiting: set[object] = set()
                wanted = self._working == 0 or len(self._queue) >= CROWD
                while wanted and self._queue and len(batch) < BATCH_JOBS:
                    job = self._queue.popleft()
                    if self._busy.isdisjoint(job.claims) and waiting.isdisjoint(job.claims):
                        waiting.update(job.claims)
                        batch.append(job)
                    else:
                        waiting.update(job.claims)
                        later.append(job)
                self._queue.extendleft(reversed(later))
                if batch:
                    self._begin(batch)
                    return batch
                if self._closed and not self._queue and not self._working:
                    return batch
                self._turn.wait()

    def _begin(self, batch: Sequence[Job]) -> None:
        self._working += 1
        for job in batch:
            self._busy.update(job.claims)

    def _end(self, batch: Sequence[Job], again: Sequence[Job], failure: Unavailable | None) -> list[Job]:
        """The batch's streams and keys are free; `again` goes back to the front.

        When the database was given up, so is everything that waits; returns it.
        """
        given_up: list[Job] = []
        with self._turn:
            self._working -= 1
            for job in batch:
                self._busy.difference_update(job.claims)
            self._queue.extendleft(reversed(again))
            if failure is not None:
                given_up = list(self._queue)
                self._queue.clear()
                for job in given_up:
                    job.fate = failure
            if self._queue or self._closed:
                self._turn.notify_all()
        return given_up
