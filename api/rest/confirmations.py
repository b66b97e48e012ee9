"""The debtor confirms. The e-mailed link opens the facts; confirming needs what only a reader of the page can type."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from api.access import CallingOrCode
from api.parameters import Id
from api.running import Injected, KeyedOperation, Running, Work
from api.session import Caller
from domain.base import NotFound
from domain.forms import Pence, ReferenceEnd, Sha256
from domain.invoice import INVOICE, ConfirmInvoice, Invoice, PageChanged, page_hash
from domain.party import BUYER
from domain.subject import SUBJECT, as_party
from processes.notices import confirmation_token
from projections import invoices

CAPABILITY_HEADER = "FX-Confirmation-Code"
CODE_READS_ON = timedelta(days=30)


class Confirmation(msgspec.Struct, forbid_unknown_fields=True):
    page_hash: Sha256
    reference_end: ReferenceEnd
    """The last five characters of the reference, typed by the person."""

    pounds: Pence
    """The whole pounds of the amount, typed by the person."""


@get("/v1/confirmations/{reference:str}", roles=(BUYER,), or_header=CAPABILITY_HEADER, sync_to_thread=True,
     tags=["confirmation"])
def view(request: Request[Any, Any, Any], running: Injected, caller: CallingOrCode,
         reference: Id) -> dict[str, Any]:
    """The page's facts and their hash. Opening it decides nothing."""
    invoice = _asked_of(request, running, caller, reference)
    return {
        "reference": invoice.reference, "seller": invoice.seller_name, "buyer": invoice.buyer_name,
        "seller_reference": invoice.seller_reference, "face_value_pence": invoice.face_pence, "currency": "GBP",
        "due_date": invoice.due_on, "confirm_by": invoice.confirm_by, "confirmed": invoice.page_hash is not None,
        "pay_to": payee(running), "page_hash": page_hash(invoice, payee(running)),
    }


@post("/v1/confirmations/{reference:str}", roles=(BUYER,), or_header=CAPABILITY_HEADER, sync_to_thread=True,
      tags=["confirmation"], operation_class=KeyedOperation)
def confirm(request: Request[Any, Any, Any], running: Injected, caller: CallingOrCode, reference: Id,
            data: JSONBody[Confirmation]) -> Response[Any]:
    """Confirm that the invoice is real and will be paid on its due date (C2)."""
    invoice = _asked_of(request, running, caller, reference)

    def build(seed: str) -> Work:
        if not hmac.compare_digest(data.page_hash, page_hash(invoice, payee(running))):
            raise PageChanged("the page has changed since you opened it; read it again", pointer="/page_hash")
        command = ConfirmInvoice(
            reference=reference, buyer=as_party(running.store.load(SUBJECT, invoice.buyer)), page_hash=data.page_hash,
            typed_reference_end=data.reference_end, typed_pounds=data.pounds)
        return Work(commands=[command], answer=lambda _: {
            "reference": reference, "state": "CONFIRMED", "page_hash": data.page_hash, "pay_to": payee(running),
            "pay_on": invoice.due_on, "payment_reference": reference})

    return running.mutate(request, invoice.buyer, BUYER, data, build, receipt=True)


def payee(running: Running) -> str:
    sort_code, number = running.collections
    return f"FinToken X collections {sort_code[:2]}-{sort_code[2:4]}-{sort_code[4:]} {number}"


def _asked_of(request: Request[Any, Any, Any], running: Running, caller: Caller | None, reference: str) -> Invoice:
    """The invoice, for its debtor: who calls with its key, or holds the mailed code. For others it does not exist."""
    invoice = running.store.load(INVOICE, reference)
    if caller is not None:
        theirs = caller.id == invoice.buyer
    else:
        given = request.headers.get(CAPABILITY_HEADER, "")
        expected = confirmation_token(running.outside.link_secret, reference, invoice.buyer)
        theirs = hmac.compare_digest(given.encode(), expected.encode()) and not _outlived(running, invoice)
    if invoice.state == "NEW" or not theirs:
        raise NotFound("there is no such confirmation")
    return invoice


def _outlived(running: Running, invoice: Invoice) -> bool:
    """A mailed code reads while the invoice lives and a month on; a debtor's key reads for good."""
    ended = invoice.confirm_by if invoice.state == "EXPIRED" else None
    if invoice.state == "SETTLED":
        with running.rows() as connection:
            row = invoices.by_reference(connection, invoice.reference)
        ended = row["settled_at"] if row else None
    return ended is not None and running.clock.now() > ended + CODE_READS_ON
