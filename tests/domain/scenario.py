"""Given events, when a command, then events or a refusal; and a small world that runs a whole story."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from domain.base import Command, Context, Event, Refusal
from domain.catalogue import KINDS
from domain.party import SYSTEM


def at(when: str, actor: str = "system:test", role: str = SYSTEM) -> Context:
    """The context of a command; `when` is UTC, to the minute or second."""
    return Context(actor=actor, actor_role=role, tenant="tnt_test", now=datetime.fromisoformat(when + "+00:00"))


def fold(kind: str, events: tuple[Event, ...] | list[Event]) -> Any:
    state = KINDS[kind].initial
    for event in events:
        state = KINDS[kind].evolve(state, event)
    return state


class When:
    def __init__(self, events: tuple[Event, ...], command: Command, context: Context):
        self.events, self.command, self.context = events, command, context

    def decide(self) -> list[Event]:
        state = fold(self.command.kind, self.events)
        return KINDS[self.command.kind].decide(state, self.command, self.context)

    def then(self, *expected: Event) -> None:
        assert self.decide() == list(expected)

    def then_refused(self, refusal: type[Refusal]) -> Refusal:
        try:
            decided = self.decide()
        except Refusal as refused:
            assert type(refused) is refusal, f"{type(refused).__name__}: {refused.detail}"
            assert refused.code and refused.detail
            return refused
        raise AssertionError(f"{refusal.__name__} expected, but it was decided: {decided}")


class Given:
    def __init__(self, *events: Event):
        self.events = events

    def when(self, command: Command, context: Context) -> When:
        return When(self.events, command, context)


given = Given


class Row(NamedTuple):
    """One line of a table of refusals."""

    refusal: type[Refusal]
    history: tuple[Event, ...]
    command: Command
    context: Context

    def check(self) -> None:
        given(*self.history).when(self.command, self.context).then_refused(self.refusal)

    def __repr__(self) -> str:
        return f"{self.refusal.__name__}-{type(self.command).__name__}"


class Step(NamedTuple):
    """One line of a golden sequence."""

    command: Command
    context: Context
    events: tuple[Event, ...]


def check_path(path: list[Step]) -> None:
    """Every step, on the history of those before it, decides exactly its events."""
    history: list[Event] = []
    for step in path:
        given(*history).when(step.command, step.context).then(*step.events)
        history += step.events


def history_of(path: list[Step], steps: int) -> tuple[Event, ...]:
    return tuple(event for step in path[:steps] for event in step.events)


def check_order(path: list[Step], allowed: set[tuple[int, int]]) -> None:
    """After `k` steps only step `k` is accepted; `allowed` names the exceptions as (k, step)."""
    for done in range(len(path) + 1):
        for number, step in enumerate(path):
            if number == done or (done, number) in allowed:
                continue
            what = f"{type(step.command).__name__} after {done} steps"
            try:
                decided = given(*history_of(path, done)).when(step.command, step.context).decide()
            except Refusal:
                continue
            raise AssertionError(f"{what} was accepted: {decided}")


class World:
    """All aggregates of one story, in memory; remembers every event in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._states: dict[tuple[str, str], Any] = {}

    def do(self, *commands: Command, at: Context) -> list[Event]:
        done: list[Event] = []
        for command in commands:
            kind, where = KINDS[command.kind], (command.kind, command.key)
            state = self._states.get(where, kind.initial)
            for event in kind.decide(state, command, at):
                state = kind.evolve(state, event)
                done.append(event)
            self._states[where] = state
        self.events += done
        return done

    def look(self, kind: str, key: str) -> Any:
        return self._states.get((kind, key), KINDS[kind].initial)
