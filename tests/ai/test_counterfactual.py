"""Exactness, against a search that shares no code with it and knows nothing of cells."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai import model, policy, schema
from ai.counterfactual import Change, Counterfactuals
from ai.model import BadModel, Model, Pair, Term
from ai.policy import POLICY_1, Policy
from ai.schema import FEATURES, INDEX, MISSING
from ai.scorer import Scorer
from tests.ai.histories import row
from tests.ai.strategies import CARD, rows

ACTIONABLE = [feature.name for feature in FEATURES if feature.actionable]
SMALL = {"identity_referred": 1, "refresh_overdue_days": 4, "invoices_rejected": 5, "invoices_settled": 6}
"""The largest value the brute force tries: beyond it nothing changes in the small models below."""


def search(card: Model, rules: Policy) -> Counterfactuals:
    return Counterfactuals(card, Scorer(card), rules)


SCORER = Scorer(CARD)
FIND = search(CARD, POLICY_1).find


def severity(scorer: Scorer, rules: Policy, drawn: tuple[int, ...]) -> int:
    return policy.severity(policy.apply(rules, scorer.score(drawn), drawn).verdict)


def brute(card: Model, rules: Policy, drawn: tuple[int, ...]) -> int | None:
    """Fewest signals to change for a milder verdict, trying every value of all. None: impossible."""
    scorer = Scorer(card)
    now = severity(scorer, rules, drawn)
    fewest: int | None = None
    for values in product(*({drawn[INDEX[name]], *range(SMALL[name] + 1)} for name in ACTIONABLE)):
        changed = list(drawn)
        for name, value in zip(ACTIONABLE, values, strict=True):
            changed[INDEX[name]] = value
        count = sum(before != after for before, after in zip(drawn, changed, strict=True))
        if (fewest is None or count < fewest) and severity(scorer, rules, tuple(changed)) < now:
            fewest = count
    return fewest


SMALL_EDGES = {
    "identity_referred": (1,), "refresh_overdue_days": (2, 4), "invoices_rejected": (1, 5),
    "invoices_settled": (2, 5),
}
JOINED = (("identity_referred", "invoices_rejected"), ("invoices_rejected", "invoices_settled"))


def bins(name: str) -> int:
    return len(SMALL_EDGES[name]) + 2


def weights(count: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(-100, 100)] * count)


@st.composite
def small_models(draw: st.DrawFn) -> tuple[Model, Policy, tuple[int, ...]]:
    """Any weights at all, monotone or not, with two pairs that share a signal, and a row to change.

    No edge lies at three rejections, where a hard rule begins.
    """
    terms = tuple(Term(name, SMALL_EDGES[name], draw(weights(bins(name))), 0) for name in SMALL_EDGES)
    pairs = tuple(
        Pair(left, right, draw(st.tuples(*[weights(bins(right))] * bins(left))), 0) for left, right in JOINED)
    card = Model(model.FORMAT, "small", schema.HASH, "", 0, terms, pairs, CARD.calibration)
    thresholds = (draw(st.integers(-300, 0)), draw(st.integers(0, 300)))
    rules = msgspec.structs.replace(POLICY_1, verdict_at=thresholds)
    values = {name: draw(st.sampled_from([MISSING, *range(SMALL[name] + 1)])) for name in ACTIONABLE}
    hit = draw(st.sampled_from([MISSING, 0, 1]))
    return card, rules, row(screening_hit=hit, **values)


@settings(max_examples=400)
@given(small_models())
def test_it_is_exact(case: tuple[Model, Policy, tuple[int, ...]]) -> None:
    card, rules, drawn = case
    found = search(card, rules).find(drawn)
    assert (len(found) or None) == brute(card, rules, drawn)


@given(rows)
def test_what_it_names_flips_the_verdict_and_nothing_less_does(drawn: tuple[int, ...]) -> None:
    changes = FIND(drawn)
    now = severity(SCORER, POLICY_1, drawn)
    for left_out in [None, *changes]:
        changed = list(drawn)
        for change in changes:
            assert schema.FEATURES[INDEX[change.signal]].actionable
            assert change.wanted != MISSING
            if change is not left_out:
                changed[INDEX[change.signal]] = change.wanted
        schema.check_row(changed)
        milder = severity(SCORER, POLICY_1, tuple(changed)) < now
        assert milder == (left_out is None and bool(changes))


def test_an_approval_needs_none() -> None:
    assert FIND(row()) == ()


def test_a_referred_identity_by_hand() -> None:
    """-3,900 - 300 old + 300 new + 1,500 referred + 1,200 HIGH = -1,200: REVIEW; -2,700 would be APPROVE."""
    assert FIND(row(identity_referred=1, rule_grade=2)) == (Change("identity_referred", 1, 0),)


def test_it_asks_no_more_than_is_needed() -> None:
    """-3,900 as usual, +1,900 for three rejections or more; two (+1,100) pass the threshold and the rule."""
    assert FIND(row(invoices_rejected=7)) == (Change("invoices_rejected", 7, 2),)


def test_nothing_the_customer_does_undoes_a_hit() -> None:
    assert FIND(row(screening_hit=1)) == ()


def test_a_model_too_large_to_enumerate_is_refused() -> None:
    edges = tuple(range(1, 200))
    names = ("refresh_overdue_days", "invoices_settled")
    wide = tuple(Term(name, edges, (0,) * (len(edges) + 2), 0) for name in names)
    with pytest.raises(BadModel, match="rows to try"):
        search(msgspec.structs.replace(CARD, terms=wide, pairs=()), POLICY_1)
