"""Notices: who is told what, and when. The texts hold what their reader may know and nothing else (seeds 000 §5)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime, time, timedelta

from domain.base import Command
from domain.calendar import at_london
from domain.invoice import (
    INVOICE,
    AdvanceDisbursed,
    Invoice,
    InvoiceListed,
    InvoiceSettled,
    RecordReminder,
)
from domain.invoice.setbacks import BuyerUnreachable
from domain.money import pounds
from domain.notice import NOTICE, NoticeRequested, RecordNoticeFailed, RecordNoticeSent, RequestNotice
from domain.payment import PaymentConfirmed
from domain.platform import RaiseAlarm
from domain.subject import SUBJECT, CodeRequested, Subject, SubjectActivated
from eventstore.entry import Entry
from processes.mails import named_by, render
from processes.outside import Outside
from processes.process import Look, NotYet, Process
from providers.errors import Final

notices = Process("notices")

CONFIRM_REQUEST = "confirm_request"


def confirmation_request(invoice: Invoice) -> RequestNotice:
    """C1. The link in the mail is made when it is sent; it never stands in the log."""
    assert invoice.buyer_email is not None
    again = f"/{invoice.mailbox_corrections + 1}" if invoice.mailbox_corrections else ""
    return RequestNotice(notice=f"{invoice.reference}/C1{again}", template=CONFIRM_REQUEST, recipient=invoice.buyer,
                         address=invoice.buyer_email, resource=invoice.reference, facts=_facts(invoice))


def confirmation_token(secret: bytes, reference: str, buyer: str) -> str:
    """256 bits that open one invoice for one buyer; checked by recomputing, stored nowhere."""
    return hmac.new(secret, f"confirm\n{reference}\n{buyer}".encode(), hashlib.sha256).hexdigest()


def mailbox_code(secret: bytes, subject: str, number: int) -> str:
    """The letters of a subject's code, 40 bits of them; checked by recomputing, stored nowhere."""
    digest = hmac.new(secret, f"mailbox code\n{subject}\n{number}".encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:5]).decode()


@notices.reacts_to(CodeRequested)
def mail_code(entry: Entry, event: CodeRequested, look: Look) -> Iterable[Command]:
    """The code is made when the mail is; the log holds its number."""
    subject = look(SUBJECT, entry.resource)
    assert subject.email is not None
    return [RequestNotice(notice=f"{subject.id}/code/{event.number}", template="mailbox_code", recipient=subject.id,
                          address=subject.email, resource=subject.id, facts={"number": str(event.number)})]


@notices.reacts_to(InvoiceListed)
def tell_seller_listed(entry: Entry, event: InvoiceListed, look: Look) -> Iterable[Command]:
    invoice = look(INVOICE, entry.resource)
    known = f"{invoice.reference}/S4"
    return [_notice(known, "buyer_confirmed", look(SUBJECT, invoice.seller), invoice)] if not invoice.payment else []


@notices.reacts_to(AdvanceDisbursed)
def tell_cash_landed(entry: Entry, event: AdvanceDisbursed, look: Look) -> Iterable[Command]:
    invoice = look(INVOICE, entry.resource)
    return _first(look, _notice(f"{invoice.reference}/S6", "cash_landed", look(SUBJECT, invoice.seller), invoice,
                                cash=pounds(invoice.seller_cash_pence)),
                  _notice(f"{invoice.reference}/F4", "seller_credited", look(SUBJECT, invoice.lender or ""), invoice))


def _first(look: Look, *asked: RequestNotice) -> list[Command]:
    """Money that came back and arrives again is told of once."""
    return [each for each in asked if look(NOTICE, each.notice).state == "NEW"]


@notices.reacts_to(InvoiceSettled)
def tell_settled(entry: Entry, event: InvoiceSettled, look: Look) -> Iterable[Command]:
    """Seller and debtor are told of the whole; each holder of its own share, whoever holds the rest."""
    invoice = look(INVOICE, entry.resource)
    known = f"{invoice.reference}/settled"
    whole = [_notice(f"{known}/{who}", "settled", look(SUBJECT, who), invoice)
             for who in (invoice.seller, invoice.buyer)]
    shares = [_notice(f"{known}/{holder}", "share_paid", look(SUBJECT, holder), invoice, share=pounds(pence))
              for holder, pence, _ in invoice.payouts.values()]
    return [*whole, *shares]


@notices.reacts_to(BuyerUnreachable)
def tell_unreachable(entry: Entry, event: BuyerUnreachable, look: Look) -> Iterable[Command]:
    invoice = look(INVOICE, entry.resource)
    return [_notice(f"{event.notice}/failed", "buyer_unreachable", look(SUBJECT, invoice.seller), invoice)]


@notices.reacts_to(SubjectActivated)
def welcome(entry: Entry, event: SubjectActivated, look: Look) -> Iterable[Command]:
    if event.refreshed:
        return []
    subject = look(SUBJECT, entry.resource)
    assert subject.email is not None
    return [RequestNotice(notice=f"{subject.id}/welcome", template="welcome", recipient=subject.id,
                          address=subject.email, resource=subject.id, facts={"name": subject.legal_name})]


@notices.reacts_to(PaymentConfirmed)
def tell_returned(entry: Entry, event: PaymentConfirmed, look: Look) -> Iterable[Command]:
    """Whoever paid into an account of its own in vain learns that the money went back."""
    payee = look(SUBJECT, event.payee)
    if event.purpose != "return" or payee.email is None:
        return []
    return _first(look, RequestNotice(notice=event.payment, template="money_returned", recipient=payee.id,
                                      address=payee.email, resource=event.resource,
                                      facts={"amount": pounds(event.pence)}))


# ---------------------------------------------------------------- reminders to the debtor (C4)


@notices.effect(AdvanceDisbursed, port="timer")
def remind_week_before(entry: Entry, event: AdvanceDisbursed, outside: Outside) -> Iterable[Command]:
    invoice = outside.look(INVOICE, entry.resource)
    assert invoice.due_on is not None
    return _remind(invoice, "7 days before", at_london(invoice.due_on - timedelta(days=7), time(9, 0)), outside)


@notices.effect(AdvanceDisbursed, port="timer")
def remind_due_day(entry: Entry, event: AdvanceDisbursed, outside: Outside) -> Iterable[Command]:
    invoice = outside.look(INVOICE, entry.resource)
    assert invoice.due_on is not None
    return _remind(invoice, "due day", at_london(invoice.due_on, time(8, 0)), outside)


def _remind(invoice: Invoice, which: str, due: datetime, outside: Outside) -> list[Command]:
    if outside.clock.now() < due:
        raise NotYet(due)
    if invoice.state != "DISBURSED" or which in invoice.reminders:
        return []
    assert invoice.buyer_email is not None
    notice = RequestNotice(notice=f"{invoice.reference}/C4/{which}", template="payment_reminder",
                           recipient=invoice.buyer, address=invoice.buyer_email, resource=invoice.reference,
                           facts={**_facts(invoice), "which": which})
    return [notice, RecordReminder(reference=invoice.reference, reminder=which)]


# ---------------------------------------------------------------- sending


@notices.effect(NoticeRequested, port="email")
def send(entry: Entry, event: NoticeRequested, outside: Outside) -> Iterable[Command]:
    facts = dict(event.facts)
    if event.template == CONFIRM_REQUEST:
        token = confirmation_token(outside.link_secret, event.resource, event.recipient)
        facts["link"] = f"{outside.public_url}/v1/confirmations/{event.resource}#token={token}"
    if event.template == "mailbox_code":
        code = mailbox_code(outside.link_secret, event.recipient, int(facts["number"]))
        facts |= {"account": event.recipient, "code": f"{code[:4]}-{code[4:]}"}
    subject, text = render(event.template, facts)
    key = mail_key(outside.link_secret, entry.position)
    try:
        outside.email.send(key, outside.vault.reveal(event.address), subject, text)
    except Final as refused:
        # `reason` says nothing of the address: a person sees which notice it was, and whoever may mend it is asked
        return [RecordNoticeFailed(notice=event.notice, reason=refused.code),
                RaiseAlarm(alarm=f"notice:{event.notice}", source="notices", code="mail_refused",
                           detail=f"{event.template} about {event.resource}: {refused.code}")]
    return [RecordNoticeSent(notice=event.notice)]


def mail_key(secret: bytes, position: int) -> str:
    """What a mail is sent under, twice or not; its Message-ID follows from it. Keyed: a reader could try positions."""
    return hmac.new(secret, b"mail\n%d" % position, hashlib.sha256).hexdigest()[:40]


def _notice(notice: str, template: str, to: Subject, invoice: Invoice, **more: str) -> RequestNotice:
    """Only the facts that the template names go along: who may not read one must not have it in the notice either."""
    assert to.email is not None
    facts = {**_facts(invoice), **more}
    return RequestNotice(notice=notice, template=template, recipient=to.id, address=to.email,
                         resource=invoice.reference, facts={name: facts[name] for name in named_by(template)})


def _facts(invoice: Invoice) -> dict[str, str]:
    return {"reference": invoice.reference, "seller": invoice.seller_name, "buyer": invoice.buyer_name,
            "amount": pounds(invoice.face_pence), "due": f"{invoice.due_on:%d %B %Y}" if invoice.due_on else "",
            "seller_reference": invoice.seller_reference}
