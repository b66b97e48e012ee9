"""Scores with the sum written out, and what must hold for every row."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai import model, schema
from ai.schema import FEATURES, INT32_MAX, MISSING
from ai.scorer import Scorer, Signal, bin_of
from tests.ai.histories import row
from tests.ai.strategies import CARD, rows, values

SCORER = Scorer(CARD)


def test_coppergate_by_hand() -> None:
    """Old company -300, first file +200, no invoice yet +100; nothing else counts."""
    assert SCORER.score(row()) == 1_000 * (-3_900 - 300 + 200 + 100) == -3_900_000
    # The table's step there is -3,932,160 .. -3,801,089; at its middle, 1 / (1 + e^3.866624) = 0.0205.
    assert SCORER.probability_ppm(-3_900_000) == 20_500
    assert SCORER.top_signals(row()) == (
        Signal("company_age_days", -300_000), Signal("onboarding_files", 200_000),
        Signal("invoices_submitted", 100_000))


def test_a_young_referred_company_by_hand() -> None:
    """Age, referred, the two together, property, small, first file and HIGH, in this order."""
    young = row(company_age_days=82, identity_referred=1, higher_risk_sic=1, turnover_pence=5_000_000,
                invoices_submitted=1, rule_grade=2)
    weights = 1_400 + 1_500 + 400 + 900 + 500 + 200 + 1_200
    assert SCORER.score(young) == 1_000 * (-3_900 + weights) == 2_200_000
    assert SCORER.top_signals(young) == (
        Signal("identity_referred", 1_500_000), Signal("company_age_days", 1_400_000),
        Signal("rule_grade", 1_200_000), Signal("higher_risk_sic", 900_000),
        Signal("turnover_pence", 500_000))


def test_an_unanswered_row_by_hand() -> None:
    unanswered = (MISSING,) * len(FEATURES)
    weights = 600 + 400 + 500 + 200 + 200 + 200 + 0 + 100 + 0 + 0 + 300
    assert SCORER.score(unanswered) == 1_000 * (-3_900 + weights) == -1_400_000


def test_a_good_customer_by_hand() -> None:
    """Old -300, large -100, four files -150, five invoices -50, twelve settled -700."""
    good = row(turnover_pence=1_000_000_000, onboarding_files=4, refresh_overdue_days=0,
               invoices_submitted=14, invoices_settled=12)
    assert SCORER.score(good) == 1_000 * (-3_900 - 300 - 100 - 150 - 50 - 700) == -5_200_000


@pytest.mark.parametrize(
    ("value", "expected"), [(MISSING, 0), (0, 1), (9, 1), (10, 2), (19, 2), (20, 3), (INT32_MAX, 3)])
def test_bins_begin_at_their_edge(value: int, expected: int) -> None:
    assert bin_of(value, (10, 20)) == expected


def test_ties_between_reasons_go_to_the_first_term() -> None:
    tied = row(invoices_rejected=1, rule_grade=1, turnover_pence=0)
    assert [signal.name for signal in SCORER.top_signals(tied)] == [
        "turnover_pence", "invoices_rejected", "rule_grade", "company_age_days", "onboarding_files"]


def test_the_probability_table_is_the_logistic_function_and_clips() -> None:
    table = CARD.calibration
    assert len(table.ppm) == 184
    for step, ppm in enumerate(table.ppm):
        middle = Decimal(table.low + step * 2**17 + 2**16) / 10**6
        assert abs(Decimal(10**6) / (1 + (-middle).exp()) - ppm) <= Decimal("0.5")
    assert SCORER.probability_ppm(-INT32_MAX) == table.ppm[0] == 6
    assert SCORER.probability_ppm(INT32_MAX) == table.ppm[-1] == 999_994


@given(rows)
def test_no_row_leaves_the_proven_range(drawn: tuple[int, ...]) -> None:
    assert abs(SCORER.score(drawn)) <= model.validate(CARD) < INT32_MAX


@given(rows, st.data())
def test_monotone_signals_are_monotone(drawn: tuple[int, ...], data: st.DataObject) -> None:
    feature = data.draw(st.sampled_from([feature for feature in FEATURES if feature.monotone]))
    low, high = sorted(data.draw(st.tuples(values(feature), values(feature))))
    column = schema.INDEX[feature.name]
    below = SCORER.score((*drawn[:column], low, *drawn[column + 1:]))
    above = SCORER.score((*drawn[:column], high, *drawn[column + 1:]))
    assert feature.monotone * (above - below) >= 0


@given(rows)
def test_score_and_all_reasons_agree(drawn: tuple[int, ...]) -> None:
    """With every baseline at nought the reasons add up to the score, unless there are more than five."""
    signals = SCORER.top_signals(drawn)
    assert [abs(signal.contribution) for signal in signals] == sorted(
        (abs(signal.contribution) for signal in signals), reverse=True)
    if len(signals) < 5:
        assert sum(signal.contribution for signal in signals) == SCORER.score(drawn) - CARD.intercept
