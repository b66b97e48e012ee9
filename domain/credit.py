"""Credit: money that came in. It pays what it fits exactly, or waits in suspense and pays nobody.

    NEW -> RECEIVED -> MATCHED | WAITING -> RECEIVED
                    -> SUSPENSE -> MATCHED | RETURNED | VOID     (by an order of two people; RETURNED also by a rule)
    NEW -> REFUSED                                               (a signed notice that cannot be booked, or of a debit
                                                                  that nobody ordered)

Source: `spec/state-machines.md` "Payment", `spec/decisions.md` rows 51, 52, 56, 75, 79, 91.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from domain.base import Command, Conflict, Context, Event, Invalid, Kind, require
from domain.invoice import invoice_reference
from domain.party import SYSTEM, Personal

CREDIT_PURPOSES = ("funding", "obligor", "trade", "bill")
"""What an incoming credit pays: a lender's advance, a debtor's invoice, an investor's purchase, a bill of ours."""

NOT_DESIGNATED = "not_the_designated_account"
THIRD_PARTY = "third_party_payer"
NOT_OURS = "not_our_account"
ID_REUSED = "bank_id_reused"
RETURN_UNKNOWN = "return_of_no_payout"
RETURN_DIFFERS = "return_differs"
"""Reasons of suspense that others act upon."""


# ---------------------------------------------------------------- commands


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
    """The invoice or bill the narration names, if it names one and says nothing else."""

    said: Personal
    """What the payer wrote and is called (`CreditText`), which may name a person: sealed before it gets here."""

    payer_account: Personal | None = None
    """The account the money came from, sealed; None where the bank does not say."""

    payer: str = ""
    """The same account as a keyed hash: whether two credits come from one account can be seen, which one cannot."""

    received_at: datetime


class RefuseNotice(CreditCommand, frozen=True, kw_only=True):
    """Signed by the bank and insane, or of money that left without our order: booked nowhere, kept whole. `credit` is a
    keyed hash of the notice."""

    raw: Personal
    problem: str


class MatchCredit(CreditCommand, frozen=True, kw_only=True):
    """`order` is the release that two people gave; without one, only what was just received is matched."""

    purpose: str
    resource: str
    order: str | None = None


class WaitCredit(CreditCommand, frozen=True, kw_only=True):
    """It fits, and cannot be shared out yet: it waits on the invoice (`domain/invoice/waiting.py`)."""

    resource: str


class ResumeCredit(CreditCommand, frozen=True, kw_only=True):
    pass


class SuspendCredit(CreditCommand, frozen=True, kw_only=True):
    reason: str
    suggestion: str | None = None


class ReturnCredit(CreditCommand, frozen=True, kw_only=True):
    """Back to the account it came from, by `payment`; without an order, by a rule of the platform."""

    payment: str
    order: str | None = None


class VoidCredit(CreditCommand, frozen=True, kw_only=True):
    """The bank says that there is no such money in our accounts: the books forget it."""

    order: str


# ---------------------------------------------------------------- events


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
    payer_account: Personal | None
    payer: str
    received_at: datetime


class CreditText(msgspec.Struct, frozen=True):
    """What a bank notice says in people's words."""

    narration: str
    remitter: str


def credit_received_2(data: dict[str, Any]) -> dict[str, Any]:
    """From version 1, which held narration and remitter in clear: no reader of today's code meets them."""
    kept = {name: value for name, value in data.items() if name not in ("narration", "remitter")}
    return {**kept, "reference": invoice_reference(data["narration"]), "said": None, "payer_account": None, "payer": ""}


class NoticeRefused(Event, frozen=True, kw_only=True):
    tag = "credit.refused.1"
    action = "BANK_NOTICE_REFUSED"
    raw: Personal
    """The notice as it came, base64, under a key of its own."""

    problem: str
    """Which field is wrong, never what it holds; or that nobody ordered this."""


class CreditMatched(Event, frozen=True, kw_only=True):
    tag = "credit.matched.1"
    action = "CASH_MATCHED"
    credit: str
    pence: int
    purpose: str
    """One of CREDIT_PURPOSES."""

    resource: str
    order: str | None


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
    """Nobody is paid from suspense but by an order of two people, or back to where the money came from."""

    tag = "credit.suspended.1"
    action = "CASH_UNMATCHED"
    credit: str
    pence: int
    reason: str
    suggestion: str | None


class CreditReturned(Event, frozen=True, kw_only=True):
    """Owed to its payer again; the payment that follows brings it there."""

    tag = "credit.returned.1"
    action = "CASH_RETURNED"
    credit: str
    pence: int
    payment: str
    order: str | None


class CreditVoided(Event, frozen=True, kw_only=True):
    tag = "credit.voided.1"
    action = "CASH_VOIDED"
    credit: str
    pence: int
    currency: str
    order: str


# ---------------------------------------------------------------- refusals


class CreditKnown(Conflict):
    code = "credit_known"


class CreditNotOpen(Conflict):
    code = "credit_not_open"


class ForeignMoney(Conflict):
    code = "foreign_money"


class PayerUnknown(Conflict):
    code = "payer_account_unknown"


# ---------------------------------------------------------------- decide, evolve


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""
    state: str = "NEW"
    pence: int = 0
    received: CreditReceived | None = None
    reason: str = ""
    suggestion: str | None = None
    """Why it is in suspense, and what it may have been meant for."""

    @property
    def currency(self) -> str:
        return self.received.currency if self.received else ""

    @property
    def payer(self) -> str:
        return self.received.payer if self.received else ""

    @property
    def payer_account(self) -> Personal | None:
        return self.received.payer_account if self.received else None


def _decide(credit: Credit, command: CreditCommand, context: Context) -> list[Event]:
    match command:
        case RecordCredit():
            return _receive(credit, command)
        case RefuseNotice():
            require(credit.state == "NEW", CreditKnown("this notice is already kept"))
            return [NoticeRefused(raw=command.raw, problem=command.problem)]
        case MatchCredit():
            _expect(credit, "SUSPENSE" if command.order else "RECEIVED")
            require(credit.currency == "GBP", ForeignMoney("only sterling pays what is owed here"))
            assert command.purpose in CREDIT_PURPOSES
            return [CreditMatched(credit=credit.id, pence=credit.pence, purpose=command.purpose,
                                  resource=command.resource, order=command.order)]
        case WaitCredit():
            _expect(credit, "RECEIVED")
            return [CreditWaiting(credit=credit.id, pence=credit.pence, resource=command.resource)]
        case ResumeCredit():
            _expect(credit, "WAITING")
            return [CreditResumed(credit=credit.id)]
        case SuspendCredit():
            _expect(credit, "RECEIVED")
            return [CreditSuspended(credit=credit.id, pence=credit.pence, reason=command.reason,
                                    suggestion=command.suggestion)]
        case ReturnCredit():
            _expect(credit, "SUSPENSE")
            assert command.order or context.actor_role == SYSTEM
            require(credit.currency == "GBP", ForeignMoney("the bank itself sends foreign money back"))
            require(credit.payer_account is not None, PayerUnknown("the bank did not say where this money came from"))
            return [CreditReturned(credit=credit.id, pence=credit.pence, payment=command.payment, order=command.order)]
        case VoidCredit():
            _expect(credit, "SUSPENSE")
            return [CreditVoided(credit=credit.id, pence=credit.pence, currency=credit.currency, order=command.order)]
        case _:
            raise TypeError(f"credit cannot decide {type(command).__name__}")


def _receive(credit: Credit, command: RecordCredit) -> list[Event]:
    require(credit.state == "NEW", CreditKnown("this credit is already recorded"))
    require(bool(command.credit), Invalid("a credit has an id", pointer="/credit"))
    if command.pence <= 0:
        raise Invalid("a credit is a positive amount", pointer="/pence")
    return [CreditReceived(
        credit=command.credit, sort_code=command.sort_code, account_number=command.account_number,
        pence=command.pence, currency=command.currency, reference=command.reference, said=command.said,
        payer_account=command.payer_account, payer=command.payer, received_at=command.received_at)]


def _expect(credit: Credit, state: str) -> None:
    require(credit.state == state, CreditNotOpen(f"this step needs the credit to be {state}; it is {credit.state}"))


def _evolve(credit: Credit, event: Event) -> Credit:
    change = msgspec.structs.replace
    match event:
        case CreditReceived():
            return Credit(id=event.credit, state="RECEIVED", pence=event.pence, received=event)
        case CreditWaiting():
            return change(credit, state="WAITING")
        case CreditResumed():
            return change(credit, state="RECEIVED")
        case NoticeRefused():
            return change(credit, state="REFUSED")
        case CreditMatched():
            return change(credit, state="MATCHED")
        case CreditSuspended():
            return change(credit, state="SUSPENSE", reason=event.reason, suggestion=event.suggestion)
        case CreditReturned():
            return change(credit, state="RETURNED")
        case CreditVoided():
            return change(credit, state="VOID")
        case _:
            return credit


CREDIT: Kind[Credit] = Kind("credit", Credit(), _decide, _evolve)
