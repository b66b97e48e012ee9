"""A month's charges become one bill when its day comes, whichever of them asks; and what a bill's course leads to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.bill import (
    BILL,
    CHARGES,
    AddCharge,
    BillCharges,
    BillIssued,
    BillOverdue,
    BillPaid,
    Charge,
    ChargeAdded,
    IssueBill,
    MarkOverdue,
    PayBill,
)
from domain.credit import CreditReceived, MatchCredit, SuspendCredit
from domain.party import Personal
from domain.payment import RequestPayment
from domain.rails import bill_reference
from domain.token import TOKEN, SliceListed
from processes.process import NotYet
from tests.processes.outside import Outside, perform
from tests.processes.world import world_at
from tests.projections.story import LENDER, NOW, REFERENCE, TOKEN_REF

DAY = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
REF = bill_reference(LENDER, "2026-06")
LISTING = Charge(id=f"LISTING/{TOKEN_REF}", code="LISTING", pence=15_000, resource=REFERENCE, charged_at=NOW)


def test_a_listing_is_charged_to_its_lister_and_one_without_a_fee_is_not() -> None:
    world = world_at("slice listed")
    listed = world.last(SliceListed)
    assert world.reacts(listed) == {"billing": [AddCharge(subject=LENDER, charge=LISTING)]}
    free = SliceListed(invoice=REFERENCE, holder=LENDER, index=1, face_pence=1, price_pence=1, listing_fee_pence=0)
    assert world.reacts(world.note(TOKEN, TOKEN_REF, free)) == {}


def test_the_bill_comes_on_the_first_working_day_and_takes_the_month_along() -> None:
    world = world_at("questions answered")
    with pytest.raises(NotYet) as wait:
        perform(world, "billing", "issue", ChargeAdded, Outside(world, DAY - timedelta(seconds=1)))
    assert wait.value.due == DAY
    second = Charge(id="LISTING/other", code="LISTING", pence=15_000, resource="FX-INV-2", charged_at=NOW)
    june = Charge(id="LISTING/june", code="LISTING", pence=15_000, resource="FX-INV-3", charged_at=DAY)
    first = world.last(ChargeAdded)
    world.do(AddCharge(subject=LENDER, charge=second), AddCharge(subject=LENDER, charge=june))
    commands = world.performs("billing", "issue", first, Outside(world, DAY))
    assert commands == [BillCharges(subject=LENDER, bill=REF, lines=(LISTING, second)),
                        IssueBill(bill=REF, subject=LENDER, lines=(LISTING, second))]
    world.do(*commands, at=DAY)
    assert world.performs("billing", "issue", first, Outside(world, DAY)) == []
    assert world.look(CHARGES, LENDER).open == (june,)


def test_a_bill_is_told_reminded_of_paid_and_its_money_is_ours() -> None:
    world = world_at("questions answered")
    world.do(*perform(world, "billing", "issue", ChargeAdded, Outside(world, DAY)), at=DAY)
    issued = world.last(BillIssued)
    mail, = world.reacts(issued)["billing"]
    assert getattr(mail, "facts", {}) == {"reference": REF, "amount": "£150.00", "due": "15 June 2026"}
    late = datetime(2026, 6, 16, 8, 0, tzinfo=UTC)
    with pytest.raises(NotYet):
        perform(world, "billing", "watch", BillIssued, Outside(world, late - timedelta(seconds=1)))
    assert perform(world, "billing", "watch", BillIssued, Outside(world, late)) == [MarkOverdue(bill=REF)]
    world.do(MarkOverdue(bill=REF), at=late)
    assert [getattr(told, "template", "") for told in world.reacts(world.last(BillOverdue))["billing"]] == [
        "bill_overdue"]
    assert perform(world, "billing", "watch", BillIssued, Outside(world, late)) == []

    def credited(pence: int, remitter: str) -> list[object]:
        said = Personal(LENDER, f'sealed:{{"narration":"","remitter":"{remitter}"}}')
        event = CreditReceived(credit="crd_b", sort_code="04-00-04", account_number="99990000", pence=pence,
                               currency="GBP", reference=REF, said=said, payer_account=None, payer="",
                               received_at=late)
        return list(world.performs("reconciliation", "match", world.note(BILL, REF, event), Outside(world)))

    assert credited(15_000, "Pennine Capital Limited") == [
        MatchCredit(credit="crd_b", purpose="bill", resource=REF),
        PayBill(bill=REF, credit="crd_b", amount_pence=15_000)]
    assert credited(15_000, "A Stranger") == [
        SuspendCredit(credit="crd_b", reason="third_party_payer", suggestion=REF)]
    assert credited(14_999, "Pennine Capital Ltd") == [
        SuspendCredit(credit="crd_b", reason="amount differs", suggestion=REF)]
    world.do(PayBill(bill=REF, credit="crd_b", amount_pence=15_000))
    assert world.reacts(world.last(BillPaid)) == {"billing": [RequestPayment(
        payment=f"{REF}/fee", purpose="fee", resource=REF, payee="platform", pence=15_000, account=None,
        narration=f"FEE{REF}")]}
    assert credited(15_000, "Pennine Capital Ltd") == [
        SuspendCredit(credit="crd_b", reason="bill is PAID", suggestion=REF)]
