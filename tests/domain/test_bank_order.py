"""Bank orders: an id at the bank is one attempt of one payment; it goes out once and comes back once."""

from __future__ import annotations

import pytest

from domain import bank_order as b
from domain.base import Event
from tests.domain.scenario import Row, Step, at, check_path, fold, given, history_of

NOW, ORDER, PAY = at("2026-05-22T14:00"), "FX0123", "FX-INV-23A4F/advance"
NAME = b.NameOrder(order=ORDER, payment=PAY, attempt=1)
DEBITED = b.RecordOrderDebited(order=ORDER, notice="dbt-1")
RETURNED = b.RecordOrderReturned(order=ORDER, notice="ret-1")
PATH = [
    Step(NAME, NOW, (b.OrderNamed(payment=PAY, attempt=1),)),
    Step(DEBITED, NOW, (b.OrderDebited(payment=PAY, attempt=1, notice="dbt-1"),)),
    Step(RETURNED, NOW, (b.OrderReturned(payment=PAY, attempt=1, notice="ret-1"),)),
]
REFUSED = [
    Row(b.OrderNotOpen, (), DEBITED, NOW),
    Row(b.OrderNotOpen, (), RETURNED, NOW),
    Row(b.OrderNotOpen, history_of(PATH, 2), b.RecordOrderDebited(order=ORDER, notice="dbt-2"), NOW),
    Row(b.OrderNotOpen, history_of(PATH, 3), b.RecordOrderReturned(order=ORDER, notice="ret-2"), NOW),
    Row(b.OrderTaken, history_of(PATH, 1), b.NameOrder(order=ORDER, payment=PAY, attempt=2), NOW),
    Row(b.OrderTaken, history_of(PATH, 1), b.NameOrder(order=ORDER, payment="crd_1/return", attempt=1), NOW),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_golden_path() -> None:
    check_path(PATH)
    known = fold("bank_order", history_of(PATH, 3))
    assert (known.payment, known.attempt, known.debited_by, known.returned_by) == (PAY, 1, "dbt-1", "ret-1")


def test_what_goes_again_after_a_hold_has_its_name_already() -> None:
    nothing: tuple[Event, ...] = ()
    given(*history_of(PATH, 1)).when(NAME, NOW).then(*nothing)


def test_a_debit_that_the_bank_never_told_of_comes_back_all_the_same() -> None:
    given(*history_of(PATH, 1)).when(RETURNED, NOW).then(*PATH[2].events)
