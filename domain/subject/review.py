"""Review, Gate 3: the file is graded by rule; sellers, HIGH grades and flagged files go to the MLRO, who decides."""

from __future__ import annotations

from datetime import datetime

from domain import risk
from domain.base import Conflict, Context, Event, Forbidden, require
from domain.calendar import london_date
from domain.party import COMPLIANCE, SELLER, Personal
from domain.subject.state import COOLING_OFF, GateOutOfOrder, Subject, SubjectCommand

# ---------------------------------------------------------------- commands


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
    """The MLRO's decision on the open file; `file_number` keeps it from falling on the next one."""

    approve: bool
    rationale: Personal
    rationale_sha256: str
    file_number: str | None = None


# ---------------------------------------------------------------- events


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
    again_from: datetime


class RiskPassed(Event, frozen=True, kw_only=True):
    tag = "subject.risk_passed.1"
    action = "RISK_PASSED"


# ---------------------------------------------------------------- refusals


class NoOpenReview(Conflict):
    code = "no_open_review"


class NotTheMlro(Forbidden):
    code = "not_the_mlro"


# ---------------------------------------------------------------- decisions


def assess(subject: Subject, command: AssessRisk, context: Context) -> list[Event]:
    """Sellers always go to the MLRO, others when HIGH or flagged (a buyer comes here only when flagged)."""
    require(subject.stage in ("SCREENING_PASSED", "SCREENING_HIT"),
            GateOutOfOrder("risk is assessed after screening"))
    flags = subject.flags
    filed, today = subject.filed, london_date(context.now)
    grade, reasons = risk.subject_grade(filed.incorporated_on, filed.sic_codes, flags, today)
    scored = RiskScored(grade=grade, reasons=reasons, rules_version=risk.RULES_VERSION)
    if subject.role != SELLER and grade != "HIGH" and not flags:
        return [scored, RiskPassed()]
    why = reasons or (("mandatory seller review",) if subject.role == SELLER else ())
    return [scored, ReviewOpened(file_number=subject.file_number or "", reasons=why)]


def advise(subject: Subject, command: RecordAdvice, context: Context) -> list[Event]:
    require(subject.stage == "MLRO_REVIEW", NoOpenReview("advice is given on an open review"))
    require(subject.advised_file != subject.file_number, Conflict("this file already carries the agent's proposal"))
    return [VerdictProposed(
        file_number=subject.file_number or "", surface=command.surface, verdict=command.verdict,
        grade=command.grade, score=command.score, confidence_ppm=command.confidence_ppm,
        model_version=command.model_version, policy_version=command.policy_version,
        dataset_signature=command.dataset_signature, row=command.row,
        cut_off_position=command.cut_off_position, record_sha256=command.record_sha256)]


def decide_review(subject: Subject, command: DecideReview, context: Context) -> list[Event]:
    require(context.actor_role == COMPLIANCE, NotTheMlro("only the compliance officer decides a review"))
    require(context.actor != subject.id, NotTheMlro("nobody decides their own case"))
    require(subject.stage == "MLRO_REVIEW", NoOpenReview("this subject has no open review"))
    file_number = subject.file_number or ""
    require(command.file_number in (None, file_number), NoOpenReview("another file of this subject is under review"))
    if not command.approve:
        return [ReviewDeclined(file_number=file_number, rationale=command.rationale,
                               rationale_sha256=command.rationale_sha256, again_from=context.now + COOLING_OFF)]
    return [ReviewApproved(file_number=file_number, rationale=command.rationale,
                           rationale_sha256=command.rationale_sha256), RiskPassed()]
