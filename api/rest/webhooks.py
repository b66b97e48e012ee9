"""Notices from the outside. A signature is checked over the raw bytes; a repeated notice has one effect."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.params import RawBody

from api.access import PUBLIC
from api.errors import problem
from api.running import Injected, Running, wall_clock
from domain.bank_order import OrderNotOpen
from domain.base import Context
from domain.credit import CreditKnown
from domain.party import SYSTEM
from domain.payment import WrongPaymentState
from eventstore.store import Outcome
from processes import crediting
from providers.bank import Notice
from providers.errors import Final

MAX_NOTICE = 64 * 1024
"""Bytes; the bank's notices have about two thousand."""


@post("/webhooks/providers/bank", roles=PUBLIC, sync_to_thread=True, tags=["webhooks"],
      takes="application/json", max_bytes=MAX_NOTICE,
      signed={"X-Request-Time": "Unix seconds at which it was sent", "DigitalSignature": "as agreed with the bank"})
def bank(request: Request[Any, Any, Any], running: Injected, body: RawBody) -> Response[Any]:
    """Money that came in, came back or left. What is signed and cannot be booked is kept sealed, with an alarm."""
    try:
        notice = running.outside.bank.verify_notice(dict(request.headers), body, wall_clock())
    except Final as refused:
        if refused.code == "not_settled":
            return Response({"ignored": True}, status_code=200)
        if refused.code == "unreadable":
            _keep(running, body, str(refused.detail))
        return problem(401 if refused.code == "bad_signature" else 400, refused.code, "this notice is not accepted")
    outcome = _book(running, notice, body)
    return Response({"received": True, "repeated": outcome.replayed}, status_code=200)


def _book(running: Running, notice: Notice, raw: bytes) -> Outcome:
    """The key is what the notice says, so that a repeat is one credit and other contents under one id are not."""
    key = f"bank:{crediting.contents(running.outside, notice)}"
    for attempt in (1, 2):
        if (done := running.store.replay(key)) is not None:
            return done
        try:
            commands = crediting.record(running.outside, notice, raw)
            return running.store.execute(*commands, context=_context(running), key=key)
        except (CreditKnown, OrderNotOpen, WrongPaymentState):
            if attempt == 2:
                raise  # another notice, or our own asking, came in the same moment; the second look sees it
    raise AssertionError


def _keep(running: Running, raw: bytes, problem: str) -> None:
    key = f"bank:{crediting.refused_id(running.outside, raw)}"
    if running.store.replay(key) is None:
        commands = crediting.refuse(running.outside, raw, problem)
        running.store.execute(*commands, context=_context(running), key=key)


def _context(running: Running) -> Context:
    return Context(actor="system:bank", actor_role=SYSTEM, tenant=running.store.tenant, now=running.clock.now())
