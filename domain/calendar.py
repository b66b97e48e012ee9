"""Business time of England & Wales: working days, 09:00-17:30 Europe/London. Stored times are UTC.

Sources: seeds 001 (Service-Level Agreement table) and `spec/decisions.md` rows 17-19.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

LONDON = ZoneInfo("Europe/London")


@lru_cache(maxsize=64)
def _bank_holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("GB", subdiv="ENG", years=year))


def is_business_day(day: date) -> bool:
    return day.weekday() < 5 and day not in _bank_holidays(day.year)


def add_business_days(day: date, count: int) -> date:
    """The `count`-th working day after `day` (count >= 0; 0 keeps a working day, else moves to the next)."""
    while count > 0 or not is_business_day(day):
        day += timedelta(days=1)
        if is_business_day(day):
            count -= 1
    return day


def london_date(moment: datetime) -> date:
    return moment.astimezone(LONDON).date()


def at_london(day: date, clock: time) -> datetime:
    """That local time on that day, as UTC."""
    return datetime.combine(day, clock, LONDON).astimezone(UTC)


def end_of_business_day(start: datetime, count: int) -> datetime:
    """23:59:59 London on the `count`-th working day after `start`: how a cap in business days is read."""
    return at_london(add_business_days(london_date(start), count), time(23, 59, 59))
