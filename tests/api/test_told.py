"""What a customer is told of its own standing says nothing of why it is frozen."""

from __future__ import annotations

from typing import Any

import pytest

from api.rest.subjects import told
from domain import subject as s
from domain.base import Event
from domain.party import BUYER
from tests.domain.scenario import fold
from tests.domain.test_refresh import ENDS, FILE, active, under_way
from tests.domain.test_subject import FROZEN, PATHS, STOPPED

REVIEWED = s.ReviewOpened(file_number=FILE, reasons=("possible screening match",))


def shown(history: list[Event]) -> dict[str, Any]:
    return told(fold("subject", history))


@pytest.mark.parametrize("role", PATHS)
def test_a_match_in_a_refresh_is_told_as_any_freeze_however_far_the_file_gets(role: str) -> None:
    """A clean file goes on under a freeze, a buyer's to its end; one that met a list waits for a person."""
    handed_in, steps = under_way(role)
    asked = next(n for n, event in enumerate(steps) if isinstance(event, s.ScreeningRequested)) + 1
    before = [*active(role), *handed_in, *steps[:asked]]
    hit = s.ScreeningHit(lists=(), evidence=(), reason="possible screening match")
    matched = [shown([*before, hit, STOPPED]), shown([*before, hit, STOPPED, REVIEWED])]
    ordered = [shown([*before, FROZEN, *steps[asked:done]]) for done in range(asked, len(steps) + 1)]
    if role == BUYER:
        ordered.append(shown([*before, FROZEN, *steps[asked:], PATHS[BUYER][-1].events[0]]))
    alone = shown([*active(role), FROZEN])
    assert alone["state"] == "IN_REVIEW" and alone["application"] is None
    assert [*matched, *ordered] == [alone] * (len(matched) + len(ordered))


def test_a_form_that_goes_back_under_a_freeze_is_not_told_and_an_end_is() -> None:
    handed_in, _ = under_way(BUYER)
    before = [*active(BUYER), *handed_in, FROZEN]
    assert shown([*before, ENDS[0]]) == shown(before)
    for end in ENDS[1:]:
        closed = shown([*before, end])
        assert closed["state"] == closed["application"]["state"] == "CLOSED"
