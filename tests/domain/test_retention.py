"""The end of a relationship, legal holds, the lawful period, and the erasure; and what is never said of a report."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from domain import restricted as r
from domain import subject as s
from domain.base import Conflict
from domain.calendar import london_date
from domain.party import ADMIN, COMPLIANCE, PAUSED, Personal
from tests.domain.scenario import Row, at, fold, given
from tests.domain.test_subject import ACTIVE, CREATED, FROZEN, ID, IN_REVIEW, MLRO, NOON, NOW, SEALED, STAFF

OWNER = at(NOON, ID, "sme_seller")
STRANGER = at(NOON, "sub_2", "sme_seller")
ADMINISTRATOR = at(NOON, "stf_admin", ADMIN)

CLOSE = s.CloseRelationship(subject=ID, reason="customer_request", outstanding=())
CLOSED_EVENT = s.SubjectClosed(reason="customer_request", ended_at=NOW)
CLOSED = (*ACTIVE, CLOSED_EVENT)
HOLD = s.PlaceHold(subject=ID, hold="hld_1", reason="court_order", until=date(2033, 1, 31))
HELD = s.HoldPlaced(hold="hld_1", reason="court_order", until=date(2033, 1, 31), ordered_by="sub_mlro")
FOREVER = msgspec.structs.replace(HELD, hold="hld_2", until=None)
LIFT = s.LiftHold(subject=ID, hold="hld_1")
ERASE = s.EraseSubject(subject=ID, ground="retention_expired")
ERASED_EVENT = s.SubjectErased(ground="retention_expired", ordered_by="sub_mlro")
ERASED = (*CLOSED, ERASED_EVENT)
REPORT = r.RecordRestricted(record="rst_1", content=SEALED, commitment="c", made_on=date(2026, 5, 1))
REPORTED = msgspec.structs.replace(ERASE, reported_on=date(2027, 3, 1))


def mlro(when: str) -> Any:
    return at(when, "sub_mlro", COMPLIANCE)


FIVE_YEARS, SIX_YEARS = mlro("2031-05-01T00:00"), mlro("2033-03-01T00:00")

REFUSED = [
    Row(s.NotClosable, STAFF, CLOSE, MLRO),
    Row(s.NotClosable, CLOSED, CLOSE, OWNER),
    Row(s.NotClosable, ERASED, CLOSE, MLRO),
    Row(s.NotClosable, IN_REVIEW, CLOSE, OWNER),
    Row(s.NotClosable, (*ACTIVE, FROZEN), CLOSE, OWNER),
    Row(s.NotClosable, (*ACTIVE, FROZEN), CLOSE, MLRO),
    Row(s.NotYours, ACTIVE, CLOSE, STRANGER),
    Row(s.NotYours, ACTIVE, CLOSE, ADMINISTRATOR),
    Row(s.ReasonUnknown, ACTIVE, msgspec.structs.replace(CLOSE, reason="boredom"), OWNER),
    Row(s.ReasonUnknown, ACTIVE, msgspec.structs.replace(CLOSE, reason="platform"), OWNER),
    Row(s.StillOutstanding, ACTIVE, msgspec.structs.replace(CLOSE, outstanding=("FX-INV-23A4F",)), OWNER),
    Row(s.NotTheMlro, ACTIVE, HOLD, OWNER),
    Row(s.NotTheMlro, ACTIVE, HOLD, ADMINISTRATOR),
    Row(s.AlreadyErased, STAFF, HOLD, mlro(NOON)),
    Row(s.AlreadyErased, ERASED, HOLD, MLRO),
    Row(s.ReasonUnknown, ACTIVE, msgspec.structs.replace(HOLD, reason="spite"), MLRO),
    Row(s.HoldTooLong, ACTIVE, msgspec.structs.replace(HOLD, until=date.max), MLRO),
    Row(s.HoldTooLong, ACTIVE, msgspec.structs.replace(HOLD, until=date(2056, 5, 2)), MLRO),
    Row(s.HoldIsOver, ACTIVE, msgspec.structs.replace(HOLD, until=date(2026, 4, 30)), MLRO),
    Row(s.HoldKnown, (*ACTIVE, HELD), HOLD, MLRO),
    Row(s.NoSuchHold, ACTIVE, LIFT, MLRO),
    Row(s.NotTheMlro, (*ACTIVE, HELD), LIFT, ADMINISTRATOR),
    Row(s.NotTheMlro, CLOSED, ERASE, at("2040-01-01T00:00", "stf_admin", ADMIN)),
    Row(s.NotTheMlro, CLOSED, ERASE, at("2040-01-01T00:00", ID, COMPLIANCE)),
    Row(s.RelationshipOpen, ACTIVE, ERASE, mlro("2040-01-01T00:00")),
    Row(s.RelationshipOpen, CREATED, ERASE, mlro("2040-01-01T00:00")),
    Row(s.ReasonUnknown, CLOSED, msgspec.structs.replace(ERASE, ground="tidiness"), FIVE_YEARS),
    Row(s.RetentionHold, CLOSED, ERASE, mlro("2031-04-30T22:59")),
    Row(s.RetentionHold, CLOSED, REPORTED, FIVE_YEARS),
    Row(s.RetentionHold, CLOSED, REPORTED, mlro("2033-02-28T23:59")),
    Row(s.RetentionHold, (*CLOSED, HELD), ERASE, mlro("2033-01-31T23:00")),
    Row(s.RetentionHold, (*CLOSED, FOREVER), ERASE, mlro("2099-01-01T00:00")),
    Row(s.AlreadyErased, ERASED, ERASE, FIVE_YEARS),
    Row(s.NotErased, CLOSED, s.RecordKeyDestroyed(subject=ID), MLRO),
    Row(s.NotFreezable, CLOSED, s.FreezeSubject(subject=ID, reason_code="LIST_HIT"), MLRO),
    Row(r.MlroOnly, (), REPORT, ADMINISTRATOR),
    Row(r.MlroOnly, (), r.TakeTurn(turns=0), ADMINISTRATOR),
    Row(r.ReportDateWrong, (), msgspec.structs.replace(REPORT, made_on=date(2026, 5, 2)), MLRO),
    Row(r.ReportDateWrong, (), msgspec.structs.replace(REPORT, made_on=date.max), MLRO),
    Row(r.ReportDateWrong, (), msgspec.structs.replace(REPORT, made_on=date(2003, 2, 23)), MLRO),
    Row(r.ReportDateWrong, (), msgspec.structs.replace(REPORT, made_on=date(26, 5, 1)), MLRO),
    Row(r.TurnMissed, (r.TurnTaken(),), r.TakeTurn(turns=0), MLRO),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_a_customer_closes_its_account_and_can_do_nothing_more() -> None:
    given(*ACTIVE).when(CLOSE, OWNER).then(CLOSED_EVENT)
    given(*CREATED).when(CLOSE, OWNER).then(CLOSED_EVENT)
    closed = fold("subject", CLOSED)
    assert closed.state == "CLOSED" and not s.as_party(closed).may_act


def test_compliance_closes_an_account_for_the_platform() -> None:
    command = msgspec.structs.replace(CLOSE, reason="platform")
    given(*ACTIVE).when(command, MLRO).then(s.SubjectClosed(reason="platform", ended_at=NOW))


def test_a_frozen_customer_is_told_no_more_than_usual() -> None:
    refusal = given(*ACTIVE, FROZEN).when(CLOSE, OWNER).then_refused(s.NotClosable)
    assert refusal.detail == PAUSED


def test_five_years_to_the_day_and_the_person_is_erased() -> None:
    refusal = given(*CLOSED).when(ERASE, mlro("2031-04-30T22:59")).then_refused(s.RetentionHold)
    assert refusal.code == "retention_hold" and "2031-05-01" in refusal.detail and "5 years" in refusal.detail
    given(*CLOSED).when(ERASE, FIVE_YEARS).then(ERASED_EVENT)
    gone = fold("subject", ERASED)
    assert gone.state == "ERASED" and not s.as_party(gone).may_act
    assert (gone.representative, gone.email, gone.filed.bank_account, gone.payout_account) == (None,) * 4
    given(*ERASED).when(s.RecordKeyDestroyed(subject=ID), MLRO).then(s.SubjectKeyDestroyed())
    assert fold("subject", (*ERASED, s.SubjectKeyDestroyed())).key_destroyed


def test_six_years_where_a_report_was_made_counted_from_the_later_day() -> None:
    refusal = given(*CLOSED).when(REPORTED, FIVE_YEARS).then_refused(s.RetentionHold)
    assert "2033-03-01" in refusal.detail and "6 years" in refusal.detail
    given(*CLOSED).when(REPORTED, SIX_YEARS).then(ERASED_EVENT)
    before_the_end = msgspec.structs.replace(ERASE, reported_on=date(2020, 1, 1))
    given(*CLOSED).when(before_the_end, mlro("2032-04-30T00:00")).then_refused(s.RetentionHold)
    given(*CLOSED).when(before_the_end, mlro("2032-05-01T00:00")).then(ERASED_EVENT)


def test_nothing_in_the_log_tells_of_a_report() -> None:
    """The erasure's events are the same, whichever period was kept."""
    with_report = given(*CLOSED).when(REPORTED, SIX_YEARS).decide()
    assert with_report == given(*CLOSED).when(ERASE, SIX_YEARS).decide()


def test_a_hold_keeps_what_the_period_would_let_go_until_it_ends_or_is_lifted() -> None:
    given(*ACTIVE).when(HOLD, MLRO).then(HELD)
    held = (*CLOSED, HELD)
    refusal = given(*held).when(ERASE, FIVE_YEARS).then_refused(s.RetentionHold)
    assert "2033-02-01" in refusal.detail and "court_order" in refusal.detail
    given(*held).when(ERASE, mlro("2033-02-01T00:00")).then(ERASED_EVENT)
    lifted = s.HoldLifted(hold="hld_1", ordered_by="sub_mlro")
    given(*held).when(LIFT, MLRO).then(lifted)
    given(*held, lifted).when(ERASE, FIVE_YEARS).then(ERASED_EVENT)
    endless = given(*CLOSED, FOREVER).when(ERASE, FIVE_YEARS).then_refused(s.RetentionHold)
    assert "until it is lifted" in endless.detail


def test_a_short_hold_shortens_nothing() -> None:
    short = msgspec.structs.replace(HELD, until=date(2027, 1, 1))
    refusal = given(*CLOSED, short).when(ERASE, mlro("2030-01-01T00:00")).then_refused(s.RetentionHold)
    assert "5 years" in refusal.detail


@pytest.mark.parametrize(("day", "later"), [
    (date(2026, 5, 1), date(2031, 5, 1)), (date(2028, 2, 29), date(2033, 3, 1)),
    (date(2027, 2, 28), date(2032, 2, 28))])
def test_years_are_counted_by_the_calendar(day: date, later: date) -> None:
    assert s.years_after(day, s.KEEP_YEARS) == later


def test_a_relationship_that_ends_by_night_ends_on_the_london_day() -> None:
    """23:30 UTC on 30 April is 1 May in London."""
    late = (*ACTIVE, s.SubjectClosed(reason="platform", ended_at=at("2026-04-30T23:30").now))
    assert s.retention_of(fold("subject", late), None).until == date(2031, 5, 1)


def test_a_restricted_record_keeps_every_report_and_names_nobody() -> None:
    one, two = Personal("rst_1", "YQ"), Personal("rst_1", "Yg")
    command = msgspec.structs.replace(REPORT, content=one, commitment="c1")
    first = r.RestrictedEntry(content=one, commitment="c1")
    given().when(command, MLRO).then(first)
    kept = fold("restricted", (first, r.RestrictedEntry(content=two, commitment="c2")))
    assert kept.contents == (one, two) and kept.turns == 0
    assert r.RESTRICTED.resource("rst_1") == "restricted"


@pytest.mark.parametrize(("moment", "made_on"), [
    (NOON, date(2003, 2, 24)), ("2026-04-30T23:30", date(2026, 5, 1)), ("2026-04-30T22:59", date(2026, 4, 30))])
def test_a_report_was_made_by_the_london_day_and_under_the_act(moment: str, made_on: date) -> None:
    command = msgspec.structs.replace(REPORT, made_on=made_on)
    assert given().when(command, mlro(moment)).decide() == [r.RestrictedEntry(content=SEALED, commitment="c")]
    late = msgspec.structs.replace(REPORT, made_on=london_date(at(moment).now) + timedelta(days=1))
    assert given().when(late, mlro(moment)).then_refused(r.ReportDateWrong).pointer == "/made_on"


def test_reports_and_erasures_take_turns_at_one_register_that_names_nobody() -> None:
    assert r.TakeTurn(turns=0).key == r.REGISTER
    given().when(r.TakeTurn(turns=0), MLRO).then(r.TurnTaken())
    given(r.TurnTaken()).when(r.TakeTurn(turns=1), MLRO).then(r.TurnTaken())
    assert r.TurnTaken.__struct_fields__ == ()
    with pytest.raises(TypeError):
        r.RESTRICTED.decide(r.Restricted(), ERASE, MLRO)


def test_a_hold_to_the_end_of_time_has_no_end() -> None:
    endless = msgspec.structs.replace(HELD, until=date.max)
    refusal = given(*CLOSED, endless).when(ERASE, FIVE_YEARS).then_refused(s.RetentionHold)
    assert "until it is lifted" in refusal.detail


def test_a_timer_of_a_closed_customer_finds_nothing_to_do() -> None:
    late = at((NOW + timedelta(days=182)).strftime("%Y-%m-%dT%H:%M"))
    given(*CLOSED).when(s.MarkRefreshDue(subject=ID), late).then_refused(Conflict)
