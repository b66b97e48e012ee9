"""Reconciliation: an incoming credit is matched exactly, or it waits in suspense and pays nobody.

A debtor's credit that fits and cannot be shared out yet waits on its invoice, until the entry that ends the wait.
Source: `spec/decisions.md` rows 56 (the reference, but for case, spaces and hyphens, and the amount to the penny), 79
and 91 (whose account it comes from), 75 (what a lender or investor pays in vain goes back by itself).
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.account import ACCOUNT, Account, account_key
from domain.base import Command
from domain.bill import BILL, PayBill
from domain.credit import (
    CREDIT,
    NOT_DESIGNATED,
    NOT_OURS,
    THIRD_PARTY,
    CreditReceived,
    CreditResumed,
    MatchCredit,
    ResumeCredit,
    ReturnCredit,
    SuspendCredit,
    WaitCredit,
)
from domain.invoice import (
    INVOICE,
    AdvanceDisbursed,
    AdvanceHeld,
    Invoice,
    QueueCredit,
    RecordFundingCash,
    RecordObligorPaid,
    Share,
    TakeCredits,
)
from domain.party import Personal
from domain.payer import KnowPayer
from domain.payment import RequestPayment
from domain.subject import SUBJECT
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
from processes.accounts import designated_mark, pays_for_itself
from processes.outside import Outside
from processes.process import Look, Process

reconciliation = Process("reconciliation")

RETURNED = "FXRETURNED"
"""The narration of money that goes back."""


@reconciliation.effect(CreditReceived, port="reconciliation")
def match(entry: Entry, event: CreditReceived, outside: Outside) -> Iterable[Command]:
    return _match(event, outside)


@reconciliation.effect(CreditResumed, port="reconciliation")
def match_again(entry: Entry, event: CreditResumed, outside: Outside) -> Iterable[Command]:
    received = outside.look(CREDIT, event.credit).received
    assert received is not None
    return _match(received, outside)


@reconciliation.reacts_to(AdvanceDisbursed, AdvanceHeld, TokenSliced, TokenTransferred, TransferRefused, ForcedMoved,
                          ForcedMoveRefused)
def resume(entry: Entry, event: object, look: Look) -> Iterable[Command]:
    """Whatever ends a wait: the advance is paid or ring-fenced, or the slice register stands still again."""
    of_the_invoice = isinstance(event, (AdvanceDisbursed, AdvanceHeld))
    invoice = look(INVOICE, entry.resource if of_the_invoice else look(TOKEN, entry.resource).invoice)
    if not (invoice.queued and invoice.shareable and look(TOKEN, invoice.token_reference or "").state == "HELD"):
        return []
    return [TakeCredits(reference=invoice.reference, credits=invoice.queued),
            *(ResumeCredit(credit=credit) for credit in invoice.queued)]


def _match(event: CreditReceived, outside: Outside) -> list[Command]:
    if outside.look(CREDIT, event.credit).state == "SUSPENSE":
        return []  # put there as it came
    if event.currency != "GBP":
        return [SuspendCredit(credit=event.credit, reason=f"currency {event.currency}")]
    key = account_key(event.sort_code, event.account_number)
    account = outside.look(ACCOUNT, key)
    if account.purpose:
        return _expected(event, account, outside)
    if key != outside.collections:
        return [SuspendCredit(credit=event.credit, reason=NOT_OURS)]
    return _obligor(event, outside)


def _expected(event: CreditReceived, account: Account, outside: Outside) -> list[Command]:
    """Into a lender's or an investor's own virtual account: it fits, or it goes back to where it came from."""
    reason = _objection(event, account, outside)
    if reason is None:
        apply = to_funding if account.purpose == "funding" else to_trade
        return apply(outside.look, event.credit, event.pence, account.resource)
    suspended = SuspendCredit(credit=event.credit, reason=reason, suggestion=account.resource)
    if event.payer_account is None:
        return [suspended]
    return [suspended, *send_back(event.credit, event.pence, event.payer_account, account.payer)]


def _objection(event: CreditReceived, account: Account, outside: Outside) -> str | None:
    if account.purpose == "funding":
        invoice = outside.look(INVOICE, account.resource)
        open_, pence = invoice.state == "RESERVED" and invoice.payment == account.payment, invoice.net_advance_pence
    else:
        trade = outside.look(TRADE, account.resource)
        open_, pence = trade.state == "RESERVED", trade.total_pence
    if event.payer == "" or event.payer != designated_mark(outside, account.payer):
        return NOT_DESIGNATED
    if not open_:
        return "reservation is over"
    return None if event.pence == pence else "amount differs"


def _obligor(event: CreditReceived, outside: Outside) -> list[Command]:
    reference = event.reference
    if reference is None:
        return [SuspendCredit(credit=event.credit, reason="no invoice reference")]
    if outside.look(BILL, reference).state != "NEW":
        return _bill(event, reference, outside)
    invoice = outside.look(INVOICE, reference)
    if invoice.state != "FUNDED" and not invoice.shareable:
        return [SuspendCredit(credit=event.credit, reason=f"invoice is {invoice.state}", suggestion=reference)]
    if event.pence != invoice.face_pence:
        return [SuspendCredit(credit=event.credit, reason="amount differs", suggestion=reference)]
    if not pays_for_itself(outside, event.said, event.payer, invoice.buyer, invoice.buyer_name):
        return [SuspendCredit(credit=event.credit, reason=THIRD_PARTY, suggestion=reference)]
    if not invoice.shareable or outside.look(TOKEN, invoice.token_reference or "").state != "HELD":
        return _wait(event, invoice)
    return to_invoice(outside.look, event.credit, event.pence, reference)


def _bill(event: CreditReceived, reference: str, outside: Outside) -> list[Command]:
    bill = outside.look(BILL, reference)
    name = outside.look(SUBJECT, bill.subject).legal_name
    if not bill.payable:
        return [SuspendCredit(credit=event.credit, reason=f"bill is {bill.state}", suggestion=reference)]
    if event.pence != bill.total_pence:
        return [SuspendCredit(credit=event.credit, reason="amount differs", suggestion=reference)]
    designated = event.payer != "" and event.payer == designated_mark(outside, bill.subject)
    if not designated and not pays_for_itself(outside, event.said, event.payer, bill.subject, name):
        return [SuspendCredit(credit=event.credit, reason=THIRD_PARTY, suggestion=reference)]
    return to_bill(outside.look, event.credit, event.pence, reference)


def _wait(event: CreditReceived, invoice: Invoice) -> list[Command]:
    """Refused, and looked at again, if the wait ended in this moment: a wait that nothing ends must not begin."""
    waits = [WaitCredit(credit=event.credit, resource=invoice.reference),
             QueueCredit(reference=invoice.reference, credit=event.credit, register_moving=invoice.shareable)]
    return [*waits, ExpectMoving(token=invoice.token_reference or "")] if invoice.shareable else waits


# ---------------------------------------------------------------- what a credit may become


def to_funding(look: Look, credit: str, pence: int, reference: str, order: str | None = None) -> list[Command]:
    """The lender's cash for its reservation."""
    return [MatchCredit(credit=credit, purpose="funding", resource=reference, order=order),
            RecordFundingCash(reference=reference, payment=look(INVOICE, reference).payment or "", credit=credit,
                              amount_pence=pence)]


def to_trade(look: Look, credit: str, pence: int, trade: str, order: str | None = None) -> list[Command]:
    """The investor's cash for its trade."""
    return [MatchCredit(credit=credit, purpose="trade", resource=trade, order=order),
            RecordTradeCash(trade=trade, credit=credit, amount_pence=pence)]


def to_invoice(look: Look, credit: str, pence: int, reference: str, order: str | None = None) -> list[Command]:
    """The debtor's cash: the register closes and is shared out; the account it came from counts as the debtor's now."""
    invoice, payer = look(INVOICE, reference), look(CREDIT, credit).payer
    token = invoice.token_reference or ""
    holdings = tuple(look(TOKEN, token).holdings().items())
    shares = tuple(Share(holder, pence) for holder, pence in holdings)
    return [MatchCredit(credit=credit, purpose="obligor", resource=reference, order=order),
            CloseRegister(token=token, holdings=holdings),
            RecordObligorPaid(reference=reference, credit=credit, amount_pence=pence, shares=shares),
            *([KnowPayer(debtor=invoice.buyer, payer=payer)] if payer else [])]


def to_bill(look: Look, credit: str, pence: int, bill: str, order: str | None = None) -> list[Command]:
    """A subject's cash for its bill."""
    return [MatchCredit(credit=credit, purpose="bill", resource=bill, order=order),
            PayBill(bill=bill, credit=credit, amount_pence=pence)]


def send_back(credit: str, pence: int, account: Personal, payee: str, order: str | None = None) -> list[Command]:
    """Back to the account it came from, through the same door as every payment; `payee` is whose standing counts."""
    payment = f"{credit}/return"
    return [ReturnCredit(credit=credit, payment=payment, order=order),
            RequestPayment(payment=payment, purpose="return", resource=credit, payee=payee, pence=pence,
                           account=account, narration=RETURNED)]
