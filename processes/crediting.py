"""Crediting: a bank's notice becomes an entry. The bank's id proves which credit it is; what the credit says, it does
not prove: the same id with other contents is other money, and stands in suspense with an alarm.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

import msgspec

from domain.base import Command
from domain.credit import CREDIT, ID_REUSED, CreditText, RecordCredit, RefuseNotice, SuspendCredit
from domain.party import Personal
from domain.platform import RaiseAlarm
from processes.accounts import mark, named_reference, seal_for_payer
from processes.outside import Outside
from providers.bank import CreditNotice

UNREADABLE = "bank_notice_unreadable"


class Raw(msgspec.Struct, frozen=True):
    """A notice as it came, base64."""

    notice: str


def contents(outside: Outside, notice: CreditNotice) -> str:
    """A keyed hash of all that a notice says: the same for a notice repeated, another for anything else."""
    return _keyed(outside, b"credit\n" + msgspec.json.encode(notice))


def record(outside: Outside, notice: CreditNotice) -> Sequence[Command]:
    """What books a notice that was not booked before."""
    if outside.look(CREDIT, notice.bank_ref).state == "NEW":
        return [_received(outside, notice, notice.bank_ref)]
    credit = f"{notice.bank_ref}~{contents(outside, notice)[:16]}"  # no id of the bank's holds a tilde
    alarm = RaiseAlarm(alarm=f"{ID_REUSED}:{credit}", source="bank", code=ID_REUSED,
                       detail=f"the bank gave the id {notice.bank_ref} to other money as well: ask it which is right")
    return [_received(outside, notice, credit),
            SuspendCredit(credit=credit, reason=ID_REUSED, suggestion=notice.bank_ref), alarm]


def _received(outside: Outside, notice: CreditNotice, credit: str) -> RecordCredit:
    text = CreditText(printable(notice.narration), printable(notice.remitter_name))
    reference, payer = named_reference(outside, text.narration), notice.payer
    said, account = (*seal_for_payer(outside, notice, reference, text, *([payer] if payer else [])), None)[:2]
    assert isinstance(said, Personal)
    return RecordCredit(
        credit=credit, sort_code=notice.account.sort_code, account_number=notice.account.account_number,
        pence=notice.amount_pence, currency=notice.currency, reference=reference, said=said, payer_account=account,
        payer=mark(outside, payer) if payer else "", received_at=notice.received_at)


def refuse(outside: Outside, raw: bytes, problem: str) -> Sequence[Command]:
    """What keeps a signed notice that cannot be booked: itself, sealed, and one alarm that says where to look."""
    name = refused_id(outside, raw)
    sealed = outside.vault.seal_struct(name, Raw(base64.b64encode(raw).decode()))
    alarm = RaiseAlarm(alarm=name, source="bank", code=UNREADABLE,
                       detail=f"a notice that the bank signed cannot be booked: {problem}. It is kept sealed")
    return [RefuseNotice(credit=name, raw=sealed, problem=problem), alarm]


def refused_id(outside: Outside, raw: bytes) -> str:
    return "ntc_" + _keyed(outside, b"notice\n" + raw)[:32]


def printable(text: str) -> str:
    """A bank's free text, without what a record cannot hold."""
    return "".join(character if character.isprintable() else " " for character in text)


def _keyed(outside: Outside, content: bytes) -> str:
    return hmac.new(outside.link_secret, content, hashlib.sha256).hexdigest()
