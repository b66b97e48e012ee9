"""The invoice: the canonical path, its side branches, and everything it refuses."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from domain import invoice as i
from domain.base import Event
from domain.fees import FeeLine, PriceBook, platform_fee
from domain.forms import NotInForm
from domain.maturity import TradingClosed
from domain.party import BUYER, LENDER, SELLER, Party, Personal
from tests.domain.scenario import Row, Step, at, check_order, check_path, fold, given, history_of

REF = "FX-INV-23A4F"
SEALED = Personal("sub_1", "c2VhbGVk")
MORNING, AFTERNOON, DUE = "2026-05-22T09:42", "2026-05-22T13:21", "2026-07-21T10:14"
COPPERGATE = Party(id="sub_copper", role=SELLER, state="ACTIVE", name="Coppergate Joinery Limited",
                   company_number="07452983", turnover_pence=320_000_000)
NORTHWIND = Party(id="sub_north", role=BUYER, state="ACTIVE", name="Northwind Retail plc", company_number="01234567",
                  email_domain="northwind.co.uk")
PENNINE = Party(id="sub_pennine", role=LENDER, state="ACTIVE", name="Pennine Capital", wallet="0xpennine")
CHECKS = (i.Check("typed fields", "PASS"), i.Check("stamp", "ABSENT_NOT_REQUIRED"))
UNIQUE = i.Check("no duplicate of an invoice already on the platform", "PASS")
BOOK = "2026-05-01"
TOKENISATION = FeeLine("TOKENISATION", 2_000, "funding", BOOK)
SETTLEMENT = FeeLine("SETTLEMENT", 5_000, "settlement", BOOK)
LINES = (TOKENISATION, SETTLEMENT, FeeLine("SCORING", 1_500, "funding", BOOK),
         FeeLine("MINIMUM_FEE_TOP_UP", 1_500, "funding", BOOK))


change = msgspec.structs.replace


def submit(**fields: Any) -> i.SubmitInvoice:
    return change(i.SubmitInvoice(
        reference=REF, seller=COPPERGATE, buyer=NORTHWIND, buyer_email=SEALED, buyer_email_domain="northwind.co.uk",
        seller_reference="CJ-2026-0512", face_pence=1_000_000, due_on=date(2026, 7, 21), document_sha256="d" * 64),
        **fields)


def reserve(**fields: Any) -> i.ReserveFunding:
    return change(i.ReserveFunding(
        reference=REF, payment="pay_1", lender=PENNINE, discount_bps=240, net_advance_pence=976_000,
        band_bps=(200, 300), tenor_band=(7, 120), typed_reference=REF), **fields)


def confirm(**fields: Any) -> i.ConfirmInvoice:
    return change(i.ConfirmInvoice(reference=REF, buyer=NORTHWIND, page_hash="a" * 64, typed_reference_end="23a4f",
                                   typed_pounds=10_000), **fields)


def paid(**fields: Any) -> i.RecordObligorPaid:
    return change(i.RecordObligorPaid(
        reference=REF, credit="crd_2", amount_pence=1_000_000,
        shares=(i.Share("sub_pennine", 800_000), i.Share("sub_brunel", 200_000))), **fields)


def queued(**fields: Any) -> i.QueueCredit:
    return change(i.QueueCredit(reference=REF, credit="crd_2", register_moving=False), **fields)


def release(reason: str, payment: str = "pay_1") -> i.ReleaseReservation:
    return i.ReleaseReservation(reference=REF, payment=payment, reason=reason)


BY = at("2026-06-01T22:59:59").now
PAY = {who: f"{REF}/settlement/sub_{who}" for who in ("pennine", "brunel")}
PATH = [
    Step(submit(), at(MORNING), (i.InvoiceSubmitted(
        reference=REF, seller="sub_copper", seller_name="Coppergate Joinery Limited", buyer="sub_north",
        buyer_name="Northwind Retail plc", buyer_email=SEALED, seller_reference="CJ-2026-0512", face_pence=1_000_000,
        currency="GBP", submitted_on=date(2026, 5, 22), due_on=date(2026, 7, 21), tenor_days=60,
        document_sha256="d" * 64, estimated_cash_pence=966_000, least_cash_pence=956_000),)),
    Step(i.StartVerification(reference=REF), at(MORNING), (i.VerificationStarted(document_sha256="d" * 64),)),
    Step(i.RecordExamination(reference=REF, checks=CHECKS, fingerprints=("f1", "f2"), likeness_registry="l1"),
         at(MORNING),
         (i.InvoiceVerified(checks=(*CHECKS, UNIQUE), fingerprints=("f1", "f2"), likeness_registry="l1"),)),
    Step(i.ScoreRisk(reference=REF, turnover_pence=320_000_000), at(MORNING),
         (i.RiskScored(grade="LOW", reasons=(), rules_version="2026-05-01"),)),
    Step(i.RecordBuyerNotified(reference=REF, notice=f"{REF}/C1"), at(MORNING),
         (i.BuyerNotified(notice=f"{REF}/C1", confirm_by=BY),)),
    Step(confirm(), at(AFTERNOON),
         (i.BuyerConfirmed(buyer="sub_north", page_hash="a" * 64, terms_version="2026-05-01"),)),
    Step(i.RecordTokenised(reference=REF, token_reference="FXR-INV-23A4F", contract="0xc", token_id="7"),
         at(AFTERNOON), (i.InvoiceTokenised(token_reference="FXR-INV-23A4F", contract="0xc", token_id="7",
                                            accrued_fee=TOKENISATION),)),
    Step(i.ListInvoice(reference=REF), at(AFTERNOON), (i.InvoiceListed(indicative_discount_bps=240,
                                                                                 pricing_policy="2026-05-01"),)),
    Step(reserve(), at(AFTERNOON), (i.FundingReserved(
        payment="pay_1", lender="sub_pennine", lender_name="Pennine Capital", discount_bps=240,
        discount_pence=24_000, net_advance_pence=976_000, expires_at=at("2026-05-22T17:21").now),)),
    Step(i.InstructFunding(reference=REF, payment="pay_1", sort_code="040004", account_number="12345678"),
         at(AFTERNOON), (i.FundingInstructed(payment="pay_1", sort_code="040004", account_number="12345678"),)),
    Step(i.RecordFundingCash(reference=REF, payment="pay_1", credit="crd_1", amount_pence=976_000), at(AFTERNOON),
         (i.FundingCashMatched(payment="pay_1", credit="crd_1", amount_pence=976_000),)),
    Step(i.RecordFunded(reference=REF, transfer="pay_1", tx="0x1"), at(AFTERNOON), (i.InvoiceFunded(
        reference=REF, payment="pay_1", lender="sub_pennine", net_advance_pence=976_000, fee_lines=LINES,
        seller_cash_pence=966_000, transfer="pay_1", tx="0x1"),)),
    Step(i.RecordDisbursed(reference=REF, payout=f"{REF}/advance"), at(AFTERNOON),
         (i.AdvanceDisbursed(payout=f"{REF}/advance", seller_cash_pence=966_000),)),
    Step(i.RecordReminder(reference=REF, reminder="due day"), at(DUE), (i.BuyerReminded(reminder="due day"),)),
    Step(paid(), at(DUE), (
        i.ObligorPaid(credit="crd_2", amount_pence=1_000_000),
        i.PayoutRequested(payout=PAY["pennine"], holder="sub_pennine", pence=800_000),
        i.PayoutRequested(payout=PAY["brunel"], holder="sub_brunel", pence=200_000))),
    Step(i.ConfirmPayout(reference=REF, payout=PAY["pennine"]), at(DUE),
         (i.PayoutConfirmed(payout=PAY["pennine"], holder="sub_pennine", pence=800_000),)),
    Step(i.ConfirmPayout(reference=REF, payout=PAY["brunel"]), at(DUE),
         (i.PayoutConfirmed(payout=PAY["brunel"], holder="sub_brunel", pence=200_000),)),
    Step(i.Settle(reference=REF, burn_tx="0x9"), at(DUE), (i.InvoiceSettled(burn_tx="0x9", earned_fee=SETTLEMENT),)),
]
STATES = ["NEW", "SUBMITTED", "VERIFYING", "VERIFIED", "RISK_SCORED", "AWAITING_BUYER", "CONFIRMED", "TOKENISED",
          "LISTED", "RESERVED", "RESERVED", "CASH_MATCHED", "FUNDED", "DISBURSED", "DISBURSED", "OBLIGOR_PAID",
          "OBLIGOR_PAID", "OBLIGOR_PAID", "SETTLED"]


def upto(state: str) -> tuple[Event, ...]:
    """The canonical history as far as the first time it reaches `state`."""
    return history_of(PATH, STATES.index(state))


EXPIRED = (*upto("AWAITING_BUYER"), i.InvoiceExpired(confirm_by=BY))
LATE = "2026-06-01T23:00:00"
FROZEN_SELLER, FROZEN_BUYER = change(COPPERGATE, state="FROZEN"), change(NORTHWIND, state="FROZEN")
REFUSED = [
    Row(i.ReferenceTaken, upto("SUBMITTED"), submit(), at(MORNING)),
    Row(NotInForm, (), submit(seller_reference="CG-1\u2028"), at(MORNING)),
    Row(NotInForm, (), submit(document_sha256="a" * 64 + "\n"), at(MORNING)),
    Row(i.NotASeller, (), submit(seller=change(COPPERGATE, role=LENDER)), at(MORNING)),
    Row(i.SellerNotActive, (), submit(seller=change(COPPERGATE, state="KYC_PASSED")), at(MORNING)),
    Row(i.SellerNotActive, (), submit(seller=FROZEN_SELLER), at(MORNING)),
    Row(i.BuyerUnknown, (), submit(buyer=change(NORTHWIND, role=SELLER)), at(MORNING)),
    Row(i.BuyerUnknown, (), submit(buyer=change(NORTHWIND, state="CREATED")), at(MORNING)),
    Row(i.BuyerUnknown, (), submit(buyer=FROZEN_BUYER), at(MORNING)),
    Row(i.SelfDealing, (), submit(buyer=change(NORTHWIND, id="sub_copper")), at(MORNING)),
    Row(i.SelfDealing, (), submit(seller=change(COPPERGATE, company_number="sc123456"),
                                  buyer=change(NORTHWIND, company_number=" SC123456")), at(MORNING)),
    Row(i.PersonalMailbox, (), submit(buyer_email_domain="GMail.com"), at(MORNING)),
    Row(i.BuyerMailboxUnknown, (), submit(buyer_email_domain="northwind-retail.co.uk"), at(MORNING)),
    Row(i.BuyerMailboxUnknown, (), submit(buyer_email_domain="mail.northwind.co.uk"), at(MORNING)),
    Row(i.BuyerMailboxUnknown, (), submit(buyer=change(NORTHWIND, email_domain=""), buyer_email_domain=""),
        at(MORNING)),
    Row(i.WrongState, upto("CASH_MATCHED"), queued(), at(DUE)),
    Row(i.WrongState, upto("FUNDED"), queued(register_moving=True), at(DUE)),
    Row(i.WrongState, upto("DISBURSED"), queued(), at(DUE)),
    Row(i.CreditNotQueued, upto("DISBURSED"), i.TakeCredits(reference=REF, credits=("crd_2",)), at(DUE)),
    Row(i.WrongState, upto("CASH_MATCHED"), i.RecordAdvanceHeld(reference=REF, payout=f"{REF}/advance"), at(DUE)),
    Row(i.WrongState, upto("DISBURSED"), i.RecordAdvanceHeld(reference=REF, payout=f"{REF}/advance"), at(DUE)),
    Row(i.WrongState, upto("DISBURSED"), i.RecordPayoutHeld(reference=REF, payout=PAY["brunel"]), at(DUE)),
    Row(i.WrongPayment, upto("OBLIGOR_PAID"), i.RecordPayoutHeld(reference=REF, payout="x"), at(DUE)),
    Row(i.FaceOutOfBand, (), submit(face_pence=50_000), at(MORNING)),
    Row(i.FaceOutOfBand, (), submit(face_pence=25_000_001), at(MORNING)),
    Row(i.TooConcentrated, (), submit(seller=change(COPPERGATE, turnover_pence=4_000_000)), at(MORNING)),
    Row(i.TenorOutOfBand, (), submit(due_on=date(2026, 5, 28)), at(MORNING)),
    Row(i.TenorOutOfBand, (), submit(due_on=date(2026, 9, 20)), at(MORNING)),
    Row(i.WrongState, (), i.StartVerification(reference=REF), at(MORNING)),
    Row(i.NotTheDebtor, upto("AWAITING_BUYER"), confirm(buyer=change(NORTHWIND, id="sub_other")), at(AFTERNOON)),
    Row(i.AlreadyConfirmed, upto("CONFIRMED"), confirm(), at(AFTERNOON)),
    Row(i.ConfirmationExpired, upto("AWAITING_BUYER"), confirm(), at(LATE)),
    Row(i.ConfirmationExpired, EXPIRED, confirm(), at(LATE)),
    Row(i.BuyerNotActive, upto("AWAITING_BUYER"), confirm(buyer=FROZEN_BUYER), at(AFTERNOON)),
    Row(i.HumanCheckFailed, upto("AWAITING_BUYER"), confirm(typed_reference_end="23A4E"), at(AFTERNOON)),
    Row(i.HumanCheckFailed, upto("AWAITING_BUYER"), confirm(typed_pounds=9_999), at(AFTERNOON)),
    Row(i.ConfirmationOpen, upto("AWAITING_BUYER"), i.ExpireInvoice(reference=REF), at("2026-06-01T22:59:59")),
    Row(i.WrongState, upto("CONFIRMED"), i.ExpireInvoice(reference=REF), at(LATE)),
    Row(i.NotALender, upto("LISTED"), reserve(lender=COPPERGATE), at(AFTERNOON)),
    Row(i.NotALender, upto("LISTED"), reserve(lender=change(PENNINE, state="FROZEN")), at(AFTERNOON)),
    Row(i.AlreadyReserved, upto("RESERVED"), reserve(payment="pay_2"), at(AFTERNOON)),
    Row(i.NotListed, upto("CONFIRMED"), reserve(), at(AFTERNOON)),
    Row(TradingClosed, upto("LISTED"), reserve(), at("2026-07-16T23:00")),
    Row(i.OutsideAppetite, upto("LISTED"), reserve(), at("2026-07-15T12:00")),
    Row(i.OutsideAppetite, upto("LISTED"), reserve(discount_bps=501, net_advance_pence=949_900, band_bps=(0, 9_999)),
        at(AFTERNOON)),
    Row(i.BelowSellersMinimum, upto("LISTED"), reserve(discount_bps=341, net_advance_pence=965_900, band_bps=(0, 500)),
        at(AFTERNOON)),
    Row(i.LeastCashOutOfBand, (), submit(least_cash_pence=990_001), at(MORNING)),
    Row(i.LeastCashOutOfBand, (), submit(least_cash_pence=0), at(MORNING)),
    Row(i.ReferenceMistyped, upto("LISTED"), reserve(typed_reference="FX-INV-23A4E"), at(AFTERNOON)),
    Row(i.OutsideAppetite, upto("LISTED"), reserve(discount_bps=199, net_advance_pence=980_100), at(AFTERNOON)),
    Row(i.OutsideAppetite, upto("LISTED"), reserve(tenor_band=(7, 59)), at(AFTERNOON)),
    Row(i.WrongAdvance, upto("LISTED"), reserve(net_advance_pence=976_001), at(AFTERNOON)),
    Row(i.WrongAdvance, upto("LISTED"), reserve(discount_bps=-1, net_advance_pence=1_000_099, band_bps=(-9, 300)),
        at(AFTERNOON)),
    Row(i.WrongPayment, upto("RESERVED"), release("gone", payment="pay_2"), at(AFTERNOON)),
    Row(i.WrongState, upto("RESERVED"), release(i.NO_CASH), at("2026-05-22T17:20")),
    Row(i.WrongState, upto("RESERVED"), release(i.CHAIN_REFUSED), at(AFTERNOON)),
    Row(i.WrongState, upto("CASH_MATCHED"), release(i.NO_CASH), at("2026-05-22T17:21")),
    Row(i.WrongAmount, upto("RESERVED"), i.RecordFundingCash(reference=REF, payment="pay_1", credit="crd_1",
                                                             amount_pence=975_999), at(AFTERNOON)),
    Row(i.WrongPayment, upto("CASH_MATCHED"), i.RecordFunded(reference=REF, transfer="pay_2", tx="0x1"),
        at(AFTERNOON)),
    Row(i.WrongState, history_of(PATH, 14), i.RecordReminder(reference=REF, reminder="due day"), at(DUE)),
    Row(i.WrongAmount, upto("DISBURSED"), paid(amount_pence=999_999), at(DUE)),
    Row(i.WrongAmount, upto("DISBURSED"), paid(shares=(i.Share("sub_pennine", 999_999),)), at(DUE)),
    Row(i.WrongAmount, upto("DISBURSED"),
        paid(shares=(i.Share("sub_pennine", 500_000), i.Share("sub_pennine", 500_000))), at(DUE)),
    Row(i.WrongAmount, upto("DISBURSED"),
        paid(shares=(i.Share("sub_pennine", 1_000_001), i.Share("sub_brunel", -1))), at(DUE)),
    Row(i.WrongPayment, upto("OBLIGOR_PAID"), i.ConfirmPayout(reference=REF, payout="other"), at(DUE)),
    Row(i.WrongState, history_of(PATH, 16), i.ConfirmPayout(reference=REF, payout=PAY["pennine"]), at(DUE)),
    Row(i.WrongState, history_of(PATH, 16), i.Settle(reference=REF, burn_tx="0x9"), at(DUE)),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_canonical_path() -> None:
    check_path(PATH)
    for steps, state in enumerate(STATES):
        assert fold("invoice", history_of(PATH, steps)).state == state


def test_every_step_out_of_order_is_refused() -> None:
    """Exceptions: the account may open twice or after the cash, a reminder is optional, payouts come in any order."""
    check_order(PATH, allowed={(9, 10), (10, 9), (13, 14), (15, 16)})


def test_a_refresh_that_is_due_stops_nobody() -> None:
    due = {"seller": change(COPPERGATE, state="REFRESH_DUE"), "buyer": change(NORTHWIND, state="REFRESH_DUE")}
    given().when(submit(**due), at(MORNING)).then(*PATH[0].events)


def test_the_buyers_own_mailbox_however_it_is_written() -> None:
    given().when(submit(buyer_email_domain="Northwind.CO.UK"), at(MORNING)).then(*PATH[0].events)


def test_a_frozen_seller_reads_a_neutral_text() -> None:
    refusal = given().when(submit(seller=FROZEN_SELLER), at(MORNING)).then_refused(i.SellerNotActive)
    assert refusal.detail == "we have paused new submissions on your account while we conclude a routine review"


@pytest.mark.parametrize(("duplicate_of", "verdict", "reason"), [
    ("FX-INV-00001", "PASS", "REJECTED_DUPLICATE"), (None, "FAIL", "REJECTED_VISION"),
    (None, "MAYBE", "REJECTED_VISION")])
def test_a_failed_check_rejects(duplicate_of: str | None, verdict: str, reason: str) -> None:
    command = i.RecordExamination(reference=REF, checks=(i.Check("sums", verdict),), fingerprints=("f1",),
                                  duplicate_of=duplicate_of)
    (event,) = given(*upto("VERIFYING")).when(command, at(MORNING)).decide()
    assert isinstance(event, i.InvoiceRejected) and event.reason == reason
    assert fold("invoice", (*upto("VERIFYING"), event)).state == reason


def test_a_high_grade_is_held() -> None:
    history = list(upto("VERIFIED"))
    history[0] = change(history[0], tenor_days=91)
    (event,) = given(*history).when(i.ScoreRisk(reference=REF, turnover_pence=9_999_999), at(MORNING)).decide()
    assert isinstance(event, i.RiskScored) and event.grade == "HIGH"
    held = (*history, event)
    given(*held).when(i.RecordBuyerNotified(reference=REF, notice="n"), at(MORNING)).then_refused(i.WrongState)


def test_the_last_second_to_confirm() -> None:
    waiting = upto("AWAITING_BUYER")
    given(*waiting).when(confirm(), at("2026-06-01T22:59:59")).then(*PATH[5].events)
    given(*waiting).when(i.ExpireInvoice(reference=REF), at(LATE)).then(i.InvoiceExpired(confirm_by=BY))
    assert fold("invoice", EXPIRED).state == "EXPIRED"


def test_a_reservation_without_cash_expires_and_can_be_made_again() -> None:
    gone = i.ReservationReleased(payment="pay_1", lender="sub_pennine", reason=i.NO_CASH)
    given(*upto("RESERVED")).when(release(i.NO_CASH), at("2026-05-22T17:21")).then(gone)
    given(*upto("RESERVED"), gone).when(reserve(), at(AFTERNOON)).then(*PATH[8].events)
    assert fold("invoice", (*upto("RESERVED"), gone)) == fold("invoice", upto("LISTED"))


def test_a_refused_transfer_lists_the_receivable_again() -> None:
    gone = i.ReservationReleased(payment="pay_1", lender="sub_pennine", reason=i.CHAIN_REFUSED)
    given(*upto("CASH_MATCHED")).when(release(i.CHAIN_REFUSED), at(AFTERNOON)).then(gone)
    assert fold("invoice", (*upto("CASH_MATCHED"), gone)).state == "LISTED"


def test_the_sellers_least_cash_holds_to_the_penny() -> None:
    """At 340 bps the usual least is met exactly; a seller who asks for more is not funded below it."""
    usual = reserve(discount_bps=340, net_advance_pence=966_000, band_bps=(0, 500))
    (event,) = given(*upto("LISTED")).when(usual, at(AFTERNOON)).decide()
    assert isinstance(event, i.FundingReserved)
    dear = change(PATH[0].events[0], least_cash_pence=966_001)
    refusal = given(dear, *upto("LISTED")[1:]).when(reserve(), at(AFTERNOON)).then_refused(i.BelowSellersMinimum)
    assert not any(character.isdigit() for character in refusal.detail), "the seller's figure is no lender's business"
    given(change(PATH[0].events[0], least_cash_pence=966_000), *upto("LISTED")[1:]).when(
        reserve(), at(AFTERNOON)).then(*PATH[8].events)


@pytest.mark.parametrize(("when", "open_"), [
    ("2026-07-13T12:00", True), ("2026-07-16T22:59:59", True), ("2026-07-16T23:00", False),
    ("2026-07-17T12:00", False), ("2026-07-21T12:00", False), ("2026-07-25T12:00", False)])
def test_a_receivable_is_funded_until_the_day_before_its_record_date(when: str, open_: bool) -> None:
    wanted = given(*upto("LISTED")).when(reserve(tenor_band=(1, 120)), at(when))
    wanted.decide() if open_ else wanted.then_refused(TradingClosed)


def test_a_listing_is_priced_for_the_days_that_are_left() -> None:
    listed = i.InvoiceListed(indicative_discount_bps=210, pricing_policy="2026-05-01")
    given(*upto("TOKENISED")).when(i.ListInvoice(reference=REF), at("2026-06-22T12:00")).then(listed)


def test_funding_collects_the_fee_accrued_at_the_mint_whatever_prices_are_now() -> None:
    history = tuple(
        change(event, accrued_fee=change(event.accrued_fee, pence=2_500)) if isinstance(event, i.InvoiceTokenised)
        else event for event in upto("CASH_MATCHED"))
    (event,) = given(*history).when(i.RecordFunded(reference=REF, transfer="pay_1", tx="0x1"), at(AFTERNOON)).decide()
    assert isinstance(event, i.InvoiceFunded)
    assert [line.pence for line in event.fee_lines] == [2_500, 5_000, 1_500, 1_000]
    assert platform_fee(1_000_000, PriceBook(tokenisation_ppm=9_000), TOKENISATION)[0] == TOKENISATION


def test_the_page_hash_covers_every_fact_on_the_page() -> None:
    state = fold("invoice", upto("AWAITING_BUYER"))
    shown = i.page_hash(state, "FinToken X 04-00-04 12345678")
    assert len(shown) == 64 and shown == i.page_hash(state, "FinToken X 04-00-04 12345678")
    others = [change(state, face_pence=1_000_001), change(state, seller_name="Coppergate"),
              change(state, due_on=state.due_on + timedelta(days=1)), change(state, seller_reference="CJ")]
    assert shown not in {i.page_hash(other, "FinToken X 04-00-04 12345678") for other in others}
    assert shown != i.page_hash(state, "FinToken X 04-00-04 12345679")


@pytest.mark.parametrize(("narration", "same"), [
    ("FX-INV-23A4F", True), ("fx inv 23a4f", True), ("FXINV23A4F", True), ("FX-INV-23A4E", False),
    ("FX-INV-23A4F PART", False), ("FX_INV_23A4F", False)])
def test_narrations_match_but_for_case_spaces_and_hyphens(narration: str, same: bool) -> None:
    assert (i.normalise(narration) == i.normalise(REF)) is same


@pytest.mark.parametrize(("state", "register_moving"), [("FUNDED", False), ("DISBURSED", True)])
def test_a_credit_waits_on_its_invoice_until_it_is_taken(state: str, register_moving: bool) -> None:
    given(*upto(state)).when(queued(register_moving=register_moving), at(DUE)).then(i.CreditQueued(credit="crd_2"))
    waiting = (*upto(state), i.CreditQueued(credit="crd_2"), i.CreditQueued(credit="crd_3"))
    assert fold("invoice", waiting).queued == ("crd_2", "crd_3")
    taken = i.CreditsTaken(credits=("crd_2",))
    given(*waiting).when(i.TakeCredits(reference=REF, credits=("crd_2",)), at(DUE)).then(taken)
    assert fold("invoice", (*waiting, taken)).queued == ("crd_3",)


# ---------------------------------------------------------------- what is held counts as paid to order


HOLD_ADVANCE = i.RecordAdvanceHeld(reference=REF, payout=f"{REF}/advance")
ADVANCE_HELD = i.AdvanceHeld(payout=f"{REF}/advance", seller_cash_pence=966_000)
DISBURSE = i.RecordDisbursed(reference=REF, payout=f"{REF}/advance")
DISBURSED = i.AdvanceDisbursed(payout=f"{REF}/advance", seller_cash_pence=966_000)
HOLD_PAYOUT = i.RecordPayoutHeld(reference=REF, payout=PAY["brunel"])
PAYOUT_HELD = i.PayoutHeld(payout=PAY["brunel"], holder="sub_brunel", pence=200_000)


def test_what_the_debtor_pays_does_not_wait_for_an_advance_that_is_held() -> None:
    held = (*upto("FUNDED"), ADVANCE_HELD)
    given(*upto("FUNDED")).when(HOLD_ADVANCE, at(DUE)).then(ADVANCE_HELD)
    given(*held).when(HOLD_ADVANCE, at(DUE)).then()
    given(*held).when(queued(), at(DUE)).then_refused(i.WrongState)
    given(*held).when(DISBURSE, at(DUE)).then(DISBURSED)
    assert fold("invoice", (*held, DISBURSED)) == fold("invoice", upto("DISBURSED"))
    shared = given(*held).when(paid(), at(DUE)).decide()
    given(*held, *shared).when(DISBURSE, at(DUE)).then(DISBURSED)
    after = fold("invoice", (*held, *shared, DISBURSED))
    assert (after.state, after.advance_held) == ("OBLIGOR_PAID", False)
    given(*held, *shared, DISBURSED).when(DISBURSE, at(DUE)).then_refused(i.WrongState)


def test_a_held_share_counts_as_paid_and_arrives_after_the_settlement() -> None:
    history = (*upto("OBLIGOR_PAID"), *PATH[15].events)
    given(*history).when(PATH[17].command, at(DUE)).then_refused(i.WrongState)
    given(*history).when(HOLD_PAYOUT, at(DUE)).then(PAYOUT_HELD)
    held = (*history, PAYOUT_HELD)
    given(*held).when(HOLD_PAYOUT, at(DUE)).then()
    given(*held).when(PATH[17].command, at(DUE)).then(*PATH[17].events)
    settled = (*held, *PATH[17].events)
    given(*settled).when(PATH[16].command, at(DUE)).then(*PATH[16].events)
    assert fold("invoice", (*settled, *PATH[16].events)) == fold("invoice", history_of(PATH, 18))


# ---------------------------------------------------------------- what comes back after it had arrived


RETURN_ADVANCE = i.RecordAdvanceReturned(reference=REF, payout=f"{REF}/advance")
ADVANCE_RETURNED = i.AdvanceReturned(payout=f"{REF}/advance", seller_cash_pence=966_000)
RETURN_PAYOUT = i.RecordPayoutReturned(reference=REF, payout=PAY["brunel"])
PAYOUT_RETURNED = i.PayoutReturned(payout=PAY["brunel"], holder="sub_brunel", pence=200_000)


def test_an_advance_that_came_back_is_waited_for_as_one_that_never_arrived() -> None:
    given(*upto("DISBURSED")).when(RETURN_ADVANCE, at(DUE)).then(ADVANCE_RETURNED)
    back = (*upto("DISBURSED"), ADVANCE_RETURNED)
    assert fold("invoice", back) == fold("invoice", upto("FUNDED"))
    given(*back).when(paid(), at(DUE)).then_refused(i.WrongState)
    given(*back).when(queued(), at(DUE)).then(i.CreditQueued(credit="crd_2"))
    given(*back).when(RETURN_ADVANCE, at(DUE)).then_refused(i.WrongState)
    given(*back).when(HOLD_ADVANCE, at(DUE)).then(ADVANCE_HELD)
    given(*back).when(DISBURSE, at(DUE)).then(DISBURSED)
    assert fold("invoice", (*back, DISBURSED)) == fold("invoice", upto("DISBURSED"))


@pytest.mark.parametrize("state", ["OBLIGOR_PAID", "SETTLED"])
def test_an_advance_that_comes_back_late_undoes_nothing_and_is_owed(state: str) -> None:
    given(*upto(state)).when(RETURN_ADVANCE, at(DUE)).then(ADVANCE_RETURNED)
    back = (*upto(state), ADVANCE_RETURNED)
    assert (fold("invoice", back).state, fold("invoice", back).advance_held) == (state, True)
    given(*back).when(RETURN_ADVANCE, at(DUE)).then_refused(i.WrongState)
    given(*back).when(HOLD_ADVANCE, at(DUE)).then()
    given(*back).when(DISBURSE, at(DUE)).then(DISBURSED)
    assert fold("invoice", (*back, DISBURSED)) == fold("invoice", upto(state))


def test_no_advance_comes_back_that_has_not_arrived() -> None:
    for history in (upto("CASH_MATCHED"), upto("FUNDED"), (*upto("FUNDED"), ADVANCE_HELD)):
        given(*history).when(RETURN_ADVANCE, at(DUE)).then_refused(i.WrongState)


def test_a_share_that_comes_back_before_the_others_arrived_is_waited_for() -> None:
    one = (*upto("OBLIGOR_PAID"), *PATH[16].events)
    given(*one).when(RETURN_PAYOUT, at(DUE)).then(PAYOUT_RETURNED)
    back = (*one, PAYOUT_RETURNED)
    assert fold("invoice", back) == fold("invoice", upto("OBLIGOR_PAID"))
    given(*back).when(RETURN_PAYOUT, at(DUE)).then_refused(i.WrongState)
    given(*back, *PATH[15].events).when(PATH[17].command, at(DUE)).then_refused(i.WrongState)
    given(*back).when(HOLD_PAYOUT, at(DUE)).then(PAYOUT_HELD)


@pytest.mark.parametrize("steps", [17, 18], ids=["the burn is under way", "settled"])
def test_a_share_that_comes_back_once_all_were_paid_undoes_nothing_and_is_owed(steps: int) -> None:
    given(*history_of(PATH, steps)).when(RETURN_PAYOUT, at(DUE)).then(PAYOUT_RETURNED)
    back = (*history_of(PATH, steps), PAYOUT_RETURNED)
    assert fold("invoice", back).all_paid
    settled = back if steps == 18 else (*back, *PATH[17].events)
    if steps == 17:
        given(*back).when(PATH[17].command, at(DUE)).then(*PATH[17].events)
    given(*settled).when(HOLD_PAYOUT, at(DUE)).then()
    given(*settled).when(PATH[16].command, at(DUE)).then(*PATH[16].events)
    assert fold("invoice", (*settled, *PATH[16].events)) == fold("invoice", history_of(PATH, 18))


@pytest.mark.parametrize("reason", [i.CHAIN_REFUSED, i.WITHDRAWN])
def test_a_paid_reservation_ends_with_its_cash_going_back(reason: str) -> None:
    given(*upto("CASH_MATCHED")).when(release(reason), at(AFTERNOON)).then(
        i.ReservationReleased(payment="pay_1", lender="sub_pennine", reason=reason))
    given(*upto("RESERVED")).when(release(reason), at(AFTERNOON)).then_refused(i.WrongState)
