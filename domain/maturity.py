"""Maturity: until when a receivable is funded and traded. Everything here derives from a day, never from submission.

The register closes for trading at the start of the record date, two working days before maturity, so that who holds
what is known when the debtor pays. Source: `spec/state-machines.md` "Token". Days are London's.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from domain.base import Conflict, require
from domain.calendar import is_business_day, london_date

RECORD_BUSINESS_DAYS = 2


class TradingClosed(Conflict):
    code = "trading_closed"


def record_date(due_on: date) -> date:
    """The second working day before maturity."""
    day, left = due_on, RECORD_BUSINESS_DAYS
    while left:
        day -= timedelta(days=1)
        left -= is_business_day(day)
    return day


def days_left(due_on: date, now: datetime) -> int:
    """Negative once it is past due."""
    return (due_on - london_date(now)).days


def is_open(due_on: date, now: datetime) -> bool:
    return london_date(now) < record_date(due_on)


def require_open(due_on: date, now: datetime) -> None:
    require(is_open(due_on, now), TradingClosed(
        f"this receivable is due on {due_on}; its register closed on {record_date(due_on)}, two working days before"))
