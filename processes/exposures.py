"""Exposures: what a lender no longer has at risk leaves its caps, whatever ended it."""

from __future__ import annotations

from collections.abc import Iterable

from domain.base import Command
from domain.exposure import EXPOSURE, ReduceExposure
from domain.invoice import INVOICE, InvoiceSettled, ReservationReleased
from domain.trade import TradeExecuted
from eventstore.entry import Entry
from processes.process import Look, Process

exposures = Process("exposures")


@exposures.reacts_to(ReservationReleased)
def reservation_over(entry: Entry, event: ReservationReleased, look: Look) -> Iterable[Command]:
    return _reduce(look, event.lender, entry.resource)


@exposures.reacts_to(TradeExecuted)
def slice_sold(entry: Entry, event: TradeExecuted, look: Look) -> Iterable[Command]:
    return _reduce(look, event.seller, event.invoice, event.face_pence)


@exposures.reacts_to(InvoiceSettled)
def settled(entry: Entry, event: InvoiceSettled, look: Look) -> Iterable[Command]:
    return _reduce(look, look(INVOICE, entry.resource).lender or "", entry.resource)


def _reduce(look: Look, lender: str, invoice: str, pence: int | None = None) -> list[Command]:
    """An investor who sells on, or a lender whose slices are all sold, has nothing at risk here."""
    at_risk = invoice in look(EXPOSURE, lender).receivables
    return [ReduceExposure(lender=lender, invoice=invoice, pence=pence)] if at_risk else []
