"""Effects on money and mail: exact matches pay, everything else waits or comes back."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from domain.account import ACCOUNT, OpenAccount, account_key
from domain.base import Command, Event
from domain.calendar import at_london
from domain.credit import (
    NOT_DESIGNATED,
    NOT_OURS,
    THIRD_PARTY,
    CreditReceived,
    CreditResumed,
    MatchCredit,
    RecordCredit,
    ResumeCredit,
    ReturnCredit,
    SuspendCredit,
    WaitCredit,
)
from domain.invoice import (
    INVOICE,
    AdvanceDisbursed,
    FundingReserved,
    InstructFunding,
    QueueCredit,
    RecordDisbursed,
    RecordFundingCash,
    RecordObligorPaid,
    RecordReminder,
    ReleaseReservation,
    Share,
    TakeCredits,
    WrongState,
    invoice_reference,
)
from domain.notice import NoticeRequested, RecordNoticeSent, RequestNotice
from domain.party import COMPLIANCE, Personal
from domain.payer import KnowPayer
from domain.payment import (
    ClearPayment,
    PaymentCleared,
    PaymentSent,
    RecordBounced,
    RecordCredited,
    RecordSent,
    RequestPayment,
)
from domain.platform import RaiseAlarm
from domain.subject import SUBJECT, ChangedMeanwhile, FreezeSubject, RecordMatch, Said
from domain.token import (
    BeginForcedMove,
    CloseRegister,
    ExpectMoving,
    RecordForcedMove,
    RecordForcedMoveRefused,
    RecordSliced,
    RecordTransferred,
    RecordTransferRefused,
    RegisterSettled,
    ReleaseSlice,
)
from domain.trade import (
    TRADE,
    InstructTrade,
    LapseTrade,
    PreTradeAnswered,
    RecordPreTradeScreening,
    RecordTradeCash,
    TradeReserved,
)
from processes.accounts import bank_account, designated_mark, mark
from processes.freezes import standing
from processes.notices import confirmation_token, mail_key
from processes.process import NotYet
from processes.reconciliation import RETURNED
from providers.bank import Account
from providers.bank import Payment as BankPayment
from providers.errors import Final, Retryable
from providers.screening import Hit, ScreeningResult
from tests.processes.outside import SHA, Outside, asked, perform
from tests.processes.world import World, world_at
from tests.projections.story import (
    BUYER,
    DUE,
    FACE,
    FEE,
    INVESTOR,
    LENDER,
    MLRO,
    NET,
    NOW,
    PAYMENT,
    PRICE,
    REFERENCE,
    TOKEN_REF,
    TRADE_ID,
)

# ---------------------------------------------------------------- funding, trading


def test_a_reservation_opens_an_account_for_its_payment() -> None:
    world = world_at("reserved")
    outside = Outside(world)
    commands = perform(world, "funding", "open_funding_account", FundingReserved, outside)
    assert commands == [
        OpenAccount(account="040004-11112222", purpose="funding", resource=REFERENCE, payment=PAYMENT,
                    payer=LENDER),
        InstructFunding(reference=REFERENCE, payment=PAYMENT, sort_code="04-00-04", account_number="11112222")]
    assert asked(outside)[0][:2] == ("bank.open_virtual_account", PAYMENT)
    world.do(*commands)


def test_a_reservation_without_cash_ends() -> None:
    world, late = world_at("reserved"), NOW + timedelta(hours=4)
    with pytest.raises(NotYet) as wait:
        perform(world, "funding", "expire", FundingReserved, Outside(world, late - timedelta(seconds=1)))
    assert wait.value.due == late
    commands = perform(world, "funding", "expire", FundingReserved, Outside(world, late))
    assert commands == [ReleaseReservation(reference=REFERENCE, payment=PAYMENT, reason="no cash in time")]
    world.do(*commands, at=late)
    assert perform(world, "funding", "expire", FundingReserved, Outside(world, late)) == []
    paid = world_at("cash matched")
    assert perform(paid, "funding", "expire", FundingReserved, Outside(paid, late)) == []


PASSED = RecordPreTradeScreening(trade=TRADE_ID, provider="complyadvantage", provider_reference="sc-2",
                                 payload_sha256=SHA)


def screened(*hits: str, clear: bool = False) -> ScreeningResult:
    return ScreeningResult(clear, tuple(Hit(each, "Faisal", 1.7) for each in hits), ("UKSL@1",), "sc-2", SHA)


def test_an_investor_is_screened_afresh_before_each_trade() -> None:
    world = world_at("questions answered")
    outside = Outside(world).answers("screening", screen=screened(clear=True))
    assert perform(world, "trading", "screen_investor", PreTradeAnswered, outside) == [*standing(INVESTOR), PASSED]
    assert asked(outside)[0][2] == ["Brunel Partners LLP", "Person of sub_investor"]
    reserved = world_at("trade reserved")
    assert perform(reserved, "trading", "screen_investor", PreTradeAnswered, Outside(reserved)) == []


@pytest.mark.parametrize("hits", [(), ("UKSL",), ("OFAC", "PEP"), ("some-other-list",)])
def test_a_match_freezes_the_investor_calls_compliance_and_answers_no_check(hits: tuple[str, ...]) -> None:
    """A hit that names no list we know, or none at all, counts as one."""
    world = world_at("questions answered")
    outside = Outside(world).answers("screening", screen=screened(*hits))
    commands = perform(world, "trading", "screen_investor", PreTradeAnswered, outside)
    match, alarm = commands
    assert match == RecordMatch(subject=INVESTOR, lists=("UKSL@1",), screening=Said("complyadvantage", "sc-2", SHA))
    assert isinstance(alarm, RaiseAlarm) and (alarm.code, INVESTOR in alarm.detail) == ("sanctions_match", True)
    world.do(*commands)
    assert (world.look(SUBJECT, INVESTOR).state, world.look(TRADE, TRADE_ID).state) == ("FROZEN", "PRE_TRADE_PENDING")


def test_a_politically_exposed_investor_trades_and_compliance_knows() -> None:
    world = world_at("questions answered")
    outside = Outside(world).answers("screening", screen=screened("PEP"))
    *passed, alarm = perform(world, "trading", "screen_investor", PreTradeAnswered, outside)
    assert passed == [*standing(INVESTOR), PASSED]
    assert isinstance(alarm, RaiseAlarm) and alarm.code == "pep_match"
    world.do(alarm)
    assert perform(world, "trading", "screen_investor", PreTradeAnswered, outside) == passed, "once, while it stands"


def test_a_check_of_a_frozen_investor_is_not_answered_and_lapses() -> None:
    """The same whatever froze the investor, and whether the screening would have been clear."""
    world = world_at("questions answered")
    seen = perform(world, "trading", "screen_investor", PreTradeAnswered, Outside(world))
    world.do(FreezeSubject(subject=INVESTOR, reason_code="CARE"), by=(MLRO, COMPLIANCE))
    with pytest.raises(ChangedMeanwhile):
        world.do(*seen)
    outside = Outside(world)
    assert perform(world, "trading", "screen_investor", PreTradeAnswered, outside) == []
    assert asked(outside) == []
    with pytest.raises(NotYet):
        perform(world, "trading", "lapse_check", PreTradeAnswered, outside)
    late = NOW + timedelta(minutes=15)
    commands = perform(world, "trading", "lapse_check", PreTradeAnswered, Outside(world, late))
    assert commands == [LapseTrade(trade=TRADE_ID)]
    world.do(*commands, at=late)
    assert world.look(TRADE, TRADE_ID).state == "LAPSED"
    assert perform(world, "trading", "lapse_check", PreTradeAnswered, Outside(world, late)) == []


def test_a_trade_opens_its_account_and_lapses_without_cash() -> None:
    world, late = world_at("trade reserved"), NOW + timedelta(hours=4)
    commands = perform(world, "trading", "open_trade_account", TradeReserved, Outside(world))
    assert commands == [
        OpenAccount(account="040004-11112222", purpose="trade", resource=TRADE_ID, payment=TRADE_ID,
                    payer=INVESTOR),
        InstructTrade(trade=TRADE_ID, sort_code="04-00-04", account_number="11112222")]
    with pytest.raises(NotYet):
        perform(world, "trading", "lapse", TradeReserved, Outside(world, late - timedelta(seconds=1)))
    lapse = perform(world, "trading", "lapse", TradeReserved, Outside(world, late))
    assert lapse == [LapseTrade(trade=TRADE_ID), ReleaseSlice(token=TOKEN_REF, index=2, trade=TRADE_ID)]
    world.do(*lapse, at=late)
    assert perform(world, "trading", "lapse", TradeReserved, Outside(world, late)) == []


# ---------------------------------------------------------------- money


def sent_world() -> World:
    """The advance and our fee are cleared; the bank is asked next."""
    world = world_at("advance ordered")
    world.do(ClearPayment(payment=f"{REFERENCE}/advance"), ClearPayment(payment=f"{REFERENCE}/fee"))
    return world


def test_a_payment_goes_to_the_payees_account_or_to_ours() -> None:
    world = sent_world()
    outside = Outside(world)
    advance, fee = [entry for entry in world.entries if isinstance(entry.event, PaymentCleared)]
    for entry in (advance, fee):
        payment = entry.event.payment  # pyright: ignore[reportAttributeAccessIssue]
        assert world.performs("payments", "send", entry, outside) == [
            RecordSent(payment=payment, provider_reference="bp-1")]
    assert [(question[1], question[3]) for question in asked(outside)] == [
        (f"{REFERENCE}/advance", Account("Coppergate Joinery Ltd", "20-48-17", "53910460")),
        (f"{REFERENCE}/fee", outside.platform_account)]


def test_a_payment_the_bank_refuses_has_bounced() -> None:
    world = sent_world()
    outside = Outside(world).answers("bank", pay=Final("refused"))
    assert perform(world, "payments", "send", PaymentCleared, outside) == [
        RecordBounced(payment=f"{REFERENCE}/fee", reason="refused")]


@pytest.mark.parametrize(("status", "expected"), [
    ("CREDITED", RecordCredited(payment=f"{REFERENCE}/fee")),
    ("FAILED", RecordBounced(payment=f"{REFERENCE}/fee", reason="FAILED")),
    ("RETURNED", RecordBounced(payment=f"{REFERENCE}/fee", reason="RETURNED")),
    ("ACCEPTED", None), (None, None),
], ids=str)
def test_a_payment_counts_when_it_has_arrived(status: Any, expected: Command | None) -> None:
    world = sent_world()
    world.do(RecordSent(payment=f"{REFERENCE}/fee", provider_reference="bp"))
    outside = Outside(world).answers("bank", payment=status and BankPayment("k", "bp", status, 1))
    if expected is None:
        with pytest.raises(Retryable, match="not_credited_yet"):
            perform(world, "payments", "corroborate", PaymentSent, outside)
    else:
        assert perform(world, "payments", "corroborate", PaymentSent, outside) == [expected]
        world.do(expected)
        assert perform(world, "payments", "corroborate", PaymentSent, outside) == [], "once"


@pytest.mark.parametrize(("effect", "event", "before"), [
    ("send", PaymentCleared, []), ("corroborate", PaymentSent, [RecordSent(payment=f"{REFERENCE}/fee",
                                                                        provider_reference="bp")])])
def test_what_came_back_while_the_bank_was_asked_is_not_asked_for_again(
    effect: str, event: type[Event], before: list[Command]
) -> None:
    world = sent_world()
    world.do(*before, RecordBounced(payment=f"{REFERENCE}/fee", reason="RETURNED"))
    outside = Outside(world)
    assert perform(world, "payments", effect, event, outside) == asked(outside) == []


FROM = Personal("crd", "sealed:account")


def said(remitter: str) -> Personal:
    return Personal(BUYER, "sealed:" + json.dumps({"narration": "", "remitter": remitter}))


def credited(world: World, outside: Outside | None = None, **changes: Any) -> list[Command]:
    """What becomes of the newest credit, paid from the account it is expected from, with some of its facts changed."""
    entry, outside = world.last(CreditReceived), outside or Outside(world)
    assert isinstance(entry.event, CreditReceived)
    account = world.look(ACCOUNT, account_key(entry.event.sort_code, entry.event.account_number))
    usual: dict[str, Any] = {"payer": designated_mark(outside, account.payer), "payer_account": FROM,  # pyright: ignore
                             "said": said("Northwind Retail PLC")}
    entry = msgspec.structs.replace(entry, event=msgspec.structs.replace(entry.event, **{**usual, **changes}))
    return world.performs("reconciliation", "match", entry, outside)


def suspended(credit: str, reason: str, suggestion: str | None = None) -> list[Command]:
    return [SuspendCredit(credit=credit, reason=reason, suggestion=suggestion)]


def back(credit: str, pence: int, payee: str) -> list[Command]:
    return [ReturnCredit(credit=credit, payment=f"{credit}/return"),
            RequestPayment(payment=f"{credit}/return", purpose="return", resource=credit, payee=payee, pence=pence,
                           account=FROM, narration=RETURNED)]


def test_a_lenders_cash_is_matched_exactly_or_goes_back() -> None:
    world = world_at("funding credited")
    assert credited(world) == [
        MatchCredit(credit="crd_funding", purpose="funding", resource=REFERENCE),
        RecordFundingCash(reference=REFERENCE, payment=PAYMENT, credit="crd_funding", amount_pence=NET)]
    assert credited(world, pence=NET - 1) == [
        *suspended("crd_funding", "amount differs", REFERENCE), *back("crd_funding", NET - 1, LENDER)]
    assert credited(world, currency="EUR") == suspended("crd_funding", "currency EUR")
    world.do(ReleaseReservation(reference=REFERENCE, payment=PAYMENT, reason="no cash in time"),
             at=NOW + timedelta(hours=4))
    assert credited(world) == [
        *suspended("crd_funding", "reservation is over", REFERENCE), *back("crd_funding", NET, LENDER)]
    world.do(SuspendCredit(credit="crd_funding", reason="r"))
    assert credited(world) == [], "what stands in suspense is decided"


def test_an_investors_cash_is_matched_exactly_or_goes_back() -> None:
    world = world_at("trade credited")
    assert credited(world) == [
        MatchCredit(credit="crd_trade", purpose="trade", resource=TRADE_ID),
        RecordTradeCash(trade=TRADE_ID, credit="crd_trade", amount_pence=PRICE + FEE)]
    assert credited(world, pence=PRICE) == [
        *suspended("crd_trade", "amount differs", TRADE_ID), *back("crd_trade", PRICE, INVESTOR)]
    world.do(LapseTrade(trade=TRADE_ID), at=NOW + timedelta(hours=4))
    assert credited(world) == [
        *suspended("crd_trade", "reservation is over", TRADE_ID), *back("crd_trade", PRICE + FEE, INVESTOR)]


@pytest.mark.parametrize(("point", "credit", "resource", "payee", "pence"), [
    ("funding credited", "crd_funding", REFERENCE, LENDER, NET),
    ("trade credited", "crd_trade", TRADE_ID, INVESTOR, PRICE + FEE)])
def test_money_from_another_account_than_the_designated_goes_back_there(
    point: str, credit: str, resource: str, payee: str, pence: int
) -> None:
    world = world_at(point)
    expected = suspended(credit, NOT_DESIGNATED, resource)
    outside: Any = Outside(world)
    sealed = world.look(SUBJECT, payee).payout_account
    right = bank_account(outside, sealed)
    written = Account("Somebody", right.sort_code.replace("-", ""), right.account_number)
    assert mark(outside, written) == designated_mark(outside, payee), "however it is written"
    for other in (msgspec.structs.replace(right, account_number="53910499"),
                  msgspec.structs.replace(right, sort_code="20-48-18")):
        assert credited(world, payer=mark(outside, other)) == [*expected, *back(credit, pence, payee)]
    assert credited(world, payer="", payer_account=None) == expected, "nobody knows where it came from"


def test_money_into_an_account_that_is_not_ours_is_nobodys() -> None:
    world = world_at("debtor credited")
    for account in ("00000000", "99990001"):
        assert credited(world, account_number=account) == suspended("crd_obligor", NOT_OURS)


def test_a_debtor_pays_by_its_name_or_from_an_account_that_has_paid_for_it() -> None:
    world = world_at("debtor credited")
    stranger = {"said": said("Northwind Retail Ltd"), "payer": "another account"}
    assert credited(world, **stranger) == suspended("crd_obligor", THIRD_PARTY, REFERENCE)
    world.do(KnowPayer(debtor="sub_other", payer="another account"))
    assert credited(world, **stranger) == suspended("crd_obligor", THIRD_PARTY, REFERENCE)
    world.do(KnowPayer(debtor=BUYER, payer="another account"))
    assert isinstance(credited(world, **stranger)[0], MatchCredit)


@pytest.mark.parametrize("narration", ["FX-INV-23A4F", "fx inv 23a4f", "FXINV23A4F", " fx-inv-23 a4f "])
def test_a_debtors_cash_is_shared_out_by_the_register(narration: str) -> None:
    world = world_at("debtor credited")
    assert credited(world, reference=invoice_reference(narration)) == [
        MatchCredit(credit="crd_obligor", purpose="obligor", resource=REFERENCE),
        CloseRegister(token=TOKEN_REF, holdings=((LENDER, 800_000), (INVESTOR, 200_000))),
        RecordObligorPaid(reference=REFERENCE, credit="crd_obligor", amount_pence=FACE,
                          shares=(Share(LENDER, 800_000), Share(INVESTOR, 200_000)))]


@pytest.mark.parametrize(("changes", "reason", "suggestion"), [
    ({"reference": invoice_reference("INV-23A4F")}, "no invoice reference", None),
    ({"reference": invoice_reference("FX-INV-23A4F/2")}, "no invoice reference", None),
    ({"reference": "FX-INV-99999"}, "invoice is NEW", "FX-INV-99999"),
    ({"pence": FACE + 1}, "amount differs", REFERENCE),
], ids=str)
def test_a_debtors_cash_that_does_not_fit_pays_nobody(
    changes: dict[str, Any], reason: str, suggestion: str | None
) -> None:
    world = world_at("debtor credited")
    assert credited(world, **changes) == suspended("crd_obligor", reason, suggestion)


def debtors(world: World, outside: Outside | None = None) -> list[Command]:
    """What becomes of the newest credit, were it the debtor's."""
    return credited(world, outside, reference=REFERENCE, pence=FACE, account_number="99990000")


def waits(credit: str, *, register_moving: bool) -> list[Command]:
    parked: list[Command] = [WaitCredit(credit=credit, resource=REFERENCE),
                             QueueCredit(reference=REFERENCE, credit=credit, register_moving=register_moving)]
    return [*parked, ExpectMoving(token=TOKEN_REF)] if register_moving else parked


@pytest.mark.parametrize(("point", "ends"), [
    ("slicing", [RecordSliced(token=TOKEN_REF, tx="0xSLICE", block=3)]),
    ("slice transfer ordered", [RecordTransferred(token=TOKEN_REF, transfer=TRADE_ID, tx="0xSOLD", block=4)]),
    ("slice transfer ordered", [RecordTransferRefused(token=TOKEN_REF, transfer=TRADE_ID, reason="RESTRICTED")]),
    ("forced move ordered", [RecordForcedMove(token=TOKEN_REF, order="ord_1", tx="0xFORCED", block=4)]),
    ("forced move ordered", [RecordForcedMoveRefused(token=TOKEN_REF, order="ord_1", reason="RESTRICTED")]),
    ("funded", [RecordDisbursed(reference=REFERENCE, payout="p")]),
    ("advance ordered", [RecordDisbursed(reference=REFERENCE, payout="p")]),
], ids=lambda value: value if isinstance(value, str) else type(value[0]).__name__)
def test_a_debtors_cash_waits_for_the_entry_that_ends_the_wait(point: str, ends: list[Command]) -> None:
    world = world_at("disbursed" if point == "forced move ordered" else point)
    if point == "forced move ordered":
        world.do(BeginForcedMove(token=TOKEN_REF, order="ord_1", slice_index=None, holder=LENDER, to=INVESTOR,
                                 to_wallet="0xINVESTOR"))
    world.do(RecordCredit(credit="crd_early", sort_code="04-00-04", account_number="99990000", pence=FACE,
                          currency="GBP", reference=REFERENCE, said=said("Northwind Retail plc"), received_at=NOW))
    parked = debtors(world)
    assert parked == waits("crd_early", register_moving=point not in ("funded", "advance ordered"))
    world.do(*parked)

    ended, = world.do(*ends)
    resumed: list[Command] = [TakeCredits(reference=REFERENCE, credits=("crd_early",)),
                              ResumeCredit(credit="crd_early")]
    assert world.reacts(ended)["reconciliation"] == resumed
    world.do(*resumed)
    assert "reconciliation" not in world.reacts(ended), "once"
    matched = perform(world, "reconciliation", "match_again", CreditResumed, Outside(world))
    assert matched[0] == MatchCredit(credit="crd_early", purpose="obligor", resource=REFERENCE)
    world.do(*matched)
    assert world.look(INVOICE, REFERENCE).state == "OBLIGOR_PAID"


def test_a_wait_that_ended_while_it_was_looked_at_does_not_begin() -> None:
    """The effect is refused, looks again, and matches: otherwise nothing would ever wake it."""
    world = world_at("funded")
    world.do(RecordDisbursed(reference=REFERENCE, payout="p"))
    with pytest.raises(WrongState):
        world.do(QueueCredit(reference=REFERENCE, credit="crd_1", register_moving=False))
    with pytest.raises(RegisterSettled):
        world.do(ExpectMoving(token=TOKEN_REF))


# ---------------------------------------------------------------- notices


def test_the_confirmation_mail_carries_the_link_that_stands_in_no_log() -> None:
    world = world_at("awaiting the buyer")
    request = world.note(INVOICE, "n", NoticeRequested(
        notice="n", template="confirm_request", recipient=BUYER, resource=REFERENCE,
        address=world.look(INVOICE, REFERENCE).buyer_email,
        facts={"seller_reference": "CJ-1042", "seller": "S", "reference": REFERENCE, "amount": "£1", "due": "soon"}))
    outside = Outside(world)
    assert perform(world, "notices", "send", NoticeRequested, outside) == [RecordNoticeSent(notice="n")]
    (_, key, address, subject, text), = asked(outside)
    token = confirmation_token(outside.link_secret, REFERENCE, BUYER)
    assert (key, address) == (mail_key(outside.link_secret, request.position), "ap@northwind.co.uk")
    assert f"https://fx.example/v1/confirmations/{REFERENCE}#token={token}" in text and token not in subject
    assert token not in json.dumps([str(entry) for entry in world.entries])


@pytest.mark.parametrize(("effect", "which", "due"), [
    ("remind_week_before", "7 days before", at_london(date(2026, 7, 14), datetime.min.time().replace(hour=9))),
    ("remind_due_day", "due day", at_london(DUE, datetime.min.time().replace(hour=8))),
])
def test_the_debtor_is_reminded_on_the_day_once_and_not_after_paying(effect: str, which: str, due: datetime) -> None:
    world = world_at("disbursed")
    with pytest.raises(NotYet) as wait:
        perform(world, "notices", effect, AdvanceDisbursed, Outside(world, due - timedelta(seconds=1)))
    assert wait.value.due == due
    request, record = perform(world, "notices", effect, AdvanceDisbursed, Outside(world, due))
    assert record == RecordReminder(reference=REFERENCE, reminder=which)
    assert isinstance(request, RequestNotice)
    assert (request.template, request.recipient, request.facts["which"]) == ("payment_reminder", BUYER, which)
    world.do(request, record)
    assert perform(world, "notices", effect, AdvanceDisbursed, Outside(world, due)) == []
    paid = world_at("debtor paid")
    assert perform(paid, "notices", effect, AdvanceDisbursed, Outside(paid, due)) == []
