"""Every proposal replays, and a change at any layer is found there and named."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai import decision, replay
from ai.decision import propose
from ai.features import Entry, NothingToFold
from ai.replay import Layer, Mismatch
from domain.base import Event
from tests.ai.histories import (
    MORNING,
    activated,
    as_event,
    coppergate,
    created,
    graded,
    hit,
    identified,
    invoice_rejected,
    invoice_settled,
    invoice_submitted,
    log,
    referred,
    review,
    row,
    screened,
    submitted,
)

AS_OF = MORNING + timedelta(hours=1)
PROPOSED = as_event(propose(coppergate(), as_of=AS_OF, surface="gate3"))


def found(events: list[Entry] | None = None, /, **changes: Any) -> list[tuple[Layer, str]]:
    """Layer and field of each mismatch after these changes to the recorded proposal or to the log."""
    changed = msgspec.structs.replace(PROPOSED, **changes)
    return [(it.layer, it.field) for it in replay.replay(changed, coppergate() if events is None else events)]


def with_event(step: int, event: Event) -> list[Entry]:
    history = coppergate()
    history[step] = (history[step][0], history[step][1], event)
    return history


def test_an_honest_proposal_replays() -> None:
    assert found() == []


def test_what_happened_afterwards_does_not_matter() -> None:
    later = log(hit(), invoice_rejected(), PROPOSED, start=MORNING + timedelta(days=3), first=100)
    assert found([*coppergate(), *later]) == []


# ---------------------------------------------------------------- L1


def test_a_changed_hash_is_found_in_the_record() -> None:
    assert found(record_sha256="0" * 64) == [(Layer.RECORD, "record_sha256")]


def test_another_surface_is_found_in_the_record() -> None:
    assert found(surface="gate4") == [(Layer.RECORD, "record_sha256")]
    assert found(surface="gate5") == [(Layer.RECORD, "surface")]


@pytest.mark.parametrize("field", ["model_version", "policy_version"])
def test_an_unknown_version_is_found_in_the_record(field: str) -> None:
    assert found(**{field: "0" * 64}) == [(Layer.RECORD, field)]


# ---------------------------------------------------------------- L2


SCORED: dict[str, Any] = {
    "verdict": "DECLINE", "grade": "HIGH", "score": 1, "confidence_ppm": 1, "dataset_signature": "0" * 64}


@pytest.mark.parametrize("field", SCORED)
def test_a_changed_result_is_found_in_the_record_and_in_the_score(field: str) -> None:
    assert found(**{field: SCORED[field]}) == [(Layer.RECORD, "record_sha256"), (Layer.SCORE, field)]


@pytest.mark.parametrize("field", SCORED)
def test_a_changed_result_with_its_hash_made_to_fit_is_found_in_the_score(field: str) -> None:
    forged = propose(coppergate(), as_of=AS_OF, surface="gate3")
    forged = msgspec.structs.replace(forged, **{field: SCORED[field]})
    assert found(**{field: SCORED[field]}, record_sha256=forged.record_sha256) == [(Layer.SCORE, field)]


def test_a_number_no_record_can_hold_is_found_and_not_fatal() -> None:
    assert found(score=2**60) == [(Layer.RECORD, "record_sha256"), (Layer.SCORE, "score")]


def test_an_impossible_row_is_found_in_the_score() -> None:
    assert found(row=(*row()[:-1], 9)) == [(Layer.SCORE, "row"), (Layer.EVENTS, "rule_grade")]
    assert found(row=()) == [(Layer.SCORE, "row"), (Layer.EVENTS, "row")]


# ---------------------------------------------------------------- L3


def test_a_proposal_on_another_row_consistent_in_itself_is_found_in_the_events() -> None:
    other = row(invoices_settled=3)
    forged = decision.current().decide(other, surface="gate3", cut_off_position=PROPOSED.cut_off_position)
    assert replay.replay(as_event(forged), coppergate()) == (
        Mismatch(Layer.EVENTS, "invoices_settled", "3", "0"),)


CHANGED = {
    "turnover_pence": (1, submitted(320_000_001)),
    "company_age_days": (2, identified(date(2010, 11, 24))),
    "higher_risk_sic": (2, identified(sic_codes=("92000",))),
    "identity_referred": (2, referred()),
    "screening_hit": (3, hit()),
    "rule_grade": (4, graded("MEDIUM")),
}


@pytest.mark.parametrize("field", CHANGED)
def test_a_changed_event_is_found_in_the_events(field: str) -> None:
    step, event = CHANGED[field]
    assert found(with_event(step, event)) == [(Layer.EVENTS, field)]


def test_a_missing_event_is_found_in_the_events() -> None:
    assert found(coppergate()[:-1]) == [(Layer.EVENTS, "cut_off_position")]
    assert found([]) == [(Layer.EVENTS, "events")]


def test_an_event_slipped_in_before_the_cut_off_is_found_in_the_events() -> None:
    slipped = (coppergate()[1][0] + 1, MORNING, invoice_rejected())
    assert found([*coppergate(), slipped]) == [(Layer.EVENTS, "invoices_rejected")]


def test_the_row_alone_needs_no_events() -> None:
    assert replay.replay_row(PROPOSED) == ()


# ---------------------------------------------------------------- any history at all


EVENTS = [
    created(), submitted(), submitted(2**40, refresh=True), identified(), identified(None, ()), referred(),
    screened(), hit(), graded("HIGH"), review(), activated(MORNING - timedelta(days=3)),
    invoice_submitted(), invoice_rejected(), invoice_settled(),
]
moments = st.integers(0, 90).map(lambda days: MORNING + timedelta(days=days))
histories = st.lists(st.tuples(moments, st.sampled_from(EVENTS)), min_size=1, max_size=20).map(
    lambda drawn: [(position, at, event) for position, (at, event) in enumerate(drawn)])


@given(histories, moments, st.randoms(use_true_random=False))
def test_every_proposal_replays_from_the_log_alone(
    history: list[Entry], as_of: datetime, chance: random.Random
) -> None:
    """Whatever the history, whenever asked, however the events are delivered, with times out of step."""
    try:
        proposed = as_event(propose(history, as_of=as_of, surface="gate3"))
    except NothingToFold:
        return
    chance.shuffle(history)
    assert replay.replay(proposed, history) == ()
