"""Bills: what is charged outside an advance stands open until the month is over, is billed, and is paid by transfer.

Source: `spec/decisions.md` row 94. A bill takes everything that was charged to one subject before its month began, is
due in 14 days, and has a reference of its own. It is settled in data here; its PDF, value added tax and the other kinds
of charges come with the price book. An overdue bill reminds and is somebody's business; it never holds anybody's money.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec

from domain.base import Command, Conflict, Context, Event, Kind, require
from domain.calendar import add_business_days, london_date

DUE_AFTER = timedelta(days=14)


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """One line: what was charged for, once for ever by its id."""

    id: str
    code: str
    pence: int
    resource: str
    charged_at: datetime


def bill_day(charged_at: datetime) -> date:
    """The first working day of the month after."""
    first = (london_date(charged_at).replace(day=1) + timedelta(days=32)).replace(day=1)
    return add_business_days(first, 0)


# ---------------------------------------------------------------- charges


class ChargesCommand(Command, frozen=True, kw_only=True):
    kind = "charges"
    subject: str

    @property
    def key(self) -> str:
        return self.subject


class AddCharge(ChargesCommand, frozen=True, kw_only=True):
    charge: Charge


class BillCharges(ChargesCommand, frozen=True, kw_only=True):
    """Goes with IssueBill: the lines leave the open charges in the append that bills them."""

    bill: str
    lines: tuple[Charge, ...]


class ChargeAdded(Event, frozen=True, kw_only=True):
    tag = "charges.added.1"
    action = "CHARGE_ADDED"
    subject: str
    charge: Charge


class ChargesBilled(Event, frozen=True, kw_only=True):
    tag = "charges.billed.1"
    action = "CHARGES_BILLED"
    bill: str
    charges: tuple[str, ...]


class ChargeNotOpen(Conflict):
    code = "charge_not_open"


class Charges(msgspec.Struct, frozen=True):
    open: tuple[Charge, ...] = ()
    billed: frozenset[str] = frozenset()

    def until(self, day: date) -> tuple[Charge, ...]:
        """Charged before a day."""
        return tuple(charge for charge in self.open if london_date(charge.charged_at) < day)


def _decide_charges(charges: Charges, command: ChargesCommand, context: Context) -> list[Event]:
    match command:
        case AddCharge(charge=charge):
            known = charge.id in charges.billed or any(charge.id == other.id for other in charges.open)
            return [] if known else [ChargeAdded(subject=command.subject, charge=charge)]
        case BillCharges():
            require(bool(command.lines) and set(command.lines) <= set(charges.open),
                    ChargeNotOpen("these charges are not open"))
            return [ChargesBilled(bill=command.bill, charges=tuple(charge.id for charge in command.lines))]
        case _:
            raise TypeError(f"charges cannot decide {type(command).__name__}")


def _evolve_charges(charges: Charges, event: Event) -> Charges:
    match event:
        case ChargeAdded():
            return msgspec.structs.replace(charges, open=(*charges.open, event.charge))
        case ChargesBilled():
            left = tuple(charge for charge in charges.open if charge.id not in event.charges)
            return Charges(left, charges.billed | set(event.charges))
        case _:
            return charges


CHARGES: Kind[Charges] = Kind("charges", Charges(), _decide_charges, _evolve_charges,
                              resource=lambda subject: f"charges of {subject}")


# ---------------------------------------------------------------- bill


class BillCommand(Command, frozen=True, kw_only=True):
    kind = "bill"
    bill: str

    @property
    def key(self) -> str:
        return self.bill


class IssueBill(BillCommand, frozen=True, kw_only=True):
    subject: str
    lines: tuple[Charge, ...]


class PayBill(BillCommand, frozen=True, kw_only=True):
    credit: str
    amount_pence: int


class MarkOverdue(BillCommand, frozen=True, kw_only=True):
    pass


class BillIssued(Event, frozen=True, kw_only=True):
    tag = "bill.issued.1"
    action = "BILL_ISSUED"
    bill: str
    subject: str
    lines: tuple[Charge, ...]
    total_pence: int
    issued_on: date
    due_on: date


class BillPaid(Event, frozen=True, kw_only=True):
    tag = "bill.paid.1"
    action = "BILL_PAID"
    bill: str
    subject: str
    credit: str
    total_pence: int


class BillOverdue(Event, frozen=True, kw_only=True):
    tag = "bill.overdue.1"
    action = "BILL_OVERDUE"
    bill: str
    subject: str
    total_pence: int
    due_on: date


class BillKnown(Conflict):
    code = "bill_known"


class WrongBillState(Conflict):
    code = "wrong_bill_state"


class WrongBillAmount(Conflict):
    code = "wrong_bill_amount"


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """NEW -> ISSUED -> PAID, or ISSUED -> OVERDUE -> PAID."""

    reference: str = ""
    state: str = "NEW"
    subject: str = ""
    lines: tuple[Charge, ...] = ()
    total_pence: int = 0
    due_on: date | None = None

    @property
    def payable(self) -> bool:
        return self.state in ("ISSUED", "OVERDUE")


def _decide_bill(bill: Bill, command: BillCommand, context: Context) -> list[Event]:
    match command:
        case IssueBill():
            require(bill.state == "NEW", BillKnown("this bill is issued already"))
            today = london_date(context.now)
            return [BillIssued(bill=command.bill, subject=command.subject, lines=command.lines,
                               total_pence=sum(line.pence for line in command.lines), issued_on=today,
                               due_on=today + DUE_AFTER)]
        case PayBill():
            require(bill.payable, WrongBillState(f"this bill is {bill.state}"))
            require(command.amount_pence == bill.total_pence, WrongBillAmount("the credit is not the bill's total"))
            return [BillPaid(bill=bill.reference, subject=bill.subject, credit=command.credit,
                             total_pence=bill.total_pence)]
        case MarkOverdue():
            require(bill.state == "ISSUED", WrongBillState(f"this bill is {bill.state}"))
            assert bill.due_on is not None
            require(london_date(context.now) > bill.due_on, WrongBillState("this bill is not overdue yet"))
            return [BillOverdue(bill=bill.reference, subject=bill.subject, total_pence=bill.total_pence,
                                due_on=bill.due_on)]
        case _:
            raise TypeError(f"bill cannot decide {type(command).__name__}")


def _evolve_bill(bill: Bill, event: Event) -> Bill:
    match event:
        case BillIssued():
            return Bill(reference=event.bill, state="ISSUED", subject=event.subject, lines=event.lines,
                        total_pence=event.total_pence, due_on=event.due_on)
        case BillPaid():
            return msgspec.structs.replace(bill, state="PAID")
        case BillOverdue():
            return msgspec.structs.replace(bill, state="OVERDUE")
        case _:
            return bill


BILL: Kind[Bill] = Kind("bill", Bill(), _decide_bill, _evolve_bill)
