"""Call-backs: the customers that compliance has to telephone, whom to ask for, and what they said."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromQuery, JSONBody

from api.access import Calling
from api.cursor import Page
from api.parameters import Cursor, Id, Limit
from api.running import Injected, KeyedOperation, Running, Work
from domain.base import NotFound
from domain.forms import Prose
from domain.invoice import INVOICE
from domain.pair import RecordCallback
from domain.party import COMPLIANCE
from domain.subject import SUBJECT
from projections import mlro_queue

Outcome = Literal["confirmed", "denied"]


class Called(msgspec.Struct, forbid_unknown_fields=True):
    outcome: Outcome
    note: Prose


@get("/v1/compliance/callbacks", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"])
def callbacks(running: Injected, status: FromQuery[Literal["open", "confirmed", "denied"]] = "open",
              limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
    """First confirmations of a seller's customers, oldest first. Call the company at a number found from its registered
    office, never one from the invoice, the mail or the seller."""
    page = Page.read(running.cursor_secret, f"callbacks:{status}", cursor, limit)
    with running.rows() as connection:
        rows = mlro_queue.callbacks_of(connection, page.part, state=status.upper())
    return page.of([{**row, "contact": _contact(running, row["buyer"])} for row in rows], rows.next)


@post("/v1/compliance/callbacks/{reference:str}", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      operation_class=KeyedOperation)
def record(request: Request[Any, Any, Any], running: Injected, caller: Calling, reference: Id,
           data: JSONBody[Called]) -> Response[Any]:
    """What the customer said about the invoice: confirmed, and this seller and customer are known to each other from
    now on; denied, and every invoice of theirs that waits is void."""
    invoice = running.store.load(INVOICE, reference)
    if invoice.state == "NEW":
        raise NotFound("there is no such invoice")

    def build(seed: str) -> Work:
        command = RecordCallback(
            seller=invoice.seller, buyer=invoice.buyer, confirmed=data.outcome == "confirmed",
            note=running.vault.seal(invoice.buyer, data.note),
            note_sha256=hmac.new(running.outside.link_secret, (seed + data.note).encode(), hashlib.sha256).hexdigest())
        return Work(commands=[command], answer=lambda _: {"reference": reference, "outcome": data.outcome})

    return running.mutate(request, caller.id, caller.role, data, build)


def _contact(running: Running, buyer: str) -> dict[str, Any]:
    """Of the customer, as the company register has it; its own person to ask for."""
    subject = running.store.load(SUBJECT, buyer)
    return {"legal_name": subject.legal_name, "company_number": subject.company_number,
            "registered_office": subject.accepted.registered_office,
            "ask_for": running.vault.show(subject.representative) if subject.representative else None}
