"""Register orders: a forced transfer or the recovery of a lost wallet, proposed by one officer, approved by another.

Approving repeats the hash of what was read; the order is built again from what is held now, and a difference voids it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from api.access import Calling
from api.cursor import Page
from api.parameters import Cursor, Id, Limit
from api.rest.orders import customer, known_token
from api.running import READ_YOUR_WRITES_S, Injected, KeyedOperation, Running, Work
from domain.base import Command, Conflict, NotFound
from domain.forms import Index, Reference, Sha256
from domain.party import COMPLIANCE, INVESTOR, LENDER
from domain.register_order import (
    FORCED_TRANSFER,
    ORDER,
    RECOVERY,
    ApproveOrder,
    Content,
    Order,
    ProposeOrder,
    WithdrawOrder,
)
from domain.subject import BeginRecovery, NotRecoverable, as_party
from domain.token import BeginForcedMove
from eventstore.database import Unavailable
from projections import portfolio, register_orders

HOLDERS = (LENDER, INVESTOR)


class NewForcedTransfer(msgspec.Struct, forbid_unknown_fields=True):
    token_reference: Reference
    to: Reference
    reason_code: Reference
    slice: Index | None = None
    """None: the whole token, while it is not divided."""


class NewRecovery(msgspec.Struct, forbid_unknown_fields=True):
    subject: Reference
    reason_code: Reference


class Approval(msgspec.Struct, forbid_unknown_fields=True):
    content_sha256: Sha256


class NotAHolder(Conflict):
    """Tokens go to active lenders and investors with a wallet."""

    code = "not_a_holder"


@post("/v1/compliance/orders/forced-transfers", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      operation_class=KeyedOperation)
def propose_forced_transfer(request: Request[Any, Any, Any], running: Injected, caller: Calling,
                            data: JSONBody[NewForcedTransfer]) -> Response[Any]:
    """Propose to move a slice, or an undivided token, to another holder. Another officer approves it in four hours."""

    def build(seed: str) -> Work:
        return _proposal(f"ord_{seed[:16]}", _forced_transfer(running, data))

    return running.mutate(request, caller.id, caller.role, data, build)


@post("/v1/compliance/orders/wallet-recoveries", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      operation_class=KeyedOperation)
def propose_recovery(request: Request[Any, Any, Any], running: Injected, caller: Calling,
                     data: JSONBody[NewRecovery]) -> Response[Any]:
    """Propose to move everything a holder has to a new wallet of its own; the lost one is retired."""

    def build(seed: str) -> Work:
        order = f"ord_{seed[:16]}"
        return _proposal(order, _recovery(running, order, data.subject, data.reason_code))

    return running.mutate(request, caller.id, caller.role, data, build)


@get("/v1/compliance/orders", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"])
def listing(running: Injected, limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
    """Register orders, newest first."""
    page = Page.read(running.cursor_secret, "register_orders", cursor, limit)
    with running.rows() as connection:
        rows = register_orders.newest(connection, page.part)
    return page.of(rows, rows.next)


@get("/v1/compliance/orders/{order:str}", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"])
def show(running: Injected, order: Id) -> dict[str, Any]:
    """One order with its content and the content's hash, which the approver repeats."""
    found, content = _order(running, order)
    return {"id": order, "state": found.state, "content": content, "content_sha256": content.sha256,
            "proposed_by": found.proposed_by, "approved_by": found.approved_by or None,
            "expires_at": found.expires_at, "reason": found.reason or None}


@post("/v1/compliance/orders/{order:str}/approve", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      status_code=202, operation_class=KeyedOperation)
def approve(request: Request[Any, Any, Any], running: Injected, caller: Calling, order: Id,
            data: JSONBody[Approval]) -> Response[Any]:
    """Approve what another officer proposed. The chain's rules decide next; their answer is the order's outcome."""

    def build(seed: str) -> Work:
        found, content = _order(running, order)
        again = _as_it_is_now(running, order, content) if found.state == "PROPOSED" else content
        command = ApproveOrder(order=order, content=again, content_sha256=data.content_sha256)
        return Work(commands=[command, _begin(order, content)], moves_money=True,
                    answer=lambda _: {"id": order, "state": "APPROVED"})

    return running.mutate(request, caller.id, caller.role, data, build)


@post("/v1/compliance/orders/{order:str}/withdraw", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      operation_class=KeyedOperation)
def withdraw(request: Request[Any, Any, Any], running: Injected, caller: Calling,
             order: Id) -> Response[Any]:
    def build(seed: str) -> Work:
        _, content = _order(running, order)
        return Work(commands=[WithdrawOrder(order=order)], on_behalf_of=content.subject,
                    answer=lambda _: {"id": order, "state": "WITHDRAWN"})

    return running.mutate(request, caller.id, caller.role, None, build)


# ---------------------------------------------------------------- what an order says


def _forced_transfer(running: Running, wanted: NewForcedTransfer) -> Content:
    token = known_token(running, wanted.token_reference)
    part = token.slice(wanted.slice or 0)
    holder, to = customer(running, part.holder), customer(running, wanted.to)
    if not as_party(to).may_act or to.role not in HOLDERS or to.wallet is None or to.id == holder.id:
        raise NotAHolder("name another active lender or investor", pointer="/to")
    return Content(kind=FORCED_TRANSFER, subject=holder.id, tokens=(wanted.token_reference,), from_wallet=part.wallet,
                   to=to.id, to_wallet=to.wallet, reason_code=wanted.reason_code, slice_index=wanted.slice,
                   face_pence=part.face_pence)


def _recovery(running: Running, order: str, subject: str, reason_code: str) -> Content:
    holder = customer(running, subject)
    tokens = _holdings(running, subject)
    if holder.wallet is None or not tokens:
        raise NotRecoverable("this subject has no wallet, or nothing in it", pointer="/subject")
    return Content(kind=RECOVERY, subject=subject, tokens=tokens, from_wallet=holder.wallet, to=subject,
                   to_wallet=running.outside.wallets(f"{subject}/{order}"), reason_code=reason_code)


def _as_it_is_now(running: Running, order: str, content: Content) -> Content:
    if content.kind == RECOVERY:
        return _recovery(running, order, content.subject, content.reason_code)
    wanted = NewForcedTransfer(token_reference=content.tokens[0], to=content.to, reason_code=content.reason_code,
                               slice=content.slice_index)
    return _forced_transfer(running, wanted)


def _begin(order: str, content: Content) -> Command:
    if content.kind == RECOVERY:
        return BeginRecovery(subject=content.subject, order=order, from_wallet=content.from_wallet,
                             to_wallet=content.to_wallet)
    return BeginForcedMove(token=content.tokens[0], order=order, slice_index=content.slice_index,
                           holder=content.subject, to=content.to, to_wallet=content.to_wallet)


def _proposal(order: str, content: Content) -> Work:
    return Work(commands=[ProposeOrder(order=order, content=content)],
                answer=lambda events: {"id": order, "state": "PROPOSED", "content": content,
                                       "content_sha256": content.sha256,
                                       "expires_at": getattr(events[0], "expires_at", None)})


def _order(running: Running, order: str) -> tuple[Order, Content]:
    found = running.store.load(ORDER, order)
    if found.content is None:
        raise NotFound("there is no such order")
    return found, found.content


def _holdings(running: Running, subject: str) -> tuple[str, ...]:
    """From a read model that has seen everything there is now."""
    if not running.projector.wait_for(running.store.head(), READ_YOUR_WRITES_S):
        raise Unavailable("the read models are behind")
    with running.rows() as connection:
        return tuple(portfolio.tokens_of(connection, subject))
