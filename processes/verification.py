"""Verification: a submitted invoice is examined, graded, and its customer is asked to confirm it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import timedelta

from domain.base import Command
from domain.invoice import (
    INVOICE,
    PASSING,
    BuyerNotified,
    Check,
    ExpireInvoice,
    Invoice,
    InvoiceSubmitted,
    InvoiceVerified,
    RecordBuyerNotified,
    RecordExamination,
    RiskScored,
    ScoreRisk,
    StartVerification,
    VerificationStarted,
)
from domain.invoice.setbacks import (
    BuyerMailboxCorrected,
    BuyerUnreachable,
    RecordBuyerUnreachable,
    RiskRefused,
    RiskReleased,
)
from domain.notice import NoticeFailed, NoticeSent
from domain.platform import FINGERPRINT, ClaimFingerprint, ReleaseFingerprint
from domain.subject import SUBJECT
from eventstore.entry import Entry
from processes.notices import CONFIRM_REQUEST, confirmation_request
from processes.outside import Outside
from processes.process import Look, NotYet, Process
from providers.documents import InvoiceFields
from providers.errors import Final

verification = Process("verification")


@verification.reacts_to(InvoiceSubmitted)
def start(entry: Entry, event: InvoiceSubmitted, look: Look) -> Iterable[Command]:
    return [StartVerification(reference=event.reference)]


@verification.effect(VerificationStarted, port="documents")
def examine(entry: Entry, event: VerificationStarted, outside: Outside) -> Iterable[Command]:
    """Four checks: the typed fields, the sums, a stamp where one belongs, and that nobody financed it before."""
    invoice = outside.look(INVOICE, entry.resource)
    assert invoice.due_on is not None
    fields = InvoiceFields(buyer_name=invoice.buyer_name, seller_name=invoice.seller_name,
                           seller_reference=invoice.seller_reference, face_pence=invoice.face_pence,
                           due_on=invoice.due_on)
    fingerprint = fingerprint_of(outside.link_secret, invoice)
    claimed = outside.look(FINGERPRINT, fingerprint).invoice
    try:
        found = outside.documents.examine(f"examination-{entry.position}",
                                          outside.archive.get(invoice.seller, event.document_sha256), fields)
        checks = tuple(Check(check.name, check.verdict, check.detail) for check in found.checks)
    except Final as unreadable:
        checks = (Check("the document can be read", "FAIL", unreadable.code),)
    duplicate_of = claimed if claimed not in (None, invoice.reference) else None
    record = RecordExamination(reference=invoice.reference, checks=checks, fingerprint=fingerprint,
                               duplicate_of=duplicate_of)
    passed = duplicate_of is None and all(check.verdict in PASSING for check in checks)
    return [ClaimFingerprint(fingerprint=fingerprint, invoice=invoice.reference), record] if passed else [record]


@verification.reacts_to(InvoiceVerified)
def grade(entry: Entry, event: InvoiceVerified, look: Look) -> Iterable[Command]:
    seller = look(SUBJECT, look(INVOICE, entry.resource).seller)
    return [ScoreRisk(reference=entry.resource, turnover_pence=seller.turnover_pence)]


@verification.reacts_to(RiskScored)
def ask_buyer(entry: Entry, event: RiskScored, look: Look) -> Iterable[Command]:
    """A HIGH grade is held for a person; nothing is sent."""
    if event.grade == "HIGH":
        return []
    return [confirmation_request(look(INVOICE, entry.resource))]


@verification.reacts_to(RiskReleased, BuyerMailboxCorrected)
def ask_buyer_now(entry: Entry, event: RiskReleased | BuyerMailboxCorrected, look: Look) -> Iterable[Command]:
    return [confirmation_request(look(INVOICE, entry.resource))]


@verification.reacts_to(RiskRefused)
def free_the_debt(entry: Entry, event: RiskRefused, look: Look) -> Iterable[Command]:
    return release_fingerprints(look(INVOICE, entry.resource))


@verification.reacts_to(NoticeFailed)
def buyer_cannot_be_asked(entry: Entry, event: NoticeFailed, look: Look) -> Iterable[Command]:
    """The seller gives another mailbox; without one the invoice expires."""
    if event.template != CONFIRM_REQUEST or look(INVOICE, event.resource).state == "WITHDRAWN":
        return []
    return [RecordBuyerUnreachable(reference=event.resource, notice=event.notice)]


@verification.reacts_to(NoticeSent)
def buyer_was_asked(entry: Entry, event: NoticeSent, look: Look) -> Iterable[Command]:
    if event.template != CONFIRM_REQUEST or look(INVOICE, event.resource).state == "WITHDRAWN":
        return []
    return [RecordBuyerNotified(reference=event.resource, notice=event.notice)]


@verification.effect(BuyerNotified, port="timer")
@verification.effect(BuyerUnreachable, port="timer")
def expire(entry: Entry, event: BuyerNotified | BuyerUnreachable, outside: Outside) -> Iterable[Command]:
    """Five working days without an answer: the first command to commit wins, the other is refused cleanly."""
    if outside.clock.now() <= event.confirm_by:
        raise NotYet(event.confirm_by + timedelta(seconds=1))
    invoice = outside.look(INVOICE, entry.resource)
    if invoice.state not in ("AWAITING_BUYER", "BUYER_UNREACHABLE") or invoice.confirm_by != event.confirm_by:
        return []  # answered; or asked again, with a time of its own
    return [ExpireInvoice(reference=invoice.reference), *release_fingerprints(invoice)]


def release_fingerprints(invoice: Invoice) -> list[Command]:
    """The invoice came to nothing: its debt may be brought to the platform again."""
    return [ReleaseFingerprint(fingerprint=invoice.fingerprint, invoice=invoice.reference)]


def fingerprint_of(secret: bytes, invoice: Invoice) -> str:
    """The debt itself, whoever sells it and however its number is written (decisions row 42). Keyed: amounts and
    numbers are few enough to guess from a bare hash."""
    number = "".join(filter(str.isalnum, invoice.seller_reference.upper()))
    debt = "\n".join(("debt", invoice.buyer, number, str(invoice.face_pence), str(invoice.due_on)))
    return hmac.new(secret, debt.encode(), hashlib.sha256).hexdigest()
