"""Bills: a month's charges are billed once, on the first working day of the next, and paid to the penny."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec
import pytest

from domain import bill as b
from domain.ledger import Posting, postings
from domain.rails import bill_reference
from tests.domain.scenario import Row, Step, at, check_order, check_path, fold, given, history_of

change = msgspec.structs.replace
MAY, JUNE = at("2026-05-22T14:00"), at("2026-06-01T08:00")
BILL = bill_reference("sub_pennine", "2026-06")


def charge(id_: str = "LISTING/FXR-INV-23A4F", when: datetime = MAY.now) -> b.Charge:
    return b.Charge(id=id_, code="LISTING", pence=15_000, resource="FX-INV-23A4F", charged_at=when)


LINES = (charge(), charge("LISTING/FXR-INV-2"))
ADD = b.AddCharge(subject="sub_pennine", charge=charge())
ADDED = tuple(b.ChargeAdded(subject="sub_pennine", charge=each) for each in LINES)
TAKE = b.BillCharges(subject="sub_pennine", bill=BILL, lines=LINES)
BILLED = b.ChargesBilled(bill=BILL, charges=tuple(each.id for each in LINES))
FACTS: dict[str, Any] = {"bill": BILL, "subject": "sub_pennine", "total_pence": 30_000}
PATH = [
    Step(b.IssueBill(bill=BILL, subject="sub_pennine", lines=LINES), JUNE, (b.BillIssued(
        **FACTS, lines=LINES, issued_on=date(2026, 6, 1), due_on=date(2026, 6, 15)),)),
    Step(b.MarkOverdue(bill=BILL), at("2026-06-16T08:00"), (b.BillOverdue(**FACTS, due_on=date(2026, 6, 15)),)),
    Step(b.PayBill(bill=BILL, credit="crd_1", amount_pence=30_000), at("2026-06-20T08:00"),
         (b.BillPaid(**FACTS, credit="crd_1"),)),
]
ISSUED = history_of(PATH, 1)

REFUSED = [
    Row(b.ChargeNotOpen, ADDED[:1], TAKE, JUNE),
    Row(b.ChargeNotOpen, (*ADDED, BILLED), TAKE, JUNE),
    Row(b.ChargeNotOpen, ADDED, change(TAKE, lines=()), JUNE),
    Row(b.BillKnown, ISSUED, PATH[0].command, JUNE),
    Row(b.WrongBillState, (), PATH[2].command, JUNE),
    Row(b.WrongBillState, ISSUED, PATH[1].command, at("2026-06-15T12:00")),
    Row(b.WrongBillState, history_of(PATH, 3), PATH[2].command, JUNE),
    Row(b.WrongBillAmount, ISSUED, change(PATH[2].command, amount_pence=29_999), JUNE),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_golden_path_and_its_order() -> None:
    check_path(PATH)
    check_order(PATH, allowed={(1, 2)})


def test_a_charge_is_added_once_whether_open_or_billed() -> None:
    nothing: tuple[Any, ...] = ()
    given().when(ADD, MAY).then(ADDED[0])
    given(*ADDED).when(ADD, MAY).then(*nothing)
    given(*ADDED).when(TAKE, JUNE).then(BILLED)
    given(*ADDED, BILLED).when(ADD, JUNE).then(*nothing)
    assert fold("charges", (*ADDED, BILLED)).open == ()


@pytest.mark.parametrize(("charged", "day"), [
    ("2026-05-22T14:00", date(2026, 6, 1)), ("2026-05-31T22:59", date(2026, 6, 1)),
    ("2026-05-31T23:00", date(2026, 7, 1)), ("2026-07-31T12:00", date(2026, 8, 3)),
    ("2026-12-31T12:00", date(2027, 1, 4)), ("2026-04-01T12:00", date(2026, 5, 1))], ids=str)
def test_a_bill_comes_on_the_first_working_day_of_the_next_month(charged: str, day: date) -> None:
    assert b.bill_day(at(charged).now) == day


def test_only_what_was_charged_before_the_month_is_taken() -> None:
    charges = b.Charges(open=(charge(), charge("late", at("2026-05-31T23:00").now)))
    assert charges.until(date(2026, 6, 1)) == (charge(),)


def test_a_paid_bill_clears_what_the_listing_left_open() -> None:
    assert postings(PATH[2].events[0]) == (
        Posting(f"bill_receipts:{BILL}", 30_000), Posting("listing_fee_receivable:sub_pennine", -30_000))
