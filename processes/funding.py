"""Funding: reserve -> cash matched -> token transferred -> seller paid -> credit confirmed.

Money before token, token before payout. Compensation: a reservation without cash expires; a transfer that the chain
refuses, or a lock, the record date or a freeze of one of the parties before it was asked, sends the lender's money back
and lists the receivable again. A seller frozen after that has its advance held (processes/payments.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from domain import fees
from domain.base import Command
from domain.invoice import (
    CHAIN_REFUSED,
    INVOICE,
    NO_CASH,
    WITHDRAWN,
    FundingCashMatched,
    FundingReserved,
    InstructFunding,
    InvoiceFunded,
    RecordAdvanceHeld,
    RecordAdvanceReturned,
    RecordDisbursed,
    RecordFunded,
    ReleaseReservation,
)
from domain.maturity import is_open
from domain.payment import PLATFORM, PaymentConfirmed, PaymentHeld, PaymentReturned, RequestPayment
from domain.rails import fee_narration
from domain.subject import SUBJECT
from domain.token import TOKEN, RequestTransfer, TokenTransferred, TransferRefused
from eventstore.entry import Entry
from processes.accounts import open_account
from processes.freezes import barred, standing
from processes.outside import Outside
from processes.process import Look, NotYet, Process

funding = Process("funding")


@funding.effect(FundingReserved, port="bank")
def open_funding_account(entry: Entry, event: FundingReserved, outside: Outside) -> Iterable[Command]:
    account, opened = open_account(outside, "funding", entry.resource, event.payment, event.lender)
    return [opened, InstructFunding(reference=entry.resource, payment=event.payment, sort_code=account.sort_code,
                                    account_number=account.account_number)]


@funding.effect(FundingReserved, port="timer")
def expire(entry: Entry, event: FundingReserved, outside: Outside) -> Iterable[Command]:
    if outside.clock.now() < event.expires_at:
        raise NotYet(event.expires_at)
    invoice = outside.look(INVOICE, entry.resource)
    if invoice.state != "RESERVED" or invoice.payment != event.payment:
        return []
    return [ReleaseReservation(reference=entry.resource, payment=event.payment, reason=NO_CASH)]


@funding.reacts_to(FundingCashMatched)
def move_token(entry: Entry, event: FundingCashMatched, look: Look) -> Iterable[Command]:
    invoice = look(INVOICE, entry.resource)
    assert invoice.due_on is not None
    if look(TOKEN, invoice.token_reference or "").lock is not None or not is_open(invoice.due_on, entry.at):
        return _give_back(look, invoice.reference, event.payment, WITHDRAWN)
    lender = look(SUBJECT, invoice.lender or "")
    parties = (invoice.seller, invoice.buyer, lender.id)
    if (who := barred(look, *parties)) is not None:
        return [*standing(who, receives=False), *_give_back(look, invoice.reference, event.payment, WITHDRAWN)]
    return [*standing(*parties),
            RequestTransfer(token=invoice.token_reference or "", transfer=event.payment, slice_index=None,
                            to=lender.id, to_wallet=lender.wallet or "", paid_at=entry.at)]


@funding.reacts_to(TokenTransferred)
def funded(entry: Entry, event: TokenTransferred, look: Look) -> Iterable[Command]:
    if event.slice_index is not None:
        return []
    return [RecordFunded(reference=event.invoice, transfer=event.transfer, tx=event.tx)]


@funding.reacts_to(TransferRefused)
def give_back(entry: Entry, event: TransferRefused, look: Look) -> Iterable[Command]:
    return [] if event.slice_index is not None else _give_back(
        look, event.invoice, event.transfer, CHAIN_REFUSED)


def _give_back(look: Look, reference: str, payment: str, reason: str) -> list[Command]:
    invoice = look(INVOICE, reference)
    lender = look(SUBJECT, invoice.lender or "")
    refund = RequestPayment(payment=f"{payment}/refund", purpose="refund", resource=reference, payee=lender.id,
                            pence=invoice.net_advance_pence, account=lender.payout_account, narration=reference)
    return [refund, ReleaseReservation(reference=reference, payment=payment, reason=reason)]


@funding.reacts_to(InvoiceFunded)
def pay_seller(entry: Entry, event: InvoiceFunded, look: Look) -> Iterable[Command]:
    invoice = look(INVOICE, entry.resource)
    seller = look(SUBJECT, invoice.seller)
    reference = invoice.reference
    return [
        RequestPayment(payment=f"{reference}/advance", purpose="advance", resource=reference, payee=seller.id,
                       pence=event.seller_cash_pence, account=seller.payout_account, narration=reference),
        RequestPayment(payment=f"{reference}/fee", purpose="fee", resource=reference, payee=PLATFORM,
                       pence=fees.total(event.fee_lines), account=None, narration=fee_narration(reference),
                       beside=seller.id),
    ]


@funding.reacts_to(PaymentHeld)
def advance_held(entry: Entry, event: PaymentHeld, look: Look) -> Iterable[Command]:
    if event.purpose != "advance":
        return []
    return [RecordAdvanceHeld(reference=event.resource, payout=event.payment)]


@funding.reacts_to(PaymentConfirmed)
def disbursed(entry: Entry, event: PaymentConfirmed, look: Look) -> Iterable[Command]:
    if event.purpose != "advance":
        return []
    return [RecordDisbursed(reference=event.resource, payout=event.payment)]


@funding.reacts_to(PaymentReturned)
def advance_came_back(entry: Entry, event: PaymentReturned, look: Look) -> Iterable[Command]:
    """After it had arrived; the invoice waits already for one that never did."""
    if event.purpose != "advance" or event.was != "CONFIRMED":
        return []
    return [RecordAdvanceReturned(reference=event.resource, payout=event.payment)]
