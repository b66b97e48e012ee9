"""Subject: a legal entity in one role, from sign-up through the gates to ACTIVE, and its periodic refresh.

Source: seeds 000 §3 (four gates), `spec/state-machines.md` "Subject"; sellers are always reviewed by the MLRO,
buyers pass Gates 1-2 only. A gate whose provider does not answer stays pending: nothing here passes by silence.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec

from domain import risk
from domain.base import Command, Conflict, Context, Event, Forbidden, Invalid, Kind, Refusal, require
from domain.party import BUYER, COMPLIANCE, CUSTOMER_ROLES, INVESTOR, LENDER, SELLER, STAFF_ROLES, Party, Personal

REFRESH_DAYS = {SELLER: 182, BUYER: 365, LENDER: 365, INVESTOR: 365}
"""Identity is re-run every 6 months for sellers, every 12 for everyone else (seeds 000 §3)."""

REFRESH_GRACE_DAYS = 14
CLAIM_TOPICS = ("KYC_VERIFIED", "AML_CLEARED", "JURISDICTION_UK")
MIFID_CLAIMS = {"PROFESSIONAL": "MIFID_PROFESSIONAL", "ECP": "MIFID_ECP"}


# ---------------------------------------------------------------- commands


class SubjectCommand(Command, frozen=True, kw_only=True):
    kind = "subject"
    subject: str

    @property
    def key(self) -> str:
        return self.subject


class CreateSubject(SubjectCommand, frozen=True, kw_only=True):
    role: str
    legal_name: str
    company_number: str | None
    representative: Personal
    email: Personal
    email_domain: str


class EnrolStaff(SubjectCommand, frozen=True, kw_only=True):
    role: str
    representative: Personal
    email: Personal


class SubmitOnboarding(SubjectCommand, frozen=True, kw_only=True):
    """The onboarding form (A seller, B buyer, C lender, D investor). A second one is a periodic refresh."""

    file_number: str
    bank_account: Personal | None = None
    turnover_pence: int = 0
    firm_reference: str | None = None
    mifid_category: str | None = None
    appetite: Appetite | None = None


class Appetite(msgspec.Struct, frozen=True):
    """What a lender will fund: caps in pence, days, flat basis points."""

    max_obligor_pence: int = 500_000_000
    max_originator_pence: int = 50_000_000
    tenor_min_days: int = 7
    tenor_max_days: int = 120
    discount_min_bps: int = 200
    discount_max_bps: int = 300


class StartGate(SubjectCommand, frozen=True, kw_only=True):
    """Ask the outside for one gate's answer: `identity`, `screening`, `fca` or `wallet`."""

    gate: str
    wallet: str | None = None


class Evidence(msgspec.Struct, frozen=True):
    """Where an answer came from: provider, its reference, the SHA-256 of its payload."""

    provider: str
    reference: str
    payload_sha256: str


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


class AssessRisk(SubjectCommand, frozen=True, kw_only=True):
    """Gate 3: grade the file by rule; route to the MLRO or pass."""


class RecordAdvice(SubjectCommand, frozen=True, kw_only=True):
    """What the advisory agent proposed; it decides nothing."""

    surface: str
    verdict: str
    grade: str
    score: int
    confidence_ppm: int
    model_version: str
    policy_version: str
    dataset_signature: str
    row: tuple[int, ...]
    cut_off_position: int
    record_sha256: str


class DecideReview(SubjectCommand, frozen=True, kw_only=True):
    """The MLRO's decision on the open file."""

    approve: bool
    rationale: Personal
    rationale_sha256: str


class PassGates(SubjectCommand, frozen=True, kw_only=True):
    """All gates of the role are behind: move on to the register check, classification, wallet or activation."""


class BindWallet(SubjectCommand, frozen=True, kw_only=True):
    wallet: str
    topics: tuple[str, ...]
    claims_expire_at: datetime
    tx: tuple[str, ...]


class MarkRefreshDue(SubjectCommand, frozen=True, kw_only=True):
    pass


# ---------------------------------------------------------------- events


class SubjectCreated(Event, frozen=True, kw_only=True):
    tag = "subject.created.1"
    action = "SUBJECT_CREATE"
    subject: str
    role: str
    legal_name: str
    company_number: str | None
    representative: Personal
    email: Personal
    email_domain: str


class StaffEnrolled(Event, frozen=True, kw_only=True):
    tag = "subject.staff_enrolled.1"
    action = "STAFF_ENROLLED"
    subject: str
    role: str
    representative: Personal
    email: Personal


class OnboardingSubmitted(Event, frozen=True, kw_only=True):
    tag = "subject.onboarding_submitted.1"
    action = "ONBOARDING_SUBMITTED"
    file_number: str
    refresh: bool
    bank_account: Personal | None
    turnover_pence: int
    firm_reference: str | None
    mifid_category: str | None
    appetite: Appetite | None


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


class RiskScored(Event, frozen=True, kw_only=True):
    tag = "subject.risk_scored.1"
    action = "RISK_SCORED"
    grade: str
    reasons: tuple[str, ...]
    rules_version: str


class ReviewOpened(Event, frozen=True, kw_only=True):
    tag = "subject.review_opened.1"
    action = "MLRO_REVIEW"
    file_number: str
    reasons: tuple[str, ...]


class VerdictProposed(Event, frozen=True, kw_only=True):
    tag = "subject.verdict_proposed.1"
    action = "AGENT_PROPOSE_VERDICT"
    file_number: str
    surface: str
    verdict: str
    grade: str
    score: int
    confidence_ppm: int
    model_version: str
    policy_version: str
    dataset_signature: str
    row: tuple[int, ...]
    cut_off_position: int
    record_sha256: str


class ReviewApproved(Event, frozen=True, kw_only=True):
    tag = "subject.mlro_approved.1"
    action = "MLRO_APPROVE"
    file_number: str
    rationale: Personal
    rationale_sha256: str


class ReviewDeclined(Event, frozen=True, kw_only=True):
    tag = "subject.mlro_declined.1"
    action = "MLRO_DECLINE"
    file_number: str
    rationale: Personal
    rationale_sha256: str


class RiskPassed(Event, frozen=True, kw_only=True):
    tag = "subject.risk_passed.1"
    action = "RISK_PASSED"


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


class MifidClassified(Event, frozen=True, kw_only=True):
    tag = "subject.mifid_classified.1"
    action = "MIFID_CLASSIFIED"
    category: str


class WalletRequested(Event, frozen=True, kw_only=True):
    tag = "subject.wallet_requested.1"
    action = "WALLET_REQUESTED"
    role: str
    wallet: str
    topics: tuple[str, ...]
    claims_expire_at: datetime


class WalletBound(Event, frozen=True, kw_only=True):
    tag = "subject.wallet_bound.1"
    action = "WALLET_BOUND"
    wallet: str
    topics: tuple[str, ...]
    claims_expire_at: datetime
    tx: tuple[str, ...]


class SubjectActivated(Event, frozen=True, kw_only=True):
    tag = "subject.activated.1"
    action = "SUBJECT_ACTIVE"
    refreshed: bool
    refresh_due_at: datetime


class RefreshDue(Event, frozen=True, kw_only=True):
    tag = "subject.refresh_due.1"
    action = "REFRESH_DUE"


# ---------------------------------------------------------------- refusals


class NotOnboarding(Conflict):
    code = "not_onboarding"


class GateOutOfOrder(Conflict):
    code = "gate_out_of_order"


class NoOpenReview(Conflict):
    code = "no_open_review"


class NotTheMlro(Forbidden):
    code = "not_the_mlro"


class AlreadyExists(Conflict):
    code = "subject_exists"


class RoleUnknown(Invalid):
    code = "role_unknown"


class FormIncomplete(Invalid):
    code = "form_incomplete"


class RetailRefused(Invalid):
    code = "retail_refused"


# ---------------------------------------------------------------- state


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is the customer's standing; `stage` is where the open onboarding file stands (None: no open file)."""

    id: str = ""
    role: str = ""
    state: str = "NEW"
    stage: str | None = None
    legal_name: str = ""
    company_number: str | None = None
    representative: Personal | None = None
    email: Personal | None = None
    email_domain: str = ""
    file_number: str | None = None
    bank_account: Personal | None = None
    turnover_pence: int = 0
    firm_reference: str | None = None
    mifid_category: str | None = None
    appetite: Appetite | None = None
    incorporated_on: date | None = None
    sic_codes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    wallet: str | None = None
    claims_expire_at: datetime | None = None
    advised_file: str | None = None

    @property
    def is_staff(self) -> bool:
        return self.role in STAFF_ROLES


def as_party(subject: Subject) -> Party:
    return Party(
        id=subject.id,
        role=subject.role,
        state=subject.state,
        name=subject.legal_name,
        company_number=subject.company_number,
        wallet=subject.wallet,
        turnover_pence=subject.turnover_pence,
    )


# ---------------------------------------------------------------- decisions


def decide(subject: Subject, command: SubjectCommand, context: Context) -> list[Event]:
    match command:
        case CreateSubject():
            return _create(subject, command)
        case EnrolStaff():
            require(subject.state == "NEW", AlreadyExists("this staff member is already enrolled"))
            require(command.role in STAFF_ROLES, RoleUnknown(f"staff roles are {', '.join(STAFF_ROLES)}"))
            return [StaffEnrolled(subject=command.subject, role=command.role,
                                  representative=command.representative, email=command.email)]
        case SubmitOnboarding():
            return _submit(subject, command)
        case StartGate():
            return _start_gate(subject, command, context)
        case RecordIdentity():
            return _record_identity(subject, command)
        case RecordScreening():
            _expect(subject, "SCREENING_PENDING")
            outcome = ScreeningPassed if command.clear else ScreeningHit
            return [outcome(lists=command.lists, evidence=command.evidence)]
        case RecordFirm():
            _expect(subject, "FCA_PENDING")
            return [(FirmVerified if command.authorised else FirmNotAuthorised)(evidence=command.evidence)]
        case AssessRisk():
            return _assess(subject, context)
        case RecordAdvice():
            return _record_advice(subject, command)
        case DecideReview():
            return _decide_review(subject, command, context)
        case PassGates():
            return _pass_gates(subject, context)
        case BindWallet():
            _expect(subject, "WALLET_PENDING")
            return [WalletBound(wallet=command.wallet, topics=command.topics,
                                claims_expire_at=command.claims_expire_at, tx=command.tx)]
        case MarkRefreshDue():
            require(subject.state == "ACTIVE" and subject.stage is None,
                    Conflict("only an active subject without an open file falls due for refresh"))
            return [RefreshDue()]
        case _:
            raise TypeError(f"subject cannot decide {type(command).__name__}")


def _create(subject: Subject, command: CreateSubject) -> list[Event]:
    require(subject.state == "NEW", AlreadyExists("this subject already exists"))
    require(command.role in CUSTOMER_ROLES,
            RoleUnknown(f"role must be one of {', '.join(CUSTOMER_ROLES)}", pointer="/role"))
    return [SubjectCreated(subject=command.subject, role=command.role, legal_name=command.legal_name,
                           company_number=command.company_number, representative=command.representative,
                           email=command.email, email_domain=command.email_domain)]


def _submit(subject: Subject, command: SubmitOnboarding) -> list[Event]:
    require(subject.state in ("CREATED", "ACTIVE", "REFRESH_DUE") and subject.stage is None,
            NotOnboarding("an onboarding form can be submitted once after sign-up, and again at each refresh"))
    if subject.role in (SELLER, LENDER, INVESTOR):
        require(command.bank_account is not None,
                FormIncomplete("a bank account is needed for this role", pointer="/bank_account"))
    if subject.role == LENDER:
        require(bool(command.firm_reference),
                FormIncomplete("the FCA firm reference is needed for a lender", pointer="/firm_reference"))
    if subject.role == INVESTOR:
        require(command.mifid_category in MIFID_CLAIMS,
                RetailRefused("only PROFESSIONAL clients and eligible counterparties (ECP) may trade here",
                              pointer="/mifid_category"))
    if subject.role == SELLER:
        require(command.turnover_pence > 0,
                FormIncomplete("declare the last 12 months' turnover", pointer="/turnover_pence"))
    return [OnboardingSubmitted(file_number=command.file_number, refresh=subject.state != "CREATED",
                                bank_account=command.bank_account, turnover_pence=command.turnover_pence,
                                firm_reference=command.firm_reference, mifid_category=command.mifid_category,
                                appetite=command.appetite or (Appetite() if subject.role == LENDER else None))]


def _start_gate(subject: Subject, command: StartGate, context: Context) -> list[Event]:
    match command.gate:
        case "identity":
            _expect(subject, "ONBOARDING_SUBMITTED")
            return [IdentityRequested(legal_name=subject.legal_name, company_number=subject.company_number)]
        case "screening":
            _expect(subject, "KYC_PASSED")
            assert subject.representative is not None
            return [ScreeningRequested(legal_name=subject.legal_name, representative=subject.representative)]
        case "fca":
            _expect(subject, "RISK_PASSED")
            return [FirmCheckRequested(firm_reference=subject.firm_reference or "")]
        case "wallet":
            require(subject.stage in ("RISK_PASSED", "FCA_VERIFIED", "MIFID_CLASSIFIED"),
                    GateOutOfOrder("a wallet is bound after the gates are passed"))
            topics = CLAIM_TOPICS
            if subject.role == INVESTOR:
                topics = (*CLAIM_TOPICS, MIFID_CLAIMS[subject.mifid_category or ""])
            return [WalletRequested(role=subject.role, wallet=command.wallet or "", topics=topics,
                                    claims_expire_at=_refresh_at(subject, context.now)
                                    + timedelta(days=REFRESH_GRACE_DAYS))]
        case _:
            raise Invalid(f"there is no gate {command.gate!r}")


def _record_identity(subject: Subject, command: RecordIdentity) -> list[Event]:
    _expect(subject, "KYC_PENDING")
    match command.verdict:
        case "GREEN":
            return [KycPassed(evidence=command.evidence, incorporated_on=command.incorporated_on,
                              sic_codes=command.sic_codes)]
        case "RED":
            return [KycFailed(evidence=command.evidence)]
        case _:
            return [KycReferred(evidence=command.evidence, reasons=command.reasons,
                                incorporated_on=command.incorporated_on, sic_codes=command.sic_codes)]


def _assess(subject: Subject, context: Context) -> list[Event]:
    """Gate 3: sellers always go to the MLRO, others when HIGH or flagged (a buyer comes here only when flagged)."""
    require(subject.stage in ("SCREENING_PASSED", "SCREENING_HIT"),
            GateOutOfOrder("risk is assessed after screening"))
    flags = (*subject.flags, *(("possible screening match",) if subject.stage == "SCREENING_HIT" else ()))
    grade, reasons = risk.subject_grade(subject.incorporated_on, subject.sic_codes, flags, context.now.date())
    events: list[Event] = [RiskScored(grade=grade, reasons=reasons, rules_version=risk.RULES_VERSION)]
    reviewed = subject.role == SELLER or grade == "HIGH" or bool(flags)
    if reviewed:
        why = reasons or (("mandatory seller review",) if subject.role == SELLER else ())
        events.append(ReviewOpened(file_number=subject.file_number or "", reasons=why))
    else:
        events.append(RiskPassed())
    return events


def _record_advice(subject: Subject, command: RecordAdvice) -> list[Event]:
    require(subject.stage == "MLRO_REVIEW", NoOpenReview("advice is given on an open review"))
    require(subject.advised_file != subject.file_number, Conflict("this file already carries the agent's proposal"))
    return [VerdictProposed(
        file_number=subject.file_number or "", surface=command.surface, verdict=command.verdict,
        grade=command.grade, score=command.score, confidence_ppm=command.confidence_ppm,
        model_version=command.model_version, policy_version=command.policy_version,
        dataset_signature=command.dataset_signature, row=command.row,
        cut_off_position=command.cut_off_position, record_sha256=command.record_sha256)]


def _decide_review(subject: Subject, command: DecideReview, context: Context) -> list[Event]:
    require(context.actor_role == COMPLIANCE, NotTheMlro("only the compliance officer decides a review"))
    require(context.actor != subject.id, NotTheMlro("nobody decides their own case"))
    require(subject.stage == "MLRO_REVIEW", NoOpenReview("this subject has no open review"))
    facts = dict(file_number=subject.file_number or "", rationale=command.rationale,
                 rationale_sha256=command.rationale_sha256)
    if not command.approve:
        return [ReviewDeclined(**facts)]  # pyright: ignore[reportArgumentType]
    return [ReviewApproved(**facts), RiskPassed()]  # pyright: ignore[reportArgumentType]


def _pass_gates(subject: Subject, context: Context) -> list[Event]:
    if subject.role == INVESTOR and subject.stage == "RISK_PASSED":
        return [MifidClassified(category=subject.mifid_category or "")]
    ready = {SELLER: "RISK_PASSED", BUYER: "SCREENING_PASSED", LENDER: "WALLET_BOUND", INVESTOR: "WALLET_BOUND"}
    if not (subject.role == BUYER and subject.stage == "RISK_PASSED"):
        _expect(subject, ready[subject.role])
    require(subject.role != BUYER or subject.stage == "RISK_PASSED" or not subject.flags,
            GateOutOfOrder("a flagged buyer needs the MLRO's decision first"))
    return [SubjectActivated(refreshed=subject.state in ("ACTIVE", "REFRESH_DUE"),
                             refresh_due_at=_refresh_at(subject, context.now))]


def _refresh_at(subject: Subject, now: datetime) -> datetime:
    return now + timedelta(days=REFRESH_DAYS[subject.role])


def _expect(subject: Subject, stage: str) -> None:
    if subject.stage != stage:
        raise GateOutOfOrder(f"this step needs the file at {stage}; it is at {subject.stage or 'no open file'}")


# ---------------------------------------------------------------- evolve

_STAGES: dict[type[Event], str] = {
    OnboardingSubmitted: "ONBOARDING_SUBMITTED",
    IdentityRequested: "KYC_PENDING",
    KycPassed: "KYC_PASSED",
    KycReferred: "KYC_PASSED",
    KycFailed: "KYC_FAILED",
    ScreeningRequested: "SCREENING_PENDING",
    ScreeningPassed: "SCREENING_PASSED",
    ScreeningHit: "SCREENING_HIT",
    ReviewOpened: "MLRO_REVIEW",
    ReviewDeclined: "DECLINED",
    RiskPassed: "RISK_PASSED",
    FirmCheckRequested: "FCA_PENDING",
    FirmVerified: "FCA_VERIFIED",
    FirmNotAuthorised: "FCA_FAILED",
    MifidClassified: "MIFID_CLASSIFIED",
    WalletRequested: "WALLET_PENDING",
    WalletBound: "WALLET_BOUND",
}


def evolve(subject: Subject, event: Event) -> Subject:
    change = msgspec.structs.replace
    match event:
        case SubjectCreated():
            return change(subject, id=event.subject, role=event.role, state="CREATED", legal_name=event.legal_name,
                          company_number=event.company_number, representative=event.representative,
                          email=event.email, email_domain=event.email_domain)
        case StaffEnrolled():
            return change(subject, id=event.subject, role=event.role, state="ACTIVE",
                          representative=event.representative, email=event.email)
        case OnboardingSubmitted():
            subject = change(subject, file_number=event.file_number, flags=(),
                             bank_account=event.bank_account or subject.bank_account,
                             turnover_pence=event.turnover_pence or subject.turnover_pence,
                             firm_reference=event.firm_reference or subject.firm_reference,
                             mifid_category=event.mifid_category or subject.mifid_category,
                             appetite=event.appetite or subject.appetite)
        case KycPassed() | KycReferred():
            subject = change(subject, incorporated_on=event.incorporated_on, sic_codes=event.sic_codes,
                             flags=event.reasons if isinstance(event, KycReferred) else ())
        case VerdictProposed():
            return change(subject, advised_file=event.file_number)
        case WalletBound():
            subject = change(subject, wallet=event.wallet, claims_expire_at=event.claims_expire_at)
        case SubjectActivated():
            return change(subject, state="ACTIVE", stage=None)
        case RefreshDue():
            return change(subject, state="REFRESH_DUE")
        case _:
            pass
    stage = _STAGES.get(type(event))
    if stage is None:
        return subject
    standing = subject.state if subject.state in ("ACTIVE", "REFRESH_DUE") else stage
    return change(subject, stage=stage, state="DECLINED" if stage == "DECLINED" else standing)


SUBJECT: Kind[Subject] = Kind("subject", Subject(), decide, evolve)
__all__ = ["SUBJECT", "Refusal", "Subject", "as_party"]
