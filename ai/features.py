"""Events to one row of integers: the specification of every signal. A bulk twin must give the same rows.

The input is the subject's own stream and, for a seller, its invoices' streams, in any order. What may be seen
is cut off at a position of the log, and ages are measured at the latest time seen, not at a clock: so the
events up to the cut-off are all a replay needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile

import msgspec

from ai.schema import FEATURES, HIGHER_RISK_SIC, FeatureSpec
from domain import invoice, subject
from domain.base import Event

Entry = tuple[int, datetime, Event]
"""Position in the log, recorded at, event."""

DAY = timedelta(days=1)
GRADES = {"LOW": 0, "MEDIUM": 1, "HIGH": 2}


class NothingToFold(ValueError):
    """No event lies before the cut-off."""


class Folded(msgspec.Struct, frozen=True):
    row: tuple[int, ...]
    cut_off_position: int


class Facts(msgspec.Struct):
    """What the events say so far. None: not said."""

    incorporated_on: date | None = None
    sic_codes: tuple[str, ...] | None = None
    turnover_pence: int | None = None
    refresh_due_at: datetime | None = None
    identity_referred: int | None = None
    screening_hit: int | None = None
    rule_grade: int | None = None
    onboarding_files: int = 0
    submitted: int = 0
    rejected: int = 0
    settled: int = 0


def seen(events: Iterable[Entry], as_of: datetime) -> list[Entry]:
    """The entries before the first one recorded after `as_of`, by position.

    Positions and times may disagree by a little when two transactions overlap. Filtering by time alone would
    leave holes below the cut-off that a replay, which knows only the position, could not leave again.
    """
    ordered = sorted(events, key=lambda entry: entry[0])
    return list(takewhile(lambda entry: entry[1] <= as_of, ordered))


def up_to(events: Iterable[Entry], cut_off_position: int) -> list[Entry]:
    return sorted((entry for entry in events if entry[0] <= cut_off_position), key=lambda entry: entry[0])


def fold(entries: list[Entry]) -> Folded:
    """The row after these entries, which `seen` or `up_to` put in order."""
    if not entries:
        raise NothingToFold("no event is recorded up to this moment")
    facts = Facts()
    for _, _, event in entries:
        learn(facts, event)
    latest = max(at for _, at, _ in entries)
    if latest.tzinfo is None:
        raise ValueError("a recorded time needs its zone: without one it differs by machine")
    return Folded(_row(facts, latest.astimezone(UTC)), entries[-1][0])


def learn(facts: Facts, event: Event) -> None:
    """Every event the agent listens to. Reviews and its own earlier proposals are left out on purpose."""
    match event:
        case subject.OnboardingSubmitted():
            facts.onboarding_files += 1
            facts.turnover_pence = event.turnover_pence or facts.turnover_pence
            facts.identity_referred = facts.screening_hit = facts.rule_grade = None
        case subject.KycPassed() | subject.KycReferred():
            facts.identity_referred = int(isinstance(event, subject.KycReferred))
            facts.incorporated_on = event.incorporated_on
            facts.sic_codes = event.sic_codes
        case subject.KycFailed():
            facts.identity_referred = 1
        case subject.ScreeningPassed():
            facts.screening_hit = 0
        case subject.ScreeningHit():
            facts.screening_hit = 1
        case subject.RiskScored():
            facts.rule_grade = GRADES[event.grade]
        case subject.SubjectActivated():
            facts.refresh_due_at = event.refresh_due_at
        case invoice.InvoiceSubmitted():
            facts.submitted += 1
        case invoice.InvoiceRejected():
            facts.rejected += 1
        case invoice.InvoiceSettled():
            facts.settled += 1
        case _:
            pass


def _row(facts: Facts, latest: datetime) -> tuple[int, ...]:
    age = None if facts.incorporated_on is None else (latest.date() - facts.incorporated_on).days
    overdue = None if facts.refresh_due_at is None else (latest - facts.refresh_due_at) // DAY
    values = {
        "company_age_days": age,
        "identity_referred": facts.identity_referred,
        "screening_hit": facts.screening_hit,
        "higher_risk_sic": _higher_risk(facts.sic_codes),
        "turnover_pence": facts.turnover_pence,
        "onboarding_files": facts.onboarding_files,
        "refresh_overdue_days": overdue,
        "invoices_submitted": facts.submitted,
        "invoices_rejected": facts.rejected,
        "invoices_settled": facts.settled,
        "rule_grade": facts.rule_grade,
    }
    return tuple(_coded(feature, values[feature.name]) for feature in FEATURES)


def _coded(feature: FeatureSpec, value: int | None) -> int:
    return feature.missing if value is None else feature.saturate(value)


def _higher_risk(sic_codes: tuple[str, ...] | None) -> int | None:
    """No code on the register is no answer, not a good one."""
    if not sic_codes:
        return None
    return int(any(code in HIGHER_RISK_SIC for code in sic_codes))
