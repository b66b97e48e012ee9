"""The pricing policy and the days it counts: prices rise with risk and length; a register closes before maturity."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from domain import maturity, pricing


def test_the_canonical_receivable() -> None:
    assert pricing.indicative_bps("LOW", 60) == 240
    assert pricing.cash_at(1_000_000, 240) == 966_000
    assert pricing.usual_least_cash(1_000_000, 240) == 956_000


def test_prices_rise_with_length_and_grade_and_stay_below_the_cap() -> None:
    grades = ("LOW", "MEDIUM", "HIGH")
    for days in range(121):
        prices = [pricing.indicative_bps(grade, days) for grade in grades]
        assert prices == sorted(set(prices)) and prices[-1] + pricing.LEAST_CASH_MARGIN_BPS <= pricing.DISCOUNT_CAP_BPS
        assert all(pricing.indicative_bps(grade, days) <= pricing.indicative_bps(grade, days + 1) for grade in grades)


@pytest.mark.parametrize(("due", "record"), [
    (date(2026, 7, 21), date(2026, 7, 17)), (date(2026, 7, 20), date(2026, 7, 16)),
    (date(2026, 5, 26), date(2026, 5, 21)), (date(2026, 12, 29), date(2026, 12, 23)),
    (date(2026, 7, 19), date(2026, 7, 16))], ids=str)
def test_the_record_date_is_two_working_days_before_maturity(due: date, record: date) -> None:
    assert maturity.record_date(due) == record


@pytest.mark.parametrize(("now", "open_", "left"), [
    (datetime(2026, 7, 16, 22, 59, 59, tzinfo=UTC), True, 5), (datetime(2026, 7, 16, 23, 0, tzinfo=UTC), False, 4),
    (datetime(2026, 7, 21, 12, 0, tzinfo=UTC), False, 0), (datetime(2026, 7, 22, 12, 0, tzinfo=UTC), False, -1)])
def test_days_are_londons(now: datetime, open_: bool, left: int) -> None:
    assert maturity.is_open(date(2026, 7, 21), now) is open_
    assert maturity.days_left(date(2026, 7, 21), now) == left
