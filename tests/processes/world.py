"""The aggregates in memory: real decisions and folds, no database. What a reaction looks at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.base import Command, Event, Kind
from domain.catalogue import KINDS
from domain.party import SYSTEM
from eventstore.entry import Entry
from processes.catalogue import PROCESSES
from tests.projections.story import NOW, context, tell


@dataclass
class World:
    states: dict[tuple[str, str], Any] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    def look(self, kind: Kind[Any], key: str) -> Any:
        return self.states.get((kind.name, key), kind.initial)

    def do(self, *commands: Command, by: tuple[str, str] = ("system:test", SYSTEM), at: datetime = NOW) -> list[Entry]:
        before = len(self.entries)
        for command in commands:
            kind = KINDS[command.kind]
            state = self.look(kind, command.key)
            for event in kind.decide(state, command, context(by, at)):
                state = kind.evolve(state, event)
                self.states[kind.name, command.key] = state
                self.note(kind, command.key, event)
        return self.entries[before:]

    def note(self, kind: Kind[Any], key: str, event: Event) -> Entry:
        position = len(self.entries) + 1
        entry = Entry(
            originator_id=kind.stream("tnt_fintokenx", key), originator_version=position, event=event,
            tenant="tnt_fintokenx", at=NOW, actor="system:test", actor_role=SYSTEM, on_behalf_of=None,
            resource=kind.resource(key), cause=None, command="test", position=position)
        self.entries.append(entry)
        return entry

    def last(self, event: type[Event]) -> Entry:
        return next(entry for entry in reversed(self.entries) if isinstance(entry.event, event))

    def reacts(self, entry: Entry) -> dict[str, list[Command]]:
        """process -> its commands; processes that answer nothing are left out."""
        answers: dict[str, list[Command]] = {}
        for process in PROCESSES:
            reaction = process.reactions.get(type(entry.event))
            commands = list(reaction(entry, entry.event, self.look)) if reaction else []
            if commands:
                answers[process.name] = commands
        return answers

    def performs(self, process: str, effect: str, entry: Entry, outside: Any) -> list[Command]:
        specs: Iterable[Any] = next(p for p in PROCESSES if p.name == process).effects[type(entry.event)]
        spec = next(spec for spec in specs if spec.name == effect)
        return list(spec.run(entry, entry.event, outside))


def world_at(point: str) -> World:
    """The story up to a named point."""
    world = World()
    for reached in tell(world.do, world.look):
        if reached == point:
            return world
    raise AssertionError(f"the story has no point {point!r}")
