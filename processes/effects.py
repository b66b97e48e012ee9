"""Effects: what the log still owes the outside, found and performed."""

from __future__ import annotations

import heapq
import threading
import time
from datetime import datetime
from functools import partial

import msgspec
import structlog

from chain.errors import Retryable as ChainRetryable
from domain.base import Event, Refusal
from eventstore.clock import Clock
from eventstore.entry import Entry, UnknownEvent, Unreadable
from eventstore.follow import SAFETY_POLL_S, Feed, Leadership, Subscription
from eventstore.loops import Loop
from eventstore.quarantine import Held
from eventstore.store import Contended, Store
from processes.outside import Outside
from processes.process import (
    PASSING,
    SAVE_EVERY,
    STANDBY_S,
    EffectSpec,
    NotYet,
    Process,
    alarm,
    clear_alarm,
    context_for,
    loop_ended,
    raise_alarm,
)
from providers.errors import Final, Retryable, bounded_wait

log = structlog.get_logger("processes")

BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.05, 5.0
DUE_FIRST_S = 0.05
LOOK_AGAIN_S = 60.0
"""How long an idle worker sleeps at most: what a hint that got lost can cost."""

STALE_AGAIN_S = 0.2
"""When an effect that moves money looks again whether it may."""


class _Task(msgspec.Struct):
    key: str
    entry: Entry
    spec: EffectSpec
    attempts: int = 0
    failed: bool = False
    """Its failure is an alarm, by us or (perhaps) by whoever led before us; once it succeeds, that is over."""

    due: datetime | None = None


class _Port:
    """A queue of tasks ordered by when they may run, and the threads that run them."""

    def __init__(self) -> None:
        self.ready = threading.Condition()
        self.heap: list[tuple[float, int, _Task]] = []
        self.count = 0

    def put(self, task: _Task, delay_s: float = 0.0) -> None:
        with self.ready:
            self.count += 1
            heapq.heappush(self.heap, (time.monotonic() + bounded_wait(delay_s), self.count, task))
            self.ready.notify()

    def take(self, stop: threading.Event) -> _Task | None:
        with self.ready:
            while not stop.is_set():
                now = time.monotonic()
                if self.heap and self.heap[0][0] <= now:
                    return heapq.heappop(self.heap)[2]
                self.ready.wait(min(self.heap[0][0] - now if self.heap else LOOK_AGAIN_S, LOOK_AGAIN_S))
        return None


THREADS = {"chain": 4}
DEFAULT_THREADS = 2


class Effects:
    """Finds the effects the log still owes and performs them."""

    BOOKMARK = "effects"

    def __init__(self, store: Store, feed: Feed, clock: Clock, processes: list[Process], outside: Outside):
        self.store, self.feed, self.clock, self.outside = store, feed, clock, outside
        self.specs: dict[type[Event], list[EffectSpec]] = {}
        for process in processes:
            for event, specs in process.effects.items():
                self.specs.setdefault(event, []).extend(specs)
        self.ports = {spec.port: _Port() for specs in self.specs.values() for spec in specs}
        self.open: dict[str, _Task] = {}
        self.parked: list[_Task] = []
        self.held = Held(store, clock, self.BOOKMARK)
        self._log = Subscription(store, feed)
        self._saved = self._inherited = 0
        self._lock = threading.Lock()
        self._lead = Leadership(store.conninfo, f"{store.tenant}/{self.BOOKMARK}")
        self._stop = threading.Event()
        died = loop_ended(store, clock)
        self.loops = [Loop("fx-effects", self._follow, self._stop, died)]
        for name, port in self.ports.items():
            for n in range(THREADS.get(name, DEFAULT_THREADS)):
                self.loops.append(Loop(f"fx-{name}-{n}", partial(self._work, port), self._stop, died))

    @property
    def position(self) -> int:
        """Of the last entry looked at; 0 while another process has the lead."""
        return self._log.position

    def start(self) -> None:
        for loop in self.loops:
            loop.start()

    def stop(self) -> None:
        self._stop.set()
        self.feed.poke()
        for port in self.ports.values():
            with port.ready:
                port.ready.notify_all()
        for loop in self.loops:
            loop.join()
        self._lead.release()

    def oldest_open(self) -> tuple[str, int] | None:
        """Port and position of the longest-waiting effect that is not parked for a date."""
        with self._lock:
            waiting = [(task.entry.position, task.spec.port) for task in self.open.values() if task.due is None]
        return (min(waiting)[1], min(waiting)[0]) if waiting else None

    # ------------------------------------------------------------ finding

    def _follow(self) -> None:
        while not self._stop.is_set():
            if not self._lead.held():
                self._forget()
                self._stop.wait(STANDBY_S)
                continue
            try:
                if self.position == 0:
                    self._take_over()
                self._turn()
            except Exception:
                log.exception("effects.failed", position=self.position)
                self._stop.wait(1.0)

    def _forget(self) -> None:
        """Without the lead nothing is ours to do: whoever has it finds the same effects in the log."""
        with self._lock:
            self._log.position, self.open, self.parked, self.held.streams = 0, {}, [], {}

    def _take_over(self) -> None:
        """The bookmark never passed an entry that could not be read, so what is released here is met again."""
        self.held.load()
        for stream, position in list(self.held.streams.items()):
            first = self.store.entries_of_stream(stream, position)[:1]
            if not any(isinstance(entry.event, Unreadable) for entry in first):
                self.held.release(stream)
        self._inherited = self.store.head()
        self._saved = bookmark = self.store.bookmark(self.BOOKMARK)
        self._log.position = bookmark

    def _turn(self) -> None:
        page = self._log.read()
        self._collect(page)
        if page:
            self._log.position = page[-1].position
        self._wake_due()
        done = self._low_water()
        if done - self._saved >= SAVE_EVERY:
            self.store.save_bookmark(self.BOOKMARK, done)
            self._saved = done
        if not page:
            self._log.wait(self._until_due())

    def _collect(self, page: list[Entry]) -> None:
        tasks: list[_Task] = []
        for entry in page:
            self.clock.observe(entry)
            if isinstance(entry.event, Unreadable) and entry.originator_id not in self.held:
                log.error("stream.quarantined", stream=str(entry.originator_id), position=entry.position)
                self.held.add(entry, entry.event.problem)
            if entry.position >= self.held.streams.get(entry.originator_id, entry.position + 1):
                continue
            for spec in self.specs.get(type(entry.event), ()):
                tasks.append(_Task(f"{spec.process}.{spec.name}:{entry.position}", entry, spec,
                                   failed=entry.position <= self._inherited))
        if not tasks:
            return
        done = self.store.known_keys([task.key for task in tasks])
        for task in tasks:
            if task.key not in done:
                with self._lock:
                    self.open[task.key] = task
                self.ports[task.spec.port].put(task)

    def _until_due(self) -> float:
        """Seconds to sleep: a sandbox clock moves by an entry, which wakes us; the system's clock has to be watched."""
        with self._lock:
            dates = [task.due for task in self.parked if task.due is not None]
        if not dates:
            return SAFETY_POLL_S
        return min(max((min(dates) - self.clock.now()).total_seconds(), DUE_FIRST_S), SAFETY_POLL_S)

    def _wake_due(self) -> None:
        now = self.clock.now()
        with self._lock:
            due = sorted((task for task in self.parked if task.due is not None and task.due <= now),
                         key=lambda task: (task.due, task.entry.position))
            self.parked = [task for task in self.parked if task not in due]
        for task in due:
            task.due = None
            self.ports[task.spec.port].put(task)

    def _low_water(self) -> int:
        """Everything up to here is done: neither an effect nor a stream that was left out waits below it."""
        with self._lock:
            owed = [task.entry.position for task in self.open.values()]
        return min([*owed, *self.held.streams.values(), self.position + 1]) - 1

    # ------------------------------------------------------------ doing

    def _work(self, port: _Port) -> None:
        while (task := port.take(self._stop)) is not None:
            if self.open.get(task.key) is not task:
                continue  # forgotten while it waited
            try:
                self._attempt(port, task)
            except BaseException:
                port.put(task, BACKOFF_MAX_S)  # whatever ends this loop, the effect stays owed
                raise

    def _attempt(self, port: _Port, task: _Task) -> None:
        try:
            self._perform(task)
        except NotYet as wait:
            with self._lock:
                task.due = wait.due
                self.parked.append(task)
            self.feed.poke()
            return
        except (Retryable, ChainRetryable, *PASSING) as error:
            port.put(task, self._backoff(task, error))
            return
        except Exception as error:
            log.exception("effect.failed", effect=task.key)
            self._tell_failing(task, error)
            port.put(task, BACKOFF_MAX_S)
            return
        self._tell_mended(task)
        with self._lock:
            if self.open.get(task.key) is task:
                del self.open[task.key]

    def _perform(self, task: _Task) -> None:
        """As with a reaction, a refused outcome is looked at once more; the outside knows the key by then.

        A provider's `Final` is its answer, and the end. The chain's is about the set-up: a certificate, a wrong node,
        another chain. A person mends that, so such an effect stays owed.
        """
        if task.spec.moves_money and self.outside.freshness.stale():
            raise Retryable("audit_anchor_stale", retry_after_s=STALE_AGAIN_S)
        for looked_again in (False, True):
            try:
                commands = list(task.spec.run(task.entry, task.entry.event, self.outside))
                context = context_for(task.spec.process, task.entry, self.clock)
                self.store.execute(*commands, context=context, key=task.key)
                return
            except (Contended, UnknownEvent):
                raise  # nobody said no
            except (Refusal, Final) as problem:
                if looked_again or not isinstance(problem, Refusal):
                    log.warning("effect.refused", effect=task.key, problem=type(problem).__name__)
                    context = context_for(task.spec.process, task.entry, self.clock)
                    self.store.execute(alarm(task.key, task.spec.process, problem), context=context, key=task.key)
                    return

    def _tell_failing(self, task: _Task, error: Exception) -> None:
        task.failed = True
        context = context_for(task.spec.process, task.entry, self.clock)
        try:
            raise_alarm(self.store, alarm(f"{task.key}:failing", task.spec.process, error), context)
        except Exception:  # noqa: BLE001 - already logged; the task itself stays queued
            log.warning("alarm.not_recorded", effect=task.key)

    def _tell_mended(self, task: _Task) -> None:
        if not task.failed:
            return
        try:
            clear_alarm(self.store, f"{task.key}:failing", context_for(task.spec.process, task.entry, self.clock))
        except Exception:  # noqa: BLE001 - the effect is done all the same; a person may close the alarm
            log.warning("alarm.not_cleared", effect=task.key)

    def _backoff(self, task: _Task, error: Exception) -> float:
        task.attempts += 1
        asked = bounded_wait(getattr(error, "retry_after_s", None))
        return asked if asked else min(BACKOFF_FIRST_S * 2 ** min(task.attempts, 10), BACKOFF_MAX_S)
