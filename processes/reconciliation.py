"""Reconciliation: an incoming credit is matched exactly, or it waits in suspense and pays nobody.

Source: `spec/decisions.md` row 56: the reference, but for case, spaces and hyphens, and the amount to the penny.
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.base import Command
from domain.invoice import INVOICE, RecordFundingCash, RecordObligorPaid, Share
from domain.payment import ACCOUNT, CreditReceived, MatchCredit, SuspendCredit, account_key
from domain.token import TOKEN, CloseRegister
from domain.trade import TRADE, RecordTradeCash
from eventstore.entry import Entry
from processes.outside import Outside
from processes.process import Process
from providers.errors import Retryable

reconciliation = Process("reconciliation")

@reconciliation.effect(CreditReceived, port="reconciliation")
def match(entry: Entry, event: CreditReceived, outside: Outside) -> Iterable[Command]:
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
    if invoice.state == "FUNDED":
        raise Retryable("advance_under_way", "the seller is being paid; the credit waits", retry_after_s=0.5)
    if invoice.state != "DISBURSED":
        return [SuspendCredit(credit=event.credit, reason=f"invoice is {invoice.state}", suggestion=reference)]
    if event.pence != invoice.face_pence:
        return [SuspendCredit(credit=event.credit, reason="amount differs", suggestion=reference)]
    assert invoice.token_reference is not None
    token = outside.look(TOKEN, invoice.token_reference)
    if token.state != "HELD":
        raise Retryable("token_moving", "the slice register is changing; the credit waits", retry_after_s=0.2)
    holdings = tuple(token.holdings().items())
    shares = tuple(Share(holder, pence) for holder, pence in holdings)
    return [MatchCredit(credit=event.credit, purpose="obligor", resource=reference),
            CloseRegister(token=invoice.token_reference, holdings=holdings),
            RecordObligorPaid(reference=reference, credit=event.credit, amount_pence=event.pence, shares=shares)]
