"""Bank order: what the bank was asked for under one id, so that whatever it says of that id finds the payment.

An attempt of a payment travels under an id that nobody reads backwards (`providers/bank/account.py`). It is written
down before the bank is asked, so that no notice is faster than we are.
"""

from __future__ import annotations

import msgspec

from domain.base import Command, Conflict, Context, Event, Kind, require

# ---------------------------------------------------------------- commands


class BankOrderCommand(Command, frozen=True, kw_only=True):
    kind = "bank_order"
    order: str

    @property
    def key(self) -> str:
        return self.order


class NameOrder(BankOrderCommand, frozen=True, kw_only=True):
    """The payment's `attempt` goes to the bank under this id, also when it goes again after a hold."""

    payment: str
    attempt: int


class RecordOrderDebited(BankOrderCommand, frozen=True, kw_only=True):
    """The bank has told, by `notice`, that the money has left our account."""

    notice: str


class RecordOrderReturned(BankOrderCommand, frozen=True, kw_only=True):
    """The bank has told, by `notice`, that the money is back in our account."""

    notice: str


# ---------------------------------------------------------------- events


class OrderNamed(Event, frozen=True, kw_only=True):
    tag = "bankorder.named.1"
    action = "PAYOUT_NAMED"
    payment: str
    attempt: int


class OrderDebited(Event, frozen=True, kw_only=True):
    tag = "bankorder.debited.1"
    action = "PAYOUT_DEBIT_NOTICED"
    payment: str
    attempt: int
    notice: str


class OrderReturned(Event, frozen=True, kw_only=True):
    tag = "bankorder.returned.1"
    action = "PAYOUT_RETURN_NOTICED"
    payment: str
    attempt: int
    notice: str


# ---------------------------------------------------------------- refusals


class OrderTaken(Conflict):
    code = "order_taken"


class OrderNotOpen(Conflict):
    """Nobody ordered it, or the bank has told this of it before: it goes out once, and comes back once."""

    code = "order_not_open"


# ---------------------------------------------------------------- decide, evolve


class BankOrder(msgspec.Struct, frozen=True, kw_only=True):
    payment: str = ""
    attempt: int = 0
    debited_by: str = ""
    returned_by: str = ""
    """The bank's ids of the notices that it went and that it came back, as far as there were any."""


def _decide(known: BankOrder, command: BankOrderCommand, context: Context) -> list[Event]:
    match command:
        case NameOrder():
            named = (command.payment, command.attempt)
            require(known.payment == "" or (known.payment, known.attempt) == named,
                    OrderTaken("the bank knows another payment by this id"))
            return [] if known.payment else [OrderNamed(payment=command.payment, attempt=command.attempt)]
        case RecordOrderDebited():
            require(known.payment != "" and known.debited_by == "", OrderNotOpen("nothing is to go out by this id"))
            return [OrderDebited(payment=known.payment, attempt=known.attempt, notice=command.notice)]
        case RecordOrderReturned():
            require(known.payment != "" and known.returned_by == "", OrderNotOpen("nothing is out by this id"))
            return [OrderReturned(payment=known.payment, attempt=known.attempt, notice=command.notice)]
        case _:
            raise TypeError(f"bank order cannot decide {type(command).__name__}")


def _evolve(known: BankOrder, event: Event) -> BankOrder:
    match event:
        case OrderNamed():
            return BankOrder(payment=event.payment, attempt=event.attempt)
        case OrderDebited():
            return msgspec.structs.replace(known, debited_by=event.notice)
        case OrderReturned():
            return msgspec.structs.replace(known, returned_by=event.notice)
        case _:
            return known


BANK_ORDER: Kind[BankOrder] = Kind("bank_order", BankOrder(), _decide, _evolve)
