"""Repayment: the debtor's credit is shared out by the slice register; when all have it, the token is burned.

What a holder may not receive now is ring-fenced for it and counts as paid (decisions row 57): nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.base import Command
from domain.invoice import (
    INVOICE,
    ConfirmPayout,
    PayoutConfirmed,
    PayoutHeld,
    PayoutRequested,
    RecordPayoutHeld,
    RecordPayoutReturned,
    Settle,
)
from domain.payment import PaymentConfirmed, PaymentHeld, PaymentReturned, RequestPayment
from domain.subject import SUBJECT
from domain.token import TOKEN, RequestBurn, TokenBurned
from eventstore.entry import Entry
from processes.process import Look, Process

repayment = Process("repayment")


@repayment.reacts_to(PayoutRequested)
def pay_holder(entry: Entry, event: PayoutRequested, look: Look) -> Iterable[Command]:
    holder = look(SUBJECT, event.holder)
    return [RequestPayment(payment=event.payout, purpose="settlement", resource=entry.resource, payee=event.holder,
                           pence=event.pence, account=holder.payout_account, narration=entry.resource)]


@repayment.reacts_to(PaymentConfirmed)
def holder_has_it(entry: Entry, event: PaymentConfirmed, look: Look) -> Iterable[Command]:
    if event.purpose != "settlement":
        return []
    return [ConfirmPayout(reference=event.resource, payout=event.payment)]


@repayment.reacts_to(PaymentHeld)
def held_for_holder(entry: Entry, event: PaymentHeld, look: Look) -> Iterable[Command]:
    if event.purpose != "settlement":
        return []
    return [RecordPayoutHeld(reference=event.resource, payout=event.payment)]


@repayment.reacts_to(PaymentReturned)
def came_back_from_holder(entry: Entry, event: PaymentReturned, look: Look) -> Iterable[Command]:
    """After it had arrived; the invoice waits already for one that never did."""
    if event.purpose != "settlement" or event.was != "CONFIRMED":
        return []
    return [RecordPayoutReturned(reference=event.resource, payout=event.payment)]


@repayment.reacts_to(PayoutConfirmed, PayoutHeld)
def burn_when_all_paid(entry: Entry, event: PayoutConfirmed | PayoutHeld, look: Look) -> Iterable[Command]:
    """Each asks; only the first that finds everybody paid orders the burn."""
    invoice = look(INVOICE, entry.resource)
    token = invoice.token_reference or ""
    ready = invoice.all_paid and look(TOKEN, token).state == "CLOSED"
    return [RequestBurn(token=token)] if ready else []


@repayment.reacts_to(TokenBurned)
def settle(entry: Entry, event: TokenBurned, look: Look) -> Iterable[Command]:
    return [Settle(reference=event.invoice, burn_tx=event.tx)]
