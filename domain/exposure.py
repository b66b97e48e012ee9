"""Exposure: what one lender has at risk, by receivable. Its caps are decided here, in the append of the reservation.

Two reservations of one lender that race meet on this stream, so that both cannot pass a cap that only one fits. What
is released, sold or settled follows the invoice's own events by a reaction: to learn of it late refuses too much for a
moment, never too little. Source: `spec/decisions.md` rows 10, 72.
"""

from __future__ import annotations

import msgspec

from domain.base import Command, Context, Event, Kind, require
from domain.invoice import OutsideAppetite
from domain.money import pounds

# ---------------------------------------------------------------- commands


class ExposureCommand(Command, frozen=True, kw_only=True):
    kind = "exposure"
    lender: str
    invoice: str

    @property
    def key(self) -> str:
        return self.lender


class ReserveExposure(ExposureCommand, frozen=True, kw_only=True):
    """Goes with ReserveFunding. The caps are the lender's own, for one obligor and for one originator."""

    obligor: str
    originator: str
    pence: int
    max_obligor_pence: int
    max_originator_pence: int


class ReduceExposure(ExposureCommand, frozen=True, kw_only=True):
    """By `pence` of face, or (None) whole: the reservation is over, slices are sold, the debtor has paid."""

    pence: int | None = None


# ---------------------------------------------------------------- events


class ExposureReserved(Event, frozen=True, kw_only=True):
    tag = "exposure.reserved.1"
    action = "EXPOSURE_RESERVED"
    invoice: str
    obligor: str
    originator: str
    pence: int


class ExposureReduced(Event, frozen=True, kw_only=True):
    tag = "exposure.reduced.1"
    action = "EXPOSURE_REDUCED"
    invoice: str
    pence: int


# ---------------------------------------------------------------- state


class AtRisk(msgspec.Struct, frozen=True):
    obligor: str
    originator: str
    pence: int


class Exposure(msgspec.Struct, frozen=True):
    receivables: dict[str, AtRisk] = {}

    def of_obligor(self, obligor: str) -> int:
        return sum(each.pence for each in self.receivables.values() if each.obligor == obligor)

    def of_originator(self, originator: str) -> int:
        return sum(each.pence for each in self.receivables.values() if each.originator == originator)


# ---------------------------------------------------------------- decide, evolve


def decide(exposure: Exposure, command: ExposureCommand, context: Context) -> list[Event]:
    match command:
        case ReserveExposure():
            _within(exposure.of_obligor(command.obligor) + command.pence, command.max_obligor_pence, "obligor")
            _within(exposure.of_originator(command.originator) + command.pence, command.max_originator_pence,
                    "originator")
            return [ExposureReserved(invoice=command.invoice, obligor=command.obligor, originator=command.originator,
                                     pence=command.pence)]
        case ReduceExposure():
            known = exposure.receivables.get(command.invoice)
            if known is None:
                return []  # another lender's, or reduced before
            pence = known.pence if command.pence is None else min(command.pence, known.pence)
            return [ExposureReduced(invoice=command.invoice, pence=pence)] if pence else []
        case _:
            raise TypeError(f"exposure cannot decide {type(command).__name__}")


def _within(pence: int, cap_pence: int, whose: str) -> None:
    require(pence <= cap_pence, OutsideAppetite(
        f"this would take you to {pounds(pence)} for this {whose}, above your cap of {pounds(cap_pence)}"))


def evolve(exposure: Exposure, event: Event) -> Exposure:
    match event:
        case ExposureReserved():
            return Exposure({**exposure.receivables,
                             event.invoice: AtRisk(event.obligor, event.originator, event.pence)})
        case ExposureReduced():
            held = exposure.receivables.get(event.invoice)
            rest = {name: each for name, each in exposure.receivables.items() if name != event.invoice}
            if held is None or held.pence <= event.pence:
                return Exposure(rest)
            return Exposure({**rest, event.invoice: msgspec.structs.replace(held, pence=held.pence - event.pence)})
        case _:
            return exposure


EXPOSURE: Kind[Exposure] = Kind("exposure", Exposure(), decide, evolve, resource=lambda lender: f"exposure of {lender}")
