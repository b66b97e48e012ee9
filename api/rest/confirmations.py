"""The debtor confirms. The e-mailed link opens the facts; confirming needs what only a reader of the page can type."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import JSONBody

from api.access import CallingOrCode
from api.parameters import Id
from api.running import Injected, KeyedOperation, Running, Work
from api.session import Caller
from domain.base import NotFound
from domain.forms import Pence, ReferenceEnd, Sha256
from domain.invoice import INVOICE, ConfirmInvoice, Invoice, PageChanged, page_hash
from domain.invoice.state import ENDED, ENDED_UNPAID, PAID
from domain.party import BUYER
from domain.subject import SUBJECT, as_party
from processes.notices import confirmation_token

CAPABILITY_HEADER = "FX-Confirmation-Code"
CODE_READS_ON = timedelta(days=30)
NO_SUCH = "there is no such confirmation"
PAYABLE = ("TO_CONFIRM", "CONFIRMED")


class Confirmation(msgspec.Struct, forbid_unknown_fields=True):
    page_hash: Sha256
    reference_end: ReferenceEnd
    """The last five characters of the reference, typed by the person."""

    pounds: Pence
    """The whole pounds of the amount, typed by the person."""


async def knows_code(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Whoever calls without a key has the code: known, like every caller, before a byte of the body is read."""
    if connection.scope.get("user") is not None:
        return
    running: Running = connection.app.state.running
    reference, given = connection.path_params["reference"], connection.headers.get(CAPABILITY_HEADER, "")
    if not await sync_to_thread(_open_to, running, reference, given):
        raise NotFound(NO_SUCH)


@get("/v1/confirmations/{reference:str}", roles=(BUYER,), or_header=CAPABILITY_HEADER, sync_to_thread=True,
     tags=["confirmation"], guards=[knows_code])
def view(request: Request[Any, Any, Any], running: Injected, caller: CallingOrCode,
         reference: Id) -> dict[str, Any]:
    """The page's facts and their hash. `state`: TO_CONFIRM, CONFIRMED, PAID, or OVER, when nothing is to be paid here.
    Opening it decides nothing."""
    invoice = _asked_of(running, caller, reference)
    state = _shown(invoice)
    return {
        "reference": invoice.reference, "seller": invoice.seller_name, "buyer": invoice.buyer_name,
        "seller_reference": invoice.seller_reference, "face_value_pence": invoice.face_pence, "currency": "GBP",
        "due_date": invoice.due_on, "confirm_by": invoice.confirm_by, "state": state,
        "confirmed": invoice.page_hash is not None, "pay_to": payee(running) if state in PAYABLE else None,
        "page_hash": page_hash(invoice, payee(running)),
    }


@post("/v1/confirmations/{reference:str}", roles=(BUYER,), or_header=CAPABILITY_HEADER, sync_to_thread=True,
      tags=["confirmation"], guards=[knows_code], operation_class=KeyedOperation)
def confirm(request: Request[Any, Any, Any], running: Injected, caller: CallingOrCode, reference: Id,
            data: JSONBody[Confirmation]) -> Response[Any]:
    """Confirm that the invoice is real and will be paid on its due date (C2)."""
    invoice = _asked_of(running, caller, reference)

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


def _asked_of(running: Running, caller: Caller | None, reference: str) -> Invoice:
    """The invoice, for its debtor: who calls with its key, or with the code that `knows_code` let through."""
    invoice = running.store.load(INVOICE, reference)
    if invoice.state == "NEW" or (caller is not None and caller.id != invoice.buyer):
        raise NotFound(NO_SUCH)
    return invoice


def _open_to(running: Running, reference: str, given: str) -> bool:
    """Whether it is the mailed code, which reads while the invoice lives and a month on; a key reads for good."""
    invoice = running.store.load(INVOICE, reference)
    expected = confirmation_token(running.outside.link_secret, reference, invoice.buyer)
    if not hmac.compare_digest(given.encode(), expected.encode()) or invoice.state == "NEW":
        return False
    if invoice.state not in ENDED:
        return True
    return running.clock.now() <= running.store.history(INVOICE, reference)[-1].at + CODE_READS_ON


def _shown(invoice: Invoice) -> str:
    """How far it is, as far as its debtor is concerned."""
    if invoice.state in PAID:
        return "PAID"
    if invoice.state in ENDED_UNPAID:
        return "OVER"
    return "TO_CONFIRM" if invoice.page_hash is None else "CONFIRMED"
