"""Every reaction of every process: given the story up to a point, this entry leads to exactly these commands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from chain.client import token_id
from domain.bank_order import NameOrder
from domain.base import Command, Event
from domain.bill import BillIssued, BillOverdue, BillPaid
from domain.company_domain import BindDomain
from domain.exposure import ReduceExposure
from domain.fees import total
from domain.holds import StepReleased
from domain.invoice import (
    INVOICE,
    AdvanceDisbursed,
    AdvanceHeld,
    BuyerConfirmed,
    ConfirmPayout,
    FundingCashMatched,
    InvoiceFunded,
    InvoiceListed,
    InvoiceSettled,
    InvoiceSubmitted,
    InvoiceTokenised,
    InvoiceVerified,
    ListInvoice,
    PayoutConfirmed,
    PayoutHeld,
    PayoutRequested,
    RecordBuyerNotified,
    RecordDisbursed,
    RecordFunded,
    RecordTokenised,
    ReleaseReservation,
    ReservationReleased,
    ScoreRisk,
    Settle,
    StartVerification,
)
from domain.invoice import RiskScored as InvoiceGraded
from domain.invoice.setbacks import (
    BuyerMailboxCorrected,
    BuyerUnreachable,
    CorrectBuyerMailbox,
    RecordBuyerUnreachable,
    RiskRefused,
    RiskReleased,
)
from domain.likeness import ReleaseLikeness
from domain.notice import NOTICE, NoticeFailed, NoticeSent, RequestNotice
from domain.pair import CallbackConfirmed, CallbackDenied, RequestCallback
from domain.party import COMPLIANCE, Personal
from domain.payment import (
    ClearPayment,
    PaymentConfirmed,
    PaymentHeld,
    PaymentReleased,
    PaymentRequested,
    PaymentRerouted,
    PaymentReturned,
    RequestPayment,
)
from domain.platform import AlarmRaised, RegisterCompany, ReleaseCompany, ReleaseFingerprint
from domain.subject import (
    SUBJECT,
    AssessRisk,
    CloseRelationship,
    CodeRequested,
    ContestCompany,
    KycPassed,
    KycReferred,
    OnboardingSubmitted,
    PassGates,
    RiskPassed,
    ScreeningHit,
    ScreeningPassed,
    StartGate,
    SubjectActivated,
    SubjectClosed,
    SubjectUnfrozen,
    WalletBound,
    as_party,
)
from domain.token import (
    PLATFORM,
    CloseRegister,
    ForcedMoved,
    ForcedMoveRefused,
    RecordTransferRefused,
    ReleaseSlice,
    RequestBurn,
    RequestMint,
    RequestTransfer,
    SliceListed,
    TokenBurned,
    TokenMinted,
    TokenSliced,
    TokenTransferred,
    TransferRefused,
)
from domain.trade import (
    TRADE,
    RecordChainRefusal,
    RecordExecuted,
    RecordRefunded,
    RecordTradeSettled,
    TradeCashMatched,
    TradeExecuted,
    TradeFailedOnChain,
)
from processes.catalogue import PROCESSES
from processes.freezes import standing
from processes.mails import named_by
from providers.bank.account import end_to_end
from tests.processes.world import World, world_at
from tests.projections.story import (
    BUYER,
    DUE,
    FACE,
    FEE,
    INVESTOR,
    LENDER,
    NET,
    NOW,
    PAYMENT,
    PRICE,
    REFERENCE,
    SELLER,
    TOKEN_REF,
    TRADE_ID,
    checked,
)

NEW_MAIL = Personal(BUYER, "bmV3")


def reactions(point: str, event: type[Event]) -> tuple[World, dict[str, list[Command]]]:
    world = world_at(point)
    return world, world.reacts(world.last(event))


def notice(world: World, name: str, template: str, who: str, **more: str) -> RequestNotice:
    invoice = world.look(INVOICE, REFERENCE)
    facts = {"reference": REFERENCE, "seller": invoice.seller_name, "buyer": invoice.buyer_name, "due": "21 July 2026",
             "amount": "£10,000.00", "seller_reference": "CJ-1042"}
    told = {**facts, **more} if template == "confirm_request" else {
        fact: value for fact, value in {**facts, **more}.items() if fact in named_by(template)}
    return RequestNotice(notice=f"{REFERENCE}/{name}", template=template, recipient=who, resource=REFERENCE,
                         address=world.look(SUBJECT, who).email, facts=told)


def payment(world: World, name: str, purpose: str, resource: str, payee: str, pence: int,
            narration: str, *, beside: str = "") -> RequestPayment:
    account = None if payee == "platform" else world.look(SUBJECT, payee).payout_account
    return RequestPayment(payment=name, purpose=purpose, resource=resource, payee=payee, pence=pence,
                          account=account, narration=narration, beside=beside)


STRAIGHT: list[tuple[str, type[Event], dict[str, list[Command]]]] = [
    # onboarding
    ("sub_seller identity asked", OnboardingSubmitted, {"onboarding": [StartGate(subject=SELLER, gate="identity")]}),
    ("sub_seller screened", KycPassed, {"onboarding": [StartGate(subject=SELLER, gate="screening")]}),
    ("sub_seller screened", ScreeningPassed, {"onboarding": [AssessRisk(subject=SELLER)]}),
    ("sub_buyer screened", ScreeningPassed, {"onboarding": [PassGates(subject=BUYER)]}),
    ("sub_seller active", RiskPassed, {"onboarding": [PassGates(subject=SELLER)]}),
    ("sub_lender active", RiskPassed, {"onboarding": [StartGate(subject=LENDER, gate="fca")]}),
    ("sub_investor active", RiskPassed, {"onboarding": [PassGates(subject=INVESTOR)]}),
    ("sub_lender active", WalletBound, {"onboarding": [PassGates(subject=LENDER)]}),
    # verification
    ("submitted", InvoiceSubmitted, {"verification": [StartVerification(reference=REFERENCE)]}),
    ("scored", InvoiceVerified, {"verification": [ScoreRisk(reference=REFERENCE, turnover_pence=320_000_000)]}),
    ("awaiting the buyer", NoticeSent,
     {"verification": [RecordBuyerNotified(reference=REFERENCE, notice=f"{REFERENCE}/C1")]}),
    # issuance
    ("call-back wanted", BuyerConfirmed,
     {"issuance": [RequestCallback(seller=SELLER, buyer=BUYER, invoice=REFERENCE)]}),
    ("confirmed", BuyerConfirmed, {"issuance": [
        *standing(SELLER, BUYER),
        RequestMint(token=TOKEN_REF, invoice=REFERENCE, token_id=str(token_id(TOKEN_REF)), face_pence=FACE, due_on=DUE,
                    holder=PLATFORM, wallet=PLATFORM)]}),
    ("confirmed", CallbackConfirmed, {"callbacks": [
        *standing(SELLER, BUYER),
        RequestMint(token=TOKEN_REF, invoice=REFERENCE, token_id=str(token_id(TOKEN_REF)), face_pence=FACE, due_on=DUE,
                    holder=PLATFORM, wallet=PLATFORM)]}),
    ("listed", TokenMinted, {"issuance": [
        RecordTokenised(reference=REFERENCE, token_reference=TOKEN_REF, contract="0xTOKEN", token_id="77")]}),
    ("listed", InvoiceTokenised, {"issuance": [*standing(SELLER, BUYER), ListInvoice(reference=REFERENCE)]}),
    # funding
    ("cash matched", FundingCashMatched, {"funding": [
        *standing(SELLER, BUYER, LENDER),
        RequestTransfer(token=TOKEN_REF, transfer=PAYMENT, slice_index=None, to=LENDER, to_wallet="0xLENDER",
                        paid_at=NOW)]}),
    ("funded", TokenTransferred, {"funding": [RecordFunded(reference=REFERENCE, transfer=PAYMENT, tx="0xMOVE")]}),
    # trading
    ("trade cash matched", TradeCashMatched, {"trading": [
        *standing(LENDER, INVESTOR, BUYER),
        RequestTransfer(token=TOKEN_REF, transfer=TRADE_ID, slice_index=2, to=INVESTOR, to_wallet="0xINVESTOR",
                        paid_at=NOW)]}),
    ("executed", TokenTransferred, {"trading": [RecordExecuted(trade=TRADE_ID, tx="0xSOLD")]}),
    # payments
    ("advance ordered", PaymentRequested, {"payments": [
        *standing(SELLER), ClearPayment(payment=f"{REFERENCE}/fee"),
        NameOrder(order=end_to_end(f"{REFERENCE}/fee"), payment=f"{REFERENCE}/fee", attempt=1)]}),
    # repayment
    ("settled", TokenBurned, {"repayment": [Settle(reference=REFERENCE, burn_tx="0xBURN")]}),
    ("holders paid", PayoutConfirmed, {"repayment": [RequestBurn(token=TOKEN_REF)]}),
]


@pytest.mark.parametrize(("point", "event", "expected"), STRAIGHT, ids=lambda value: (
    value if isinstance(value, str) else value.__name__ if isinstance(value, type) else ""))
def test_straight_on(point: str, event: type[Event], expected: dict[str, list[Command]]) -> None:
    assert reactions(point, event)[1] == expected


def test_every_reaction_is_met_in_this_file() -> None:
    """A reaction nobody tests is named here."""
    met = {event for _, event, _ in STRAIGHT} | {
        KycReferred, ScreeningHit, InvoiceGraded, TransferRefused, InvoiceFunded, PaymentConfirmed, InvoiceListed,
        AdvanceDisbursed, InvoiceSettled, SubjectActivated, TradeExecuted, TradeFailedOnChain, PayoutRequested,
        SubjectClosed, SubjectUnfrozen, StepReleased, PaymentHeld, PaymentReleased, PaymentRerouted, PayoutHeld,
        AdvanceHeld, AlarmRaised, TokenSliced, ReservationReleased, ForcedMoved, ForcedMoveRefused, NoticeFailed,
        BuyerUnreachable, BuyerMailboxCorrected, RiskReleased, RiskRefused, CodeRequested, CallbackDenied,
        PaymentReturned} | {
        SliceListed, BillIssued, BillOverdue, BillPaid}  # tests/processes/test_billing.py
    assert {event for process in PROCESSES for event in process.reactions} <= met


# ---------------------------------------------------------------- leaving


def test_whoever_leaves_frees_its_companys_number_and_no_other() -> None:
    world = world_at("settled")
    close = CloseRelationship(subject=SELLER, reason="platform", outstanding=())
    left, = world.do(close, by=("stf_mlro", COMPLIANCE))
    number = world.look(SUBJECT, SELLER).company_number
    release = ReleaseCompany(role="sme_seller", company_number=number, subject=SELLER)
    assert world.reacts(left) == {"erasure": [release]}
    world.do(release, RegisterCompany(role="sme_seller", company_number=number, subject="sub_again"))
    assert world.reacts(left) == {}, "the company is another subject's now"


# ---------------------------------------------------------------- onboarding off the path


def test_a_referred_identity_goes_on_to_screening_and_then_to_the_mlro() -> None:
    world = world_at("sub_buyer identity asked")
    referred, = world.do(checked(BUYER, "YELLOW"))
    assert world.reacts(referred) == {"onboarding": [StartGate(subject=BUYER, gate="screening")]}
    passed = world.note(SUBJECT, BUYER, ScreeningPassed(lists=(), evidence=()))
    assert world.reacts(passed) == {"onboarding": [AssessRisk(subject=BUYER)]}, "a flagged buyer is reviewed"


def test_a_second_account_of_a_company_is_contested_and_goes_on() -> None:
    world = world_at("sub_buyer identity asked")
    number = world.look(SUBJECT, BUYER).company_number
    world.do(ReleaseCompany(role="corporate_buyer", company_number=number, subject=BUYER),
             RegisterCompany(role="corporate_buyer", company_number=number, subject="sub_first"))
    passed, = world.do(checked(BUYER))
    expected = [ContestCompany(subject=BUYER, other="sub_first"), StartGate(subject=BUYER, gate="screening")]
    assert world.reacts(passed) == {"onboarding": expected}
    world.do(*expected)
    assert world.look(SUBJECT, BUYER).flags == ("company_contested: sub_first stands for this company",)


def test_a_new_companys_number_is_entered_once_its_identity_is_known() -> None:
    world = world_at("sub_buyer identity asked")
    number = world.look(SUBJECT, BUYER).company_number
    world.do(ReleaseCompany(role="corporate_buyer", company_number=number, subject=BUYER))
    passed, = world.do(checked(BUYER))
    assert world.reacts(passed) == {"onboarding": [
        RegisterCompany(role="corporate_buyer", company_number=number, subject=BUYER),
        StartGate(subject=BUYER, gate="screening")]}


@pytest.mark.parametrize("who", [SELLER, BUYER, LENDER, INVESTOR])
def test_a_screening_hit_is_always_assessed(who: str) -> None:
    world = world_at(f"{who} screened")
    hit = world.note(SUBJECT, who, ScreeningHit(lists=("UKSL",), evidence=(), reason="match"))
    assert world.reacts(hit) == {"onboarding": [AssessRisk(subject=who)]}


# ---------------------------------------------------------------- verification, mails


def test_the_buyer_is_asked_and_a_high_grade_is_held() -> None:
    world, answers = reactions("scored", InvoiceGraded)
    invoice = world.look(INVOICE, REFERENCE)
    expected = notice(world, "C1", "confirm_request", BUYER)
    expected = type(expected)(**{field: getattr(expected, field) for field in (
        "notice", "template", "recipient", "resource", "facts")}, address=invoice.buyer_email)
    assert answers == {"verification": [expected]}
    held = world.note(INVOICE, REFERENCE, InvoiceGraded(grade="HIGH", reasons=(), rules_version="r"))
    assert world.reacts(held) == {}


def test_only_the_confirmation_request_counts_as_asking() -> None:
    world = world_at("awaiting the buyer")
    sent = world.note(INVOICE, "n", NoticeSent(notice="n", template="welcome", recipient=BUYER, resource=BUYER))
    assert world.reacts(sent) == {}


def test_a_request_that_cannot_be_delivered_asks_the_seller_for_another_mailbox() -> None:
    world = world_at("scored")
    failed = {"template": "confirm_request", "recipient": BUYER, "resource": REFERENCE, "reason": "refused"}
    lost = world.note(NOTICE, "n", NoticeFailed(notice="n", **failed))
    assert world.reacts(lost) == {"verification": [RecordBuyerUnreachable(reference=REFERENCE, notice="n")]}
    other = world.note(NOTICE, "n", NoticeFailed(notice="n", **{**failed, "template": "settled"}))
    assert world.reacts(other) == {}
    unreachable, = world.do(RecordBuyerUnreachable(reference=REFERENCE, notice="n"))
    told, = world.reacts(unreachable)["notices"]
    assert isinstance(told, RequestNotice) and (told.template, told.recipient) == ("buyer_unreachable", SELLER)
    buyer = as_party(world.look(SUBJECT, BUYER))
    corrected, = world.do(CorrectBuyerMailbox(reference=REFERENCE, seller=SELLER, buyer=buyer, buyer_email=NEW_MAIL,
                                              buyer_email_domain=buyer.email_domain))
    asked, = world.reacts(corrected)["verification"]
    assert isinstance(asked, RequestNotice)
    assert (asked.notice, asked.address) == (f"{REFERENCE}/C1/2", NEW_MAIL)


def test_compliances_word_on_a_high_grade() -> None:
    world = world_at("scored")
    released = world.note(INVOICE, REFERENCE, RiskReleased(rationale=Personal(SELLER, "d2h5")))
    asked, = world.reacts(released)["verification"]
    assert isinstance(asked, RequestNotice) and asked.template == "confirm_request"
    refused = world.note(INVOICE, REFERENCE, RiskRefused(rationale=Personal(SELLER, "d2h5")))
    assert world.reacts(refused)["verification"] == [
        ReleaseFingerprint(fingerprint="f1", invoice=REFERENCE),
        ReleaseFingerprint(fingerprint="f2", invoice=REFERENCE), ReleaseLikeness(registry="l1", invoice=REFERENCE)]


def test_who_is_told_what() -> None:
    world, answers = reactions("listed", InvoiceListed)
    assert answers == {"notices": [notice(world, "S4", "buyer_confirmed", SELLER)]}
    world, answers = reactions("disbursed", AdvanceDisbursed)
    cash = f"£{world.look(INVOICE, REFERENCE).seller_cash_pence / 100:,.2f}"
    assert answers == {"notices": [notice(world, "S6", "cash_landed", SELLER, cash=cash),
                                   notice(world, "F4", "seller_credited", LENDER)]}
    world, answers = reactions("settled", InvoiceSettled)
    shares = {LENDER: "£8,000.00", INVESTOR: "£2,000.00"}
    assert answers == {"exposures": [ReduceExposure(lender=LENDER, invoice=REFERENCE)], "notices": [
        *(notice(world, f"settled/{who}", "settled", who) for who in (SELLER, BUYER)),
        *(notice(world, f"settled/{who}", "share_paid", who, share=share) for who, share in shares.items())]}
    for told in answers["notices"][2:]:
        assert "10,000" not in str(told), "a holder of a part is not told of the whole"


def test_a_code_is_mailed_and_its_letters_are_made_when_the_mail_is() -> None:
    world, answers = reactions("sub_seller signed up", CodeRequested)
    request = RequestNotice(notice=f"{SELLER}/code/1", template="mailbox_code", recipient=SELLER, resource=SELLER,
                            address=world.look(SUBJECT, SELLER).email, facts={"number": "1"})
    assert answers == {"notices": [request]}


def test_a_welcome_is_for_the_first_time_only() -> None:
    world, answers = reactions("sub_seller active", SubjectActivated)
    subject = world.look(SUBJECT, SELLER)
    bound = BindDomain(domain="coppergate.co.uk", company_number="00000000", subject=SELLER)
    assert answers == {"onboarding": [bound], "notices": [RequestNotice(
        notice=f"{SELLER}/welcome", template="welcome", recipient=SELLER, address=subject.email, resource=SELLER,
        facts={"name": subject.legal_name})]}
    again = world.note(SUBJECT, SELLER, SubjectActivated(refreshed=True, refresh_due_at=subject.refresh_due_at))
    assert world.reacts(again) == {"onboarding": [bound]}


# ---------------------------------------------------------------- money


def test_a_funded_invoice_pays_the_seller_and_ourselves() -> None:
    world, answers = reactions("funded", InvoiceFunded)
    invoice = world.look(INVOICE, REFERENCE)
    fee = total(invoice.fee_lines)
    assert invoice.seller_cash_pence + fee == NET
    assert answers == {"funding": [
        payment(world, f"{REFERENCE}/advance", "advance", REFERENCE, SELLER, NET - fee, REFERENCE),
        payment(world, f"{REFERENCE}/fee", "fee", REFERENCE, "platform", fee, "FEEFXINV23A4F", beside=SELLER)]}


def test_a_trade_pays_the_slices_seller_and_ourselves() -> None:
    world, answers = reactions("executed", TradeExecuted)
    assert answers == {"exposures": [ReduceExposure(lender=LENDER, invoice=REFERENCE, pence=200_000)], "trading": [
        payment(world, f"{TRADE_ID}/proceeds", "proceeds", TRADE_ID, LENDER, PRICE, REFERENCE),
        payment(world, f"{TRADE_ID}/fee", "fee", TRADE_ID, "platform", FEE, "FEEFXINV23A4F", beside=LENDER)]}


def test_each_holder_is_paid_its_share() -> None:
    world = world_at("debtor paid")
    answers = [world.reacts(entry) for entry in world.entries if isinstance(entry.event, PayoutRequested)]
    assert answers == [
        {"repayment": [payment(world, f"{REFERENCE}/settlement/{who}", "settlement", REFERENCE, who, pence, REFERENCE)]}
        for who, pence in ((LENDER, 800_000), (INVESTOR, 200_000))]


def confirmed(purpose: str, resource: str) -> PaymentConfirmed:
    return PaymentConfirmed(payment="p", purpose=purpose, resource=resource, payee="x", pence=1)


@pytest.mark.parametrize(("purpose", "resource", "expected"), [
    ("advance", REFERENCE, {"funding": [RecordDisbursed(reference=REFERENCE, payout="p")]}),
    ("settlement", REFERENCE, {"repayment": [ConfirmPayout(reference=REFERENCE, payout="p")]}),
    ("proceeds", TRADE_ID, {"trading": [RecordTradeSettled(trade=TRADE_ID, payout="p")]}),
    ("fee", REFERENCE, {}),
    ("refund", REFERENCE, {}),
], ids=str)
def test_a_confirmed_payment_is_told_to_whoever_waits_for_it(
    purpose: str, resource: str, expected: dict[str, Any]
) -> None:
    world = world_at("executed")
    assert world.reacts(world.note(INVOICE, "p", confirmed(purpose, resource))) == expected


def test_the_burn_waits_for_the_last_holder_and_is_ordered_once() -> None:
    world = world_at("debtor paid")
    first = world.do(ConfirmPayout(reference=REFERENCE, payout=f"{REFERENCE}/settlement/{LENDER}"))[-1]
    assert world.reacts(first) == {}
    last = world.do(ConfirmPayout(reference=REFERENCE, payout=f"{REFERENCE}/settlement/{INVESTOR}"))[-1]
    assert world.reacts(first) == world.reacts(last) == {"repayment": [RequestBurn(token=TOKEN_REF)]}
    world.do(RequestBurn(token=TOKEN_REF))
    assert world.reacts(last) == {}


# ---------------------------------------------------------------- compensation


def test_a_refused_funding_sends_the_money_back_and_lists_again() -> None:
    world = world_at("transfer ordered")
    refused, = world.do(RecordTransferRefused(token=TOKEN_REF, transfer=PAYMENT, reason="RESTRICTED"))
    expected = [payment(world, f"{PAYMENT}/refund", "refund", REFERENCE, LENDER, NET, REFERENCE),
                ReleaseReservation(reference=REFERENCE, payment=PAYMENT, reason="chain refused")]
    assert world.reacts(refused) == {"funding": expected}
    world.do(*expected)
    assert world.look(INVOICE, REFERENCE).state == "LISTED"
    assert world.reacts(world.last(ReservationReleased)) == {
        "exposures": [ReduceExposure(lender=LENDER, invoice=REFERENCE)]}


def test_cash_that_came_for_a_register_closed_since_goes_back() -> None:
    """Reserved the day before the record date, paid on it."""
    world, late = world_at("cash matched"), datetime(2026, 7, 16, 23, 0, tzinfo=UTC)
    entry = msgspec.structs.replace(world.last(FundingCashMatched), at=late)
    assert [type(command) for command in world.reacts(entry)["funding"]] == [RequestPayment, ReleaseReservation]
    world = world_at("trade cash matched")
    entry = msgspec.structs.replace(world.last(TradeCashMatched), at=late)
    assert world.reacts(entry) == {"trading": [
        RecordChainRefusal(trade=TRADE_ID, reason="RECORD_DATE"),
        ReleaseSlice(token=TOKEN_REF, index=2, trade=TRADE_ID)]}


def test_who_paid_in_vain_is_told_and_nobody_who_has_no_mailbox() -> None:
    world = world_at("settled")
    for payee, told in ((LENDER, ["notices"]), ("crd_1", [])):
        back = PaymentConfirmed(payment="crd_1/return", purpose="return", resource="crd_1", payee=payee, pence=1)
        assert list(world.reacts(world.note(INVOICE, "p", back))) == told


def test_a_refused_slice_refunds_the_investor_and_is_offered_again() -> None:
    world = world_at("slice transfer ordered")
    refused, = world.do(RecordTransferRefused(token=TOKEN_REF, transfer=TRADE_ID, reason="RESTRICTED"))
    expected = [RecordChainRefusal(trade=TRADE_ID, reason="RESTRICTED"),
                ReleaseSlice(token=TOKEN_REF, index=2, trade=TRADE_ID)]
    assert world.reacts(refused) == {"trading": expected}
    failed = world.do(*expected)[0]
    refund = payment(world, f"{TRADE_ID}/refund", "refund", TRADE_ID, INVESTOR, PRICE + FEE, REFERENCE)
    assert world.reacts(failed) == {"trading": [refund]}
    arrived = world.note(TRADE, TRADE_ID, confirmed("refund", TRADE_ID))
    assert world.reacts(arrived) == {"trading": [RecordRefunded(trade=TRADE_ID, payout="p")]}
    world.do(RecordRefunded(trade=TRADE_ID, payout="p"))
    assert world.reacts(arrived) == {}


def test_cash_for_a_slice_of_a_closed_register_is_refused_and_refunded() -> None:
    world = world_at("trade cash matched")
    world.do(CloseRegister(token=TOKEN_REF, holdings=((LENDER, FACE),)))
    expected: list[Command] = [RecordChainRefusal(trade=TRADE_ID, reason="REGISTER_CLOSED")]
    assert world.reacts(world.last(TradeCashMatched)) == {"trading": expected}
    failed, = world.do(*expected)
    assert isinstance(failed.event, TradeFailedOnChain) and list(world.reacts(failed)) == ["trading"]
