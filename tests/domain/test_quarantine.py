"""Quarantine: a stream is held once, tried again when a person asks, released once; each follower for itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from domain import quarantine as q
from tests.domain.scenario import Row, Step, at, check_path, fold, given

NOW = at("2026-05-22T14:00")
STREAM = UUID("5d0f6a52-6f8e-5a0e-9f63-0d7f0f6b9e11")
WHOSE: dict[str, Any] = {"follower": "processes", "stream": STREAM}
FACTS: dict[str, Any] = {**WHOSE, "position": 12, "type": "invoice.submitted.2", "reason": "unknown_event",
                         "resource": "FX-INV-23A4F"}
HOLD, ASK, RELEASE = q.QuarantineStream(**FACTS), q.RequestRelease(**WHOSE), q.ReleaseStream(**WHOSE)
HELD, ASKED, RELEASED = q.StreamQuarantined(**FACTS), q.StreamReleaseRequested(**WHOSE), q.StreamReleased(**WHOSE)
PATH = [Step(HOLD, NOW, (HELD,)), Step(ASK, NOW, (ASKED,)), Step(RELEASE, NOW, (RELEASED,))]
REFUSED = [
    Row(q.StreamNotQuarantined, (), ASK, NOW),
    Row(q.StreamNotQuarantined, (HELD, RELEASED), ASK, NOW),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_held_asked_for_released() -> None:
    check_path(PATH)


def test_said_again_nothing_happens() -> None:
    """A follower that crashed before it knew says it once more."""
    given(HELD).when(HOLD, NOW).then()
    given(HELD, RELEASED).when(RELEASE, NOW).then()
    given().when(RELEASE, NOW).then()
    given(HELD, RELEASED).when(HOLD, NOW).then(HELD)


def test_the_state_is_the_first_entry_left_out() -> None:
    assert fold("quarantine", [HELD, ASKED]).position == 12
    assert fold("quarantine", [HELD, RELEASED]).position is None


def test_each_follower_holds_for_itself() -> None:
    assert HOLD.key == f"processes/{STREAM}" != q.quarantine_key("effects", STREAM)
