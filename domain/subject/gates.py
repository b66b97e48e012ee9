"""Gates 1, 2 and the firm register: asked by us, answered by a provider, never passed by silence (seeds 000 §3)."""

from __future__ import annotations

from datetime import date

from domain.base import Context, Event, Invalid, require
from domain.party import LENDER, Personal
from domain.subject import wallet
from domain.subject.state import Evidence, GateOutOfOrder, Subject, SubjectCommand, expect

# ---------------------------------------------------------------- commands


class StartGate(SubjectCommand, frozen=True, kw_only=True):
    """Ask the outside for one gate's answer: `identity`, `screening`, `fca` or `wallet`."""

    gate: str
    wallet: str | None = None


class RecordIdentity(SubjectCommand, frozen=True, kw_only=True):
    verdict: str
    evidence: tuple[Evidence, ...]
    incorporated_on: date | None = None
    sic_codes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class RecordScreening(SubjectCommand, frozen=True, kw_only=True):
    clear: bool
    lists: tuple[str, ...]
    evidence: tuple[Evidence, ...]


class RecordFirm(SubjectCommand, frozen=True, kw_only=True):
    authorised: bool
    evidence: tuple[Evidence, ...]


# ---------------------------------------------------------------- events


class IdentityRequested(Event, frozen=True, kw_only=True):
    tag = "subject.identity_requested.1"
    action = "KYC_REQUESTED"
    legal_name: str
    company_number: str | None


class KycPassed(Event, frozen=True, kw_only=True):
    tag = "subject.kyc_passed.1"
    action = "KYC_PASSED"
    evidence: tuple[Evidence, ...]
    incorporated_on: date | None
    sic_codes: tuple[str, ...]


class KycReferred(Event, frozen=True, kw_only=True):
    """Sumsub YELLOW, or a register or payee answer that does not match: screening goes on, then the MLRO decides."""

    tag = "subject.kyc_referred.1"
    action = "KYC_REVIEW"
    evidence: tuple[Evidence, ...]
    reasons: tuple[str, ...]
    incorporated_on: date | None
    sic_codes: tuple[str, ...]


class KycFailed(Event, frozen=True, kw_only=True):
    tag = "subject.kyc_failed.1"
    action = "KYC_FAILED"
    evidence: tuple[Evidence, ...]


class ScreeningRequested(Event, frozen=True, kw_only=True):
    tag = "subject.screening_requested.1"
    action = "SCREENING_REQUESTED"
    legal_name: str
    representative: Personal


class ScreeningPassed(Event, frozen=True, kw_only=True):
    tag = "subject.screening_passed.1"
    action = "SCREENING_PASSED"
    lists: tuple[str, ...]
    evidence: tuple[Evidence, ...]


class ScreeningHit(Event, frozen=True, kw_only=True):
    """A possible match. What matched stays with the provider's payload, not in the log."""

    tag = "subject.screening_hit.1"
    action = "SCREENING_HIT"
    lists: tuple[str, ...]
    evidence: tuple[Evidence, ...]


class FirmCheckRequested(Event, frozen=True, kw_only=True):
    tag = "subject.fca_requested.1"
    action = "FCA_REQUESTED"
    firm_reference: str


class FirmVerified(Event, frozen=True, kw_only=True):
    tag = "subject.fca_verified.1"
    action = "FCA_VERIFIED"
    evidence: tuple[Evidence, ...]


class FirmNotAuthorised(Event, frozen=True, kw_only=True):
    tag = "subject.fca_failed.1"
    action = "FCA_FAILED"
    evidence: tuple[Evidence, ...]


# ---------------------------------------------------------------- decisions


def start(subject: Subject, command: StartGate, context: Context) -> list[Event]:
    match command.gate:
        case "identity":
            expect(subject, "ONBOARDING_SUBMITTED")
            return [IdentityRequested(legal_name=subject.legal_name, company_number=subject.company_number)]
        case "screening":
            expect(subject, "KYC_PASSED")
            assert subject.representative is not None
            return [ScreeningRequested(legal_name=subject.legal_name, representative=subject.representative)]
        case "fca":
            require(subject.role == LENDER, GateOutOfOrder("the firm register is asked about lenders only"))
            expect(subject, "RISK_PASSED")
            return [FirmCheckRequested(firm_reference=subject.firm_reference or "")]
        case "wallet":
            return wallet.request(subject, command.wallet, context)
        case _:
            raise Invalid(f"there is no gate {command.gate!r}")


def record_identity(subject: Subject, command: RecordIdentity, context: Context) -> list[Event]:
    """GREEN passes, RED fails, everything else is for a person."""
    expect(subject, "KYC_PENDING")
    match command.verdict:
        case "GREEN":
            return [KycPassed(evidence=command.evidence, incorporated_on=command.incorporated_on,
                              sic_codes=command.sic_codes)]
        case "RED":
            return [KycFailed(evidence=command.evidence)]
        case _:
            return [KycReferred(evidence=command.evidence, reasons=command.reasons or ("identity not confirmed",),
                                incorporated_on=command.incorporated_on, sic_codes=command.sic_codes)]


def record_screening(subject: Subject, command: RecordScreening, context: Context) -> list[Event]:
    expect(subject, "SCREENING_PENDING")
    outcome = ScreeningPassed if command.clear else ScreeningHit
    return [outcome(lists=command.lists, evidence=command.evidence)]


def record_firm(subject: Subject, command: RecordFirm, context: Context) -> list[Event]:
    expect(subject, "FCA_PENDING")
    outcome = FirmVerified if command.authorised else FirmNotAuthorised
    return [outcome(evidence=command.evidence)]
