"""A kind of aggregate made for these tests: any number of notes on one pad, written as ALARM_RAISED events."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from domain.base import Command, Conflict, Context, Event, Kind, require
from domain.platform import AlarmRaised

NOW = datetime(2026, 5, 22, 9, 42, tzinfo=UTC)
CONTEXT = Context(actor="operator:test", actor_role="operator", tenant="tnt_fintokenx", now=NOW)
REFUSED = "refuse me"


class Note(Command, frozen=True, kw_only=True):
    kind = "note"
    pad: str
    text: str = "a note"
    copies: int = 1
    only: int | None = None
    """Refuse unless the pad holds this many notes."""

    @property
    def key(self) -> str:
        return self.pad


class Pad(msgspec.Struct, frozen=True):
    texts: tuple[str, ...] = ()


def _decide(pad: Pad, command: Note, context: Context) -> list[Event]:
    require(command.text != REFUSED, Conflict("this note is refused"))
    require(command.only in (None, len(pad.texts)), Conflict(f"the pad holds {len(pad.texts)} notes"))
    return [AlarmRaised(source="note", code=str(len(pad.texts) + n), detail=command.text)
            for n in range(command.copies)]


def _evolve(pad: Pad, event: Event) -> Pad:
    return Pad((*pad.texts, event.detail)) if isinstance(event, AlarmRaised) else pad


PAD: Kind[Pad] = Kind("note", Pad(), _decide, _evolve)
