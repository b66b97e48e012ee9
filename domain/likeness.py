"""Which documents stand for one customer's debts of one amount, so that the same invoice does not come back with its
number changed.

One registry for each customer and amount (its key is opaque). Two texts that are nearly the same, due within the same
days, are one invoice: a retainer billed every week or month is due later each time, and other work reads otherwise.
"""

from __future__ import annotations

from datetime import date

import msgspec

from domain.base import Command, Conflict, Context, Event, Kind, require

NEAR_BITS = 8
"""Of 64. The invoice's own number moves none, another small edit a few, other dates or other work 10 or more."""

NEAR_DAYS = 7


class LikenessCommand(Command, frozen=True, kw_only=True):
    kind = "likeness"
    registry: str
    invoice: str

    @property
    def key(self) -> str:
        return self.registry


class ClaimLikeness(LikenessCommand, frozen=True, kw_only=True):
    """`likeness` is the document's 64-bit similarity hash, in hex."""

    likeness: str
    due_on: date


class ReleaseLikeness(LikenessCommand, frozen=True, kw_only=True):
    """The invoice came to nothing: its document may be brought again."""


class LikenessClaimed(Event, frozen=True, kw_only=True):
    tag = "likeness.claimed.1"
    action = "LIKENESS_CLAIMED"
    invoice: str
    likeness: str
    due_on: date


class LikenessReleased(Event, frozen=True, kw_only=True):
    tag = "likeness.released.1"
    action = "LIKENESS_RELEASED"
    invoice: str


class LikenessTaken(Conflict):
    code = "likeness_taken"


class LikenessNotHeld(Conflict):
    code = "likeness_not_held"


class Likenesses(msgspec.Struct, frozen=True):
    claimed: tuple[LikenessClaimed, ...] = ()

    def near(self, invoice: str, likeness: str, due_on: date) -> str | None:
        """Another invoice whose document is nearly this one."""
        return next((each.invoice for each in self.claimed
                     if each.invoice != invoice and abs((each.due_on - due_on).days) < NEAR_DAYS
                     and bits_apart(each.likeness, likeness) <= NEAR_BITS), None)

    def holds(self, invoice: str) -> bool:
        return any(each.invoice == invoice for each in self.claimed)


def bits_apart(likeness: str, other: str) -> int:
    """0 for the same text, a few for a re-export with a small edit, about 32 for unrelated documents."""
    return (int(likeness, 16) ^ int(other, 16)).bit_count()


def _decide(known: Likenesses, command: LikenessCommand, context: Context) -> list[Event]:
    if isinstance(command, ClaimLikeness):
        require(known.near(command.invoice, command.likeness, command.due_on) is None,
                LikenessTaken("nearly the same document stands for another invoice"))
        claim = LikenessClaimed(invoice=command.invoice, likeness=command.likeness, due_on=command.due_on)
        return [] if known.holds(command.invoice) else [claim]
    require(known.holds(command.invoice), LikenessNotHeld("this invoice does not stand in the registry"))
    return [LikenessReleased(invoice=command.invoice)]


def _evolve(known: Likenesses, event: Event) -> Likenesses:
    match event:
        case LikenessClaimed():
            return Likenesses((*known.claimed, event))
        case LikenessReleased():
            return Likenesses(tuple(each for each in known.claimed if each.invoice != event.invoice))
        case _:
            return known


LIKENESS: Kind[Likenesses] = Kind("likeness", Likenesses(), _decide, _evolve, resource=lambda _: "duplicate registry")
