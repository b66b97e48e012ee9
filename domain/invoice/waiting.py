"""Waiting: a debtor's credit that came before it can be shared out stands on the invoice, until the entry that ends
the wait; nobody asks in the meantime.
"""

from __future__ import annotations

from domain.base import Conflict, Context, Event, require
from domain.invoice.state import Invoice, InvoiceCommand, WrongState

# ---------------------------------------------------------------- commands


class QueueCredit(InvoiceCommand, frozen=True, kw_only=True):
    """The advance is on its way to the seller, or (`register_moving`) a slice to its buyer."""

    credit: str
    register_moving: bool


class TakeCredits(InvoiceCommand, frozen=True, kw_only=True):
    """The wait is over: these are matched again."""

    credits: tuple[str, ...]


# ---------------------------------------------------------------- events


class CreditQueued(Event, frozen=True, kw_only=True):
    tag = "invoice.credit_queued.1"
    action = "OBLIGOR_CASH_WAITS"
    credit: str


class CreditsTaken(Event, frozen=True, kw_only=True):
    tag = "invoice.credits_taken.1"
    action = "OBLIGOR_CASH_RESUMES"
    credits: tuple[str, ...]


# ---------------------------------------------------------------- refusals


class CreditNotQueued(Conflict):
    code = "credit_not_queued"


# ---------------------------------------------------------------- decisions


def queue(invoice: Invoice, command: QueueCredit, context: Context) -> list[Event]:
    """Refused once the advance is there: nothing would end that wait."""
    require(invoice.shareable if command.register_moving else invoice.state == "FUNDED" and not invoice.shareable,
            WrongState(f"nothing is under way that a credit would wait for; the invoice is {invoice.state}"))
    return [CreditQueued(credit=command.credit)]


def take(invoice: Invoice, command: TakeCredits, context: Context) -> list[Event]:
    require(set(command.credits) <= set(invoice.queued), CreditNotQueued("this credit does not wait here"))
    return [CreditsTaken(credits=command.credits)]
