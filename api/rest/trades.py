"""Buying a slice: seven pre-trade answers, then the explicit acceptance of the total."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from api.access import Calling
from api.parameters import Id
from api.running import Injected, KeyedOperation, Running, Work
from api.session import Caller
from domain.base import NotFound
from domain.forms import Index, Pence, Reference
from domain.invoice import INVOICE
from domain.party import INVESTOR
from domain.rails import trade_reference
from domain.token import TOKEN, ReserveSlice, SliceNotFree
from domain.trade import QUESTIONS, TRADE, AcceptTrade, AnswerPreTrade, PreTradeRequired, Trade
from processes.freezes import barred, standing


class NewCheck(msgspec.Struct, forbid_unknown_fields=True):
    token_reference: Reference
    slice: Index
    answers: Annotated[list[bool], msgspec.Meta(min_length=7, max_length=7)]
    """One per question, in order; true means 'all well'. See GET /v1/pre-trade-questions."""


class NewTrade(msgspec.Struct, forbid_unknown_fields=True):
    pre_trade_check: Reference
    accepted_total_pence: Pence


@get("/v1/pre-trade-questions", roles=(INVESTOR,), sync_to_thread=True, tags=["trading"])
def questions() -> dict[str, Any]:
    """The seven questions, in the order of the answers."""
    return {"data": [{"number": n, "code": code, "question": TEXTS[code]} for n, code in enumerate(QUESTIONS, 1)]}


TEXTS = {
    "CLASSIFICATION": "Is your Professional or ECP classification current and unchanged?",
    "SANCTIONS": "Are you, your directors, owners, signatories and wallet free of sanctions or pending matches?",
    "AUTHORITY": "Are you authorised to trade this instrument and size for the firm?",
    "APPROPRIATENESS": "Do you understand the product, and have you read its information sheet?",
    "LIMITS": "Is the trade within concentration, mandate and sandbox limits after execution?",
    "CONFLICT": "Are you free of a conflict, a relation to seller or obligor, or inside knowledge of default?",
    "SETTLEMENT": "Is settlement ready: own verified account, UK jurisdiction, no lock-up, total cost accepted?",
}


@post("/v1/pre-trade-checks", roles=(INVESTOR,), active=True, sync_to_thread=True, tags=["trading"],
      status_code=202, operation_class=KeyedOperation)
def check(request: Request[Any, Any, Any], running: Injected, caller: Calling,
          data: JSONBody[NewCheck]) -> Response[Any]:
    """Answer the seven questions for one offered slice; the platform screens afresh before it says passed. A check that
    got no answer in 15 minutes lapses."""

    def build(seed: str) -> Work:
        token = running.store.load(TOKEN, data.token_reference)
        part = next((part for part in token.slices if part.index == data.slice and part.state == "LISTED"), None)
        debtor = running.store.load(INVOICE, token.invoice).buyer
        if part is None or token.lock is not None or barred(running.store.load, part.holder, debtor):
            raise NotFound("there is no such slice for sale")  # what is not for sale is nobody's business
        assert token.due_on is not None
        trade = f"trd_{seed[:16]}"
        command = AnswerPreTrade(
            trade=trade, investor=caller.party, token=data.token_reference, invoice=token.invoice,
            slice_index=part.index, seller=part.holder, face_pence=part.face_pence, price_pence=part.price_pence,
            due_on=token.due_on, answers=tuple(data.answers))
        return Work(commands=[command], answer=lambda events: {
            "id": trade, "status": "PRE_TRADE_PENDING" if len(events) == 1 else "PRE_TRADE_FAILED"})

    return running.mutate(request, caller.id, caller.role, data, build)


@get("/v1/pre-trade-checks/{trade:str}", roles=(INVESTOR,), sync_to_thread=True, tags=["trading"])
def check_status(running: Injected, caller: Calling, trade: Id) -> dict[str, Any]:
    found = _own(running, caller, trade)
    return {**_view(found), "valid_until": found.valid_until}


@post("/v1/trades", roles=(INVESTOR,), active=True, sync_to_thread=True, tags=["trading"],
      operation_class=KeyedOperation)
def accept(request: Request[Any, Any, Any], running: Injected, caller: Calling,
           data: JSONBody[NewTrade]) -> Response[Any]:
    """Accept the trade at its total. The slice is held; it moves when the money is there."""

    def build(seed: str) -> Work:
        trade = _own(running, caller, data.pre_trade_check)
        if trade.state.startswith("PRE_TRADE_FAIL"):  # why it failed stays unsaid
            raise PreTradeRequired("pass the pre-trade check first: POST /v1/pre-trade-checks")
        debtor = running.store.load(INVOICE, trade.invoice).buyer
        if barred(running.store.load, trade.seller, debtor):
            raise SliceNotFree(f"slice {trade.slice_index} is not for sale")
        commands = [
            AcceptTrade(trade=trade.id, investor=caller.party, accepted_total_pence=data.accepted_total_pence),
            ReserveSlice(token=trade.token, index=trade.slice_index, trade=trade.id, seller=trade.seller,
                         buyer=caller.id, price_pence=trade.price_pence),
            *standing(trade.seller, debtor, caller.id)]
        return Work(commands=commands, moves_money=True, answer=lambda _: {
            "id": trade.id, "status": "AWAITING_FUNDS", "total_pence": trade.total_pence})

    return running.mutate(request, caller.id, caller.role, data, build, receipt=True)


@get("/v1/trades/{trade:str}", roles=(INVESTOR,), sync_to_thread=True, tags=["trading"])
def show(running: Injected, caller: Calling, trade: Id) -> dict[str, Any]:
    found = _own(running, caller, trade)
    account = found.account
    pay_into = {"name": "FinToken X collections", "sort_code": account[0], "account_number": account[1],
                "reference": trade_reference(found.id)} if account else None
    return {**_view(found), "pay_into": pay_into, "expires_at": found.reserved_until}


def _own(running: Running, caller: Caller, trade: str) -> Trade:
    found = running.store.load(TRADE, trade)
    if not found.id or found.investor != caller.id:
        raise NotFound("there is no such trade")
    return found


def _view(trade: Trade) -> dict[str, Any]:
    """A check fails by one of the investor's own answers; which one is not repeated."""
    state = "PRE_TRADE_FAILED" if trade.state.startswith("PRE_TRADE_FAIL") else trade.state
    return {"id": trade.id, "status": state, "token_reference": trade.token, "slice": trade.slice_index,
            "face_pence": trade.face_pence, "price_pence": trade.price_pence, "trading_fee_pence": trade.fee_pence,
            "total_pence": trade.total_pence, "yield_to_maturity_bps": trade.yield_bps}
