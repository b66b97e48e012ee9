"""What a score means: thresholds, and hard rules that outrank it. All is data, and its hash the version.

A rule sets the mildest verdict and grade that may be proposed; a bad enough score may still propose worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from ai import canonical, schema
from ai.schema import INT32_MAX, MISSING

Verdict = Literal["APPROVE", "REVIEW", "DECLINE"]
Grade = Literal["LOW", "MEDIUM", "HIGH"]

VERDICTS: tuple[Verdict, ...] = ("APPROVE", "REVIEW", "DECLINE")
GRADES: tuple[Grade, ...] = ("LOW", "MEDIUM", "HIGH")
"""Both from mild to severe."""


class UnknownPolicy(LookupError):
    """No policy of this version is known."""


class Condition(msgspec.Struct, frozen=True):
    """The signal lies in low..high. An unanswered signal is MISSING, which is a value like any other here."""

    signal: str
    low: int
    high: int

    def holds(self, row: Sequence[int]) -> bool:
        return self.low <= row[schema.INDEX[self.signal]] <= self.high


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    when: tuple[Condition, ...]
    verdict: Verdict
    grade: Grade
    anchor: str

    def applies(self, row: Sequence[int]) -> bool:
        return all(condition.holds(row) for condition in self.when)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """`verdict_at`: the scores from which REVIEW and DECLINE are proposed; `grade_at`: MEDIUM and HIGH."""

    name: str
    verdict_at: tuple[int, int]
    grade_at: tuple[int, int]
    rules: tuple[Rule, ...]

    @property
    def version(self) -> str:
        return canonical.sha256(self)


class Outcome(msgspec.Struct, frozen=True):
    verdict: Verdict
    grade: Grade
    rules: tuple[Rule, ...]
    """The hard rules that applied, whether or not the score alone would have said the same."""


def at_least(signal: str, value: int) -> Condition:
    return Condition(signal, value, INT32_MAX)


def unanswered(signal: str) -> Condition:
    return Condition(signal, MISSING, MISSING)


POLICY_1 = Policy(
    name="policy-1",
    verdict_at=(-2_500_000, 0),
    grade_at=(-2_500_000, -1_500_000),
    rules=(
        Rule(code="SCREENING_HIT", when=(at_least("screening_hit", 1),),
             verdict="REVIEW", grade="HIGH", anchor="SAMLA 2018"),
        Rule(code="SCREENING_HIT_ON_REFERRED_IDENTITY",
             when=(at_least("screening_hit", 1), at_least("identity_referred", 1)),
             verdict="DECLINE", grade="HIGH", anchor="SAMLA 2018"),
        Rule(code="THREE_INVOICES_REJECTED", when=(at_least("invoices_rejected", 3),),
             verdict="REVIEW", grade="HIGH", anchor="Fraud Act 2006"),
        Rule(code="IDENTITY_UNANSWERED", when=(unanswered("identity_referred"),),
             verdict="REVIEW", grade="MEDIUM", anchor="MLR 2017 reg. 28"),
        Rule(code="SCREENING_UNANSWERED", when=(unanswered("screening_hit"),),
             verdict="REVIEW", grade="MEDIUM", anchor="SAMLA 2018"),
    ),
)
"""Even odds of "bad" propose a refusal, about 8 % a review."""

CURRENT = POLICY_1
POLICIES = {policy.version: policy for policy in (POLICY_1,)}


def load(version: str) -> Policy:
    if version not in POLICIES:
        raise UnknownPolicy(f"no policy of version {version[:12]} is known")
    return POLICIES[version]


def apply(policy: Policy, score: int, row: Sequence[int]) -> Outcome:
    """The most severe of what the score and the rules say."""
    rules = tuple(rule for rule in policy.rules if rule.applies(row))
    verdict = sum(score >= threshold for threshold in policy.verdict_at)
    grade = sum(score >= threshold for threshold in policy.grade_at)
    for rule in rules:
        verdict = max(verdict, VERDICTS.index(rule.verdict))
        grade = max(grade, GRADES.index(rule.grade))
    return Outcome(VERDICTS[verdict], GRADES[grade], rules)


def severity(verdict: Verdict) -> int:
    return VERDICTS.index(verdict)
