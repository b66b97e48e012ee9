"""Payment: money that goes out, ordered once, sent once, and confirmed only when its arrival is corroborated.

What the bank returns, also after it had arrived, is owed until two people send it again (`domain/release.py`), as
another payment to the bank.
Source: `spec/state-machines.md` "Payment", `spec/decisions.md` rows 51, 52, 75. What comes in is `domain/credit.py`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from domain.base import Command, Conflict, Context, Event, Kind, require
from domain.party import Personal
from domain.rails import carried

PURPOSES = ("advance", "settlement", "proceeds", "refund", "return", "fee")
"""What an outgoing payment is for: seller's advance, holder's settlement, slice seller's proceeds, refund, a credit
that goes back to its payer, own fee."""

PLATFORM = "platform"
"""The payee of our own fees."""

OUT = ("CLEARED", "SENT", "CONFIRMED")
"""States of a payment that the bank may have carried out: its money can come back."""

PAYEE_BARRED, NO_ACCOUNT = "payee_barred", "no_account"
"""Why a payment is held: for compliance alone."""


# ---------------------------------------------------------------- commands


class PaymentCommand(Command, frozen=True, kw_only=True):
    kind = "payment"
    payment: str

    @property
    def key(self) -> str:
        return self.payment


class RequestPayment(PaymentCommand, frozen=True, kw_only=True):
    """`account` is the payee's sealed bank account; None for the platform's own (its fees). The narration is one that
    the rails carry whole (`domain/rails.py`)."""

    purpose: str
    resource: str
    payee: str
    pence: int
    account: Personal | None
    narration: str
    beside: str = ""
    """Of a fee: whose payout it is taken from. It goes when that may go, and is held with it."""


class ClearPayment(PaymentCommand, frozen=True, kw_only=True):
    """It may go. Appended with the standing this rests on."""


class HoldPayment(PaymentCommand, frozen=True, kw_only=True):
    """It may not go now; only what the bank has not been asked for is held."""

    reason: str


class ReleasePayment(PaymentCommand, frozen=True, kw_only=True):
    pass


class RecordSent(PaymentCommand, frozen=True, kw_only=True):
    provider_reference: str


class RecordCredited(PaymentCommand, frozen=True, kw_only=True):
    pass


class RecordBounced(PaymentCommand, frozen=True, kw_only=True):
    """The bank has refused it, or its money is back: before it was seen to arrive, or days after."""

    reason: str
    attempt: int = 0
    """Which one came back, where the bank names it; 0: the present one."""


class ReroutePayment(PaymentCommand, frozen=True, kw_only=True):
    """Goes with the approval of `order`. `attempt` is the one that came back, `account` where the next one goes."""

    attempt: int
    account: Personal | None
    order: str


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
    beside: str


class PaymentCleared(Event, frozen=True, kw_only=True):
    """The intent: the bank is asked next, with the payment's id."""

    tag = "payment.cleared.1"
    action = "PAYOUT_CLEARED"
    payment: str
    purpose: str
    resource: str
    payee: str
    pence: int


class PaymentHeld(Event, frozen=True, kw_only=True):
    """Its money is ring-fenced for the payee, and counts as paid to order (decisions row 57)."""

    tag = "payment.held.1"
    action = "PAYOUT_HELD"
    payment: str
    purpose: str
    resource: str
    payee: str
    pence: int
    reason: str


class PaymentReleased(Event, frozen=True, kw_only=True):
    """Whether it may go is asked again."""

    tag = "payment.released.1"
    action = "PAYOUT_RELEASED"
    payment: str
    purpose: str
    resource: str
    payee: str
    pence: int


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
    was: str
    """CLEARED: nothing was booked as sent; SENT: it was on its way; CONFIRMED: its payee had it."""


class PaymentRerouted(Event, frozen=True, kw_only=True):
    """It is ordered again, with an id of its own at the bank; whether it may go is asked as the first time."""

    tag = "payment.rerouted.1"
    action = "PAYOUT_REROUTED"
    payment: str
    purpose: str
    resource: str
    payee: str
    pence: int
    attempt: int
    bank_id: str
    account: Personal | None
    order: str


class WrongPaymentState(Conflict):
    code = "wrong_payment_state"


def bank_id(payment: str, attempt: int) -> str:
    return payment if attempt == 1 else f"{payment}/{attempt}"


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """NEW -> REQUESTED -> CLEARED -> SENT -> CONFIRMED; REQUESTED or CLEARED -> HELD -> REQUESTED;
    CLEARED, SENT or CONFIRMED -> RETURNED -> REQUESTED, the next attempt."""

    id: str = ""
    state: str = "NEW"
    purpose: str = ""
    resource: str = ""
    payee: str = ""
    pence: int = 0
    account: Personal | None = None
    narration: str = ""
    beside: str = ""
    attempt: int = 1

    @property
    def bank_id(self) -> str:
        """What the bank knows this attempt by: it makes one payment of an id, however often it is asked."""
        return bank_id(self.id, self.attempt)

    @property
    def owner(self) -> str:
        """Whose standing says whether it goes."""
        return self.beside or self.payee


def _decide_payment(payment: Payment, command: PaymentCommand, context: Context) -> list[Event]:
    match command:
        case RequestPayment():
            require(payment.state == "NEW", WrongPaymentState("this payment is already ordered"))
            assert command.purpose in PURPOSES and command.pence >= 0 and carried(command.narration)
            if command.pence == 0:
                return []  # the fee of a very small trade rounds to nothing: nothing is sent, nothing is booked
            return [PaymentRequested(payment=command.payment, purpose=command.purpose, resource=command.resource,
                                     payee=command.payee, pence=command.pence, account=command.account,
                                     narration=command.narration, beside=command.beside)]
        case ClearPayment():
            _expect(payment, "REQUESTED")
            return [PaymentCleared(**_facts(payment))]
        case HoldPayment():
            _expect(payment, "REQUESTED", "CLEARED")
            return [PaymentHeld(**_facts(payment), reason=command.reason)]
        case ReleasePayment():
            _expect(payment, "HELD")
            return [PaymentReleased(**_facts(payment))]
        case RecordSent():
            _expect(payment, "CLEARED")
            return [PaymentSent(**_facts(payment), provider_reference=command.provider_reference)]
        case RecordCredited():
            _expect(payment, "SENT")
            return [PaymentConfirmed(**_facts(payment))]
        case RecordBounced():
            _expect(payment, *OUT)
            require(command.attempt in (0, payment.attempt), WrongPaymentState("another attempt is under way"))
            return [PaymentReturned(**_facts(payment), reason=command.reason, was=payment.state)]
        case ReroutePayment():
            _expect(payment, "RETURNED")
            require(payment.attempt == command.attempt, WrongPaymentState("another attempt has come back since"))
            return [PaymentRerouted(**_facts(payment), attempt=payment.attempt + 1, account=command.account,
                                    bank_id=bank_id(payment.id, payment.attempt + 1), order=command.order)]
        case _:
            raise TypeError(f"payment cannot decide {type(command).__name__}")


def _facts(payment: Payment) -> dict[str, Any]:
    """What every event after the request repeats of it."""
    return {"payment": payment.id, "purpose": payment.purpose, "resource": payment.resource, "payee": payment.payee,
            "pence": payment.pence}


def _expect(payment: Payment, *states: str) -> None:
    if payment.state not in states:
        raise WrongPaymentState(f"this payment is {payment.state}")


def _evolve_payment(payment: Payment, event: Event) -> Payment:
    match event:
        case PaymentRequested():
            return Payment(id=event.payment, state="REQUESTED", purpose=event.purpose, resource=event.resource,
                           payee=event.payee, pence=event.pence, account=event.account, narration=event.narration,
                           beside=event.beside)
        case PaymentCleared():
            return msgspec.structs.replace(payment, state="CLEARED")
        case PaymentHeld():
            return msgspec.structs.replace(payment, state="HELD")
        case PaymentReleased():
            return msgspec.structs.replace(payment, state="REQUESTED")
        case PaymentSent():
            return msgspec.structs.replace(payment, state="SENT")
        case PaymentConfirmed():
            return msgspec.structs.replace(payment, state="CONFIRMED")
        case PaymentReturned():
            return msgspec.structs.replace(payment, state="RETURNED")
        case PaymentRerouted():
            return msgspec.structs.replace(payment, state="REQUESTED", attempt=event.attempt, account=event.account)
        case _:
            return payment


PAYMENT: Kind[Payment] = Kind("payment", Payment(), _decide_payment, _evolve_payment)
