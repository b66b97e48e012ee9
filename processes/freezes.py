"""Freezes: nothing is minted, offered, sold or paid for a frozen subject; what was held is let go when it is lifted.

Whoever sends commands that rest on a standing appends them with `standing`, so that a freeze and what it forbids cannot
both land unseen (docs/decisions/0022-holds.md).
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.base import Command
from domain.holds import HOLDS, PAYMENT, HoldStep, ReleaseSteps
from domain.payment import ReleasePayment
from domain.subject import SUBJECT, ExpectReceives, SubjectUnfrozen, receives
from eventstore.entry import Entry
from processes.process import Look, Process

freezes = Process("freezes")

FROZEN_PARTY = "party_frozen"


def barred(look: Look, *subjects: str) -> str | None:
    """The first of these that may receive nothing now."""
    return next((subject for subject in subjects if not receives(look(SUBJECT, subject))), None)


def standing(*subjects: str, receives: bool = True) -> list[Command]:
    """What is appended with these lands only while the subjects' standing is as it was looked at."""
    return [ExpectReceives(subject=subject, receives=receives) for subject in subjects]


def held_or(look: Look, step: str, reference: str, parties: tuple[str, ...], go_on: list[Command]) -> list[Command]:
    """`go_on`, or a hold under the first of the parties for whom it may not be."""
    if (who := barred(look, *parties)) is None:
        return [*standing(*parties), *go_on]
    return [*standing(who, receives=False),
            HoldStep(subject=who, step=step, reference=reference, resource=reference, pence=0, reason=FROZEN_PARTY)]


@freezes.reacts_to(SubjectUnfrozen)
def let_go(entry: Entry, event: SubjectUnfrozen, look: Look) -> Iterable[Command]:
    """One stream knows all that waits. Frozen again by now, everything stays where it is until the next time."""
    subject = entry.resource
    steps = look(HOLDS, subject).steps
    if not steps or barred(look, subject):
        return []
    payments = [ReleasePayment(payment=reference) for step, reference in steps if step == PAYMENT]
    return [*standing(subject), ReleaseSteps(subject=subject), *payments]
