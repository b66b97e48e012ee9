"""ClearBank's TransactionSettled notice, version 6, read strictly: whoever may sign may still be wrong.

Amounts are plain decimals of pounds with at most two decimals, read in time linear in their length; times carry their
offset (ClearBank's are UTC, written with `Z`); ids and accounts are bounded ASCII. Anything else is `Unsound`.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec

from eventstore.foreign import UNREADABLE
from providers.bank import Account, CreditNotice, DebitNotice, Notice, ReturnNotice

MAX_PENCE = 10**13
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)
"""Clocks differ; a credit of the day after tomorrow is a mistake."""

_AMOUNT = re.compile(rb"(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,2}))?")
_BBAN = re.compile(r"(?:[A-Z]{4})?([0-9]{6})([0-9]{8})")

Word = Annotated[str, msgspec.Meta(max_length=500)]


class Unsound(ValueError):
    """Signed by the bank, and not a notice that can be booked. What it says names the field, never its content."""


class NotSettled(Exception):
    """A sound notice of something else than settled money."""


class _Party(msgspec.Struct, kw_only=True):
    bban: Word = msgspec.field(name="BBAN", default="")
    owner_name: Word = msgspec.field(name="OwnerName", default="")
    transaction_owner_name: Word = msgspec.field(name="TransactionOwnerName", default="")


class _Settled(msgspec.Struct, rename="pascal", kw_only=True):
    transaction_id: Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Za-z][0-9A-Za-z._:-]{0,46}\Z")]
    amount: msgspec.Raw
    timestamp_settled: Annotated[datetime, msgspec.Meta(tz=True)]
    currency_code: Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{3}\Z")]
    debit_credit_code: Literal["Credit", "Debit"]
    end_to_end_transaction_id: Word | None = None
    reference: Word = ""
    is_return: bool = False
    account: _Party
    counterpart_account: _Party = msgspec.field(default_factory=_Party)


class _Notice(msgspec.Struct, rename="pascal"):
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    payload: msgspec.Raw


def read(raw: bytes, now: datetime) -> Notice:
    """The movement of money that a genuine notice tells of. Raises Unsound, NotSettled."""
    try:
        notice = msgspec.json.decode(raw, type=_Notice)
        if notice.type != "TransactionSettled":
            raise NotSettled(notice.type)
        settled = msgspec.json.decode(notice.payload, type=_Settled)
    except UNREADABLE as error:
        raise Unsound(_where(error)) from error
    account, payer = _account(settled.account), _account(settled.counterpart_account)
    if account is None:
        raise Unsound("Account.BBAN")
    if not EARLIEST <= settled.timestamp_settled <= now + AHEAD:
        raise Unsound("TimestampSettled")
    pence = _pence(bytes(settled.amount))
    order, at = settled.end_to_end_transaction_id or "", settled.timestamp_settled.astimezone(UTC)
    if settled.debit_credit_code == "Debit":
        return DebitNotice(bank_ref=settled.transaction_id, order=order, account=account, amount_pence=pence,
                           currency=settled.currency_code, settled_at=at)
    remitter = settled.counterpart_account
    credit = CreditNotice(
        bank_ref=settled.transaction_id, account=account, amount_pence=pence, currency=settled.currency_code,
        narration=settled.reference, remitter_name=remitter.transaction_owner_name or remitter.owner_name,
        received_at=at, payer=payer)
    return ReturnNotice(order, credit) if settled.is_return else credit


def _where(error: Exception) -> str:
    """The path of the field, which msgspec names last; what the field held may be anything."""
    path = re.search(r"`\$([.\[\]\w]*)`\Z", str(error))
    return path[1].lstrip(".") or "body" if path else "body"


def _account(party: _Party) -> Account | None:
    found = _BBAN.fullmatch(party.bban)
    return Account(party.transaction_owner_name or party.owner_name, found[1], found[2]) if found else None


def _pence(written: bytes) -> int:
    found = _AMOUNT.fullmatch(written)
    if found is None:
        raise Unsound("Amount")
    pence = int(found[1]) * 100 + int((found[2] or b"").ljust(2, b"0"))
    if not 0 < pence <= MAX_PENCE:
        raise Unsound("Amount")
    return pence
