"""Billing: a listing fee becomes a charge, a month's charges a bill, a bill a mail, and its money the platform's.

Compensation: what is not paid in time is reminded of and stands among the incidents; nobody's money is held for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time, timedelta

from domain.base import Command
from domain.bill import (
    BILL,
    CHARGES,
    AddCharge,
    Bill,
    BillCharges,
    BillIssued,
    BillOverdue,
    BillPaid,
    Charge,
    ChargeAdded,
    IssueBill,
    MarkOverdue,
    bill_day,
)
from domain.calendar import at_london
from domain.money import pounds
from domain.notice import RequestNotice
from domain.payment import RequestPayment
from domain.rails import bill_reference, fee_narration
from domain.subject import SUBJECT
from domain.token import SliceListed
from eventstore.entry import Entry
from processes.outside import Outside
from processes.process import Look, NotYet, Process

billing = Process("billing")

ISSUED_AT = time(9, 0)


@billing.reacts_to(SliceListed)
def charge_listing(entry: Entry, event: SliceListed, look: Look) -> Iterable[Command]:
    if not event.listing_fee_pence:
        return []
    charge = Charge(id=f"LISTING/{entry.resource}", code="LISTING", pence=event.listing_fee_pence,
                    resource=event.invoice, charged_at=entry.at)
    return [AddCharge(subject=event.holder, charge=charge)]


@billing.effect(ChargeAdded, port="timer")
def issue(entry: Entry, event: ChargeAdded, outside: Outside) -> Iterable[Command]:
    """The first charge of a month whose time comes takes the others of that month along."""
    day = bill_day(event.charge.charged_at)
    if outside.clock.now() < at_london(day, ISSUED_AT):
        raise NotYet(at_london(day, ISSUED_AT))
    charges = outside.look(CHARGES, event.subject)
    if event.charge not in charges.open:
        return []
    lines, bill = charges.until(day.replace(day=1)), bill_reference(event.subject, f"{day:%Y-%m}")
    return [BillCharges(subject=event.subject, bill=bill, lines=lines),
            IssueBill(bill=bill, subject=event.subject, lines=lines)]


@billing.effect(BillIssued, port="timer")
def watch(entry: Entry, event: BillIssued, outside: Outside) -> Iterable[Command]:
    over = at_london(event.due_on + timedelta(days=1), ISSUED_AT)
    if outside.clock.now() < over:
        raise NotYet(over)
    return [MarkOverdue(bill=event.bill)] if outside.look(BILL, event.bill).state == "ISSUED" else []


@billing.reacts_to(BillIssued)
def tell_issued(entry: Entry, event: BillIssued, look: Look) -> Iterable[Command]:
    return _mail(look, look(BILL, event.bill), "bill_issued")


@billing.reacts_to(BillOverdue)
def remind(entry: Entry, event: BillOverdue, look: Look) -> Iterable[Command]:
    return _mail(look, look(BILL, event.bill), "bill_overdue")


@billing.reacts_to(BillPaid)
def sweep(entry: Entry, event: BillPaid, look: Look) -> Iterable[Command]:
    return [RequestPayment(payment=f"{event.bill}/fee", purpose="fee", resource=event.bill, payee="platform",
                           pence=event.total_pence, account=None, narration=fee_narration(event.bill))]


def _mail(look: Look, bill: Bill, template: str) -> list[Command]:
    subject = look(SUBJECT, bill.subject)
    if subject.email is None:
        return []
    facts = {"reference": bill.reference, "amount": pounds(bill.total_pence), "due": f"{bill.due_on:%d %B %Y}"}
    return [RequestNotice(notice=f"{bill.reference}/{template}", template=template, recipient=subject.id,
                          address=subject.email, resource=bill.reference, facts=facts)]
