"""The audit-log freeze begins once, past the cap, and ends once."""

from __future__ import annotations

import pytest

from domain import audit_freeze as a
from domain.platform import AlarmCleared, AlarmNotStanding, AlarmRaised, ClearAlarm
from tests.domain.scenario import Row, at, given

NOON, CAP, LATER = at("2026-05-22T12:00"), at("2026-05-22T13:00"), at("2026-05-22T13:00:01")
BEGIN = a.BeginAuditFreeze(oldest=9, since=NOON.now)
BEGUN = a.AuditFrozen(oldest=9, since=NOON.now)
END = a.EndAuditFreeze(anchored_to=12)
CLEAR = ClearAlarm(alarm="a1")
RAISED = AlarmRaised(source="anchoring", code="audit_anchor_stale", detail="why")

REFUSED = [
    Row(a.AuditFreezeState, (), BEGIN, CAP),
    Row(a.AuditFreezeState, (BEGUN,), BEGIN, LATER),
    Row(a.AuditFreezeState, (), END, LATER),
    Row(AlarmNotStanding, (), CLEAR, NOON),
    Row(AlarmNotStanding, (RAISED, AlarmCleared()), CLEAR, NOON),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_it_begins_past_the_hour_and_ends_with_the_anchor() -> None:
    given().when(BEGIN, LATER).then(BEGUN)
    given(BEGUN).when(END, LATER).then(a.AuditReleased(anchored_to=12))
    given(BEGUN, a.AuditReleased(anchored_to=12)).when(BEGIN, LATER).then(BEGUN)


def test_an_alarm_whose_cause_is_over_is_cleared_once() -> None:
    given(RAISED).when(CLEAR, NOON).then(AlarmCleared())
