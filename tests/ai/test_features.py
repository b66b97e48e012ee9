"""Golden fold vectors: a bulk twin of the fold must give the same rows."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from ai import features, schema
from ai.schema import MISSING, SATURATED
from domain import risk
from tests.ai.histories import (
    MORNING,
    activated,
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

M = MISSING
LAPSED = [created(), submitted(), identified(), screened(), graded(), activated(MORNING - timedelta(days=20))]

GOLDEN = {
    "only signed up": ([created()], (M, M, M, M, M, 0, M, 0, 0, 0, M)),
    "form submitted": ([created(), submitted()], (M, M, M, M, 320_000_000, 1, M, 0, 0, 0, M)),
    "no turnover to declare": ([created(), submitted(0)], (M, M, M, M, M, 1, M, 0, 0, 0, M)),
    "turnover beyond int32": ([submitted(2**40)], (M, M, M, M, SATURATED, 1, M, 0, 0, 0, M)),
    "clean review": ([entry[2] for entry in coppergate()], (5657, 0, 0, 0, 320_000_000, 1, M, 0, 0, 0, 0)),
    "referred, young, property": (
        [submitted(5_000_000), referred(date(2026, 3, 1), ("41100", "43320")), screened(), graded("HIGH")],
        (82, 1, 0, 1, 5_000_000, 1, M, 0, 0, 0, 2)),
    "register silent": (
        [submitted(), identified(None, ()), hit()], (M, 0, 1, M, 320_000_000, 1, M, 0, 0, 0, M)),
    "incorporated tomorrow": ([identified(date(2026, 5, 23))], (0, 0, M, 0, M, 0, M, 0, 0, 0, M)),
    "not yet due": (
        [submitted(), identified(), activated(MORNING + timedelta(days=182))],
        (5657, 0, M, 0, 320_000_000, 1, 0, 0, 0, 0, M)),
    "a refresh asks everything again": (
        [*LAPSED, submitted(0, refresh=True)], (5657, M, M, 0, 320_000_000, 2, 20, 0, 0, 0, M)),
    "invoices": (
        [*LAPSED, invoice_submitted(), invoice_submitted(), invoice_rejected(), invoice_settled()],
        (5657, 0, 0, 0, 320_000_000, 1, 20, 2, 1, 1, 0)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_fold(name: str) -> None:
    events, expected = GOLDEN[name]
    folded = features.fold(log(*events))
    assert folded.row == expected
    schema.check_row(folded.row)


def test_rows_are_told_by_name_in_the_other_tests() -> None:
    assert features.fold(coppergate()).row == row()


def test_overdue_days_are_whole_and_round_down() -> None:
    due = MORNING + timedelta(minutes=1)
    assert features.fold(log(activated(due), review(), start=MORNING)).row[6] == 0
    assert features.fold(log(activated(due), review(), start=MORNING + timedelta(days=1))).row[6] == 1
    almost = MORNING + timedelta(days=1, seconds=-1)
    assert features.fold(log(activated(due), review(), start=almost)).row[6] == 0


def test_days_are_counted_in_utc_whatever_zone_the_times_come_in() -> None:
    east = datetime.fromisoformat("2026-05-23T01:30:00+02:00")
    rows = [features.fold(log(identified(), start=start)).row for start in (east, east.astimezone(UTC))]
    assert rows[0] == rows[1]


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        features.fold(log(created(), start=datetime(2026, 5, 22, 9, 48)))


def test_the_order_of_delivery_does_not_matter() -> None:
    history = coppergate()
    shuffled = random.Random(7).sample(history, len(history))
    assert features.seen(shuffled, MORNING + timedelta(days=1)) == history
    assert features.up_to(shuffled, 99) == history


def test_what_was_recorded_later_is_not_seen() -> None:
    history = coppergate()
    seen = features.seen(history, as_of=history[2][1])
    assert features.fold(seen).cut_off_position == history[2][0]
    assert features.fold(seen).row == features.fold(history[:3]).row


def test_the_cut_off_leaves_no_hole_when_times_and_positions_disagree() -> None:
    late = (1, MORNING + timedelta(minutes=5), created())
    early = (2, MORNING, submitted())
    assert features.seen([late, early], as_of=MORNING + timedelta(minutes=1)) == []
    assert features.seen([late, early], as_of=MORNING + timedelta(minutes=5)) == [late, early]


def test_ages_are_measured_at_the_latest_time_even_when_it_is_not_the_last_position() -> None:
    latest = (1, MORNING + timedelta(days=9), identified())
    assert features.fold([latest, (2, MORNING, screened())]).row[0] == 5657 + 9


def test_nothing_to_fold() -> None:
    with pytest.raises(features.NothingToFold):
        features.fold([])


def test_the_agents_industry_list_is_still_the_rules_list() -> None:
    """When this fails, a new schema, and with it a new model version, is due."""
    assert frozenset(schema.HIGHER_RISK_SIC) == risk.HIGHER_RISK_SIC


@pytest.mark.parametrize("bad", [(), row()[:-1], (*row()[:-1], 3), (*row()[:-1], True), (*row()[:-1], 0.0)])
def test_impossible_rows_are_refused(bad: tuple[int, ...]) -> None:
    with pytest.raises(schema.BadRow):
        schema.check_row(bad)
