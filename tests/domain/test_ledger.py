"""Double entry: every event balances, the canonical story clears, and every way back gives every penny back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import credit as c
from domain import invoice as i
from domain import payment as p
from domain import token as t
from domain import trade as d
from domain.base import Event
from domain.catalogue import EVENTS
from domain.ledger import CLEARING, family, postings
from domain.party import Personal
from tests.domain.examples import events_of
from tests.domain.scenario import World
from tests.domain.story import DAY, REF, TOK, TRD, credit, funded, issued, pay, reserved_slice, settled, traded


def balances(events: Iterable[Event]) -> Counter[str]:
    """family -> pence, zeros left out."""
    book: Counter[str] = Counter()
    for event in events:
        lines = postings(event)
        assert sum(line.pence for line in lines) == 0, event.tag
        for line in lines:
            book[family(line.account)] += line.pence
    return Counter({name: pence for name, pence in book.items() if pence})


def accounts(events: Iterable[Event]) -> dict[str, int]:
    book: Counter[str] = Counter()
    for event in events:
        for line in postings(event):
            book[line.account] += line.pence
    return {name: pence for name, pence in book.items() if pence}


def test_the_canonical_story_clears() -> None:
    book = balances(settled().events)
    assert not set(book) & set(CLEARING)
    assert book == {"platform_cash": 10_797, "listing_fee_receivable": 15_000, "fee_income": -25_797}


def test_income_by_code() -> None:
    income = {name: pence for name, pence in accounts(settled().events).items() if name.startswith("fee_income:")}
    assert income == {
        "fee_income:TOKENISATION": -2_000, "fee_income:SCORING": -1_500, "fee_income:MINIMUM_FEE_TOP_UP": -1_500,
        "fee_income:SETTLEMENT": -5_000, "fee_income:TRADING": -797, "fee_income:LISTING": -15_000}


def test_between_funding_and_settlement_only_the_deferred_fee_stands_open() -> None:
    assert {name: pence for name, pence in balances(funded().events).items() if name in CLEARING} == {
        "deferred_fees": -5_000}
    assert balances(traded().events)["deferred_fees"] == -5_000


def test_the_accrued_tokenisation_fee_is_cancelled_by_funding() -> None:
    assert balances(issued().events) == {"fee_receivable": 2_000, "fee_income": -2_000}
    assert "fee_receivable" not in balances(funded().events)


def test_a_refused_transfer_gives_the_lender_everything_back() -> None:
    world = issued()
    before = balances(world.events)
    credit(world, "crd_1", 976_000, "funding", REF, DAY)
    world.do(i.RecordFundingCash(reference=REF, payment="pay_1", credit="crd_1", amount_pence=976_000),
             i.ReleaseReservation(reference=REF, payment="pay_1", reason=i.CHAIN_REFUSED), at=DAY)
    pay(world, "pay_1/refund", "refund", REF, 976_000, DAY)
    assert balances(world.events) == before


def test_a_refused_slice_gives_the_investor_everything_back() -> None:
    world = reserved_slice()
    world.do(t.RecordTransferRefused(token=TOK, transfer=TRD, reason="NOT_ELIGIBLE"),
             t.ReleaseSlice(token=TOK, index=1, trade=TRD),
             d.RecordChainRefusal(trade=TRD, reason="NOT_ELIGIBLE"), at=DAY)
    pay(world, f"{TRD}/refund", "refund", TRD, 199_947, DAY)
    world.do(d.RecordRefunded(trade=TRD, payout=f"{TRD}/refund"), at=DAY)
    assert balances(world.events)["deferred_fees"] == -5_000
    assert "trade_funds" not in balances(world.events) and "collections" not in balances(world.events)


@pytest.mark.parametrize("was_sent", [False, True])
def test_a_bounced_payment_stays_owed(was_sent: bool) -> None:
    world = World()
    credit(world, "crd_1", 500, "obligor", REF, DAY)
    world.do(p.RequestPayment(payment="pay", purpose="settlement", resource=REF, payee="x", pence=500, account=None,
                              narration=REF), p.ClearPayment(payment="pay"), at=DAY)
    if was_sent:
        world.do(p.RecordSent(payment="pay", provider_reference="cb"), at=DAY)
    world.do(p.RecordBounced(payment="pay", reason="CLOSED"), at=DAY)
    assert balances(world.events) == {"collections": 500, "obligor_receipts": -500}


@pytest.mark.parametrize("was_sent", [False, True])
def test_a_bounced_payment_that_is_sent_again_clears_what_was_owed_once(was_sent: bool) -> None:
    world = World()
    order = p.RequestPayment(payment="pay", purpose="settlement", resource=REF, payee="sub_x", pence=500,
                             account=Personal("sub_x", "c2VhbGVk"), narration=REF)
    sent = p.RecordSent(payment="pay", provider_reference="cb")
    world.do(order, p.ClearPayment(payment="pay"), *([sent] if was_sent else []),
             p.RecordBounced(payment="pay", reason="CLOSED"), at=DAY)
    world.do(p.ReroutePayment(payment="pay", attempt=1, account=None, order="rel_1"), at=DAY)
    assert accounts(world.events) == {}
    world.do(p.ClearPayment(payment="pay"), sent, p.RecordCredited(payment="pay"), at=DAY)
    assert accounts(world.events) == {"holder_payable:pay": 500, "collections": -500}


PAYABLES = [
    ("advance", REF, f"seller_payable:{REF}"), ("settlement", REF, "holder_payable:pay"),
    ("proceeds", TRD, f"proceeds_payable:{TRD}"), ("refund", REF, f"lender_funding:{REF}"),
    ("refund", TRD, f"trade_funds:{TRD}")]


@pytest.mark.parametrize(("purpose", "resource", "payable"), [
    *PAYABLES, ("return", "crd_1", "return_payable:crd_1"), ("fee", REF, "platform_cash")], ids=str)
def test_what_comes_back_after_it_arrived_is_in_our_account_and_owed_where_it_was_owed(
    purpose: str, resource: str, payable: str
) -> None:
    world = World()
    order = p.RequestPayment(payment="pay", purpose=purpose, resource=resource, payee="sub_x", pence=500,
                             account=Personal("sub_x", "c2VhbGVk"), narration=REF)
    goes = (p.ClearPayment(payment="pay"), p.RecordSent(payment="pay", provider_reference="cb"),
            p.RecordCredited(payment="pay"))
    world.do(order, *goes, p.RecordBounced(payment="pay", reason="RETURNED", attempt=1), at=DAY)
    assert accounts(world.events) == {}, "as before it was paid"
    lines = postings(world.events[-1])
    assert {line.account: line.pence for line in lines} == {"collections": 500, payable: -500}
    world.do(p.ReroutePayment(payment="pay", attempt=1, account=None, order="rel_1"), *goes, at=DAY)
    assert accounts(world.events) == {payable: 500, "collections": -500}, "paid once"


@pytest.mark.parametrize(("purpose", "resource", "payable"), PAYABLES, ids=str)
def test_what_is_held_is_ring_fenced_for_its_payee_and_owed_again_once_released(
    purpose: str, resource: str, payable: str
) -> None:
    world = World()
    order = p.RequestPayment(payment="pay", purpose=purpose, resource=resource, payee="sub_x", pence=500,
                             account=Personal("sub_x", "c2VhbGVk"), narration=REF)
    world.do(order, p.HoldPayment(payment="pay", reason=p.PAYEE_BARRED), at=DAY)
    assert accounts(world.events) == {payable: 500, "held_for:sub_x": -500}
    world.do(p.ReleasePayment(payment="pay"), at=DAY)
    assert accounts(world.events) == {}
    world.do(p.ClearPayment(payment="pay"), p.RecordSent(payment="pay", provider_reference="cb"),
             p.RecordCredited(payment="pay"), at=DAY)
    assert accounts(world.events) == {payable: 500, "collections": -500}


def test_our_own_fee_is_nobodys_while_it_is_held() -> None:
    world = World()
    order = p.RequestPayment(payment="fee", purpose="fee", resource=REF, payee=p.PLATFORM, pence=500, account=None,
                             narration=REF, beside="sub_x")
    world.do(order, p.HoldPayment(payment="fee", reason=p.PAYEE_BARRED), p.ReleasePayment(payment="fee"), at=DAY)
    assert accounts(world.events) == {}


def test_a_suspended_credit_stays_in_suspense_and_foreign_money_stands_apart() -> None:
    world = World()
    for currency in ("GBP", "EUR"):
        world.do(c.RecordCredit(credit=currency, sort_code="040004", account_number="1", pence=700,
                                currency=currency, reference=None, said=Personal("crd_1", "c2VhbGVk"),
                                received_at=DAY.now),
                 c.SuspendCredit(credit=currency, reason="why"), at=DAY)
    assert accounts(world.events) == {
        "collections": 700, "suspense": -700, "collections:EUR": 700, "suspense:EUR": -700}


@given(st.data())
@settings(max_examples=150, database=None, deadline=None)
def test_every_event_balances_when_its_own_figures_do(data: st.DataObject) -> None:
    """InvoiceFunded carries its own sum, which the decision guarantees; every other event balances by construction."""
    kinds = [event for event in EVENTS.values() if event is not i.InvoiceFunded]
    event = data.draw(events_of(*kinds))
    if isinstance(event, c.CreditMatched):
        event = c.CreditMatched(credit=event.credit, pence=event.pence, purpose="trade", resource=event.resource,
                              order=None)
    assert sum(line.pence for line in postings(event)) == 0
