"""Holds: what waits for a frozen subject, so that the end of the freeze lets go of all of it.

A step that may not be taken for somebody now stands here, under that subject, until it is let go. Source:
`spec/decisions.md` row 57 and `spec/state-machines.md` "Frozen … receives nothing except to suspense".
"""

from __future__ import annotations

import msgspec

from domain.base import Command, Conflict, Context, Event, Kind, require

PAYMENT, MINT, LISTING = "payment", "mint", "listing"
"""What waits: an outgoing payment by its id, an invoice's token or its offer by the invoice's reference."""


# ---------------------------------------------------------------- commands


class HoldsCommand(Command, frozen=True, kw_only=True):
    kind = "holds"
    subject: str

    @property
    def key(self) -> str:
        return self.subject


class HoldStep(HoldsCommand, frozen=True, kw_only=True):
    """`reason` is for compliance alone; `pence` is 0 where no money waits."""

    step: str
    reference: str
    resource: str
    pence: int
    reason: str


class ReleaseSteps(HoldsCommand, frozen=True, kw_only=True):
    """Everything that waits is let go; each step asks again whether it may be taken."""


# ---------------------------------------------------------------- events


class StepHeld(Event, frozen=True, kw_only=True):
    tag = "holds.step_held.1"
    action = "STEP_HELD"
    step: str
    reference: str
    resource: str
    pence: int
    reason: str


class StepReleased(Event, frozen=True, kw_only=True):
    tag = "holds.step_released.1"
    action = "STEP_RELEASED"
    step: str
    reference: str


class StepIsHeld(Conflict):
    code = "step_is_held"


# ---------------------------------------------------------------- state


class Holds(msgspec.Struct, frozen=True):
    steps: tuple[tuple[str, str], ...] = ()
    """(step, reference), oldest first."""


# ---------------------------------------------------------------- decisions


def decide(holds: Holds, command: HoldsCommand, context: Context) -> list[Event]:
    match command:
        case HoldStep():
            require((command.step, command.reference) not in holds.steps, StepIsHeld("this step waits already"))
            return [StepHeld(step=command.step, reference=command.reference, resource=command.resource,
                             pence=command.pence, reason=command.reason)]
        case ReleaseSteps():
            return [StepReleased(step=step, reference=reference) for step, reference in holds.steps]
        case _:
            raise TypeError(f"holds cannot decide {type(command).__name__}")


def evolve(holds: Holds, event: Event) -> Holds:
    match event:
        case StepHeld():
            return Holds((*holds.steps, (event.step, event.reference)))
        case StepReleased():
            return Holds(tuple(each for each in holds.steps if each != (event.step, event.reference)))
        case _:
            return holds


HOLDS: Kind[Holds] = Kind("holds", Holds(), decide, evolve)
