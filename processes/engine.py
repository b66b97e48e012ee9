"""How processes run: reactions to entries, and effects on the outside, each done once however often we crash.

A reaction is pure: entry -> commands. Its key is (process, position), so a repeated entry changes nothing.
An effect talks to the outside with its entry's key, then records the outcome under that key; a crash in between
repeats the call with the same key, which the outside knows. Aggregates hold all state; a process keeps none.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec
import structlog

from chain.errors import Final as ChainFinal
from chain.errors import Retryable as ChainRetryable
from domain.base import Command, Context, Event, Kind, Refusal
from domain.party import SYSTEM
from domain.platform import RaiseAlarm
from eventstore.clock import Clock
from eventstore.entry import Entry
from eventstore.follow import Feed, Leadership
from eventstore.store import Contended, Store
from eventstore.writer import Overloaded, Unavailable
from processes.outside import Outside
from providers.errors import Final, Retryable

log = structlog.get_logger("processes")

PAGE = 500
SAVE_EVERY = 200
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.05, 5.0
DUE_POLL_S = 0.5
S = TypeVar("S")


class NotYet(Exception):
    """This effect waits for a moment of platform time."""

    def __init__(self, due: datetime):
        super().__init__(due)
        self.due = due


class Look(Protocol):
    """Read an aggregate's present state."""

    def __call__(self, kind: Kind[S], key: str) -> S: ...


Reaction = Callable[[Entry, Any, Look], Iterable[Command]]
Effect = Callable[[Entry, Any, Outside], Iterable[Command]]


class EffectSpec(msgspec.Struct, frozen=True):
    process: str
    name: str
    port: str
    run: Effect


class Process:
    """One process manager: a name, its reactions and its effects, all in one file with their compensation."""

    def __init__(self, name: str):
        self.name = name
        self.reactions: dict[type[Event], Reaction] = {}
        self.effects: dict[type[Event], list[EffectSpec]] = {}

    def reacts_to(self, *events: type[Event]) -> Callable[[Reaction], Reaction]:
        def register(reaction: Reaction) -> Reaction:
            for event in events:
                self.reactions[event] = reaction
            return reaction
        return register

    def effect(self, event: type[Event], port: str) -> Callable[[Effect], Effect]:
        def register(run: Effect) -> Effect:
            self.effects.setdefault(event, []).append(EffectSpec(self.name, run.__name__, port, run))
            return run
        return register


def context_for(process: str, entry: Entry, clock: Clock) -> Context:
    return Context(actor=f"system:{process}", actor_role=SYSTEM, tenant=entry.tenant, now=clock.now(),
                   cause=entry.position)


def _alarm(key: str, source: str, problem: Exception) -> RaiseAlarm:
    """What a refusal says is meant to be read; what any other exception says may hold anything, so only its kind."""
    code = getattr(problem, "code", None) or type(problem).__name__
    said = str(problem)[:300] if isinstance(problem, (Refusal, Final, ChainFinal)) else "see the log"
    return RaiseAlarm(alarm=key, source=source, code=str(code), detail=said)


class Reactor:
    """Feeds every entry, in order, to every process."""

    BOOKMARK = "processes"

    def __init__(self, store: Store, feed: Feed, clock: Clock, processes: list[Process]):
        self.store, self.feed, self.clock, self.processes = store, feed, clock, processes
        self.position = 0
        self._lead = Leadership(store.conninfo, self.BOOKMARK)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fx-reactor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self.feed.poke()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._lead.release()

    def _run(self) -> None:
        signal, saved = 0, 0
        while not self._stop.is_set():
            if not self._lead.held():
                self.position = 0
                self._stop.wait(1.0)
                continue
            try:
                if self.position == 0:
                    self.position = saved = self.store.bookmark(self.BOOKMARK)
                page = self.store.read(self.position, PAGE)
                for entry in page:
                    self._handle(entry)
                    self.position = entry.position
                if self.position - saved >= SAVE_EVERY:
                    self.store.save_bookmark(self.BOOKMARK, self.position)
                    saved = self.position
                if not page:
                    signal = self.feed.wait(signal)
            except Exception:
                log.exception("reactor.failed", position=self.position)
                self._stop.wait(1.0)

    def _handle(self, entry: Entry) -> None:
        self.clock.observe(entry)
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
            except Contended:
                raise  # nobody said no: the same entry again
            except Refusal as refusal:
                if looked_again:
                    log.warning("reaction.refused", process=process.name, position=entry.position, code=refusal.code)
                    self.store.execute(_alarm(key, process.name, refusal), context=context, key=key, bookmark=mark)


class _Task(msgspec.Struct):
    key: str
    entry: Entry
    spec: EffectSpec
    attempts: int = 0
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
            heapq.heappush(self.heap, (time.monotonic() + delay_s, self.count, task))
            self.ready.notify()

    def take(self, stop: threading.Event) -> _Task | None:
        with self.ready:
            while not stop.is_set():
                now = time.monotonic()
                if self.heap and self.heap[0][0] <= now:
                    return heapq.heappop(self.heap)[2]
                self.ready.wait(min(self.heap[0][0] - now, 1.0) if self.heap else 1.0)
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
        self.position = 0
        self._lock = threading.Lock()
        self._lead = Leadership(store.conninfo, self.BOOKMARK)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._follow, name="fx-effects", daemon=True)]
        for name, port in self.ports.items():
            for n in range(THREADS.get(name, DEFAULT_THREADS)):
                self._threads.append(threading.Thread(target=self._work, args=(port,), name=f"fx-{name}-{n}",
                                                      daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        self.feed.poke()
        for port in self.ports.values():
            with port.ready:
                port.ready.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=10)
        self._lead.release()

    def oldest_open(self) -> tuple[str, int] | None:
        """Port and position of the longest-waiting effect that is not parked for a date."""
        with self._lock:
            waiting = [(task.entry.position, task.spec.port) for task in self.open.values() if task.due is None]
        return (min(waiting)[1], min(waiting)[0]) if waiting else None

    # ------------------------------------------------------------ finding

    def _follow(self) -> None:
        signal, saved = 0, 0
        while not self._stop.is_set():
            if not self._lead.held():
                self._forget()
                self._stop.wait(1.0)
                continue
            try:
                if self.position == 0:
                    self.position = saved = self.store.bookmark(self.BOOKMARK)
                page = self.store.read(self.position, PAGE)
                self._collect(page)
                if page:
                    self.position = page[-1].position
                self._wake_due()
                done = self._low_water()
                if done - saved >= SAVE_EVERY:
                    self.store.save_bookmark(self.BOOKMARK, done)
                    saved = done
                if not page:
                    signal = self.feed.wait(signal, DUE_POLL_S if self.parked else 5.0)
            except Exception:
                log.exception("effects.failed", position=self.position)
                self._stop.wait(1.0)

    def _forget(self) -> None:
        """Without the lead nothing is ours to do: whoever has it finds the same effects in the log."""
        with self._lock:
            self.position, self.open, self.parked = 0, {}, []

    def _collect(self, page: list[Entry]) -> None:
        tasks: list[_Task] = []
        for entry in page:
            self.clock.observe(entry)
            for spec in self.specs.get(type(entry.event), ()):
                tasks.append(_Task(f"{spec.process}.{spec.name}:{entry.position}", entry, spec))
        if not tasks:
            return
        done = self.store.known_keys([task.key for task in tasks])
        for task in tasks:
            if task.key not in done:
                with self._lock:
                    self.open[task.key] = task
                self.ports[task.spec.port].put(task)

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
        with self._lock:
            return min((task.entry.position for task in self.open.values()), default=self.position + 1) - 1

    # ------------------------------------------------------------ doing

    def _work(self, port: _Port) -> None:
        while (task := port.take(self._stop)) is not None:
            if self.open.get(task.key) is not task:
                continue  # forgotten while it waited
            try:
                self._perform(task)
            except NotYet as wait:
                with self._lock:
                    task.due = wait.due
                    self.parked.append(task)
                self.feed.poke()
                continue
            except (Retryable, ChainRetryable, Unavailable, Overloaded, Contended) as error:
                port.put(task, self._backoff(task, error))
                continue
            except Exception as error:
                log.exception("effect.failed", effect=task.key)
                self._raise_alarm(f"{task.key}:failing", task, error)
                port.put(task, BACKOFF_MAX_S)
                continue
            with self._lock:
                if self.open.get(task.key) is task:
                    del self.open[task.key]

    def _perform(self, task: _Task) -> None:
        """As with a reaction, a refused outcome is looked at once more; the outside knows the key by then."""
        for looked_again in (False, True):
            try:
                commands = list(task.spec.run(task.entry, task.entry.event, self.outside))
                context = context_for(task.spec.process, task.entry, self.clock)
                self.store.execute(*commands, context=context, key=task.key)
                return
            except Contended:
                raise
            except (Refusal, Final, ChainFinal) as problem:
                if looked_again or not isinstance(problem, Refusal):
                    log.warning("effect.refused", effect=task.key, problem=type(problem).__name__)
                    context = context_for(task.spec.process, task.entry, self.clock)
                    self.store.execute(_alarm(task.key, task.spec.process, problem), context=context, key=task.key)
                    return

    def _raise_alarm(self, key: str, task: _Task, error: Exception) -> None:
        context = context_for(task.spec.process, task.entry, self.clock)
        try:
            self.store.execute(_alarm(key, task.spec.process, error), context=context, key=key)
        except Exception:  # noqa: BLE001 - already logged; the task itself stays queued
            log.warning("alarm.not_recorded", effect=task.key)

    def _backoff(self, task: _Task, error: Exception) -> float:
        task.attempts += 1
        asked = getattr(error, "retry_after_s", None)
        return asked if asked else min(BACKOFF_FIRST_S * 2 ** min(task.attempts, 10), BACKOFF_MAX_S)
