"""What the callers of the event-store campaign ask for: a function of the caller's name and the command's number.

So whoever checks the log knows what each key stands for, and a caller that was killed can repeat what it had asked for.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from domain.base import Command, Conflict, Context, Event, Kind, require
from domain.platform import AlarmRaised
from eventstore.access import Access

TENANT = "tnt_campaign"
SECRET = bytes(range(32))
CONTEXT = Context(actor="operator:campaign", actor_role="operator", tenant=TENANT,
                  now=datetime(2026, 5, 22, 9, 42, tzinfo=UTC))
PROCESSES = ("a", "b")
THREADS, TASKS = 8, 16
"""Callers of one process: on threads, and on an event loop."""

SHARED_PADS = 4
PAD_ROUNDS = 6
"""Pads are shared by callers of both processes, which is what makes them conflict, and left after so many commands."""


class Note(Command, frozen=True, kw_only=True):
    kind = "campaign_pad"
    pad: str
    text: str
    copies: int
    once: bool
    """Refused when the pad has this text: a repetition that lands must get its first answer all the same."""

    @property
    def key(self) -> str:
        return self.pad


class Pad(msgspec.Struct, frozen=True):
    texts: tuple[str, ...] = ()


def _decide(pad: Pad, command: Note, context: Context) -> list[Event]:
    require(not (command.once and command.text in pad.texts), Conflict(f"{command.text} is on the pad"))
    return [AlarmRaised(source="campaign", code=str(len(pad.texts) + n), detail=command.text)
            for n in range(command.copies)]


def _evolve(pad: Pad, event: Event) -> Pad:
    return Pad((*pad.texts, event.detail)) if isinstance(event, AlarmRaised) else pad


PAD: Kind[Pad] = Kind("campaign_pad", Pad(), _decide, _evolve)


def callers(process: str) -> list[str]:
    return [f"{process}{number:02d}" for number in range(THREADS + TASKS)]


def key_of(caller: str, n: int) -> str:
    return f"{caller}/{n}"


def caller_of(key: str) -> tuple[str, int]:
    caller, _, n = key.partition("/")
    return caller, int(n)


def notes(caller: str, n: int) -> list[Note]:
    """One to three entries on one pad; every fifth command writes on a second pad too, in the same breath."""
    number, text = int(caller[1:]), key_of(caller, n)
    pads = [f"{(number + beside) % SHARED_PADS}-{n // PAD_ROUNDS}" for beside in (0, 1)]
    first = Note(pad=pads[0], text=text, copies=1 + (number + n) % 3, once=n % 2 == 0)
    return [first] if n % 5 else [first, Note(pad=pads[1], text=text, copies=1, once=False)]


def answer(key: str, codes: list[str]) -> bytes:
    """The stored answer: it tells what the command found on the pads when it was decided."""
    return f"{key}:{','.join(codes)}".encode()


def access(url: str) -> Access:
    return Access(url, TENANT, SECRET)
