"""Submission: the seller hands an invoice in; it is examined, checked against duplicates and graded (S1, S2)."""

from __future__ import annotations

import re
from datetime import date

import msgspec

from domain import fees, money, pricing, risk
from domain.base import Conflict, Context, Event, Forbidden, Invalid, require
from domain.calendar import london_date
from domain.forms import Sha256, Words, expect_form
from domain.invoice.state import Invoice, InvoiceCommand, expect
from domain.party import BUYER, FROZEN, PAUSED, SELLER, Party, Personal, same_company

FACE_MIN_PENCE = 50_000
FACE_MAX_PENCE = 25_000_000
"""£500 < face <= £250,000: the sandbox's hard band (decisions row 4)."""

TENOR_MIN_DAYS, TENOR_MAX_DAYS = 7, 120
TURNOVER_SHARE = 4
PERSONAL_MAILBOXES = frozenset(
    {"gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "hotmail.co.uk", "live.com", "yahoo.com",
     "yahoo.co.uk", "icloud.com", "aol.com", "proton.me", "protonmail.com"})


# ---------------------------------------------------------------- commands


class SubmitInvoice(InvoiceCommand, frozen=True, kw_only=True):
    seller: Party
    buyer: Party
    buyer_email: Personal
    buyer_email_domain: str
    seller_reference: str
    face_pence: int
    due_on: date
    document_sha256: str
    least_cash_pence: int | None = None
    """What the seller takes at the least; None: what the pricing policy's usual margin leaves."""


class StartVerification(InvoiceCommand, frozen=True, kw_only=True):
    pass


class Check(msgspec.Struct, frozen=True):
    """One authenticity check: PASS, FAIL or ABSENT_NOT_REQUIRED."""

    name: str
    verdict: str
    detail: str = ""


class RecordExamination(InvoiceCommand, frozen=True, kw_only=True):
    """The registry keys of the debt and of its document; `duplicate_of` another invoice that holds one of them, and
    `duplicate_by` which, in words for the seller."""

    checks: tuple[Check, ...]
    fingerprints: tuple[str, ...]
    likeness_registry: str = ""
    duplicate_of: str | None = None
    duplicate_by: str = ""


class ScoreRisk(InvoiceCommand, frozen=True, kw_only=True):
    turnover_pence: int


# ---------------------------------------------------------------- events


class InvoiceSubmitted(Event, frozen=True, kw_only=True):
    tag = "invoice.submitted.1"
    action = "SUBMIT_INVOICE"
    reference: str
    seller: str
    seller_name: str
    buyer: str
    buyer_name: str
    buyer_email: Personal
    seller_reference: str
    face_pence: int
    currency: str
    submitted_on: date
    due_on: date
    tenor_days: int
    document_sha256: str
    estimated_cash_pence: int
    """What the seller was shown: its cash at the indicative price of that day."""

    least_cash_pence: int


class VerificationStarted(Event, frozen=True, kw_only=True):
    tag = "invoice.verification_started.1"
    action = "VERIFYING"
    document_sha256: str


class InvoiceVerified(Event, frozen=True, kw_only=True):
    tag = "invoice.verified.1"
    action = "INVOICE_VERIFIED"
    checks: tuple[Check, ...]
    fingerprints: tuple[str, ...]
    likeness_registry: str


class InvoiceRejected(Event, frozen=True, kw_only=True):
    tag = "invoice.rejected.1"
    action = "INVOICE_REJECTED"
    reason: str
    checks: tuple[Check, ...]
    duplicate_of: str | None


class RiskScored(Event, frozen=True, kw_only=True):
    tag = "invoice.risk_scored.1"
    action = "INVOICE_RISK_SCORED"
    grade: str
    reasons: tuple[str, ...]
    rules_version: str


# ---------------------------------------------------------------- refusals


class SellerNotActive(Conflict):
    code = "seller_not_active"


class NotASeller(Forbidden):
    code = "not_a_seller"


class FaceOutOfBand(Invalid):
    code = "face_out_of_band"


class TenorOutOfBand(Invalid):
    code = "tenor_out_of_band"


class SelfDealing(Invalid):
    code = "buyer_is_seller"


class PersonalMailbox(Invalid):
    code = "personal_mailbox"


class BuyerUnknown(Invalid):
    """Absent, unfinished, frozen or closed: a seller is not told which (tipping-off)."""

    code = "buyer_unknown"


class BuyerMailboxUnknown(Invalid):
    code = "buyer_mailbox_unknown"


class UnfitReference(Invalid):
    code = "seller_reference_unfit"


class TooConcentrated(Invalid):
    code = "face_above_turnover_share"


class LeastCashOutOfBand(Invalid):
    code = "least_cash_out_of_band"


class ReferenceTaken(Conflict):
    code = "reference_taken"


# ---------------------------------------------------------------- decisions


def submit(invoice: Invoice, command: SubmitInvoice, context: Context) -> list[Event]:
    require(invoice.state == "NEW", ReferenceTaken("this reference is already used"))
    expect_form(Words, command.seller_reference, "/seller_reference")
    expect_form(Sha256, command.document_sha256, "/document_sha256")
    seller, buyer = command.seller, command.buyer
    _check_parties(seller, buyer)
    check_mailbox(command.buyer_email_domain, buyer)
    _check_reference(command.seller_reference)
    require(FACE_MIN_PENCE < command.face_pence <= FACE_MAX_PENCE,
            FaceOutOfBand(f"face value must be above {money.pounds(FACE_MIN_PENCE)} and at most "
                          f"{money.pounds(FACE_MAX_PENCE)}", pointer="/face_value_pence"))
    require(command.face_pence * TURNOVER_SHARE < seller.turnover_pence,
            TooConcentrated("face value must be below 25 % of the declared turnover", pointer="/face_value_pence"))
    today = london_date(context.now)
    tenor = (command.due_on - today).days
    require(TENOR_MIN_DAYS <= tenor <= TENOR_MAX_DAYS,
            TenorOutOfBand(f"the due date must be {TENOR_MIN_DAYS} to {TENOR_MAX_DAYS} days away",
                           pointer="/due_date"))
    grade, _ = risk.invoice_grade(command.face_pence, seller.turnover_pence, tenor)
    indicative = pricing.indicative_bps(grade, tenor)
    estimate, least = pricing.cash_at(command.face_pence, indicative), _least_cash(command, indicative)
    return [InvoiceSubmitted(
        reference=command.reference, seller=seller.id, seller_name=seller.name, buyer=buyer.id,
        buyer_name=buyer.name, buyer_email=command.buyer_email, seller_reference=command.seller_reference,
        face_pence=command.face_pence, currency="GBP", submitted_on=today, due_on=command.due_on, tenor_days=tenor,
        document_sha256=command.document_sha256, estimated_cash_pence=estimate, least_cash_pence=least)]


def _least_cash(command: SubmitInvoice, indicative_bps: int) -> int:
    """As the seller said, between a penny and all that the fees leave; else the usual (decisions row 105)."""
    if command.least_cash_pence is None:
        return pricing.usual_least_cash(command.face_pence, indicative_bps)
    most = command.face_pence - fees.total(fees.platform_fee(command.face_pence))
    require(0 < command.least_cash_pence <= most,
            LeastCashOutOfBand(f"the least cash is above nothing and at most {money.pounds(most)}, which is the face "
                               "value less the platform's fees", pointer="/least_cash_pence"))
    return command.least_cash_pence


def _check_parties(seller: Party, buyer: Party) -> None:
    require(seller.role == SELLER, NotASeller("only a seller submits invoices"))
    require(seller.state != FROZEN, SellerNotActive(PAUSED))
    require(seller.may_act, SellerNotActive("finish onboarding before submitting"))
    require_buyer(buyer)
    require(seller.id != buyer.id and not same_company(seller, buyer),
            SelfDealing("seller and buyer are the same company"))


def require_buyer(buyer: Party) -> None:
    require(buyer.role == BUYER and buyer.may_act, BuyerUnknown(
        "this company is not a buyer that can be invoiced on the platform now", pointer="/buyer_company_number"))


def check_mailbox(domain: str, buyer: Party) -> None:
    """Whoever reads this mailbox confirms the invoice: a look-alike domain would be the seller itself (row 48)."""
    require(domain.lower() not in PERSONAL_MAILBOXES,
            PersonalMailbox("use the buyer's company mailbox, not a personal one", pointer="/buyer_email"))
    require(domain.lower() == buyer.email_domain.lower() != "",
            BuyerMailboxUnknown("use an address at the buyer's own domain", pointer="/buyer_email"))


_LINK = re.compile(r"://|www[.]|@|[a-z0-9][.](?:com|co|uk|org|net|io|biz|info|eu|app)(?![a-z0-9])", re.IGNORECASE)
_SORT_CODE = re.compile(r"(?<![0-9A-Za-z-])[0-9]{2}[- ][0-9]{2}[- ][0-9]{2}(?![0-9-])")
_ACCOUNT = re.compile(r"(?<![0-9])(?!(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9](?![0-9]))[0-9]{8}(?![0-9])")
"""Eight digits that are no date."""

_IBAN = re.compile(r"(?<![A-Z0-9])[A-Z]{2}[0-9]{2} ?[A-Z]{4} ?(?:[0-9] ?){14}", re.IGNORECASE)


def _check_reference(reference: str) -> None:
    """The debtor reads this in our mail: it is a number of the seller's books, not a message and not an account."""
    payable = (_SORT_CODE.search(reference) or _IBAN.search(reference)
               or (" " in reference and _ACCOUNT.search(reference)))
    require(not _LINK.search(reference) and not payable, UnfitReference(
        "give your invoice's number alone: no link, no address, no bank account", pointer="/seller_reference"))


def start_verification(invoice: Invoice, command: StartVerification, context: Context) -> list[Event]:
    expect(invoice, "SUBMITTED")
    return [VerificationStarted(document_sha256=invoice.document_sha256)]


def examine(invoice: Invoice, command: RecordExamination, context: Context) -> list[Event]:
    expect(invoice, "VERIFYING")
    duplicate = Check("no duplicate of an invoice already on the platform",
                      "FAIL" if command.duplicate_of else "PASS", command.duplicate_by)
    checks = (*command.checks, duplicate)
    if any(check.verdict not in PASSING for check in checks):
        reason = "REJECTED_DUPLICATE" if command.duplicate_of else "REJECTED_VISION"
        return [InvoiceRejected(reason=reason, checks=checks, duplicate_of=command.duplicate_of)]
    return [InvoiceVerified(checks=checks, fingerprints=command.fingerprints,
                            likeness_registry=command.likeness_registry)]


PASSING = ("PASS", "ABSENT_NOT_REQUIRED")
"""Any other verdict rejects: an answer nobody foresaw is not a pass."""


def score(invoice: Invoice, command: ScoreRisk, context: Context) -> list[Event]:
    expect(invoice, "VERIFIED")
    grade, reasons = risk.invoice_grade(invoice.face_pence, command.turnover_pence, invoice.tenor_days)
    return [RiskScored(grade=grade, reasons=reasons, rules_version=risk.RULES_VERSION)]
