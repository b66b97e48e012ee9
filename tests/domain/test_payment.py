"""Payments: each once, none confirmed unseen."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from domain import payment as p
from domain.base import Event
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
         (p.PaymentRequested(**FACTS, account=SEALED, narration="FX-INV-23A4F", beside=""),)),
    Step(p.ClearPayment(payment=PAY), NOW, (p.PaymentCleared(**FACTS),)),
    Step(p.RecordSent(payment=PAY, provider_reference="cb-1"), NOW,
         (p.PaymentSent(**FACTS, provider_reference="cb-1"),)),
    Step(p.RecordCredited(payment=PAY), NOW, (p.PaymentConfirmed(**FACTS),)),
]
HOLD, RELEASE = p.HoldPayment(payment=PAY, reason=p.PAYEE_BARRED), p.ReleasePayment(payment=PAY)
HELD, RELEASED = p.PaymentHeld(**FACTS, reason=p.PAYEE_BARRED), p.PaymentReleased(**FACTS)

RETURNED = (*history_of(PATH, 3), p.PaymentReturned(**FACTS, reason="RETURNED", was="SENT"))
RENEWED = Personal("sub_copper", "cmVuZXdlZA==")
REROUTE = p.ReroutePayment(payment=PAY, attempt=1, account=RENEWED, order="rel_1")
REROUTED = p.PaymentRerouted(**FACTS, attempt=2, bank_id=f"{PAY}/2", account=RENEWED, order="rel_1")

REFUSED = [
    Row(p.WrongPaymentState, history_of(PATH, 1), PATH[0].command, NOW),
    Row(p.WrongPaymentState, (), PATH[1].command, NOW),
    Row(p.WrongPaymentState, history_of(PATH, 1), PATH[2].command, NOW),
    Row(p.WrongPaymentState, history_of(PATH, 1), BOUNCE, NOW),
    Row(p.WrongPaymentState, history_of(PATH, 4), change(BOUNCE, attempt=2), NOW),
    Row(p.WrongPaymentState, (*RETURNED, REROUTED, PATH[1].events[0]), change(BOUNCE, attempt=1), NOW),
    *(Row(p.WrongPaymentState, history_of(PATH, steps), HOLD, NOW) for steps in (0, 3, 4)),
    *(Row(p.WrongPaymentState, (*history_of(PATH, 2), HELD), command, NOW)
      for command in (HOLD, PATH[1].command, PATH[2].command, BOUNCE)),
    Row(p.WrongPaymentState, history_of(PATH, 2), RELEASE, NOW),
    *(Row(p.WrongPaymentState, history_of(PATH, steps), REROUTE, NOW) for steps in range(5)),
    Row(p.WrongPaymentState, (*history_of(PATH, 1), HELD), REROUTE, NOW),
    Row(p.WrongPaymentState, (*RETURNED, REROUTED), REROUTE, NOW),
    Row(p.WrongPaymentState, RETURNED, change(REROUTE, attempt=2), NOW),
    *(Row(p.WrongPaymentState, RETURNED, command, NOW) for command in (PATH[1].command, RELEASE, BOUNCE)),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_golden_path_and_its_order() -> None:
    check_path(PATH)
    check_order(PATH, allowed=set())


@pytest.mark.parametrize(("steps", "was"), [(2, "CLEARED"), (3, "SENT"), (4, "CONFIRMED")])
def test_a_payment_that_comes_back_says_how_far_it_was(steps: int, was: str) -> None:
    returned = p.PaymentReturned(**FACTS, reason="ACCOUNT_CLOSED", was=was)
    given(*history_of(PATH, steps)).when(BOUNCE, NOW).then(returned)
    assert fold("payment", (*history_of(PATH, steps), returned)).state == "RETURNED"


def test_a_returned_payment_goes_the_whole_way_again_as_another_payment_to_the_bank() -> None:
    given(*RETURNED).when(REROUTE, NOW).then(REROUTED)
    again = fold("payment", (*RETURNED, REROUTED))
    assert (again.state, again.account, again.bank_id) == ("REQUESTED", RENEWED, f"{PAY}/2")
    assert fold("payment", RETURNED).bank_id == PAY
    history = (*RETURNED, REROUTED)
    for step in PATH[1:]:
        given(*history).when(step.command, NOW).then(*step.events)
        history = (*history, *step.events)
    given(*RETURNED, REROUTED).when(HOLD, NOW).then(HELD)
    third = (*RETURNED, REROUTED, p.PaymentCleared(**FACTS),
             p.PaymentReturned(**FACTS, reason="FAILED", was="CLEARED"))
    given(*third).when(change(REROUTE, attempt=2), NOW).then(change(REROUTED, attempt=3, bank_id=f"{PAY}/3"))


def test_the_attempt_that_the_bank_names_comes_back() -> None:
    returned = p.PaymentReturned(**FACTS, reason="ACCOUNT_CLOSED", was="CONFIRMED")
    given(*history_of(PATH, 4)).when(change(BOUNCE, attempt=1), NOW).then(returned)


def test_a_payment_of_nothing_is_nothing() -> None:
    """The fee on a slice of a few pence rounds to zero; that must not stop the seller's proceeds."""
    nothing: tuple[Event, ...] = ()
    given().when(change(PATH[0].command, pence=0), NOW).then(*nothing)


@pytest.mark.parametrize("fields", [{"pence": -1}, {"purpose": "gift"}])
def test_a_senseless_payment_is_a_bug(fields: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        given().when(change(PATH[0].command, **fields), NOW).decide()


@pytest.mark.parametrize("steps", [1, 2], ids=["ordered", "cleared"])
def test_a_held_payment_goes_the_whole_way_again_once_released(steps: int) -> None:
    history = history_of(PATH, steps)
    given(*history).when(HOLD, NOW).then(HELD)
    given(*history, HELD).when(RELEASE, NOW).then(RELEASED)
    assert fold("payment", (*history, HELD, RELEASED)) == fold("payment", history_of(PATH, 1))


def test_a_fee_goes_with_the_payout_it_was_taken_from() -> None:
    request = change(PATH[0].command, payee=p.PLATFORM, account=None, beside="sub_copper")
    assert fold("payment", given().when(request, NOW).decide()).owner == "sub_copper"
    assert fold("payment", history_of(PATH, 1)).owner == "sub_copper"
