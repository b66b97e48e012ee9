"""What a process manager is made of: reactions (`processes/reactor.py`) and effects on the outside
(`processes/effects.py`), each done once however often we crash.

A reaction is pure: entry -> commands. Its key is (process, position), so a repeated entry changes nothing.
An effect talks to the outside with its entry's key, then records the outcome under that key; a crash in between
repeats the call with the same key, which the outside knows. Aggregates hold all state; a process keeps none.
What cannot be handled holds up its own stream and nothing else: docs/decisions/0010-quarantine.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from chain.errors import Final as ChainFinal
from domain.base import Command, Context, Event, Kind, Refusal
from domain.party import SYSTEM
from domain.platform import ALARM, AlarmKnown, AlarmNotStanding, ClearAlarm, RaiseAlarm
from eventstore.clock import Clock
from eventstore.database import Unavailable
from eventstore.entry import Entry
from eventstore.job import Overloaded
from eventstore.loops import Died
from eventstore.store import Contended, Store
from processes.outside import Outside
from providers.errors import Final

SAVE_EVERY = 200
STANDBY_S = 1.0
PASSING = (Contended, Unavailable, Overloaded)
"""Nothing is wrong with the entry or the rules: the same again, later."""

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
    moves_money: bool = False
    """Waits, without failing, while the anchors are stale (processes/freshness.py)."""


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

    def effect(self, event: type[Event], port: str, *, moves_money: bool = False) -> Callable[[Effect], Effect]:
        def register(run: Effect) -> Effect:
            self.effects.setdefault(event, []).append(EffectSpec(self.name, run.__name__, port, run, moves_money))
            return run
        return register


def context_for(process: str, entry: Entry, clock: Clock) -> Context:
    return Context(actor=f"system:{process}", actor_role=SYSTEM, tenant=entry.tenant, now=clock.now(),
                   cause=entry.position)


def loop_ended(store: Store, clock: Clock) -> Died:
    """Raises an alarm for a loop that ended and was begun again; one, until a person closes it."""

    def tell(name: str, error: BaseException) -> None:
        context = Context(actor="system:loops", actor_role=SYSTEM, tenant=store.tenant, now=clock.now())
        raise_alarm(store, RaiseAlarm(alarm=f"loop_ended:{name}", source="loops", code="loop_ended", detail=f"{name} "
                                      f"ended and was begun again: {type(error).__name__}, see the log"), context)

    return tell


def alarm(key: str, source: str, problem: Exception) -> RaiseAlarm:
    """What a refusal says is meant to be read; what any other exception says may hold anything, so only its kind."""
    code = getattr(problem, "code", None) or type(problem).__name__
    said = str(problem)[:300] if isinstance(problem, (Refusal, Final, ChainFinal)) else "see the log"
    return RaiseAlarm(alarm=key, source=source, code=str(code), detail=said)


def raise_alarm(store: Store, command: RaiseAlarm, context: Context) -> None:
    """Outside of any reaction or outcome. Does nothing while the alarm stands; after it was over, it is a new one."""
    known = store.load(ALARM, command.alarm)
    if not known.standing:
        with suppress(AlarmKnown):
            store.execute(command, context=context, key=f"alarm:{command.alarm}:{known.occurrences + 1}")


def clear_alarm(store: Store, alarm: str, context: Context) -> None:
    """What it told of is over. Nothing is done when no such alarm stands."""
    known = store.load(ALARM, alarm)
    if known.standing:
        with suppress(AlarmNotStanding):
            store.execute(ClearAlarm(alarm=alarm), context=context, key=f"alarm-over:{alarm}:{known.occurrences}")
