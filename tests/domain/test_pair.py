"""A seller and its customer: the first confirmation is called back, then they are known to each other."""

from __future__ import annotations

import msgspec
import pytest

from domain.pair import (
    CallbackConfirmed,
    CallbackDenied,
    CallbackRequested,
    NoCallback,
    NotTheCaller,
    Pair,
    PairKnown,
    RecordCallback,
    RequestCallback,
)
from domain.party import ADMIN, COMPLIANCE, Personal
from tests.domain.scenario import Row, at, fold, given

FRIDAY = "2026-05-01T11:00"
NOTE = Personal("sub_b", "bm90ZQ")
ASK = RequestCallback(seller="sub_s", buyer="sub_b", invoice="FX-INV-1")
OFFICER = at(FRIDAY, "stf_1", COMPLIANCE)
CALL_BY = at("2026-05-06T22:59:59.999999").now


def asked(invoice: str = "FX-INV-1") -> CallbackRequested:
    return CallbackRequested(seller="sub_s", buyer="sub_b", invoice=invoice, call_by=CALL_BY)


def called(confirmed: bool = True) -> RecordCallback:
    return RecordCallback(seller="sub_s", buyer="sub_b", confirmed=confirmed, note=NOTE, note_sha256="n")


def told(kind: type[CallbackConfirmed] | type[CallbackDenied],
         *invoices: str) -> CallbackConfirmed | CallbackDenied:
    return kind(seller="sub_s", buyer="sub_b", invoices=invoices, note=NOTE, note_sha256="n")


REFUSED = [
    Row(PairKnown, (asked(), told(CallbackConfirmed, "FX-INV-1")), ASK, at(FRIDAY)),
    Row(NoCallback, (), called(), OFFICER),
    Row(NoCallback, (asked(), told(CallbackDenied, "FX-INV-1")), called(), OFFICER),
    Row(NotTheCaller, (asked(),), called(), at(FRIDAY, "stf_2", ADMIN)),
    Row(NotTheCaller, (asked(),), called(), at(FRIDAY, "sub_b", COMPLIANCE)),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_what_waits_is_called_about_once() -> None:
    event, = given().when(ASK, at(FRIDAY)).decide()
    assert isinstance(event, CallbackRequested)
    assert event.call_by.date().isoformat() == "2026-05-06", "two business days on: Monday is a bank holiday"
    given(asked()).when(ASK, at(FRIDAY)).then()
    other, = given(asked()).when(msgspec.structs.replace(ASK, invoice="FX-INV-2"), at(FRIDAY)).decide()
    given(asked(), other).when(called(), OFFICER).then(told(CallbackConfirmed, "FX-INV-1", "FX-INV-2"))


def test_a_denied_pair_is_asked_about_again() -> None:
    given(asked()).when(called(False), OFFICER).then(told(CallbackDenied, "FX-INV-1"))
    assert fold("pair", (asked(), told(CallbackDenied, "FX-INV-1"))) == Pair()
    assert fold("pair", (asked(), told(CallbackConfirmed, "FX-INV-1"))).known
