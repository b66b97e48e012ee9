"""Payments, credits and virtual accounts: each once, none confirmed unseen, nothing paid from suspense."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from domain import payment as p
from domain.base import Event, Invalid
from domain.party import Personal
from tests.domain.scenario import Row, Step, at, check_order, check_path, fold, given, history_of

change = msgspec.structs.replace
NOW, PAY = at("2026-05-22T14:00"), "FX-INV-23A4F/advance"
SEALED = Personal("sub_copper", "c2VhbGVk")
FACTS: dict[str, Any] = {"payment": PAY, "purpose": "advance", "resource": "FX-INV-23A4F", "payee": "sub_copper",
                         "pence": 966_000}
BOUNCE = p.RecordBounced(payment=PAY, reason="ACCOUNT_CLOSED")
PATH = [
    Step(p.RequestPayment(**FACTS, account=SEALED, narration="FX-INV-23A4F"), NOW,
         (p.PaymentRequested(**FACTS, account=SEALED, narration="FX-INV-23A4F"),)),
    Step(p.RecordSent(payment=PAY, provider_reference="cb-1"), NOW,
         (p.PaymentSent(**FACTS, provider_reference="cb-1"),)),
    Step(p.RecordCredited(payment=PAY), NOW, (p.PaymentConfirmed(**FACTS),)),
]
CREDIT: dict[str, Any] = {
    "credit": "crd_1", "sort_code": "040004", "account_number": "12345678", "pence": 976_000, "currency": "GBP",
    "reference": "FX-INV-23A4F", "said": Personal("sub_lender", "c2VhbGVk"), "received_at": NOW.now}
MATCH = p.MatchCredit(credit="crd_1", purpose="funding", resource="FX-INV-23A4F")
SUSPEND = p.SuspendCredit(credit="crd_1", reason="amount differs", suggestion="FX-INV-23A4F")
CREDIT_PATH = [
    Step(p.RecordCredit(**CREDIT), NOW, (p.CreditReceived(**CREDIT),)),
    Step(MATCH, NOW, (p.CreditMatched(credit="crd_1", pence=976_000, purpose="funding", resource="FX-INV-23A4F"),)),
]
SUSPENDED = p.CreditSuspended(credit="crd_1", pence=976_000, reason="amount differs", suggestion="FX-INV-23A4F")
WAITING = p.CreditWaiting(credit="crd_1", pence=976_000, resource="FX-INV-23A4F")
OPEN = p.OpenAccount(account="040004-12345678", purpose="funding", resource="FX-INV-23A4F", payment="pay_1")
OPENED = p.AccountOpened(account="040004-12345678", purpose="funding", resource="FX-INV-23A4F", payment="pay_1")
RECEIVED = history_of(CREDIT_PATH, 1)

REFUSED = [
    Row(p.WrongPaymentState, history_of(PATH, 1), PATH[0].command, NOW),
    Row(p.WrongPaymentState, (), PATH[1].command, NOW),
    Row(p.WrongPaymentState, history_of(PATH, 3), BOUNCE, NOW),
    Row(p.CreditKnown, RECEIVED, p.RecordCredit(**CREDIT), NOW),
    Row(Invalid, (), p.RecordCredit(**{**CREDIT, "pence": 0}), NOW),
    Row(p.CreditNotOpen, (), MATCH, NOW),
    Row(p.CreditNotOpen, history_of(CREDIT_PATH, 2), SUSPEND, NOW),
    Row(p.CreditNotOpen, (*RECEIVED, SUSPENDED), MATCH, NOW),
    Row(p.CreditNotOpen, (), p.WaitCredit(credit="crd_1", resource="FX-INV-23A4F"), NOW),
    Row(p.CreditNotOpen, RECEIVED, p.ResumeCredit(credit="crd_1"), NOW),
    Row(p.CreditNotOpen, (*RECEIVED, WAITING), MATCH, NOW),
    Row(p.AccountKnown, (OPENED,), OPEN, NOW),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


@pytest.mark.parametrize("path", [PATH, CREDIT_PATH, [Step(OPEN, NOW, (OPENED,))]], ids=["out", "in", "account"])
def test_golden_path_and_its_order(path: list[Step]) -> None:
    check_path(path)
    check_order(path, allowed=set())


@pytest.mark.parametrize(("steps", "was_sent"), [(1, False), (2, True)])
def test_a_bounced_payment_says_whether_money_had_left(steps: int, was_sent: bool) -> None:
    returned = p.PaymentReturned(**FACTS, reason="ACCOUNT_CLOSED", was_sent=was_sent)
    given(*history_of(PATH, steps)).when(BOUNCE, NOW).then(returned)
    assert fold("payment", (*history_of(PATH, steps), returned)).state == "RETURNED"


def test_an_inexact_credit_waits_in_suspense() -> None:
    given(*RECEIVED).when(SUSPEND, NOW).then(SUSPENDED)
    assert fold("credit", (*RECEIVED, SUSPENDED)).state == "SUSPENSE"


def test_a_payment_of_nothing_is_nothing() -> None:
    """The fee on a slice of a few pence rounds to zero; that must not stop the seller's proceeds."""
    nothing: tuple[Event, ...] = ()
    given().when(change(PATH[0].command, pence=0), NOW).then(*nothing)


@pytest.mark.parametrize("fields", [{"pence": -1}, {"purpose": "gift"}])
def test_a_senseless_payment_is_a_bug(fields: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        given().when(change(PATH[0].command, **fields), NOW).decide()


def test_a_credit_is_matched_to_a_known_purpose_only() -> None:
    with pytest.raises(AssertionError):
        given(*RECEIVED).when(change(MATCH, purpose="gift"), NOW).decide()


def test_account_keys_ignore_the_hyphens_of_a_sort_code() -> None:
    assert p.account_key("04-00-04", "12345678") == p.account_key("040004", "12345678") == "040004-12345678"


@pytest.mark.parametrize(("narration", "reference"), [
    ("FX-INV-23A4F", "FX-INV-23A4F"), ("fx inv 23a4f", "FX-INV-23A4F"), ("FX-INV-23A4F J SMITH", None),
    ("J SMITH FX-INV-23A4F", None), ("", None)])
def test_an_old_credit_is_read_without_its_clear_text(narration: str, reference: str | None) -> None:
    old = {"credit": "crd_1", "pence": 1, "narration": narration, "remitter": "Jane Doe"}
    assert p.credit_received_2(old) == {"credit": "crd_1", "pence": 1, "reference": reference, "said": None}


def test_a_credit_that_waited_is_as_it_was_received() -> None:
    given(*RECEIVED).when(p.WaitCredit(credit="crd_1", resource="FX-INV-23A4F"), NOW).then(WAITING)
    resumed = p.CreditResumed(credit="crd_1")
    given(*RECEIVED, WAITING).when(p.ResumeCredit(credit="crd_1"), NOW).then(resumed)
    assert fold("credit", (*RECEIVED, WAITING, resumed)) == fold("credit", RECEIVED)
