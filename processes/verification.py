"""Verification: a submitted invoice is examined, graded, and its customer is asked to confirm it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import timedelta

import msgspec

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
from domain.likeness import LIKENESS, ClaimLikeness, ReleaseLikeness
from domain.notice import NoticeFailed, NoticeSent
from domain.platform import FINGERPRINT, ClaimFingerprint, ReleaseFingerprint
from domain.reference import reference_key
from domain.subject import SUBJECT
from eventstore.entry import Entry
from processes.notices import CONFIRM_REQUEST, confirmation_request
from processes.outside import Outside
from processes.process import Look, NotYet, Process
from providers.documents import UNREADABLE, InvoiceFields
from providers.errors import Final

verification = Process("verification")


@verification.reacts_to(InvoiceSubmitted)
def start(entry: Entry, event: InvoiceSubmitted, look: Look) -> Iterable[Command]:
    return [StartVerification(reference=event.reference)]


@verification.effect(VerificationStarted, port="documents")
def examine(entry: Entry, event: VerificationStarted, outside: Outside) -> Iterable[Command]:
    """The typed fields, the kind and currency, the sums, a stamp where one belongs, and that nobody financed it before.

    What passes claims its registry keys in the same append: of two submissions that race, one is examined again and
    finds the other's.
    """
    invoice = outside.look(INVOICE, entry.resource)
    assert invoice.due_on is not None
    fields = InvoiceFields(buyer_name=invoice.buyer_name, seller_name=invoice.seller_name,
                           seller_reference=invoice.seller_reference, face_pence=invoice.face_pence,
                           due_on=invoice.due_on)
    try:
        found = outside.documents.examine(f"examination-{entry.position}",
                                          outside.archive.get(invoice.seller, event.document_sha256), fields)
        checks = tuple(Check(check.name, check.verdict, check.detail) for check in found.checks)
    except Final as unreadable:
        found = None
        checks = (Check("the document can be read", "FAIL", UNREADABLE.get(unreadable.code, unreadable.code)),)
    keys = registry_keys(outside.link_secret, invoice)
    duplicate_of, by = _duplicate(outside, invoice, keys, found.likeness if found else None)
    record = RecordExamination(reference=invoice.reference, checks=checks, fingerprints=(keys.debt, keys.document),
                               likeness_registry=keys.likeness, duplicate_of=duplicate_of, duplicate_by=by)
    if found is None or duplicate_of is not None or any(check.verdict not in PASSING for check in checks):
        return [record]
    return [ClaimFingerprint(fingerprint=keys.debt, invoice=invoice.reference),
            ClaimFingerprint(fingerprint=keys.document, invoice=invoice.reference),
            ClaimLikeness(registry=keys.likeness, invoice=invoice.reference, likeness=found.likeness,
                          due_on=invoice.due_on), record]


@verification.reacts_to(InvoiceVerified)
def grade(entry: Entry, event: InvoiceVerified, look: Look) -> Iterable[Command]:
    seller = look(SUBJECT, look(INVOICE, entry.resource).seller)
    return [ScoreRisk(reference=entry.resource, turnover_pence=seller.accepted.turnover_pence)]


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


# ---------------------------------------------------------------- duplicates


class RegistryKeys(msgspec.Struct, frozen=True):
    """`debt`: whoever sells it and however its number is written (decisions row 42). `document`: the very file.
    `likeness`: where documents of the same customer and amount are compared."""

    debt: str
    document: str
    likeness: str


def registry_keys(secret: bytes, invoice: Invoice) -> RegistryKeys:
    """Keyed: amounts and numbers are few enough to guess from a bare hash."""
    def key(*facts: object) -> str:
        return hmac.new(secret, "\n".join(map(str, facts)).encode(), hashlib.sha256).hexdigest()

    number = reference_key(invoice.seller_reference)
    return RegistryKeys(key("debt", invoice.buyer, number, invoice.face_pence, invoice.due_on),
                        key("document", invoice.document_sha256), key("likeness", invoice.buyer, invoice.face_pence))


def release_fingerprints(invoice: Invoice) -> list[Command]:
    """What goes with every end of an invoice that came to nothing: its debt and its document may be brought again."""
    fingerprints = [ReleaseFingerprint(fingerprint=each, invoice=invoice.reference) for each in invoice.fingerprints]
    if not invoice.likeness_registry:
        return [*fingerprints]
    return [*fingerprints, ReleaseLikeness(registry=invoice.likeness_registry, invoice=invoice.reference)]


def _duplicate(outside: Outside, invoice: Invoice, keys: RegistryKeys, likeness: str | None) -> tuple[str | None, str]:
    """The other invoice that holds one of these keys, and which, for the seller; the other is not theirs to know."""
    for fingerprint, by in ((keys.debt, "An invoice with this number, customer, amount and due date is here already."),
                            (keys.document, "This document stands for another invoice already.")):
        holder = outside.look(FINGERPRINT, fingerprint).invoice
        if holder not in (None, invoice.reference):
            return holder, by
    if likeness is not None and invoice.due_on is not None:
        near = outside.look(LIKENESS, keys.likeness).near(invoice.reference, likeness, invoice.due_on)
        if near is not None:
            return near, ("Nearly the same document, for the same customer and amount and due at the same time, is on "
                          "the platform already.")
    return None, ""
