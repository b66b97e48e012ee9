"""The reactor: every entry, in order, to every process, and what becomes of the entries it cannot handle."""

from __future__ import annotations

import threading
from uuid import UUID

import structlog

from domain.base import Refusal
from domain.quarantine import StreamReleaseRequested
from eventstore.clock import Clock
from eventstore.entry import Entry, UnknownEvent, Unreadable
from eventstore.follow import Feed, Leadership, Subscription
from eventstore.loops import Loop
from eventstore.quarantine import Held
from eventstore.store import Contended, Store
from processes.process import PASSING, SAVE_EVERY, STANDBY_S, Process, Reaction, alarm, context_for, loop_ended

log = structlog.get_logger("processes")

RETRIES_S = (0.05, 0.2, 0.8, 2.0)
"""Pauses before a failing reaction is tried again; after the last one its stream is quarantined. Everybody waits."""


class Reactor:
    """Feeds every entry, in order, to every process; streams in quarantine are left out until they are released."""

    BOOKMARK = "processes"

    def __init__(self, store: Store, feed: Feed, clock: Clock, processes: list[Process]):
        self.store, self.feed, self.clock, self.processes = store, feed, clock, processes
        self.held = Held(store, clock, self.BOOKMARK)
        self._log = Subscription(store, feed)
        self._saved = 0
        self._lead = Leadership(store.conninfo, f"{store.tenant}/{self.BOOKMARK}")
        self._stop = threading.Event()
        self.loop = Loop("fx-reactor", self._run, self._stop, loop_ended(store, clock))

    @property
    def position(self) -> int:
        """Of the last entry handled; 0 while another process has the lead."""
        return self._log.position

    def start(self) -> None:
        self.loop.start()

    def stop(self) -> None:
        self._stop.set()
        self.feed.poke()
        self.loop.join()
        self._lead.release()

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self._lead.held():
                self._log.position = 0
                self._stop.wait(STANDBY_S)
                continue
            try:
                if self.position == 0:
                    self._take_over()
                self._turn()
            except Exception:
                log.exception("reactor.failed", position=self.position)
                self._stop.wait(1.0)

    def _take_over(self) -> None:
        """Go on where whoever led before stopped; what it left out is tried again, by this version of the program."""
        self.held.load()
        self._saved = bookmark = self.store.bookmark(self.BOOKMARK)
        for stream in list(self.held.streams):
            self._try_again(stream, bookmark)
        self._log.position = bookmark

    def _turn(self) -> None:
        page = self._log.read()
        for entry in page:
            self._pass(entry)
            self._log.position = entry.position
        if self.position - self._saved >= SAVE_EVERY:
            self.store.save_bookmark(self.BOOKMARK, self.position)
            self._saved = self.position
        if not page:
            self._log.wait()

    def _pass(self, entry: Entry) -> None:
        """Handle one entry, or leave it and what follows on its stream out."""
        self.clock.observe(entry)
        if entry.originator_id in self.held:
            return
        try:
            self._insist(entry)
        except PASSING:
            raise  # nothing is wrong with the entry: the same again
        except Exception as error:
            if self._stop.is_set():
                raise  # not all its tries were had
            self._quarantine(entry, error)
        if isinstance(entry.event, StreamReleaseRequested) and entry.event.follower == self.BOOKMARK:
            self._try_again(entry.event.stream, self.position)

    def _insist(self, entry: Entry) -> None:
        """What fails is tried a few times more, unless it is certain to fail again; raises the last failure."""
        for pause_s in RETRIES_S:
            try:
                return self._handle(entry)
            except (*PASSING, UnknownEvent):
                raise
            except Exception:
                log.warning("reaction.failing", position=entry.position, exc_info=True)
                if self._stop.wait(pause_s):
                    raise
        self._handle(entry)

    def _quarantine(self, entry: Entry, error: Exception) -> None:
        """Of the failure only its kind is recorded: what it says may hold anything.

        The bookmark goes with it: everything before this entry is handled, so a restart need not come back here.
        """
        log.error("stream.quarantined", stream=str(entry.originator_id), position=entry.position, exc_info=error)
        self.held.add(entry, type(error).__name__, bookmark=(self.BOOKMARK, entry.position))

    def _try_again(self, stream: UUID, upto: int) -> None:
        """Handle what was left out of a stream up to a position, in order; it flows again if all of it succeeds.

        A crash on the way repeats it from the beginning, where the keys of what was done make that harmless.
        """
        if stream not in self.held:
            return
        for entry in self.store.entries_of_stream(stream, self.held.streams[stream]):
            if entry.position > upto:
                break
            try:
                self._handle(entry)
            except PASSING:
                raise
            except Exception:
                log.warning("stream.still_quarantined", stream=str(stream), position=entry.position, exc_info=True)
                return
        self.held.release(stream)

    def _handle(self, entry: Entry) -> None:
        """Every process's reaction. Raises UnknownEvent when the entry cannot be read, or one that a reaction needs."""
        if isinstance(entry.event, Unreadable):
            raise UnknownEvent(entry.position, entry.event.type, entry.event.problem)
        for process in self.processes:
            reaction = process.reactions.get(type(entry.event))
            if reaction is None:
                continue
            key = f"{process.name}:{entry.position}"
            if not self.store.known_keys([key]):
                self._react(process, reaction, entry, key)

    def _react(self, process: Process, reaction: Reaction, entry: Entry, key: str) -> None:
        """A refusal may mean that something moved between the look and the append: look once more, then say so."""
        context = context_for(process.name, entry, self.clock)
        mark = (self.BOOKMARK, entry.position - 1)
        for looked_again in (False, True):
            try:
                commands = list(reaction(entry, entry.event, self.store.load))
                if commands:
                    self.store.execute(*commands, context=context, key=key, bookmark=mark)
                return
            except (Contended, UnknownEvent):
                raise  # nobody said no
            except Refusal as refusal:
                if looked_again:
                    log.warning("reaction.refused", process=process.name, position=entry.position, code=refusal.code)
                    self.store.execute(alarm(key, process.name, refusal), context=context, key=key, bookmark=mark)
