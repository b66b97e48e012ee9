"""Money crossing the wall: outgoing payments, incoming credits, and the virtual accounts they arrive on.

Source: `spec/state-machines.md` "Payment", `spec/decisions.md` rows 51, 52, 56. An incoming credit that is not an
exact match waits in suspense and pays nobody.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from domain.base import Command, Conflict, Context, Event, Invalid, Kind, require
from domain.invoice import invoice_reference
from domain.party import Personal

PURPOSES = ("advance", "settlement", "proceeds", "refund", "fee")
"""What an outgoing payment is for: seller's advance, holder's settlement, slice seller's proceeds, refund, own fee."""


# ---------------------------------------------------------------- outgoing payment: commands


class PaymentCommand(Command, frozen=True, kw_only=True):
    kind = "payment"
    payment: str

    @property
    def key(self) -> str:
        return self.payment


class RequestPayment(PaymentCommand, frozen=True, kw_only=True):
    """`account` is the payee's sealed bank account; None pays the platform's own account (its fees)."""

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


# ---------------------------------------------------------------- outgoing payment: events


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
            assert command.purpose in PURPOSES and command.pence >= 0
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


# ---------------------------------------------------------------- incoming credit


CREDIT_PURPOSES = ("funding", "obligor", "trade")
"""What an incoming credit pays: a lender's advance, a debtor's invoice, an investor's purchase."""


class CreditCommand(Command, frozen=True, kw_only=True):
    kind = "credit"
    credit: str

    @property
    def key(self) -> str:
        return self.credit


class RecordCredit(CreditCommand, frozen=True, kw_only=True):
    """One bank notice. The bank's own reference is the key, so a repeated notice is one credit."""

    sort_code: str
    account_number: str
    pence: int
    currency: str
    reference: str | None
    """The invoice the narration names, if it names one and says nothing else."""

    said: Personal
    """What the payer wrote and is called (`CreditText`), which may name a person: sealed before it gets here."""

    received_at: datetime


class MatchCredit(CreditCommand, frozen=True, kw_only=True):
    purpose: str
    resource: str


class WaitCredit(CreditCommand, frozen=True, kw_only=True):
    """It fits, and cannot be shared out yet: it waits on the invoice (`domain/invoice/waiting.py`)."""

    resource: str


class ResumeCredit(CreditCommand, frozen=True, kw_only=True):
    pass


class SuspendCredit(CreditCommand, frozen=True, kw_only=True):
    reason: str
    suggestion: str | None = None


class CreditReceived(Event, frozen=True, kw_only=True):
    """`reference` is what matching needs; `said` is None where the entry is of the first version."""

    tag = "credit.received.2"
    action = "CREDIT_RECEIVED"
    credit: str
    sort_code: str
    account_number: str
    pence: int
    currency: str
    reference: str | None
    said: Personal | None
    received_at: datetime


class CreditText(msgspec.Struct, frozen=True):
    """What a bank notice says in people's words."""

    narration: str
    remitter: str


def credit_received_2(data: dict[str, Any]) -> dict[str, Any]:
    """From version 1, which held narration and remitter in clear: no reader of today's code meets them."""
    kept = {name: value for name, value in data.items() if name not in ("narration", "remitter")}
    return {**kept, "reference": invoice_reference(data["narration"]), "said": None}


class CreditMatched(Event, frozen=True, kw_only=True):
    tag = "credit.matched.1"
    action = "CASH_MATCHED"
    credit: str
    pence: int
    purpose: str
    """One of CREDIT_PURPOSES."""

    resource: str


class CreditWaiting(Event, frozen=True, kw_only=True):
    tag = "credit.waiting.1"
    action = "CASH_WAITS"
    credit: str
    pence: int
    resource: str


class CreditResumed(Event, frozen=True, kw_only=True):
    """Also the request to match it again."""

    tag = "credit.resumed.1"
    action = "CASH_RESUMES"
    credit: str


class CreditSuspended(Event, frozen=True, kw_only=True):
    """Nobody is paid from suspense; a person resolves it."""

    tag = "credit.suspended.1"
    action = "CASH_UNMATCHED"
    credit: str
    pence: int
    reason: str
    suggestion: str | None


class CreditKnown(Conflict):
    code = "credit_known"


class CreditNotOpen(Conflict):
    code = "credit_not_open"


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    """NEW -> RECEIVED -> MATCHED or SUSPENSE; RECEIVED -> WAITING -> RECEIVED."""

    id: str = ""
    state: str = "NEW"
    pence: int = 0
    received: CreditReceived | None = None


def _decide_credit(credit: Credit, command: CreditCommand, context: Context) -> list[Event]:
    match command:
        case RecordCredit():
            require(credit.state == "NEW", CreditKnown("this credit is already recorded"))
            if command.pence <= 0:
                raise Invalid("a credit is a positive amount", pointer="/pence")
            return [CreditReceived(
                credit=command.credit, sort_code=command.sort_code, account_number=command.account_number,
                pence=command.pence, currency=command.currency, reference=command.reference, said=command.said,
                received_at=command.received_at)]
        case MatchCredit():
            require(credit.state == "RECEIVED", CreditNotOpen(f"this credit is {credit.state}"))
            assert command.purpose in CREDIT_PURPOSES
            return [CreditMatched(credit=credit.id, pence=credit.pence, purpose=command.purpose,
                                  resource=command.resource)]
        case WaitCredit():
            require(credit.state == "RECEIVED", CreditNotOpen(f"this credit is {credit.state}"))
            return [CreditWaiting(credit=credit.id, pence=credit.pence, resource=command.resource)]
        case ResumeCredit():
            require(credit.state == "WAITING", CreditNotOpen(f"this credit is {credit.state}"))
            return [CreditResumed(credit=credit.id)]
        case SuspendCredit():
            require(credit.state == "RECEIVED", CreditNotOpen(f"this credit is {credit.state}"))
            return [CreditSuspended(credit=credit.id, pence=credit.pence, reason=command.reason,
                                    suggestion=command.suggestion)]
        case _:
            raise TypeError(f"credit cannot decide {type(command).__name__}")


def _evolve_credit(credit: Credit, event: Event) -> Credit:
    match event:
        case CreditReceived():
            return Credit(id=event.credit, state="RECEIVED", pence=event.pence, received=event)
        case CreditWaiting():
            return msgspec.structs.replace(credit, state="WAITING")
        case CreditResumed():
            return msgspec.structs.replace(credit, state="RECEIVED")
        case CreditMatched():
            return msgspec.structs.replace(credit, state="MATCHED")
        case CreditSuspended():
            return msgspec.structs.replace(credit, state="SUSPENSE")
        case _:
            return credit


CREDIT: Kind[Credit] = Kind("credit", Credit(), _decide_credit, _evolve_credit)


# ---------------------------------------------------------------- virtual account


class OpenAccount(Command, frozen=True, kw_only=True):
    """A virtual account stands for one expected payment; the account number is the key."""

    kind = "account"
    account: str
    purpose: str
    resource: str
    payment: str

    @property
    def key(self) -> str:
        return self.account


class AccountOpened(Event, frozen=True, kw_only=True):
    tag = "account.opened.1"
    action = "VIRTUAL_ACCOUNT_OPENED"
    account: str
    purpose: str
    resource: str
    payment: str


class AccountKnown(Conflict):
    code = "account_known"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    purpose: str = ""
    resource: str = ""
    payment: str = ""


def account_key(sort_code: str, account_number: str) -> str:
    return f"{sort_code.replace('-', '')}-{account_number}"


def _decide_account(account: Account, command: OpenAccount, context: Context) -> list[Event]:
    require(not account.purpose, AccountKnown("this virtual account is already open"))
    return [AccountOpened(account=command.account, purpose=command.purpose, resource=command.resource,
                          payment=command.payment)]


def _evolve_account(account: Account, event: Event) -> Account:
    if isinstance(event, AccountOpened):
        return Account(purpose=event.purpose, resource=event.resource, payment=event.payment)
    return account


ACCOUNT: Kind[Account] = Kind("account", Account(), _decide_account, _evolve_account)
