"""Tokens, their slices, and what a holder owns."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from api.access import Calling
from api.cursor import Page
from api.parameters import Cursor, Id, Limit
from api.running import Injected, KeyedOperation, Running, Work
from domain import fees
from domain.base import NotFound
from domain.calendar import london_date
from domain.forms import Index, Pence, Reference
from domain.maturity import days_left
from domain.money import yield_bps
from domain.party import INVESTOR, LENDER
from domain.token import TOKEN, ListSlice, RequestSlicing, Token
from processes.freezes import standing
from projections import marketplace, portfolio


class Slicing(msgspec.Struct, forbid_unknown_fields=True):
    faces_pence: Annotated[list[Pence], msgspec.Meta(min_length=2, max_length=128)]


class NewListing(msgspec.Struct, forbid_unknown_fields=True):
    token_reference: Reference
    slice: Index
    price_pence: Pence


@get("/v1/tokens/{reference:str}", roles=(LENDER, INVESTOR), sync_to_thread=True, tags=["tokens"])
def show(running: Injected, caller: Calling, reference: Id) -> dict[str, Any]:
    """A token the caller holds a part of: its state and the caller's own slices."""
    token = held(running, reference, caller.id)
    own = [part for part in token.slices if part.holder == caller.id]
    chain = {"contract": token.contract, "token_id": token.token_id} if caller.role == LENDER else {}
    return {
        "reference": reference, "receivable_reference": token.invoice, "state": token.state,
        "face_value_pence": token.face_pence, "locked": token.lock is not None, **chain,
        "slices": [{"slice": part.index, "face_pence": part.face_pence, "state": part.state,
                    "price_pence": part.price_pence or None} for part in own],
    }


@post("/v1/tokens/{reference:str}/slices", roles=(LENDER, INVESTOR), active=True, sync_to_thread=True, tags=["tokens"],
      status_code=202, operation_class=KeyedOperation)
def slice_token(request: Request[Any, Any, Any], running: Injected, caller: Calling, reference: Id,
                data: JSONBody[Slicing]) -> Response[Any]:
    """Divide a whole token. The faces must add up to the token's face."""

    def build(seed: str) -> Work:
        held(running, reference, caller.id)
        command = RequestSlicing(token=reference, holder=caller.id, faces=tuple(data.faces_pence))
        return Work(commands=[command, *standing(caller.id)], answer=lambda _: {
            "reference": reference, "state": "SLICING", "slices": len(data.faces_pence)})

    return running.mutate(request, caller.id, caller.role, data, build)


@post("/v1/listings", roles=(LENDER, INVESTOR), active=True, sync_to_thread=True, tags=["tokens"],
      operation_class=KeyedOperation)
def list_slice(request: Request[Any, Any, Any], running: Injected, caller: Calling,
               data: JSONBody[NewListing]) -> Response[Any]:
    """Offer a slice for sale. The first listing of a receivable costs the listing fee."""

    def build(seed: str) -> Work:
        token = held(running, data.token_reference, caller.id)
        part = next((part for part in token.slices if part.index == data.slice and part.holder == caller.id), None)
        if part is None:
            raise NotFound("there is no such slice in your holdings")
        assert token.due_on is not None
        days = days_left(token.due_on, running.clock.now())
        command = ListSlice(token=data.token_reference, holder=caller.id, index=data.slice,
                            price_pence=data.price_pence, listing_fee_pence=fees.CURRENT.listing_pence)
        return Work(commands=[command, *standing(caller.id)], answer=lambda events: {
            "token_reference": data.token_reference, "slice": data.slice, "face_pence": part.face_pence,
            "price_pence": data.price_pence, "listing_fee_pence": getattr(events[0], "listing_fee_pence", 0),
            "yield_to_maturity_bps": yield_bps(data.price_pence, part.face_pence, days)})

    return running.mutate(request, caller.id, caller.role, data, build)


@get("/v1/listings", roles=(INVESTOR,), active=True, sync_to_thread=True, tags=["tokens"])
def listings(running: Injected, caller: Calling, limit: Limit = 50,
             cursor: Cursor = None) -> dict[str, Any]:
    """Slices for sale, with the yield their price means and the buyer's fee."""
    page = Page.read(running.cursor_secret, f"listings:{caller.id}", cursor, limit)
    today = london_date(running.clock.now())
    with running.rows() as connection:
        rows = marketplace.slices_for_sale(connection, page.part, today=today)
    shown = [{
        "token_reference": row["token_reference"], "slice": row["index"], "receivable_reference": row["invoice"],
        "originator": {"name": row["seller_name"]}, "obligor": {"name": row["buyer_name"]},
        "face_pence": row["face_pence"], "price_pence": row["price_pence"],
        "trading_fee_pence": fees.trading_fee(row["price_pence"]), "maturity": row["due_on"],
        "yield_to_maturity_bps": yield_bps(row["price_pence"], row["face_pence"], (row["due_on"] - today).days),
        "risk_grade": row["grade"]} for row in rows]
    return page.of(shown, rows.next)


@get("/v1/portfolio", roles=(LENDER, INVESTOR), sync_to_thread=True, tags=["tokens"])
def holdings(running: Injected, caller: Calling, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    """What the caller holds and held: face, cost, days to maturity, state; `outstanding_pence` counts all of it."""
    page = Page.read(running.cursor_secret, f"portfolio:{caller.id}", cursor, limit)
    today = london_date(running.clock.now())
    with running.rows() as connection:
        rows = portfolio.of_holder(connection, caller.id, page.part)
        outstanding = portfolio.outstanding_pence(connection, caller.id)
    data = [{
        "receivable_reference": row["invoice"], "token_reference": row["token_reference"], "slice": row["index"],
        "originator": row["seller_name"], "obligor": row["buyer_name"], "face_pence": row["face_pence"],
        "cost_pence": row["cost_pence"], "state": row["state"], "maturity": row["due_on"],
        "days_to_maturity": (row["due_on"] - today).days} for row in rows]
    return {**page.of(data, rows.next), "outstanding_pence": outstanding}


def held(running: Running, reference: str, holder: str) -> Token:
    """The token, if the caller holds a part of it; otherwise it does not exist."""
    token = running.store.load(TOKEN, reference)
    if not any(part.holder == holder for part in token.slices):
        raise NotFound("there is no such token in your holdings")
    return token
