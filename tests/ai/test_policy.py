"""Thresholds, and the rules that outrank them."""

from __future__ import annotations

import pytest
from hypothesis import given

from ai import decision, policy, schema
from ai.policy import POLICY_1, VERDICTS, Verdict
from ai.schema import MISSING
from ai.scorer import Scorer
from tests.ai.histories import row
from tests.ai.strategies import CARD, rows

SCORER = Scorer(CARD)


@pytest.mark.parametrize(
    ("score", "verdict", "grade"),
    [(-2_500_001, "APPROVE", "LOW"), (-2_500_000, "REVIEW", "MEDIUM"), (-1_500_001, "REVIEW", "MEDIUM"),
     (-1_500_000, "REVIEW", "HIGH"), (-1, "REVIEW", "HIGH"), (0, "DECLINE", "HIGH")])
def test_thresholds_begin_at_their_value(score: int, verdict: str, grade: str) -> None:
    outcome = policy.apply(POLICY_1, score, row())
    assert (outcome.verdict, outcome.grade, outcome.rules) == (verdict, grade, ())


OUTRANKED: list[tuple[dict[str, int], Verdict, str, tuple[str, ...]]] = [
    ({"screening_hit": 1, "invoices_settled": 20}, "REVIEW", "HIGH", ("SCREENING_HIT",)),
    ({"invoices_rejected": 3, "invoices_settled": 20}, "REVIEW", "HIGH", ("THREE_INVOICES_REJECTED",)),
    ({"identity_referred": MISSING}, "REVIEW", "MEDIUM", ("IDENTITY_UNANSWERED",)),
    ({"screening_hit": MISSING}, "REVIEW", "MEDIUM", ("SCREENING_UNANSWERED",)),
]


@pytest.mark.parametrize(("values", "verdict", "grade", "rules"), OUTRANKED)
def test_a_rule_outranks_a_good_score(
    values: dict[str, int], verdict: str, grade: str, rules: tuple[str, ...]
) -> None:
    drawn = row(**values)
    assert SCORER.score(drawn) < POLICY_1.verdict_at[0], "the score alone would approve"
    proposed = decision.current().decide(drawn, surface="gate3", cut_off_position=1)
    assert (proposed.verdict, proposed.grade, proposed.rules) == (verdict, grade, rules)


def test_a_hit_on_a_referred_identity_outranks_a_middling_score() -> None:
    drawn = row(screening_hit=1, identity_referred=1)
    review_at, decline_at = POLICY_1.verdict_at
    assert review_at <= SCORER.score(drawn) < decline_at, "the score alone would review"
    proposed = decision.current().decide(drawn, surface="gate3", cut_off_position=1)
    assert proposed.verdict == "DECLINE"
    assert proposed.rules == ("SCREENING_HIT", "SCREENING_HIT_ON_REFERRED_IDENTITY")
    assert "SAMLA 2018" in proposed.regulatory_anchors


def test_the_law_behind_a_rule_is_named_even_when_its_signal_is_not_among_the_strongest() -> None:
    young = row(company_age_days=82, identity_referred=1, higher_risk_sic=1, invoices_rejected=2,
                rule_grade=2, screening_hit=MISSING)
    proposed = decision.current().decide(young, surface="gate3", cut_off_position=1)
    assert "screening_hit" not in [signal.name for signal in proposed.top_signals]
    assert "SAMLA 2018" in proposed.regulatory_anchors


def test_a_rule_is_a_floor_and_not_a_ceiling() -> None:
    assert policy.apply(POLICY_1, 5_000_000, row(screening_hit=1)).verdict == "DECLINE"


@given(rows)
def test_never_approved_with_a_hit_or_without_an_answer(drawn: tuple[int, ...]) -> None:
    outcome = policy.apply(POLICY_1, SCORER.score(drawn), drawn)
    clean = drawn[schema.INDEX["screening_hit"]] == 0 and drawn[schema.INDEX["identity_referred"]] >= 0
    assert outcome.verdict != "APPROVE" or clean


def test_rules_name_signals_of_the_schema_and_thresholds_ascend() -> None:
    for known in policy.POLICIES.values():
        assert list(known.verdict_at) == sorted(known.verdict_at)
        assert list(known.grade_at) == sorted(known.grade_at)
        for rule in known.rules:
            assert all(condition.signal in schema.INDEX for condition in rule.when)
            assert rule.verdict in VERDICTS


def test_the_version_is_pinned() -> None:
    """A changed threshold is a new policy beside the old one: old decisions replay under the old."""
    assert POLICY_1.version == "4ec70a6d9de49cc2dbd88c96ca33de2242bf0ce2a575f2a22081cfe7e16e2df8"
    assert policy.load(POLICY_1.version) is POLICY_1
    with pytest.raises(policy.UnknownPolicy):
        policy.load("0" * 64)
