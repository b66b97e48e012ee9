"""Freezes: what is under way is held, found again when the freeze is lifted, and nothing else stands still."""

from __future__ import annotations

import pytest

from domain.bank_order import NameOrder
from domain.base import Command, Event
from domain.holds import HOLDS, LISTING, MINT, HoldStep, ReleaseSteps
from domain.holds import PAYMENT as STEP
from domain.invoice import (
    INVOICE,
    BuyerConfirmed,
    ConfirmPayout,
    FundingCashMatched,
    InvoiceFunded,
    InvoiceTokenised,
    PayoutHeld,
    PayoutRequested,
    RecordAdvanceHeld,
    RecordDisbursed,
    RecordPayoutHeld,
    ReleaseReservation,
)
from domain.party import COMPLIANCE
from domain.payment import (
    NO_ACCOUNT,
    PAYEE_BARRED,
    PAYMENT,
    ClearPayment,
    HoldPayment,
    PaymentCleared,
    PaymentHeld,
    PaymentReleased,
    PaymentRequested,
    PaymentRerouted,
    RecordBounced,
    RecordSent,
    ReleasePayment,
    RequestPayment,
    ReroutePayment,
)
from domain.subject import SUBJECT, ChangedMeanwhile, FreezeSubject, SubjectUnfrozen, UnfreezeSubject
from domain.token import ReleaseSlice, RequestBurn, RequestTransfer
from domain.trade import RecordChainRefusal, TradeCashMatched
from processes.freezes import FROZEN_PARTY, standing
from providers.bank import Payment as BankPayment
from providers.bank.account import end_to_end
from providers.errors import Retryable
from tests.processes.outside import Outside, asked, perform
from tests.processes.world import World, world_at
from tests.projections.story import (
    BUYER,
    INVESTOR,
    LENDER,
    MLRO,
    NET,
    REFERENCE,
    SELLER,
    TOKEN_REF,
    TRADE_ID,
)
from tests.projections.story import (
    PAYMENT as FUNDING,
)

ADVANCE, OUR_FEE = f"{REFERENCE}/advance", f"{REFERENCE}/fee"
SHARE = f"{REFERENCE}/settlement/{INVESTOR}"


def freeze(world: World, who: str) -> None:
    world.do(FreezeSubject(subject=who, reason_code="SANCTIONS_MATCH"), by=(MLRO, COMPLIANCE))


def lift(world: World, who: str) -> None:
    world.do(UnfreezeSubject(subject=who), by=("stf_deputy", COMPLIANCE))


def held_payment(payment: str, owner: str, pence: int, resource: str = REFERENCE) -> list[Command]:
    return [*standing(owner, receives=False), HoldPayment(payment=payment, reason=PAYEE_BARRED),
            HoldStep(subject=owner, step=STEP, reference=payment, resource=resource, pence=pence, reason=PAYEE_BARRED)]


def held_step(step: str, who: str) -> list[Command]:
    return [*standing(who, receives=False),
            HoldStep(subject=who, step=step, reference=REFERENCE, resource=REFERENCE, pence=0, reason=FROZEN_PARTY)]


def does(world: World, event: type[Event]) -> list[Command]:
    """Carries out what the newest such entry leads to; those commands."""
    commands = [command for each in world.reacts(world.last(event)).values() for command in each]
    world.do(*commands)
    return commands


# ---------------------------------------------------------------- the door


def goes(payment: str, payee: str, attempt: int = 1) -> list[Command]:
    order = end_to_end(payment if attempt == 1 else f"{payment}/{attempt}")
    return [*standing(payee), ClearPayment(payment=payment), NameOrder(order=order, payment=payment, attempt=attempt)]


PAYMENTS = [
    ("funded", "advance", REFERENCE, SELLER), ("debtor paid", "settlement", REFERENCE, INVESTOR),
    ("executed", "proceeds", TRADE_ID, LENDER), ("cash matched", "refund", REFERENCE, LENDER),
    ("trade cash matched", "refund", TRADE_ID, INVESTOR)]


@pytest.mark.parametrize(("point", "purpose", "resource", "payee"), PAYMENTS, ids=str)
def test_every_kind_of_payment_is_held_while_its_payee_is_frozen_and_cleared_after(
    point: str, purpose: str, resource: str, payee: str
) -> None:
    world = world_at(point)
    freeze(world, payee)
    ordered, = world.do(RequestPayment(payment="pay", purpose=purpose, resource=resource, payee=payee, pence=500,
                                       account=world.look(SUBJECT, payee).payout_account, narration=REFERENCE))
    assert world.reacts(ordered) == {"payments": held_payment("pay", payee, 500, resource)}
    does(world, PaymentRequested)
    lift(world, payee)
    assert does(world, SubjectUnfrozen) == [
        *standing(payee), ReleaseSteps(subject=payee), ReleasePayment(payment="pay")]
    assert does(world, PaymentReleased) == goes("pay", payee)
    assert world.look(HOLDS, payee).steps == ()


@pytest.mark.parametrize(("point", "purpose", "resource", "payee"), PAYMENTS, ids=str)
def test_every_kind_of_payment_that_came_back_passes_the_same_door_again(
    point: str, purpose: str, resource: str, payee: str
) -> None:
    world = world_at(point)
    account = world.look(SUBJECT, payee).payout_account
    world.do(RequestPayment(payment="pay", purpose=purpose, resource=resource, payee=payee, pence=500, account=account,
                            narration=REFERENCE),
             ClearPayment(payment="pay"), RecordBounced(payment="pay", reason="FAILED"))
    again, = world.do(ReroutePayment(payment="pay", attempt=1, account=account, order="rel_1"))
    assert world.reacts(again) == {"payments": goes("pay", payee, attempt=2)}
    freeze(world, payee)
    assert world.reacts(again) == {"payments": held_payment("pay", payee, 500, resource)}
    does(world, PaymentRerouted)
    lift(world, payee)
    does(world, SubjectUnfrozen)
    assert does(world, PaymentReleased) == goes("pay", payee, attempt=2)


def test_our_fee_is_held_and_let_go_with_the_advance_it_is_a_part_of() -> None:
    world = world_at("funded")
    freeze(world, SELLER)
    advance, fee = world.do(*world.reacts(world.last(InvoiceFunded))["funding"])
    for entry in (advance, fee):
        world.do(*world.reacts(entry)["payments"])
    assert world.look(HOLDS, SELLER).steps == ((STEP, ADVANCE), (STEP, OUR_FEE))
    lift(world, SELLER)
    does(world, SubjectUnfrozen)
    assert [world.look(PAYMENT, payment).state for payment in (ADVANCE, OUR_FEE)] == ["REQUESTED"] * 2


def cleared(world: World) -> None:
    """The advance and our fee of the canonical story, on their way to the bank."""
    for entry in [entry for entry in world.entries if isinstance(entry.event, PaymentRequested)]:
        world.do(*world.reacts(entry)["payments"])


def test_what_waited_for_the_bank_is_held_when_its_payee_is_frozen_meanwhile() -> None:
    world = world_at("advance ordered")
    cleared(world)
    freeze(world, SELLER)
    outside = Outside(world).answers("bank", payment=None)
    held = perform(world, "payments", "send", PaymentCleared, outside)
    assert held == held_payment(OUR_FEE, SELLER, world.look(PAYMENT, OUR_FEE).pence)
    assert [question[0] for question in asked(outside)] == ["bank.payment"], "it is asked for nothing"
    world.do(*held)
    assert world.look(PAYMENT, OUR_FEE).state == "HELD"


def test_what_the_bank_was_asked_for_before_the_freeze_is_recorded_and_not_asked_for_again() -> None:
    world = world_at("advance ordered")
    cleared(world)
    freeze(world, SELLER)
    outside = Outside(world).answers("bank", payment=BankPayment("k", "bp-7", "ACCEPTED", 1))
    assert perform(world, "payments", "send", PaymentCleared, outside) == [
        RecordSent(payment=OUR_FEE, provider_reference="bp-7")]
    assert [question[0] for question in asked(outside)] == ["bank.payment"]


def test_a_bank_that_does_not_say_whether_it_was_asked_leaves_the_payment_waiting() -> None:
    world = world_at("advance ordered")
    cleared(world)
    freeze(world, SELLER)
    outside = Outside(world).answers("bank", payment=Retryable("unavailable"))
    with pytest.raises(Retryable):
        perform(world, "payments", "send", PaymentCleared, outside)


def test_neither_a_clearing_nor_a_hold_outlives_the_standing_it_was_decided_on() -> None:
    world = world_at("advance ordered")
    clear = world.reacts(world.last(PaymentRequested))["payments"]
    freeze(world, SELLER)
    with pytest.raises(ChangedMeanwhile):
        world.do(*clear)
    hold = world.reacts(world.last(PaymentRequested))["payments"]
    lift(world, SELLER)
    with pytest.raises(ChangedMeanwhile):
        world.do(*hold)


def test_a_customer_without_an_account_is_not_paid_into_ours() -> None:
    world = world_at("funded")
    ordered, = world.do(RequestPayment(payment="pay", purpose="refund", resource=REFERENCE, payee=LENDER, pence=500,
                                       account=None, narration=REFERENCE))
    hold = world.reacts(ordered)["payments"]
    assert hold == [*standing(LENDER), HoldPayment(payment="pay", reason=NO_ACCOUNT),
                    HoldStep(subject=LENDER, step=STEP, reference="pay", resource=REFERENCE, pence=500,
                             reason=NO_ACCOUNT)]
    world.do(*hold)


def test_frozen_again_at_once_everything_stays_where_it_is() -> None:
    world = world_at("advance ordered")
    freeze(world, SELLER)
    does(world, PaymentRequested)
    lift(world, SELLER)
    unfrozen = world.last(SubjectUnfrozen)
    freeze(world, SELLER)
    assert world.reacts(unfrozen) == {}
    assert world.look(HOLDS, SELLER).steps == ((STEP, OUR_FEE),)


def test_a_freeze_that_held_nothing_lets_go_of_nothing() -> None:
    world = world_at("listed")
    freeze(world, SELLER)
    lift(world, SELLER)
    assert world.reacts(world.last(SubjectUnfrozen)) == {}


# ---------------------------------------------------------------- nobody waits for somebody else's freeze


def test_a_held_advance_is_told_to_the_invoice_and_arrives_later() -> None:
    world = world_at("advance ordered")
    freeze(world, SELLER)
    advance = next(entry for entry in world.entries if getattr(entry.event, "payment", "") == ADVANCE)
    world.do(*world.reacts(advance)["payments"])
    assert world.reacts(world.last(PaymentHeld)) == {"funding": [
        RecordAdvanceHeld(reference=REFERENCE, payout=ADVANCE)]}
    does(world, PaymentHeld)
    assert world.look(INVOICE, REFERENCE).shareable
    world.do(RecordDisbursed(reference=REFERENCE, payout=ADVANCE))


def test_the_burn_does_not_wait_for_a_share_that_is_held() -> None:
    world = world_at("debtor paid")
    freeze(world, INVESTOR)
    for entry in [entry for entry in world.entries if isinstance(entry.event, PayoutRequested)]:
        ordered, = world.do(*world.reacts(entry)["repayment"])
        world.do(*world.reacts(ordered)["payments"])
    assert world.look(PAYMENT, f"{REFERENCE}/settlement/{LENDER}").state == "CLEARED"
    assert does(world, PaymentHeld) == [RecordPayoutHeld(reference=REFERENCE, payout=SHARE)]
    assert world.reacts(world.last(PayoutHeld)) == {}, "the lender's share is not there yet"
    confirmed = world.do(ConfirmPayout(reference=REFERENCE, payout=f"{REFERENCE}/settlement/{LENDER}"))[-1]
    assert world.reacts(confirmed) == {"repayment": [RequestBurn(token=TOKEN_REF)]}


# ---------------------------------------------------------------- mints, offers, sales


@pytest.mark.parametrize("who", [SELLER, BUYER])
@pytest.mark.parametrize(("point", "event", "step"), [
    ("confirmed", BuyerConfirmed, MINT), ("tokenised", InvoiceTokenised, LISTING)])
def test_nothing_is_minted_or_offered_while_a_party_is_frozen(
    point: str, event: type[Event], step: str, who: str
) -> None:
    world = world_at(point)
    freeze(world, who)
    assert world.reacts(world.last(event)) == {"issuance": held_step(step, who)}
    does(world, event)
    lift(world, who)
    assert does(world, SubjectUnfrozen) == [*standing(who), ReleaseSteps(subject=who)]
    other = BUYER if who == SELLER else SELLER
    freeze(world, other)
    released = world.entries[-2]
    assert world.reacts(released) == {"issuance": held_step(step, other)}, "held on, now for the other party"
    lift(world, other)
    *kept, last = world.reacts(released)["issuance"]
    assert kept == standing(SELLER, BUYER)
    assert type(last).__name__ == ("RequestMint" if step == MINT else "ListInvoice")


@pytest.mark.parametrize("who", [SELLER, BUYER, LENDER])
def test_cash_for_a_receivable_whose_party_is_frozen_goes_back(who: str) -> None:
    world = world_at("cash matched")
    freeze(world, who)
    refund = RequestPayment(payment=f"{FUNDING}/refund", purpose="refund", resource=REFERENCE, payee=LENDER, pence=NET,
                            account=world.look(SUBJECT, LENDER).payout_account, narration=REFERENCE)
    assert world.reacts(world.last(FundingCashMatched)) == {"funding": [
        *standing(who, receives=False), refund,
        ReleaseReservation(reference=REFERENCE, payment=FUNDING, reason="withdrawn")]}
    does(world, FundingCashMatched)
    assert world.look(INVOICE, REFERENCE).state == "LISTED"


@pytest.mark.parametrize("who", [LENDER, INVESTOR, BUYER])
def test_cash_for_a_slice_whose_party_is_frozen_goes_back(who: str) -> None:
    world = world_at("trade cash matched")
    freeze(world, who)
    assert world.reacts(world.last(TradeCashMatched)) == {"trading": [
        *standing(who, receives=False), RecordChainRefusal(trade=TRADE_ID, reason="WITHDRAWN"),
        ReleaseSlice(token=TOKEN_REF, index=2, trade=TRADE_ID)]}
    does(world, TradeCashMatched)


def test_whoever_sold_the_receivable_and_was_paid_stops_no_sale_of_its_slices() -> None:
    world = world_at("trade cash matched")
    freeze(world, SELLER)
    *_, last = world.reacts(world.last(TradeCashMatched))["trading"]
    assert isinstance(last, RequestTransfer)
