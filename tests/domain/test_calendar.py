"""Business time of England & Wales (decisions rows 17-19)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from domain.calendar import (
    add_business_days,
    at_london,
    end_of_business_day,
    is_business_day,
    london_date,
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("day", "works"), [
    (date(2026, 5, 22), True), (date(2026, 5, 23), False), (date(2026, 5, 25), False), (date(2026, 4, 3), False),
    (date(2026, 4, 6), False), (date(2026, 8, 31), False), (date(2026, 12, 28), False), (date(2026, 12, 29), True),
    (date(2026, 3, 17), True), (date(2026, 1, 2), True)])
def test_working_days_are_those_of_england_and_wales(day: date, works: bool) -> None:
    """No St Patrick's Day, no 2 January; Boxing Day on a Saturday moves to Monday 28 December."""
    assert is_business_day(day) is works


@pytest.mark.parametrize(("count", "day"), [(0, 22), (1, 26), (2, 27), (3, 28), (4, 29)])
def test_working_days_after_22_may_2026(count: int, day: int) -> None:
    """22 May is a Friday and 25 May a bank holiday: 1 day is the 26th, 3 days the 28th."""
    assert add_business_days(date(2026, 5, 22), count) == date(2026, 5, day)


def test_default_follows_past_due_consistently() -> None:
    """Decisions row 18: 30 working days from maturity on 21 July 2026 is 2 September, 25 after PAST_DUE."""
    past_due = add_business_days(date(2026, 7, 21), 5)
    assert past_due == date(2026, 7, 28)
    assert add_business_days(date(2026, 7, 21), 30) == add_business_days(past_due, 25) == date(2026, 9, 2)


def test_a_holiday_counts_as_the_next_working_day() -> None:
    assert add_business_days(date(2026, 5, 23), 0) == add_business_days(date(2026, 5, 25), 0) == date(2026, 5, 26)


@pytest.mark.parametrize(("start", "end"), [
    ("2026-05-22T09:42:00", "2026-06-01T22:59:59"),
    ("2026-05-22T23:30:00", "2026-06-01T22:59:59"),
    ("2026-10-21T10:00:00", "2026-10-28T23:59:59"),
    ("2026-03-25T10:00:00", "2026-04-01T22:59:59"),
])
def test_a_cap_of_five_working_days_ends_at_midnight_in_london(start: str, end: str) -> None:
    """1 June 23:59:59 London is 22:59:59 UTC in summer; across a change of the clocks the hour follows."""
    assert end_of_business_day(utc(start), 5) == utc(end)


def test_london_has_its_own_date_and_hour() -> None:
    assert london_date(utc("2026-07-20T23:30:00")) == date(2026, 7, 21)
    assert london_date(utc("2026-12-20T23:30:00")) == date(2026, 12, 20)
    assert at_london(date(2026, 7, 21), time(8)) == utc("2026-07-21T07:00:00")
    assert at_london(date(2026, 12, 21), time(8)) == utc("2026-12-21T08:00:00")
