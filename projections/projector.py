"""The live projector: follows the log and keeps the read models current, rows and bookmark in one transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import structlog
from sqlalchemy import Engine, select

from eventstore.clock import Clock, SystemClock
from eventstore.entry import Entry, Unreadable
from eventstore.follow import SAFETY_POLL_S, Feed, Leadership
from eventstore.loops import Died, Loop, unheard
from eventstore.quarantine import Held
from eventstore.store import Store
from projections.base import (
    PAGE,
    OtherTables,
    Projection,
    advance,
    bookmarks,
    leave_out,
    lock,
    position_of,
    readable,
    rebuild,
    streams_left_out,
)
from projections.reading import reading

log = structlog.get_logger("projections")

STUCK_RETRY_S = 1.0
MEND_RETRY_S = 60.0
FOLLOWER = "read-models"


class Projector:
    """Follows the log and keeps every projection current; one process leads, others stand by."""

    def __init__(self, engine: Engine, store: Store, feed: Feed, projections: Sequence[Projection],
                 clock: Clock | None = None, died: Died = unheard):
        self.engine, self.store, self.feed, self.projections = engine, store, feed, projections
        self.held = Held(store, clock or SystemClock(), FOLLOWER)
        self._reporting = threading.Lock()
        self._following = False
        self._unreported = False
        self._mender: threading.Thread | None = None
        self._lead = Leadership(store.conninfo, f"{store.tenant}/projector")
        self._stop = threading.Event()
        self._moved = threading.Condition()
        self.position = 0
        self.stuck: dict[str, float] = {}
        """Read models that failed on an entry, and when each is tried again."""
        self.loop = Loop("fx-projector", self._run, self._stop, died)

    def start(self) -> None:
        self.loop.start()

    def stop(self) -> None:
        self._stop.set()
        self.feed.poke()
        self.loop.join()
        if self._mender is not None:
            self._mender.join(timeout=10)
        self._lead.release()

    def wait_for(self, position: int, timeout_s: float) -> bool:
        """Until the read models show everything up to `position`: what makes one's own writes readable."""
        if self._lead.leading:
            with self._moved:
                return self._moved.wait_for(lambda: self.position >= position, timeout_s)
        deadline = time.monotonic() + timeout_s
        while self.lowest() < position:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def lowest(self) -> int:
        """The position all read models have reached, leaving aside those that are stuck."""
        with reading(self.engine) as connection:
            return min((position_of(connection, projection.name) for projection in self.projections
                        if projection.name not in self.stuck), default=0)

    def incomplete(self) -> dict[str, int]:
        """Read models that leave streams out, and how many each does."""
        with reading(self.engine) as connection:
            found = {projection.name: len(streams_left_out(connection, projection.name))
                     for projection in self.projections}
        return {name: count for name, count in found.items() if count}

    def _run(self) -> None:
        signal = 0
        while not self._stop.is_set():
            if not self._lead.held():
                self._following = False
                self._stop.wait(1.0)
                continue
            try:
                if not self._following:
                    self._take_over()
                if not self._step():
                    signal = self.feed.wait(signal, STUCK_RETRY_S if self.stuck else SAFETY_POLL_S)
            except Exception:
                log.exception("projector.failed")
                self._stop.wait(1.0)

    def _take_over(self) -> None:
        self.held.load()
        self._report()
        if self.held.streams and not (self._mender and self._mender.is_alive()):
            self._mender = threading.Thread(target=self._mend, name="fx-mender", daemon=True)
            self._mender.start()
        self._following = True

    def _mend(self) -> None:
        """Build anew each read model that left out a stream which this version can read; the live ones go on."""
        while not self._stop.is_set() and self._lead.leading:
            try:
                for projection in self.projections:
                    if self._can_be_mended(projection):
                        rebuild(self.engine, self.store, projection, self._unless_stopped)
                return self._report()
            except Exception:
                log.exception("projection.not_mended")
                self._stop.wait(MEND_RETRY_S)

    def _can_be_mended(self, projection: Projection) -> bool:
        with reading(self.engine) as connection:
            positions = streams_left_out(connection, projection.name).values()
        first = [entry for position in positions for entry in self.store.read(position - 1, 1)]
        return any(not isinstance(entry.event, Unreadable) for entry in first)

    def _unless_stopped(self, done: int) -> None:
        if self._stop.is_set():
            raise InterruptedError(f"stopped at entry {done}")

    def _report(self) -> None:
        """Tell the log what is left out and what no longer is. The rows say which; the log says it to people."""
        with self._reporting:
            reached = self.lowest()  # a read model that is built anew has yet to meet what it leaves out
            with reading(self.engine) as connection:
                left_out = streams_left_out(connection)
            for stream, position in left_out.items():
                if stream not in self.held and (first := self.store.read(position - 1, 1)):
                    log.error("stream.quarantined", stream=str(stream), position=position)
                    self.held.add(first[0], "left_out")
            readable = {stream: position for stream, position in self.held.streams.items() if stream not in left_out}
            for stream, position in readable.items():
                if position <= reached:
                    self.held.release(stream)
            self._unreported = any(position > reached for position in readable.values())

    def _step(self) -> bool:
        """One page for every projection that is behind; False when all are current.

        One that fails is stuck alone: the others go on, nobody waits for it, and it is tried again every second.
        """
        with reading(self.engine) as connection:
            known = {name: position for name, position in connection.execute(
                select(bookmarks.c.name, bookmarks.c.position))}
        reached = {projection.name: known.get(projection.name, 0) for projection in self.projections}
        now, moved = time.monotonic(), False
        awake = [projection for projection in self.projections if self.stuck.get(projection.name, 0.0) <= now]
        pages = {start: self.store.read(start, PAGE) for start in {reached[projection.name] for projection in awake}}
        for projection in awake:
            page = pages[reached[projection.name]]
            try:
                if page:
                    reached[projection.name] = self._apply(projection, page, reached[projection.name])
                    moved = True
                self.stuck.pop(projection.name, None)
            except OtherTables as error:  # another version's, until this process is started anew
                if projection.name not in self.stuck:
                    log.error("projection.of_another_version", name=projection.name, reason=str(error))
                self.stuck[projection.name] = time.monotonic() + STUCK_RETRY_S
            except Exception:  # a bug in this read model
                log.exception("projection.failed", name=projection.name, after=reached[projection.name])
                self.stuck[projection.name] = time.monotonic() + STUCK_RETRY_S
        with self._moved:
            self.position = min((reached[name] for name in reached if name not in self.stuck), default=0)
            self._moved.notify_all()
        if self._unreported:
            self._report()
        return moved

    def _apply(self, projection: Projection, entries: list[Entry], after: int) -> int:
        """Rows and bookmark together; the position reached."""
        with self.engine.begin() as connection:
            done = lock(connection, projection)
            fresh = [entry for entry in entries if entry.position > done]
            if not fresh or done < after:  # current already, or emptied meanwhile to be built anew
                return done
            left_out = streams_left_out(connection, projection.name)
            known = dict(left_out)
            projection.apply(connection, readable(fresh, left_out))
            if left_out != known:
                leave_out(connection, projection.name, left_out)
                self._unreported = True
            advance(connection, projection.name, fresh[-1].position)
            return fresh[-1].position
