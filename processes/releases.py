"""Releases: an approved outcome of money in suspense, or of a payout that came back, is carried out in the append that
approves it, or refused there.

What is asked of a credit that fits is asked here too, but for what two people are there to judge: a mistyped reference,
a payer who is not the debtor.
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.account import ACCOUNT, account_key
from domain.base import Command, Conflict
from domain.bill import BILL
from domain.credit import CREDIT, ID_REUSED, NOT_DESIGNATED, NOT_OURS, RETURN_DIFFERS, Credit, VoidCredit
from domain.invoice import INVOICE
from domain.party import Personal
from domain.payment import PAYMENT, PLATFORM, Payment, ReroutePayment
from domain.release import AGAIN, RELEASE, Content, ExpireRelease, ReleaseProposed
from domain.subject import SUBJECT
from domain.token import TOKEN
from domain.trade import TRADE
from eventstore.entry import Entry
from processes.accounts import debtor_of, designated_mark
from processes.outside import Outside
from processes.process import Look, NotYet, Process
from processes.reconciliation import send_back, to_bill, to_funding, to_invoice, to_trade

releases = Process("releases")


class ReleaseImpossible(Conflict):
    """The detail says why."""

    code = "release_impossible"


@releases.effect(ReleaseProposed, port="timer")
def expire(entry: Entry, event: ReleaseProposed, outside: Outside) -> Iterable[Command]:
    if outside.clock.now() < event.expires_at:
        raise NotYet(event.expires_at)
    waiting = outside.look(RELEASE, entry.resource).state == "PROPOSED"
    return [ExpireRelease(release=entry.resource)] if waiting else []


def carry_out(outside: Outside, content: Content, order: str) -> list[Command]:
    """The commands of an outcome. Raises ReleaseImpossible where it does not fit the money as it is now."""
    if content.outcome == AGAIN:
        return _again(outside.look, content, order)
    credit = outside.look(CREDIT, content.credit)
    _say(credit.state == "SUSPENSE", f"this credit is {credit.state or 'unknown'}, not in suspense")
    _say(credit.reason != NOT_OURS or content.outcome == "void",
         "the bank booked this to an account that is not ours: nothing can be paid from it; it can only be voided")
    _say(credit.currency == "GBP" or content.outcome == "void",
         "foreign money pays nothing here: the bank sends it back, and it is voided")
    look, pence = outside.look, credit.pence
    match content.outcome:
        case "invoice":
            _check_invoice(outside, credit, content.resource)
            return to_invoice(look, content.credit, pence, content.resource, order)
        case "reservation":
            _check_reservation(outside, credit, content.resource)
            return to_funding(look, content.credit, pence, content.resource, order)
        case "trade":
            _check_trade(outside, credit, content.resource)
            return to_trade(look, content.credit, pence, content.resource, order)
        case "bill":
            bill = look(BILL, content.resource)
            _say(bill.payable and pence == bill.total_pence, "no open bill of this reference and total")
            return to_bill(look, content.credit, pence, content.resource, order)
        case "return":
            account = credit.payer_account
            if account is None:
                raise ReleaseImpossible("the bank did not say which account this money came from")
            return send_back(content.credit, pence, account, content.subject, order)
        case _:
            _say(credit.reason in (NOT_OURS, ID_REUSED) or credit.currency != "GBP",
                 "this money is in our accounts: it pays what it is for, or goes back")
            return [VoidCredit(credit=content.credit, order=order)]


def _again(look: Look, content: Content, order: str) -> list[Command]:
    """The payments' gate asks, as for every payment, whether the payee may receive now."""
    payment = look(PAYMENT, content.resource)
    _say(payment.state == "RETURNED" and payment.attempt == content.attempt,
         f"this payout is {payment.state}: only what the bank has returned is sent again")
    account = _present_account(look, payment)
    _say(account is not None or payment.payee == PLATFORM, "the payee has no account to be paid out to now")
    return [ReroutePayment(payment=payment.id, attempt=payment.attempt, account=account, order=order)]


def _present_account(look: Look, payment: Payment) -> Personal | None:
    """A payee may have named another since. What goes back to a payer goes where it came from, and nowhere else."""
    if payment.purpose in ("return", "fee"):
        return payment.account
    return look(SUBJECT, payment.payee).payout_account


def _check_invoice(outside: Outside, credit: Credit, reference: str) -> None:
    _say(credit.reason != NOT_DESIGNATED, "a lender's or investor's money from another account can only go back")
    invoice = outside.look(INVOICE, reference)
    _say(invoice.state != "NEW", "there is no such invoice")
    _say(invoice.shareable, f"the invoice is {invoice.state}: it takes no payment of its debtor now")
    _say(credit.pence == invoice.face_pence, "the credit is not the invoice's face value, to the penny")
    _say(outside.look(TOKEN, invoice.token_reference or "").state == "HELD",
         "a slice of this receivable is moving: approve it again in a minute")


def _check_reservation(outside: Outside, credit: Credit, reference: str) -> None:
    invoice = outside.look(INVOICE, reference)
    _say(invoice.state == "RESERVED", "nobody has this receivable reserved now")
    _say(credit.pence == invoice.net_advance_pence, "the credit is not the net advance, to the penny")
    _from_designated(outside, credit, invoice.lender or "")


def _check_trade(outside: Outside, credit: Credit, trade_id: str) -> None:
    trade = outside.look(TRADE, trade_id)
    _say(trade.state == "RESERVED", "this trade does not wait for money")
    _say(credit.pence == trade.total_pence, "the credit is not the trade's total, to the penny")
    _from_designated(outside, credit, trade.investor)


def _from_designated(outside: Outside, credit: Credit, subject: str) -> None:
    _say(credit.payer != "" and credit.payer == designated_mark(outside, subject),
         "the money did not come from the payer's designated account: it can only go back")


def payee(outside: Outside, credit: Credit) -> str:
    """Whose standing counts: whoever the account stands for, else the debtor of the invoice named, else nobody's; of a
    payout that came back, its payee's."""
    assert credit.received is not None
    if credit.reason == RETURN_DIFFERS:
        return outside.look(PAYMENT, credit.suggestion or "").owner
    received = credit.received
    account = outside.look(ACCOUNT, account_key(received.sort_code, received.account_number))
    return account.payer or (debtor_of(outside, received.reference) if received.reference else credit.id)


def _say(fits: bool, why: str) -> None:
    if not fits:
        raise ReleaseImpossible(why)
