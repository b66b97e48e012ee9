"""The bank's notices of payouts that came back and of money that left: what each becomes, whoever was faster."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from domain.bank_order import BANK_ORDER, NameOrder, RecordOrderDebited, RecordOrderReturned
from domain.base import Command
from domain.credit import (
    CREDIT,
    ID_REUSED,
    NOT_OURS,
    RETURN_DIFFERS,
    RETURN_UNKNOWN,
    RecordCredit,
    RefuseNotice,
    SuspendCredit,
)
from domain.invoice import INVOICE, AdvanceDisbursed, RecordAdvanceReturned, RecordPayoutReturned
from domain.party import Personal
from domain.payment import (
    PAYMENT,
    PURPOSES,
    ClearPayment,
    HoldPayment,
    PaymentConfirmed,
    PaymentReturned,
    RecordBounced,
    RecordCredited,
    RecordSent,
    RequestPayment,
    ReroutePayment,
)
from domain.platform import RaiseAlarm
from processes.crediting import NOT_ORDERED, record
from processes.payments import SECOND_LOOK
from processes.process import NotYet
from processes.releases import payee
from providers.bank import Account, CreditNotice, DebitNotice, ReturnNotice
from providers.bank import Payment as BankPayment
from providers.bank.account import end_to_end
from tests.processes.outside import Outside, asked, perform
from tests.processes.world import World, world_at
from tests.projections.story import LENDER, NOW, REFERENCE, SELLER, TRADE_ID

PAY, PENCE, ORDER = "pay", 500, end_to_end("pay")
COLLECTIONS = Account("FinToken X Ltd", "04-00-04", "99990000")
SELLERS = Account("Jane Doe", "20-48-17", "53910462")
BACK = ReturnNotice(ORDER, CreditNotice("ret-1", COLLECTIONS, PENCE, "GBP", "FX-INV-23A4F", "Jane Doe", NOW, SELLERS))
DEBIT = DebitNotice("dbt-1", ORDER, COLLECTIONS, PENCE, "GBP", NOW)
SENT, CREDITED = RecordSent(payment=PAY, provider_reference="bp"), RecordCredited(payment=PAY)
BOUNCED = RecordBounced(payment=PAY, reason="RETURNED")
AGAIN = ReroutePayment(payment=PAY, attempt=1, account=None, order="rel_1")
change = msgspec.structs.replace


def paying(*then: Command, purpose: str = "advance") -> World:
    world = World()
    world.do(RequestPayment(payment=PAY, purpose=purpose, resource="FX-INV-23A4F", payee=SELLER, pence=PENCE,
                            account=None, narration="FX-INV-23A4F"),
             ClearPayment(payment=PAY), NameOrder(order=ORDER, payment=PAY, attempt=1), *then)
    return world


def told(world: World, notice: CreditNotice | ReturnNotice | DebitNotice) -> list[Command]:
    """What a notice becomes, done."""
    outside: Any = Outside(world)
    outside.vault.seal_struct = lambda subject, value: Personal(subject, "sealed:")
    commands = list(record(outside, notice, b"as it came"))
    world.do(*commands)
    return commands


def of(credit: CreditNotice, **changes: Any) -> ReturnNotice:
    return change(BACK, credit=change(credit, **changes))


def suspended(commands: list[Command], reason: str, suggestion: str | None) -> None:
    received, waits, alarm = commands
    assert isinstance(received, RecordCredit) and received.reference is None
    assert waits == SuspendCredit(credit=received.credit, reason=reason, suggestion=suggestion)
    assert isinstance(alarm, RaiseAlarm) and alarm.code == reason
    assert "Doe" not in alarm.detail and "FX-INV" not in alarm.detail


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("then", [[], [SENT], [SENT, CREDITED]], ids=["cleared", "sent", "confirmed"])
def test_a_payout_of_any_kind_comes_back_however_far_it_was(then: list[Command], purpose: str) -> None:
    world = paying(*then, purpose=purpose)
    assert told(world, BACK) == [RecordOrderReturned(order=ORDER, notice="ret-1"), change(BOUNCED, attempt=1)]
    assert world.look(PAYMENT, PAY).state == "RETURNED"


@pytest.mark.parametrize("then", [
    [SENT, BOUNCED], [SENT, BOUNCED, AGAIN], [SENT, BOUNCED, AGAIN, ClearPayment(payment=PAY), SENT, CREDITED],
], ids=["seen", "sent again", "arrived"])
def test_a_return_that_was_seen_before_its_notice_is_noted_and_changes_nothing(then: list[Command]) -> None:
    world = paying(*then)
    before = world.look(PAYMENT, PAY)
    assert told(world, BACK) == [RecordOrderReturned(order=ORDER, notice="ret-1")]
    assert world.look(PAYMENT, PAY) == before


def test_the_second_attempt_comes_back_by_its_own_id() -> None:
    world = paying(SENT, CREDITED)
    told(world, BACK)
    second = end_to_end(f"{PAY}/2")
    world.do(AGAIN, ClearPayment(payment=PAY), NameOrder(order=second, payment=PAY, attempt=2), SENT, CREDITED)
    again = change(of(BACK.credit, bank_ref="ret-2"), order=second)
    assert told(world, again) == [RecordOrderReturned(order=second, notice="ret-2"), change(BOUNCED, attempt=2)]


@pytest.mark.parametrize(("notice", "reason", "suggestion"), [
    (change(BACK, order=""), RETURN_UNKNOWN, None),
    (change(BACK, order="FXSTRANGER"), RETURN_UNKNOWN, None),
    (of(BACK.credit, amount_pence=PENCE - 1), RETURN_DIFFERS, PAY),
    (of(BACK.credit, amount_pence=PENCE + 1), RETURN_DIFFERS, PAY),
    (of(BACK.credit, currency="EUR"), RETURN_DIFFERS, PAY),
    (of(BACK.credit, account=Account("X", "99-99-99", "12345678")), NOT_OURS, PAY),
], ids=["no id", "unknown id", "less", "more", "foreign", "elsewhere"])
def test_what_fits_no_payout_waits_in_suspense_with_an_alarm(
    notice: ReturnNotice, reason: str, suggestion: str | None
) -> None:
    world = paying(SENT, CREDITED)
    suspended(told(world, notice), reason, suggestion)
    assert (world.look(CREDIT, "ret-1").state, world.look(PAYMENT, PAY).state) == ("SUSPENSE", "CONFIRMED")
    outside: Any = Outside(world)
    assert payee(outside, world.look(CREDIT, "ret-1")) == (SELLER if reason == RETURN_DIFFERS else "ret-1")
    assert world.look(BANK_ORDER, ORDER).returned_by == "", "the right notice may still come"


def test_one_payout_does_not_come_back_twice_and_none_that_never_went() -> None:
    world = paying(SENT, CREDITED)
    told(world, BACK)
    suspended(told(world, of(BACK.credit, bank_ref="ret-2")), RETURN_UNKNOWN, PAY)
    held = paying(HoldPayment(payment=PAY, reason="payee_barred"))
    suspended(told(held, BACK), RETURN_UNKNOWN, PAY)


def test_a_return_under_the_id_of_a_credit_is_other_money() -> None:
    world = paying(SENT, CREDITED)
    told(world, BACK.credit)
    suspended(told(world, BACK), ID_REUSED, "ret-1")
    assert world.look(PAYMENT, PAY).state == "CONFIRMED"


def test_the_debit_of_a_payout_is_noted_and_any_other_is_alarming() -> None:
    world = paying()
    assert told(world, DEBIT) == [RecordOrderDebited(order=ORDER, notice="dbt-1")]
    for other in (change(DEBIT, bank_ref="dbt-2"), change(DEBIT, order=""), change(DEBIT, order="FXSTRANGER"),
                  change(DEBIT, bank_ref="dbt-3", amount_pence=PENCE + 1), change(DEBIT, currency="EUR")):
        refused, alarm = told(world, other)
        assert isinstance(refused, RefuseNotice) and refused.problem == NOT_ORDERED
        assert isinstance(alarm, RaiseAlarm) and alarm.code == NOT_ORDERED and alarm.alarm == refused.credit


# ---------------------------------------------------------------- should the notice be lost


@pytest.mark.parametrize(("status", "expected"), [
    ("RETURNED", [change(BOUNCED, attempt=1)]), ("CREDITED", []), ("ACCEPTED", []), (None, [])], ids=str)
def test_the_bank_is_asked_again_days_after_a_payout_arrived(status: Any, expected: list[Command]) -> None:
    world, late = paying(SENT, CREDITED), NOW + SECOND_LOOK
    early = Outside(world, late - timedelta(seconds=1))
    with pytest.raises(NotYet) as wait:
        perform(world, "payments", "look_again", PaymentConfirmed, early)
    assert wait.value.due == late and not asked(early)
    outside = Outside(world, late).answers("bank", payment=status and BankPayment("k", "bp", status, PENCE))
    assert perform(world, "payments", "look_again", PaymentConfirmed, outside) == expected
    assert asked(outside) == [("bank.payment", PAY)]
    world.do(change(BOUNCED, attempt=1))
    assert perform(world, "payments", "look_again", PaymentConfirmed, outside) == [], "the notice was faster"
    assert told(world, BACK) == [RecordOrderReturned(order=ORDER, notice="ret-1")], "or comes after all"


# ---------------------------------------------------------------- who is told


@pytest.mark.parametrize("was", ["CLEARED", "SENT", "CONFIRMED"])
@pytest.mark.parametrize(("purpose", "expected"), [
    ("advance", {"funding": [RecordAdvanceReturned(reference=REFERENCE, payout="p")]}),
    ("settlement", {"repayment": [RecordPayoutReturned(reference=REFERENCE, payout="p")]}),
    ("proceeds", {}), ("refund", {}), ("return", {}), ("fee", {}),
], ids=str)
def test_the_invoice_is_told_of_what_came_back_after_it_had_arrived(
    purpose: str, expected: dict[str, Any], was: str
) -> None:
    world = world_at("settled")
    returned = PaymentReturned(payment="p", purpose=purpose, resource=REFERENCE, payee="x", pence=1, reason="RETURNED",
                               was=was)
    assert world.reacts(world.note(INVOICE, "p", returned)) == (expected if was == "CONFIRMED" else {})


def test_what_arrives_a_second_time_ends_nothing_twice_and_is_told_of_once() -> None:
    world = world_at("settled")
    assert world.reacts(world.note(INVOICE, "p", PaymentConfirmed(
        payment="p", purpose="proceeds", resource=TRADE_ID, payee="x", pence=1))) == {}
    arrived = world.last(AdvanceDisbursed)
    told = world.reacts(arrived)["notices"]
    world.do(*told)
    assert len(told) == 2 and "notices" not in world.reacts(arrived)
    back = world.note(INVOICE, "p", PaymentConfirmed(payment="crd_1/return", purpose="return", resource="crd_1",
                                                     payee=LENDER, pence=1))
    world.do(*world.reacts(back)["notices"])
    assert world.reacts(back) == {}
