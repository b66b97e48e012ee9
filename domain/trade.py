"""Trade: one slice changing hands, from the seven pre-trade questions to both legs settled.

Source: seeds 000 §9 (DSS pre-trade check), `spec/state-machines.md` "Trade" and "The seven pre-trade questions".
Either both legs happen or neither: cash is matched before the token moves, a refused transfer refunds the cash.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec

from domain import fees, maturity, money
from domain.base import Command, Conflict, Context, Event, Forbidden, Invalid, Kind, require
from domain.party import INVESTOR, Party

QUESTIONS = ("CLASSIFICATION", "SANCTIONS", "AUTHORITY", "APPROPRIATENESS", "LIMITS", "CONFLICT", "SETTLEMENT")
ANSWERS_VALID = timedelta(minutes=15)
RESERVATION = timedelta(hours=4)


# ---------------------------------------------------------------- commands


class TradeCommand(Command, frozen=True, kw_only=True):
    kind = "trade"
    trade: str

    @property
    def key(self) -> str:
        return self.trade


class AnswerPreTrade(TradeCommand, frozen=True, kw_only=True):
    """Seven declarations, in the order of QUESTIONS; True means 'all well'."""

    investor: Party
    token: str
    invoice: str
    slice_index: int
    seller: str
    face_pence: int
    price_pence: int
    due_on: date
    answers: tuple[bool, ...]


class RecordPreTradeScreening(TradeCommand, frozen=True, kw_only=True):
    """The investor stands on no list. One who does is frozen, and its check waits as any frozen investor's: an answer
    would tell."""

    provider: str
    provider_reference: str
    payload_sha256: str


class AcceptTrade(TradeCommand, frozen=True, kw_only=True):
    investor: Party
    accepted_total_pence: int


class InstructTrade(TradeCommand, frozen=True, kw_only=True):
    """The virtual account the investor pays into is open."""

    sort_code: str
    account_number: str


class RecordTradeCash(TradeCommand, frozen=True, kw_only=True):
    credit: str
    amount_pence: int


class RecordExecuted(TradeCommand, frozen=True, kw_only=True):
    tx: str


class RecordChainRefusal(TradeCommand, frozen=True, kw_only=True):
    reason: str


class RecordRefunded(TradeCommand, frozen=True, kw_only=True):
    payout: str


class RecordTradeSettled(TradeCommand, frozen=True, kw_only=True):
    payout: str


class LapseTrade(TradeCommand, frozen=True, kw_only=True):
    pass


# ---------------------------------------------------------------- events


class PreTradeAnswered(Event, frozen=True, kw_only=True):
    """Also the request to screen the investor afresh: question 2 never rests on a declaration alone."""

    tag = "trade.pre_trade_answered.1"
    action = "PRE_TRADE_PENDING"
    trade: str
    investor: str
    investor_name: str
    investor_wallet: str
    token: str
    invoice: str
    slice_index: int
    seller: str
    face_pence: int
    price_pence: int
    fee_pence: int
    yield_bps: int
    due_on: date
    answers: tuple[bool, ...]
    lapses_at: datetime


class PreTradeFailed(Event, frozen=True, kw_only=True):
    """By the investor's own answer, and by nothing else."""

    tag = "trade.pre_trade_failed.1"
    action = "PRE_TRADE_FAIL"
    question: str


class PreTradePassed(Event, frozen=True, kw_only=True):
    tag = "trade.pre_trade_passed.1"
    action = "PRE_TRADE_PASSED"
    valid_until: datetime
    provider: str
    provider_reference: str
    payload_sha256: str


class TradeReserved(Event, frozen=True, kw_only=True):
    tag = "trade.reserved.1"
    action = "TRADE_RESERVED"
    token: str
    invoice: str
    slice_index: int
    investor: str
    price_pence: int
    fee_pence: int
    total_pence: int
    expires_at: datetime


class TradeInstructed(Event, frozen=True, kw_only=True):
    tag = "trade.instructed.1"
    action = "TRADE_INSTRUCTED"
    sort_code: str
    account_number: str


class TradeCashMatched(Event, frozen=True, kw_only=True):
    tag = "trade.cash_matched.1"
    action = "TRADE_EXECUTING"
    credit: str
    amount_pence: int


class TradeExecuted(Event, frozen=True, kw_only=True):
    tag = "trade.executed.1"
    action = "SECONDARY_TRADE"
    trade: str
    invoice: str
    slice_index: int
    seller: str
    investor: str
    face_pence: int
    price_pence: int
    fee_pence: int
    yield_bps: int
    price_book: str
    tx: str


class TradeSettled(Event, frozen=True, kw_only=True):
    tag = "trade.settled.1"
    action = "TRADE_SETTLED"
    payout: str
    price_pence: int
    fee_pence: int


class TradeFailedOnChain(Event, frozen=True, kw_only=True):
    tag = "trade.failed_chain.1"
    action = "TRADE_FAILED_CHAIN"
    reason: str
    refund_pence: int


class TradeRefunded(Event, frozen=True, kw_only=True):
    tag = "trade.refunded.1"
    action = "FIAT_REFUND"
    payout: str


class TradeLapsed(Event, frozen=True, kw_only=True):
    tag = "trade.lapsed.1"
    action = "TRADE_LAPSED"


# ---------------------------------------------------------------- refusals


class NotAnInvestor(Forbidden):
    code = "not_an_investor"


class AnswersIncomplete(Invalid):
    code = "answers_incomplete"


class TradeExists(Conflict):
    code = "trade_exists"


class PreTradeRequired(Conflict):
    code = "pre_trade_required"


class NotYourTrade(Forbidden):
    code = "not_your_trade"


class TotalNotAccepted(Invalid):
    code = "total_not_accepted"


class WrongTradeState(Conflict):
    code = "wrong_trade_state"


class WrongTradeAmount(Conflict):
    code = "wrong_amount"


# ---------------------------------------------------------------- state


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""
    state: str = "PRE_TRADE_REQUIRED"
    investor: str = ""
    investor_name: str = ""
    investor_wallet: str = ""
    token: str = ""
    invoice: str = ""
    slice_index: int = 0
    seller: str = ""
    face_pence: int = 0
    price_pence: int = 0
    fee_pence: int = 0
    yield_bps: int = 0
    due_on: date | None = None
    lapses_at: datetime | None = None
    """While the check is under way: when its answers are too old."""

    valid_until: datetime | None = None
    reserved_until: datetime | None = None
    account: tuple[str, str] | None = None

    @property
    def total_pence(self) -> int:
        return self.price_pence + self.fee_pence


# ---------------------------------------------------------------- decisions


def decide(trade: Trade, command: TradeCommand, context: Context) -> list[Event]:
    match command:
        case AnswerPreTrade():
            return _answer(trade, command, context)
        case RecordPreTradeScreening():
            _expect(trade, "PRE_TRADE_PENDING")
            return [PreTradePassed(valid_until=context.now + ANSWERS_VALID, provider=command.provider,
                                   provider_reference=command.provider_reference,
                                   payload_sha256=command.payload_sha256)]
        case AcceptTrade():
            return _accept(trade, command, context)
        case InstructTrade():
            _expect(trade, "RESERVED")
            return [TradeInstructed(sort_code=command.sort_code, account_number=command.account_number)]
        case RecordTradeCash():
            _expect(trade, "RESERVED")
            require(command.amount_pence == trade.total_pence,
                    WrongTradeAmount("the credit does not equal price plus fee"))
            return [TradeCashMatched(credit=command.credit, amount_pence=command.amount_pence)]
        case RecordExecuted():
            _expect(trade, "TRADE_EXECUTING")
            return [TradeExecuted(
                trade=trade.id, invoice=trade.invoice, slice_index=trade.slice_index, seller=trade.seller,
                investor=trade.investor, face_pence=trade.face_pence, price_pence=trade.price_pence,
                fee_pence=trade.fee_pence, yield_bps=trade.yield_bps, price_book=fees.CURRENT.id, tx=command.tx)]
        case RecordChainRefusal():
            _expect(trade, "TRADE_EXECUTING")
            return [TradeFailedOnChain(reason=command.reason, refund_pence=trade.total_pence)]
        case RecordRefunded():
            _expect(trade, "TRADE_FAILED_CHAIN")
            return [TradeRefunded(payout=command.payout)]
        case RecordTradeSettled():
            _expect(trade, "TRADE_EXECUTED")
            return [TradeSettled(payout=command.payout, price_pence=trade.price_pence, fee_pence=trade.fee_pence)]
        case LapseTrade():
            return _lapse(trade, context)
        case _:
            raise TypeError(f"trade cannot decide {type(command).__name__}")


def _answer(trade: Trade, command: AnswerPreTrade, context: Context) -> list[Event]:
    require(trade.state == "PRE_TRADE_REQUIRED" and not trade.id, TradeExists("this pre-trade check already exists"))
    investor = command.investor
    require(investor.role == INVESTOR and investor.may_act, NotAnInvestor("only an active investor buys slices"))
    maturity.require_open(command.due_on, context.now)
    days = maturity.days_left(command.due_on, context.now)
    require(len(command.answers) == len(QUESTIONS),
            AnswersIncomplete(f"answer all {len(QUESTIONS)} questions", pointer="/answers"))
    answered = PreTradeAnswered(
        trade=command.trade, investor=investor.id, investor_name=investor.name,
        investor_wallet=investor.wallet or "", token=command.token, invoice=command.invoice,
        slice_index=command.slice_index, seller=command.seller, face_pence=command.face_pence,
        price_pence=command.price_pence, fee_pence=fees.trading_fee(command.price_pence),
        yield_bps=money.yield_bps(command.price_pence, command.face_pence, days), due_on=command.due_on,
        answers=command.answers, lapses_at=context.now + ANSWERS_VALID)
    denied = [question for question, answer in zip(QUESTIONS, command.answers, strict=True) if not answer]
    return [answered, *([PreTradeFailed(question=denied[0])] if denied else [])]


def _accept(trade: Trade, command: AcceptTrade, context: Context) -> list[Event]:
    require(trade.id != "" and trade.state != "PRE_TRADE_PENDING",
            PreTradeRequired("pass the pre-trade check first; it may still be running"))
    require(command.investor.id == trade.investor, NotYourTrade("this pre-trade check belongs to someone else"))
    require(command.investor.may_act, NotAnInvestor("only an active investor buys slices"))
    require(trade.state == "PRE_TRADE_PASSED", PreTradeRequired("this check is not open to a trade; start a new one"))
    assert trade.valid_until is not None and trade.due_on is not None
    maturity.require_open(trade.due_on, context.now)
    require(context.now <= trade.valid_until, PreTradeRequired("the answers are older than 15 minutes; answer again"))
    require(command.accepted_total_pence == trade.total_pence,
            TotalNotAccepted(f"accept the total of {trade.total_pence} pence including the fee",
                             pointer="/accepted_total_pence"))
    return [TradeReserved(token=trade.token, invoice=trade.invoice, slice_index=trade.slice_index,
                          investor=trade.investor, price_pence=trade.price_pence, fee_pence=trade.fee_pence,
                          total_pence=trade.total_pence, expires_at=context.now + RESERVATION)]


def _lapse(trade: Trade, context: Context) -> list[Event]:
    """A reservation without cash, or answers to which no screening came while they were fresh."""
    until = {"PRE_TRADE_PENDING": trade.lapses_at, "RESERVED": trade.reserved_until}.get(trade.state)
    require(until is not None and context.now >= until, WrongTradeState("there is nothing here that has lapsed"))
    return [TradeLapsed()]


def _expect(trade: Trade, state: str) -> None:
    if trade.state != state:
        raise WrongTradeState(f"this step needs the trade to be {state}; it is {trade.state}")


# ---------------------------------------------------------------- evolve


def evolve(trade: Trade, event: Event) -> Trade:
    change = msgspec.structs.replace
    match event:
        case PreTradeAnswered():
            return Trade(
                id=event.trade, state="PRE_TRADE_PENDING", investor=event.investor,
                investor_name=event.investor_name, investor_wallet=event.investor_wallet, token=event.token,
                invoice=event.invoice, slice_index=event.slice_index, seller=event.seller,
                face_pence=event.face_pence, price_pence=event.price_pence, fee_pence=event.fee_pence,
                yield_bps=event.yield_bps, due_on=event.due_on, lapses_at=event.lapses_at)
        case PreTradeFailed():
            return change(trade, state=f"PRE_TRADE_FAIL_{event.question}")
        case PreTradePassed():
            return change(trade, state="PRE_TRADE_PASSED", valid_until=event.valid_until)
        case TradeReserved():
            return change(trade, state="RESERVED", reserved_until=event.expires_at)
        case TradeInstructed():
            return change(trade, account=(event.sort_code, event.account_number))
        case TradeCashMatched():
            return change(trade, state="TRADE_EXECUTING")
        case TradeExecuted():
            return change(trade, state="TRADE_EXECUTED")
        case TradeSettled():
            return change(trade, state="TRADE_SETTLED")
        case TradeFailedOnChain():
            return change(trade, state="TRADE_FAILED_CHAIN")
        case TradeRefunded():
            return change(trade, state="FIAT_REFUND")
        case TradeLapsed():
            return change(trade, state="LAPSED")
        case _:
            return trade


TRADE: Kind[Trade] = Kind("trade", Trade(), decide, evolve)
