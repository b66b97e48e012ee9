"""Reconciliation: an incoming credit is matched exactly, or it waits in suspense and pays nobody.

A debtor's credit that fits and cannot be shared out yet waits on its invoice, until the entry that ends the wait.
Source: `spec/decisions.md` row 56: the reference, but for case, spaces and hyphens, and the amount to the penny.
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.base import Command
from domain.invoice import (
    INVOICE,
    AdvanceDisbursed,
    Invoice,
    QueueCredit,
    RecordFundingCash,
    RecordObligorPaid,
    Share,
    TakeCredits,
)
from domain.payment import (
    ACCOUNT,
    CREDIT,
    CreditReceived,
    CreditResumed,
    MatchCredit,
    ResumeCredit,
    SuspendCredit,
    WaitCredit,
    account_key,
)
from domain.token import (
    TOKEN,
    CloseRegister,
    ExpectMoving,
    ForcedMoved,
    ForcedMoveRefused,
    TokenSliced,
    TokenTransferred,
    TransferRefused,
)
from domain.trade import TRADE, RecordTradeCash
from eventstore.entry import Entry
from processes.outside import Outside
from processes.process import Look, Process

reconciliation = Process("reconciliation")


@reconciliation.effect(CreditReceived, port="reconciliation")
def match(entry: Entry, event: CreditReceived, outside: Outside) -> Iterable[Command]:
    return _match(event, outside)


@reconciliation.effect(CreditResumed, port="reconciliation")
def match_again(entry: Entry, event: CreditResumed, outside: Outside) -> Iterable[Command]:
    received = outside.look(CREDIT, event.credit).received
    assert received is not None
    return _match(received, outside)


@reconciliation.reacts_to(AdvanceDisbursed, TokenSliced, TokenTransferred, TransferRefused, ForcedMoved,
                          ForcedMoveRefused)
def resume(entry: Entry, event: object, look: Look) -> Iterable[Command]:
    """Whatever ends a wait: the seller has its advance, or the slice register stands still again."""
    of_the_invoice = isinstance(event, AdvanceDisbursed)
    invoice = look(INVOICE, entry.resource if of_the_invoice else look(TOKEN, entry.resource).invoice)
    if not (invoice.queued and invoice.shareable and look(TOKEN, invoice.token_reference or "").state == "HELD"):
        return []
    return [TakeCredits(reference=invoice.reference, credits=invoice.queued),
            *(ResumeCredit(credit=credit) for credit in invoice.queued)]


def _match(event: CreditReceived, outside: Outside) -> list[Command]:
    if event.currency != "GBP":
        return [SuspendCredit(credit=event.credit, reason=f"currency {event.currency}")]
    account = outside.look(ACCOUNT, account_key(event.sort_code, event.account_number))
    match account.purpose:
        case "funding":
            return _funding(event, account.resource, account.payment, outside)
        case "trade":
            return _trade(event, account.resource, outside)
        case _:
            return _obligor(event, outside)


def _funding(event: CreditReceived, reference: str, payment: str, outside: Outside) -> list[Command]:
    invoice = outside.look(INVOICE, reference)
    if invoice.state != "RESERVED" or invoice.payment != payment:
        return [SuspendCredit(credit=event.credit, reason="reservation is over", suggestion=reference)]
    if event.pence != invoice.net_advance_pence:
        return [SuspendCredit(credit=event.credit, reason="amount differs", suggestion=reference)]
    return [MatchCredit(credit=event.credit, purpose="funding", resource=reference),
            RecordFundingCash(reference=reference, payment=payment, credit=event.credit, amount_pence=event.pence)]


def _trade(event: CreditReceived, trade_id: str, outside: Outside) -> list[Command]:
    trade = outside.look(TRADE, trade_id)
    if trade.state != "RESERVED":
        return [SuspendCredit(credit=event.credit, reason="reservation is over", suggestion=trade_id)]
    if event.pence != trade.total_pence:
        return [SuspendCredit(credit=event.credit, reason="amount differs", suggestion=trade_id)]
    return [MatchCredit(credit=event.credit, purpose="trade", resource=trade_id),
            RecordTradeCash(trade=trade_id, credit=event.credit, amount_pence=event.pence)]


def _obligor(event: CreditReceived, outside: Outside) -> list[Command]:
    reference = event.reference
    if reference is None:
        return [SuspendCredit(credit=event.credit, reason="no invoice reference")]
    invoice = outside.look(INVOICE, reference)
    if invoice.state != "FUNDED" and not invoice.shareable:
        return [SuspendCredit(credit=event.credit, reason=f"invoice is {invoice.state}", suggestion=reference)]
    if event.pence != invoice.face_pence:
        return [SuspendCredit(credit=event.credit, reason="amount differs", suggestion=reference)]
    assert invoice.token_reference is not None
    token = outside.look(TOKEN, invoice.token_reference)
    if not invoice.shareable or token.state != "HELD":
        return _wait(event, invoice)
    holdings = tuple(token.holdings().items())
    shares = tuple(Share(holder, pence) for holder, pence in holdings)
    return [MatchCredit(credit=event.credit, purpose="obligor", resource=reference),
            CloseRegister(token=invoice.token_reference, holdings=holdings),
            RecordObligorPaid(reference=reference, credit=event.credit, amount_pence=event.pence, shares=shares)]


def _wait(event: CreditReceived, invoice: Invoice) -> list[Command]:
    """Refused, and looked at again, if the wait ended in this moment: a wait that nothing ends must not begin."""
    waits = [WaitCredit(credit=event.credit, resource=invoice.reference),
             QueueCredit(reference=invoice.reference, credit=event.credit, register_moving=invoice.shareable)]
    return [*waits, ExpectMoving(token=invoice.token_reference or "")] if invoice.shareable else waits
