"""Payment: money that goes out, ordered once, sent once, and confirmed only when its arrival is corroborated.

Source: `spec/state-machines.md` "Payment", `spec/decisions.md` rows 51, 52. What comes in is `domain/credit.py`.
"""

from __future__ import annotations

import msgspec

from domain.base import Command, Conflict, Context, Event, Kind, require
from domain.party import Personal
from domain.rails import carried

PURPOSES = ("advance", "settlement", "proceeds", "refund", "return", "fee")
"""What an outgoing payment is for: seller's advance, holder's settlement, slice seller's proceeds, refund, a credit
that goes back to its payer, own fee."""


# ---------------------------------------------------------------- commands


class PaymentCommand(Command, frozen=True, kw_only=True):
    kind = "payment"
    payment: str

    @property
    def key(self) -> str:
        return self.payment


class RequestPayment(PaymentCommand, frozen=True, kw_only=True):
    """`account` is the payee's sealed bank account; None pays the platform's own account (its fees). The narration is
    one that the rails carry whole (`domain/rails.py`)."""

    purpose: str
    resource: str
    payee: str
    pence: int
    account: Personal | None
    narration: str


class RecordSent(PaymentCommand, frozen=True, kw_only=True):
    provider_reference: str


class RecordCredited(PaymentCommand, frozen=True, kw_only=True):
    pass


class RecordBounced(PaymentCommand, frozen=True, kw_only=True):
    reason: str


# ---------------------------------------------------------------- events


class PaymentRequested(Event, frozen=True, kw_only=True):
    tag = "payment.requested.1"
    action = "PAYOUT_REQUESTED"
    payment: str
    purpose: str
    resource: str
    payee: str
    pence: int
    account: Personal | None
    narration: str


class PaymentSent(Event, frozen=True, kw_only=True):
    """Accepted by the bank; also the request to corroborate that it arrived."""

    tag = "payment.sent.1"
    action = "PAYOUT_SENT"
    payment: str
    purpose: str
    resource: str
    payee: str
    pence: int
    provider_reference: str


class PaymentConfirmed(Event, frozen=True, kw_only=True):
    tag = "payment.confirmed.1"
    action = "PAYOUT_CONFIRMED"
    payment: str
    purpose: str
    resource: str
    payee: str
    pence: int


class PaymentReturned(Event, frozen=True, kw_only=True):
    tag = "payment.returned.1"
    action = "PAYOUT_RETURNED"
    payment: str
    purpose: str
    resource: str
    payee: str
    pence: int
    reason: str
    was_sent: bool


class WrongPaymentState(Conflict):
    code = "wrong_payment_state"


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""
    state: str = "NEW"
    purpose: str = ""
    resource: str = ""
    payee: str = ""
    pence: int = 0


def _decide_payment(payment: Payment, command: PaymentCommand, context: Context) -> list[Event]:
    match command:
        case RequestPayment():
            require(payment.state == "NEW", WrongPaymentState("this payment is already ordered"))
            assert command.purpose in PURPOSES and command.pence >= 0 and carried(command.narration)
            if command.pence == 0:
                return []  # the fee of a very small trade rounds to nothing: nothing is sent, nothing is booked
            return [PaymentRequested(payment=command.payment, purpose=command.purpose, resource=command.resource,
                                     payee=command.payee, pence=command.pence, account=command.account,
                                     narration=command.narration)]
        case RecordSent():
            _expect(payment, "REQUESTED")
            return [PaymentSent(payment=payment.id, purpose=payment.purpose, resource=payment.resource,
                                payee=payment.payee, pence=payment.pence,
                                provider_reference=command.provider_reference)]
        case RecordCredited():
            _expect(payment, "SENT")
            return [PaymentConfirmed(payment=payment.id, purpose=payment.purpose, resource=payment.resource,
                                     payee=payment.payee, pence=payment.pence)]
        case RecordBounced():
            _expect(payment, "REQUESTED", "SENT")
            return [PaymentReturned(payment=payment.id, purpose=payment.purpose, resource=payment.resource,
                                    payee=payment.payee, pence=payment.pence, reason=command.reason,
                                    was_sent=payment.state == "SENT")]
        case _:
            raise TypeError(f"payment cannot decide {type(command).__name__}")


def _expect(payment: Payment, *states: str) -> None:
    if payment.state not in states:
        raise WrongPaymentState(f"this payment is {payment.state}")


def _evolve_payment(payment: Payment, event: Event) -> Payment:
    match event:
        case PaymentRequested():
            return Payment(id=event.payment, state="REQUESTED", purpose=event.purpose, resource=event.resource,
                           payee=event.payee, pence=event.pence)
        case PaymentSent():
            return msgspec.structs.replace(payment, state="SENT")
        case PaymentConfirmed():
            return msgspec.structs.replace(payment, state="CONFIRMED")
        case PaymentReturned():
            return msgspec.structs.replace(payment, state="RETURNED")
        case _:
            return payment


PAYMENT: Kind[Payment] = Kind("payment", Payment(), _decide_payment, _evolve_payment)
