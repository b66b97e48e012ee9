"""Crediting: a bank's notice becomes an entry. The bank's id proves which credit it is; what the credit says, it does
not prove: the same id with other contents is other money, and stands in suspense with an alarm.

A payout that came back is known by the id it went out under, whether it had arrived or not; one that fits nothing we
sent stands in suspense with an alarm. Money that left without our order is an alarm.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

import msgspec

from domain.account import ACCOUNT, account_key
from domain.bank_order import BANK_ORDER, BankOrder, RecordOrderDebited, RecordOrderReturned
from domain.base import Command
from domain.credit import (
    CREDIT,
    ID_REUSED,
    NOT_OURS,
    RETURN_DIFFERS,
    RETURN_UNKNOWN,
    CreditText,
    RecordCredit,
    RefuseNotice,
    SuspendCredit,
)
from domain.party import Personal
from domain.payment import OUT, PAYMENT, RecordBounced
from domain.platform import RaiseAlarm
from processes.accounts import mark, named_reference, seal_for_payer
from processes.outside import Outside
from providers.bank import CreditNotice, DebitNotice, Notice, ReturnNotice

UNREADABLE = "bank_notice_unreadable"
NOT_ORDERED = "debit_not_ordered"

_SAYS = {
    ID_REUSED: "the bank gave the id {ref} to other money as well: ask it which is right",
    NOT_OURS: "the bank says by {ref} that a payout came back to an account that is not ours: ask where it is",
    RETURN_UNKNOWN: "the bank returned money by {ref} that fits no payout of ours: ask it what it is",
    RETURN_DIFFERS: "the bank returned another amount by {ref} than the payout was of: ask it what it kept",
}


class Raw(msgspec.Struct, frozen=True):
    """A notice as it came, base64."""

    notice: str


def contents(outside: Outside, notice: Notice) -> str:
    """A keyed hash of all that a notice says: the same for a notice repeated, another for anything else."""
    return _keyed(outside, type(notice).__name__.encode() + b"\n" + msgspec.json.encode(notice))


def record(outside: Outside, notice: Notice, raw: bytes) -> Sequence[Command]:
    """What books a notice that was not booked before."""
    match notice:
        case ReturnNotice():
            return _returned(outside, notice)
        case DebitNotice():
            return _debited(outside, notice, raw)
        case CreditNotice():
            reference = named_reference(outside, printable(notice.narration))
            if outside.look(CREDIT, notice.bank_ref).state == "NEW":
                return [_received(outside, notice, notice.bank_ref, reference)]
            return _suspended(outside, notice, reference, ID_REUSED, notice.bank_ref)


# ---------------------------------------------------------------- a payout that came back


def _returned(outside: Outside, notice: ReturnNotice) -> Sequence[Command]:
    """Whoever asked the bank may have seen it before: then the notice is noted, and nothing else is left to do."""
    order = outside.look(BANK_ORDER, notice.order) if notice.order else BankOrder()
    doubt = _doubt(outside, notice.credit, order)
    if doubt is not None:
        suggestion = notice.credit.bank_ref if doubt == ID_REUSED else order.payment or None
        return _suspended(outside, notice.credit, None, doubt, suggestion)
    noted = RecordOrderReturned(order=notice.order, notice=notice.credit.bank_ref)
    payment = outside.look(PAYMENT, order.payment)
    if payment.attempt > order.attempt or payment.state == "RETURNED":
        return [noted]
    return [noted, RecordBounced(payment=payment.id, attempt=order.attempt, reason="RETURNED")]


def _doubt(outside: Outside, credit: CreditNotice, order: BankOrder) -> str | None:
    """Why this is not, beyond doubt, what we sent out."""
    key = account_key(credit.account.sort_code, credit.account.account_number)
    if outside.look(CREDIT, credit.bank_ref).state != "NEW":
        return ID_REUSED
    if key != outside.collections and not outside.look(ACCOUNT, key).purpose:
        return NOT_OURS
    payment = outside.look(PAYMENT, order.payment)
    went = payment.attempt > order.attempt or payment.state in (*OUT, "RETURNED")
    if not order.payment or order.returned_by or not went:
        return RETURN_UNKNOWN
    exact = (credit.currency, credit.amount_pence, key) == ("GBP", payment.pence, outside.collections)
    return None if exact else RETURN_DIFFERS


# ---------------------------------------------------------------- money that left


def _debited(outside: Outside, notice: DebitNotice, raw: bytes) -> Sequence[Command]:
    """What we ordered is followed by asking; the notice of it is only noted."""
    order = outside.look(BANK_ORDER, notice.order) if notice.order else BankOrder()
    sterling = notice.currency == "GBP" and notice.amount_pence == outside.look(PAYMENT, order.payment).pence
    if order.payment and not order.debited_by and sterling:
        return [RecordOrderDebited(order=notice.order, notice=notice.bank_ref)]
    detail = f"money left our account by {notice.bank_ref} that nobody ordered: ask the bank. The notice is kept sealed"
    return _kept(outside, f"ntc_{contents(outside, notice)[:32]}", raw, NOT_ORDERED, NOT_ORDERED, detail)


# ---------------------------------------------------------------- what is written


def _suspended(outside: Outside, notice: CreditNotice, reference: str | None, reason: str,
               suggestion: str | None) -> Sequence[Command]:
    """Booked, for nobody, with an alarm."""
    credit = notice.bank_ref
    if outside.look(CREDIT, credit).state != "NEW":
        credit = f"{credit}~{contents(outside, notice)[:16]}"  # no id of the bank's holds a tilde
    alarm = RaiseAlarm(alarm=f"{reason}:{credit}", source="bank", code=reason,
                       detail=_SAYS[reason].format(ref=notice.bank_ref))
    return [_received(outside, notice, credit, reference),
            SuspendCredit(credit=credit, reason=reason, suggestion=suggestion), alarm]


def _received(outside: Outside, notice: CreditNotice, credit: str, reference: str | None) -> RecordCredit:
    text, payer = CreditText(printable(notice.narration), printable(notice.remitter_name)), notice.payer
    said, account = (*seal_for_payer(outside, notice, reference, text, *([payer] if payer else [])), None)[:2]
    assert isinstance(said, Personal)
    return RecordCredit(
        credit=credit, sort_code=notice.account.sort_code, account_number=notice.account.account_number,
        pence=notice.amount_pence, currency=notice.currency, reference=reference, said=said, payer_account=account,
        payer=mark(outside, payer) if payer else "", received_at=notice.received_at)


def refuse(outside: Outside, raw: bytes, problem: str) -> Sequence[Command]:
    """What keeps a signed notice that cannot be booked: itself, sealed, and one alarm that says where to look."""
    detail = f"a notice that the bank signed cannot be booked: {problem}. It is kept sealed"
    return _kept(outside, refused_id(outside, raw), raw, UNREADABLE, problem, detail)


def _kept(outside: Outside, name: str, raw: bytes, code: str, problem: str, detail: str) -> Sequence[Command]:
    sealed = outside.vault.seal_struct(name, Raw(base64.b64encode(raw).decode()))
    return [RefuseNotice(credit=name, raw=sealed, problem=problem),
            RaiseAlarm(alarm=name, source="bank", code=code, detail=detail)]


def refused_id(outside: Outside, raw: bytes) -> str:
    return "ntc_" + _keyed(outside, b"notice\n" + raw)[:32]


def printable(text: str) -> str:
    """A bank's free text, without what a record cannot hold."""
    return "".join(character if character.isprintable() else " " for character in text)


def _keyed(outside: Outside, content: bytes) -> str:
    return hmac.new(outside.link_secret, content, hashlib.sha256).hexdigest()
