"""Trading: pre-trade passed -> slice reserved -> cash matched -> slice transferred -> seller paid -> settled.

Compensation: a trade without cash lapses; a transfer the chain refuses, or a register closed, a token locked or a party
frozen in the meantime, sends the investor's money back and offers the slice again.
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.base import Command
from domain.invoice import INVOICE
from domain.maturity import is_open
from domain.payment import PLATFORM, PaymentConfirmed, RequestPayment
from domain.rails import fee_narration
from domain.subject import SUBJECT, RecordMatch
from domain.token import TOKEN, ReleaseSlice, RequestTransfer, TokenTransferred, TransferRefused
from domain.trade import (
    TRADE,
    InstructTrade,
    LapseTrade,
    PreTradeAnswered,
    RecordChainRefusal,
    RecordExecuted,
    RecordPreTradeScreening,
    RecordRefunded,
    RecordTradeSettled,
    TradeCashMatched,
    TradeExecuted,
    TradeFailedOnChain,
    TradeReserved,
)
from eventstore.entry import Entry
from processes.accounts import open_account
from processes.freezes import barred, standing
from processes.outside import Outside
from processes.process import Look, NotYet, Process
from processes.sanctions import SCREENING, exposed_alarm, listed, match_alarm, said_of

trading = Process("trading")


@trading.effect(PreTradeAnswered, port="screening")
def screen_investor(entry: Entry, event: PreTradeAnswered, outside: Outside) -> Iterable[Command]:
    """Question 2 rests on a fresh screening, whatever was declared. A check of a frozen investor gets no answer, what
    ever froze it: a match found here is no different to the investor from any other freeze."""
    if outside.look(TRADE, entry.resource).state != "PRE_TRADE_PENDING" or barred(outside.look, event.investor):
        return []
    investor = outside.look(SUBJECT, event.investor)
    assert investor.representative is not None
    names = [investor.legal_name, outside.vault.reveal(investor.representative)]
    found = outside.screening.screen(f"pre-trade-{entry.position}", names)
    if listed(found):
        return [RecordMatch(subject=investor.id, lists=found.lists, screening=said_of(found)),
                match_alarm(investor.id, entry.position, found)]
    passed = RecordPreTradeScreening(trade=entry.resource, provider=SCREENING, provider_reference=found.provider_ref,
                                     payload_sha256=found.payload_sha256)
    return [*standing(investor.id), passed, *exposed_alarm(outside.look, investor.id, found)]


@trading.effect(PreTradeAnswered, port="timer")
def lapse_check(entry: Entry, event: PreTradeAnswered, outside: Outside) -> Iterable[Command]:
    if outside.look(TRADE, entry.resource).state != "PRE_TRADE_PENDING":
        return []
    if outside.clock.now() < event.lapses_at:
        raise NotYet(event.lapses_at)
    return [LapseTrade(trade=entry.resource)]


@trading.effect(TradeReserved, port="bank")
def open_trade_account(entry: Entry, event: TradeReserved, outside: Outside) -> Iterable[Command]:
    account, opened = open_account(outside, "trade", entry.resource, entry.resource, event.investor)
    return [opened, InstructTrade(trade=entry.resource, sort_code=account.sort_code,
                                  account_number=account.account_number)]


@trading.effect(TradeReserved, port="timer")
def lapse(entry: Entry, event: TradeReserved, outside: Outside) -> Iterable[Command]:
    if outside.clock.now() < event.expires_at:
        raise NotYet(event.expires_at)
    if outside.look(TRADE, entry.resource).state != "RESERVED":
        return []
    register = outside.look(TOKEN, event.token).slices  # empty when the token was burned over the reservation
    held = [part.index for part in register if part.trade == entry.resource]
    return [LapseTrade(trade=entry.resource),
            *(ReleaseSlice(token=event.token, index=index, trade=entry.resource) for index in held)]


@trading.reacts_to(TradeCashMatched)
def move_slice(entry: Entry, event: TradeCashMatched, look: Look) -> Iterable[Command]:
    trade = look(TRADE, entry.resource)
    token = look(TOKEN, trade.token)
    if token.state in ("CLOSED", "BURN_PENDING", "BURNED"):
        return [RecordChainRefusal(trade=trade.id, reason="REGISTER_CLOSED")]
    offered_again = ReleaseSlice(token=trade.token, index=trade.slice_index, trade=trade.id)
    assert trade.due_on is not None
    if token.lock is not None or not is_open(trade.due_on, entry.at):
        reason = "TOKEN_LOCKED" if token.lock is not None else "RECORD_DATE"
        return [RecordChainRefusal(trade=trade.id, reason=reason), offered_again]
    parties = (trade.seller, trade.investor, look(INVOICE, trade.invoice).buyer)
    if (who := barred(look, *parties)) is not None:
        return [*standing(who, receives=False), RecordChainRefusal(trade=trade.id, reason="WITHDRAWN"), offered_again]
    return [*standing(*parties),
            RequestTransfer(token=trade.token, transfer=trade.id, slice_index=trade.slice_index, to=trade.investor,
                            to_wallet=trade.investor_wallet, paid_at=entry.at)]


@trading.reacts_to(TokenTransferred)
def executed(entry: Entry, event: TokenTransferred, look: Look) -> Iterable[Command]:
    if event.slice_index is None:
        return []
    return [RecordExecuted(trade=event.transfer, tx=event.tx)]


@trading.reacts_to(TransferRefused)
def refused(entry: Entry, event: TransferRefused, look: Look) -> Iterable[Command]:
    if event.slice_index is None:
        return []
    return [RecordChainRefusal(trade=event.transfer, reason=event.reason),
            ReleaseSlice(token=entry.resource, index=event.slice_index, trade=event.transfer)]


@trading.reacts_to(TradeExecuted)
def pay_slice_seller(entry: Entry, event: TradeExecuted, look: Look) -> Iterable[Command]:
    seller = look(SUBJECT, event.seller)
    return [
        RequestPayment(payment=f"{event.trade}/proceeds", purpose="proceeds", resource=event.trade, payee=seller.id,
                       pence=event.price_pence, account=seller.payout_account, narration=event.invoice),
        RequestPayment(payment=f"{event.trade}/fee", purpose="fee", resource=event.trade, payee=PLATFORM,
                       pence=event.fee_pence, account=None, narration=fee_narration(event.invoice), beside=seller.id),
    ]


@trading.reacts_to(TradeFailedOnChain)
def refund(entry: Entry, event: TradeFailedOnChain, look: Look) -> Iterable[Command]:
    trade = look(TRADE, entry.resource)
    investor = look(SUBJECT, trade.investor)
    return [RequestPayment(payment=f"{trade.id}/refund", purpose="refund", resource=trade.id, payee=investor.id,
                           pence=event.refund_pence, account=investor.payout_account, narration=trade.invoice)]


@trading.reacts_to(PaymentConfirmed)
def close(entry: Entry, event: PaymentConfirmed, look: Look) -> Iterable[Command]:
    """Proceeds or a refund that came back and arrives again ends nothing twice: the trade stays as it ended."""
    match event.purpose:
        case "proceeds" if look(TRADE, event.resource).state == "TRADE_EXECUTED":
            return [RecordTradeSettled(trade=event.resource, payout=event.payment)]
        case "refund" if look(TRADE, event.resource).state == "TRADE_FAILED_CHAIN":
            return [RecordRefunded(trade=event.resource, payout=event.payment)]
        case _:
            return []
