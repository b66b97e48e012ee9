"""Credits, virtual accounts and payers: each once, nothing paid from suspense but by an order or back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from domain import account as a
from domain import credit as c
from domain import payer as k
from domain.base import Event, Invalid
from domain.party import COMPLIANCE, Personal
from tests.domain.scenario import Row, Step, at, check_order, check_path, fold, given, history_of

change = msgspec.structs.replace
NOW, OFFICER = at("2026-05-22T14:00"), at("2026-05-22T14:00", "stf_1", COMPLIANCE)
SEALED = Personal("sub_lender", "c2VhbGVk")
CREDIT: dict[str, Any] = {
    "credit": "crd_1", "sort_code": "040004", "account_number": "12345678", "pence": 976_000, "currency": "GBP",
    "reference": "FX-INV-23A4F", "said": SEALED, "payer_account": SEALED, "payer": "ab" * 32, "received_at": NOW.now}
MATCH = c.MatchCredit(credit="crd_1", purpose="funding", resource="FX-INV-23A4F")
SUSPEND = c.SuspendCredit(credit="crd_1", reason="amount differs", suggestion="FX-INV-23A4F")
RETURN = c.ReturnCredit(credit="crd_1", payment="crd_1/return")
VOID = c.VoidCredit(credit="crd_1", order="rel_1")
REFUSE = c.RefuseNotice(credit="ntc_1", raw=SEALED, problem="Amount")
PATH = [
    Step(c.RecordCredit(**CREDIT), NOW, (c.CreditReceived(**CREDIT),)),
    Step(MATCH, NOW, (c.CreditMatched(credit="crd_1", pence=976_000, purpose="funding", resource="FX-INV-23A4F",
                                      order=None),)),
]
RECEIVED = history_of(PATH, 1)
SUSPENDED = (*RECEIVED, c.CreditSuspended(credit="crd_1", pence=976_000, reason="amount differs",
                                          suggestion="FX-INV-23A4F"))
WAITING = c.CreditWaiting(credit="crd_1", pence=976_000, resource="FX-INV-23A4F")
FOREIGN = tuple(change(event, currency="EUR") if isinstance(event, c.CreditReceived) else event for event in SUSPENDED)
NAMELESS = tuple(change(event, payer_account=None) if isinstance(event, c.CreditReceived) else event
                 for event in SUSPENDED)
OPEN = a.OpenAccount(account="040004-12345678", purpose="funding", resource="FX-INV-23A4F", payment="pay_1",
                     payer="sub_lender")
OPENED = a.AccountOpened(account="040004-12345678", purpose="funding", resource="FX-INV-23A4F", payment="pay_1",
                         payer="sub_lender")

REFUSED = [
    Row(c.CreditKnown, RECEIVED, c.RecordCredit(**CREDIT), NOW),
    Row(c.CreditKnown, (c.NoticeRefused(raw=SEALED, problem="Amount"),), REFUSE, NOW),
    Row(Invalid, (), c.RecordCredit(**{**CREDIT, "pence": 0}), NOW),
    Row(Invalid, (), c.RecordCredit(**{**CREDIT, "credit": ""}), NOW),
    Row(c.CreditNotOpen, (), MATCH, NOW),
    Row(c.CreditNotOpen, history_of(PATH, 2), SUSPEND, NOW),
    Row(c.CreditNotOpen, SUSPENDED, MATCH, NOW),
    Row(c.CreditNotOpen, RECEIVED, change(MATCH, order="rel_1"), NOW),
    Row(c.CreditNotOpen, (), c.WaitCredit(credit="crd_1", resource="FX-INV-23A4F"), NOW),
    Row(c.CreditNotOpen, RECEIVED, c.ResumeCredit(credit="crd_1"), NOW),
    Row(c.CreditNotOpen, (*RECEIVED, WAITING), MATCH, NOW),
    Row(c.CreditNotOpen, RECEIVED, RETURN, NOW),
    Row(c.CreditNotOpen, RECEIVED, VOID, NOW),
    Row(c.ForeignMoney, FOREIGN, change(MATCH, order="rel_1"), OFFICER),
    Row(c.ForeignMoney, FOREIGN, RETURN, NOW),
    Row(c.PayerUnknown, NAMELESS, RETURN, NOW),
    Row(a.AccountKnown, (OPENED,), OPEN, NOW),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


@pytest.mark.parametrize("path", [PATH, [Step(OPEN, NOW, (OPENED,))]], ids=["in", "account"])
def test_golden_path_and_its_order(path: list[Step]) -> None:
    check_path(path)
    check_order(path, allowed=set())


@pytest.mark.parametrize(("command", "event", "state"), [
    (change(MATCH, order="rel_1"), c.CreditMatched(
        credit="crd_1", pence=976_000, purpose="funding", resource="FX-INV-23A4F", order="rel_1"), "MATCHED"),
    (change(RETURN, order="rel_1"), c.CreditReturned(
        credit="crd_1", pence=976_000, payment="crd_1/return", order="rel_1"), "RETURNED"),
    (VOID, c.CreditVoided(credit="crd_1", pence=976_000, currency="GBP", order="rel_1"), "VOID"),
], ids=["match", "return", "void"])
def test_there_are_three_ways_out_of_suspense_and_each_ends_it(command: Any, event: Event, state: str) -> None:
    given(*SUSPENDED).when(command, OFFICER).then(event)
    assert fold("credit", (*SUSPENDED, event)).state == state
    for again in (change(MATCH, order="rel_2"), RETURN, VOID):
        given(*SUSPENDED, event).when(again, NOW).then_refused(c.CreditNotOpen)


def test_a_rule_returns_a_credit_and_no_person_does_without_an_order() -> None:
    returned = c.CreditReturned(credit="crd_1", pence=976_000, payment="crd_1/return", order=None)
    given(*SUSPENDED).when(RETURN, NOW).then(returned)
    with pytest.raises(AssertionError):
        given(*SUSPENDED).when(RETURN, OFFICER).decide()


def test_a_credit_is_matched_to_a_known_purpose_only() -> None:
    with pytest.raises(AssertionError):
        given(*RECEIVED).when(change(MATCH, purpose="gift"), NOW).decide()


def test_an_account_that_has_paid_for_a_debtor_is_known_once() -> None:
    known, nothing = k.PayerKnown(debtor="sub_buyer", payer="ab"), ()
    given().when(k.KnowPayer(debtor="sub_buyer", payer="ab"), NOW).then(known)
    given(known).when(k.KnowPayer(debtor="sub_buyer", payer="ab"), NOW).then(*nothing)


def test_account_keys_ignore_the_hyphens_of_a_sort_code() -> None:
    assert a.account_key("04-00-04", "12345678") == a.account_key("040004", "12345678") == "040004-12345678"


@pytest.mark.parametrize(("narration", "reference"), [
    ("FX-INV-23A4F", "FX-INV-23A4F"), ("fx inv 23a4f", "FX-INV-23A4F"), ("FX-INV-23A4F J SMITH", None),
    ("J SMITH FX-INV-23A4F", None), ("", None)])
def test_an_old_credit_is_read_without_its_clear_text(narration: str, reference: str | None) -> None:
    old = {"credit": "crd_1", "pence": 1, "narration": narration, "remitter": "Jane Doe"}
    assert c.credit_received_2(old) == {"credit": "crd_1", "pence": 1, "reference": reference, "said": None,
                                        "payer_account": None, "payer": ""}


def test_a_credit_that_waited_is_as_it_was_received() -> None:
    given(*RECEIVED).when(c.WaitCredit(credit="crd_1", resource="FX-INV-23A4F"), NOW).then(WAITING)
    resumed = c.CreditResumed(credit="crd_1")
    given(*RECEIVED, WAITING).when(c.ResumeCredit(credit="crd_1"), NOW).then(resumed)
    assert fold("credit", (*RECEIVED, WAITING, resumed)) == fold("credit", RECEIVED)
