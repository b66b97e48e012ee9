"""Notices from the outside. A signature is checked over the raw bytes; a repeated notice has one effect."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.params import RawBody

from api.access import PUBLIC
from api.errors import problem
from api.running import Injected, wall_clock
from domain.base import Context
from domain.party import SYSTEM
from domain.payment import CreditText, RecordCredit
from processes.accounts import named_invoice, seal_for_payer
from providers.errors import Final


@post("/webhooks/providers/bank", roles=PUBLIC, sync_to_thread=True, tags=["webhooks"])
def bank(request: Request[Any, Any, Any], running: Injected, body: RawBody) -> Response[Any]:
    """A credit on one of our accounts. The bank's own reference is the key."""
    try:
        notice = running.outside.bank.verify_notice(dict(request.headers), body, wall_clock())
    except Final as refused:
        if refused.code == "not_a_credit":
            return Response({"ignored": True}, status_code=200)
        return problem(401 if refused.code == "bad_signature" else 400, refused.code, "this notice is not accepted")
    text = CreditText(printable(notice.narration), printable(notice.remitter_name))
    command = RecordCredit(
        credit=notice.bank_ref, sort_code=notice.account.sort_code, account_number=notice.account.account_number,
        pence=notice.amount_pence, currency=notice.currency, reference=named_invoice(running.outside, text),
        said=seal_for_payer(running.outside, notice, text), received_at=notice.received_at)
    context = Context(actor="system:bank", actor_role=SYSTEM, tenant=running.store.tenant, now=running.clock.now())
    outcome = running.store.execute(command, context=context, key=f"bank:{notice.bank_ref}")
    return Response({"received": True, "repeated": outcome.replayed}, status_code=200)


def printable(text: str) -> str:
    """A bank's free text, without what a record cannot hold."""
    return "".join(character if character.isprintable() else " " for character in text)
