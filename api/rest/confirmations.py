"""The debtor confirms. The e-mailed link opens the facts; confirming needs what only a reader of the page can type."""

from __future__ import annotations

import hmac
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

CAPABILITY_HEADER = "FX-Confirmation-Code"


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
    invoice = running.store.load(INVOICE, reference)
    if invoice.state == "NEW" or _reader(request, running, caller, invoice) != invoice.buyer:
        raise NotFound("there is no such confirmation")
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
    invoice = running.store.load(INVOICE, reference)
    reader = _reader(request, running, caller, invoice)
    if invoice.state == "NEW":
        raise NotFound("there is no such confirmation")

    def build(seed: str) -> Work:
        if reader == invoice.buyer and not hmac.compare_digest(data.page_hash, page_hash(invoice, payee(running))):
            raise PageChanged("the page has changed since you opened it; read it again", pointer="/page_hash")
        command = ConfirmInvoice(
            reference=reference, buyer=as_party(running.store.load(SUBJECT, reader)), page_hash=data.page_hash,
            typed_reference_end=data.reference_end, typed_pounds=data.pounds)
        return Work(commands=[command], answer=lambda _: {
            "reference": reference, "state": "CONFIRMED", "page_hash": data.page_hash, "pay_to": payee(running),
            "pay_on": invoice.due_on, "payment_reference": reference})

    return running.mutate(request, reader, BUYER if reader == invoice.buyer else "stranger", data, build, receipt=True)


def payee(running: Running) -> str:
    sort_code, number = running.collections
    return f"FinToken X collections {sort_code[:2]}-{sort_code[2:4]}-{sort_code[4:]} {number}"


def _reader(request: Request[Any, Any, Any], running: Running, caller: Caller | None, invoice: Invoice) -> str:
    """Whoever holds the mailed token stands for the buyer; otherwise an API key says who it is."""
    if caller is not None:
        return caller.id
    given = request.headers.get(CAPABILITY_HEADER, "")
    expected = confirmation_token(running.outside.link_secret, invoice.reference, invoice.buyer)
    if invoice.state == "NEW" or not hmac.compare_digest(given.encode(), expected.encode()):
        raise NotFound("there is no such confirmation")
    return invoice.buyer
