"""The trade: seven questions, fresh screening, explicit acceptance, both legs or neither."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from domain import trade as t
from domain.maturity import TradingClosed
from domain.party import INVESTOR, LENDER, Party
from tests.domain.scenario import Row, Step, at, check_order, check_path, fold, given, history_of

change = msgspec.structs.replace
DUE = date(2026, 7, 21)
TRD, TOK, INV, T0 = "trd_1", "FXR-INV-23A4F", "FX-INV-23A4F", "2026-05-22T14:00"
NOW, LATER = at(T0), at("2026-05-22T14:15")
BRUNEL = Party(id="sub_brunel", role=INVESTOR, state="ACTIVE", name="Brunel Partners", wallet="0xbrunel")


def answer(**fields: Any) -> t.AnswerPreTrade:
    return change(t.AnswerPreTrade(
        trade=TRD, investor=BRUNEL, token=TOK, invoice=INV, slice_index=1, seller="sub_pennine", face_pence=200_000,
        price_pence=199_150, due_on=DUE, answers=(True,) * 7), **fields)


def screen() -> t.RecordPreTradeScreening:
    return t.RecordPreTradeScreening(trade=TRD, provider="complyadvantage", provider_reference="r1",
                                     payload_sha256="e" * 64)


def accept(**fields: Any) -> t.AcceptTrade:
    return change(t.AcceptTrade(trade=TRD, investor=BRUNEL, accepted_total_pence=199_947), **fields)


def cash(pence: int = 199_947) -> t.RecordTradeCash:
    return t.RecordTradeCash(trade=TRD, credit="crd_9", amount_pence=pence)


LAPSE, REFUSE = t.LapseTrade(trade=TRD), t.RecordChainRefusal(trade=TRD, reason="NOT_ELIGIBLE")
PATH = [
    Step(answer(), NOW, (t.PreTradeAnswered(
        trade=TRD, investor="sub_brunel", investor_name="Brunel Partners", investor_wallet="0xbrunel", token=TOK,
        invoice=INV, slice_index=1, seller="sub_pennine", face_pence=200_000, price_pence=199_150, fee_pence=797,
        yield_bps=260, due_on=DUE, answers=(True,) * 7, lapses_at=LATER.now),)),
    Step(screen(), NOW, (t.PreTradePassed(valid_until=LATER.now, provider="complyadvantage",
                                          provider_reference="r1", payload_sha256="e" * 64),)),
    Step(accept(), LATER, (t.TradeReserved(
        token=TOK, invoice=INV, slice_index=1, investor="sub_brunel", price_pence=199_150, fee_pence=797,
        total_pence=199_947, expires_at=at("2026-05-22T18:15").now),)),
    Step(t.InstructTrade(trade=TRD, sort_code="040004", account_number="99"), LATER,
         (t.TradeInstructed(sort_code="040004", account_number="99"),)),
    Step(cash(), LATER, (t.TradeCashMatched(credit="crd_9", amount_pence=199_947),)),
    Step(t.RecordExecuted(trade=TRD, tx="0x5"), LATER, (t.TradeExecuted(
        trade=TRD, invoice=INV, slice_index=1, seller="sub_pennine", investor="sub_brunel", face_pence=200_000,
        price_pence=199_150, fee_pence=797, yield_bps=260, price_book="2026-05-01", tx="0x5"),)),
    Step(t.RecordTradeSettled(trade=TRD, payout=f"{TRD}/proceeds"), LATER,
         (t.TradeSettled(payout=f"{TRD}/proceeds", price_pence=199_150, fee_pence=797),)),
]
ANSWERED, PASSED, RESERVED, PAID = (history_of(PATH, n) for n in (1, 2, 3, 5))
FAILED = (*PAID, t.TradeFailedOnChain(reason="NOT_ELIGIBLE", refund_pence=199_947))

REFUSED = [
    Row(TradingClosed, (), answer(), at("2026-07-16T23:00")),
    Row(TradingClosed, PASSED, accept(), at("2026-07-17T09:00")),
    Row(t.NotAnInvestor, (), answer(investor=change(BRUNEL, role=LENDER)), NOW),
    Row(t.NotAnInvestor, (), answer(investor=change(BRUNEL, state="FROZEN")), NOW),
    Row(t.NotAnInvestor, PASSED, accept(investor=change(BRUNEL, state="FROZEN")), NOW),
    Row(t.AnswersIncomplete, (), answer(answers=(True,) * 6), NOW),
    Row(t.TradeExists, ANSWERED, answer(), NOW),
    Row(t.PreTradeRequired, (), accept(), NOW),
    Row(t.PreTradeRequired, ANSWERED, accept(), NOW),
    Row(t.PreTradeRequired, PASSED, accept(), at("2026-05-22T14:15:01")),
    Row(t.PreTradeRequired, (*ANSWERED, t.PreTradeFailed(question="SANCTIONS")), accept(), NOW),
    Row(t.NotYourTrade, PASSED, accept(investor=change(BRUNEL, id="sub_other")), NOW),
    Row(t.TotalNotAccepted, PASSED, accept(accepted_total_pence=199_150), NOW),
    Row(t.WrongTradeState, PASSED, cash(), NOW),
    Row(t.WrongTradeState, ANSWERED, LAPSE, at("2026-05-22T14:14")),
    Row(t.WrongTradeState, PASSED, LAPSE, LATER),
    Row(t.WrongTradeState, RESERVED, LAPSE, at("2026-05-22T18:14")),
    Row(t.WrongTradeState, PAID, LAPSE, at("2026-05-22T18:15")),
    Row(t.WrongTradeState, RESERVED, REFUSE, LATER),
    Row(t.WrongTradeState, PAID, t.RecordRefunded(trade=TRD, payout="p"), LATER),
    Row(t.WrongTradeAmount, RESERVED, cash(199_150), LATER),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_canonical_path() -> None:
    check_path(PATH)
    assert fold("trade", history_of(PATH, 7)).state == "TRADE_SETTLED"


def test_every_step_out_of_order_is_refused() -> None:
    """Exception: the account may open again, or after the cash has come."""
    check_order(PATH, allowed={(3, 4), (4, 3)})


@pytest.mark.parametrize("number", range(7))
def test_a_no_to_any_question_fails_the_check(number: int) -> None:
    answers = tuple(n != number for n in range(7))
    _, failed = given().when(answer(answers=answers), NOW).decide()
    assert failed == t.PreTradeFailed(question=t.QUESTIONS[number])
    assert fold("trade", (*ANSWERED, failed)).state == f"PRE_TRADE_FAIL_{t.QUESTIONS[number]}"


def test_a_check_without_an_answer_lapses_with_its_answers() -> None:
    """What a check of an investor who was frozen meanwhile comes to."""
    given(*ANSWERED).when(LAPSE, LATER).then(t.TradeLapsed())
    lapsed = (*ANSWERED, t.TradeLapsed())
    assert fold("trade", lapsed).state == "LAPSED"
    given(*lapsed).when(screen(), LATER).then_refused(t.WrongTradeState)
    given(*lapsed).when(accept(), LATER).then_refused(t.PreTradeRequired)


def test_a_trade_without_cash_lapses() -> None:
    given(*RESERVED).when(LAPSE, at("2026-05-22T18:15")).then(t.TradeLapsed())
    assert fold("trade", (*RESERVED, t.TradeLapsed())).state == "LAPSED"


def test_a_refused_transfer_refunds_the_whole_total() -> None:
    given(*PAID).when(REFUSE, LATER).then(FAILED[-1])
    refunded = t.TradeRefunded(payout=f"{TRD}/refund")
    given(*FAILED).when(t.RecordRefunded(trade=TRD, payout=f"{TRD}/refund"), LATER).then(refunded)
    assert fold("trade", (*FAILED, refunded)).state == "FIAT_REFUND"
