"""Histories to advise on, told in the domain's own events."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from ai.decision import Decision
from ai.features import Entry
from ai.schema import INDEX, MISSING, NAMES
from domain import fees, invoice, subject
from domain.base import Event
from domain.party import Personal
from domain.subject import VerdictProposed

MORNING = datetime(2026, 5, 22, 9, 48, tzinfo=UTC)
INCORPORATED = date(2010, 11, 25)
SEALED = Personal("seller-1", "c2VhbGVk")


def log(*events: Event, start: datetime = MORNING, first: int = 1) -> list[Entry]:
    """The events one minute apart, at every other position: other streams lie between them."""
    return [(first + 2 * step, start + timedelta(minutes=step), event) for step, event in enumerate(events)]


def created() -> Event:
    return subject.SubjectCreated(
        subject="seller-1", role="sme_seller", legal_name="Coppergate Joinery Limited",
        company_number="07452983", representative=SEALED, email=SEALED, email_domain="coppergate.co.uk")


def submitted(turnover_pence: int = 320_000_000, *, refresh: bool = False) -> Event:
    return subject.OnboardingSubmitted(
        file_number="file-1", refresh=refresh, legal_name=None, company_number=None, bank_account=SEALED,
        turnover_pence=turnover_pence,
        firm_reference=None, mifid_category=None, appetite=None)


def identified(incorporated_on: date | None = INCORPORATED, sic_codes: tuple[str, ...] = ("43320",)) -> Event:
    return subject.KycPassed(evidence=(), incorporated_on=incorporated_on, sic_codes=sic_codes,
                             registered_office="")


def referred(incorporated_on: date | None = INCORPORATED, sic_codes: tuple[str, ...] = ("43320",)) -> Event:
    return subject.KycReferred(
        evidence=(), reasons=("name differs",), incorporated_on=incorporated_on, sic_codes=sic_codes,
                             registered_office="")


def screened() -> Event:
    return subject.ScreeningPassed(lists=("UKSL",), evidence=())


def hit() -> Event:
    return subject.ScreeningHit(lists=("UKSL",), evidence=(), reason="possible screening match")


def graded(grade: str = "LOW") -> Event:
    return subject.RiskScored(grade=grade, reasons=(), rules_version="2026-05-01")


def review() -> Event:
    return subject.ReviewOpened(file_number="file-1", reasons=("mandatory seller review",))


def activated(refresh_due_at: datetime) -> Event:
    return subject.SubjectActivated(refreshed=False, refresh_due_at=refresh_due_at)


def invoice_submitted() -> Event:
    return invoice.InvoiceSubmitted(
        reference="FX-INV-23A4F", seller="seller-1", seller_name="Coppergate Joinery Limited",
        buyer="buyer-1", buyer_name="Northwind Retail plc", buyer_email=SEALED, seller_reference="CJ-1",
        face_pence=1_000_000, currency="GBP", submitted_on=date(2026, 5, 22), due_on=date(2026, 7, 21),
        tenor_days=60, document_sha256="0" * 64, estimated_cash_pence=966_000, least_cash_pence=956_000)


def invoice_rejected() -> Event:
    return invoice.InvoiceRejected(reason="REJECTED_VISION", checks=(), duplicate_of=None)


def invoice_settled() -> Event:
    fee = fees.platform_fee(1_000_000)[0]
    return invoice.InvoiceSettled(burn_tx="0x00", earned_fee=fee)


def coppergate() -> list[Entry]:
    """The first file of an old joinery, up to the review every seller has."""
    return log(created(), submitted(), identified(), screened(), graded(), review())


def row(**values: int) -> tuple[int, ...]:
    """Coppergate's row, with some signals set otherwise."""
    usual = {
        "company_age_days": 5657, "identity_referred": 0, "screening_hit": 0, "higher_risk_sic": 0,
        "turnover_pence": 320_000_000, "onboarding_files": 1, "refresh_overdue_days": MISSING,
        "invoices_submitted": 0, "invoices_rejected": 0, "invoices_settled": 0, "rule_grade": 0,
    }
    assert not values.keys() - INDEX.keys()
    return tuple((usual | values)[name] for name in NAMES)


def as_event(decision: Decision) -> VerdictProposed:
    """What the subject records of the advice."""
    advice = decision.as_advice("seller-1")
    return VerdictProposed(
        file_number="file-1", surface=advice.surface, verdict=advice.verdict, grade=advice.grade,
        score=advice.score, confidence_ppm=advice.confidence_ppm, model_version=advice.model_version,
        policy_version=advice.policy_version, dataset_signature=advice.dataset_signature, row=advice.row,
        cut_off_position=advice.cut_off_position, record_sha256=advice.record_sha256)
