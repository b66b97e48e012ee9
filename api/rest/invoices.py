"""Submit an invoice and follow it; and the document it stands on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, get, post
from litestar.params import JSONBody, RawBody

from api.access import ANYBODY, Calling
from api.cursor import Page
from api.errors import BadRequest
from api.parameters import Cursor, Id, Limit
from api.running import Injected, KeyedOperation, Running, Work, is_staff
from api.session import Caller
from api.states import with_states
from domain.base import Event, Invalid, NotFound
from domain.forms import CompanyNumber, Email, InvoiceReference, Pence, Sha256, Words
from domain.invoice import INVOICE, InvoiceSubmitted, SubmitInvoice, require_buyer
from domain.party import ADMIN, BUYER, COMPLIANCE, INVESTOR, LENDER, SELLER, Party
from domain.platform import DIRECTORY, directory_key
from domain.rails import checked
from domain.subject import SUBJECT, as_party
from projections import audit_trail, invoices, marketplace, portfolio
from providers.documents import MAX_BYTES


class DocumentUnknown(Invalid):
    code = "document_unknown"


class NewInvoice(msgspec.Struct, forbid_unknown_fields=True):
    buyer_company_number: CompanyNumber
    buyer_email: Email
    face_value_pence: Pence
    due_date: date
    seller_reference: Words
    document_sha256: Sha256
    least_cash_pence: Pence | None = None
    """An offer that brings the seller less is refused; without it, the usual margin below the estimate holds."""

    reference: InvoiceReference | None = None
    """Sandbox only: choose the reference, so that an example repeats."""


@post("/v1/documents", roles=(SELLER,), active=True, uploads=True, sync_to_thread=True, tags=["invoices"],
      takes="application/pdf", max_bytes=MAX_BYTES + 1024)
def upload(request: Request[Any, Any, Any], running: Injected, caller: Calling, body: RawBody) -> Response[Any]:
    """Store an invoice PDF; its SHA-256 is its name, so that storing it twice is storing it once. Whoever is not yet
    known to us stores nothing here."""
    if not body.startswith(b"%PDF-"):
        raise BadRequest("not_a_pdf", "send the PDF itself as the request body")
    return Response({"sha256": running.outside.archive.put(caller.id, body), "bytes": len(body)}, status_code=201)


@post("/v1/invoices", roles=(SELLER,), active=True, sync_to_thread=True, tags=["invoices"],
      operation_class=KeyedOperation)
def submit(request: Request[Any, Any, Any], running: Injected, caller: Calling,
           data: JSONBody[NewInvoice]) -> Response[Any]:
    """Submit an invoice for verification (S1)."""
    if data.reference is not None and not running.sandbox:
        raise Invalid("references are given by the platform", pointer="/reference")

    def build(seed: str) -> Work:
        buyer = _buyer(running, data.buyer_company_number)
        if not running.outside.archive.has(caller.id, data.document_sha256):
            raise DocumentUnknown("upload the invoice PDF first: POST /v1/documents", pointer="/document_sha256")
        reference = data.reference or new_reference(running, seed)
        command = SubmitInvoice(
            reference=reference, seller=caller.party, buyer=buyer,
            buyer_email=running.vault.seal(buyer.id, data.buyer_email),
            buyer_email_domain=data.buyer_email.rpartition("@")[2].lower(), seller_reference=data.seller_reference,
            face_pence=data.face_value_pence, due_on=data.due_date, document_sha256=data.document_sha256,
            least_cash_pence=data.least_cash_pence)
        return Work(commands=[command], answer=lambda events: {
            "reference": reference, "state": "SUBMITTED", "face_value_pence": data.face_value_pence,
            "due_date": data.due_date, **_cash(events)})

    return running.mutate(request, caller.id, caller.role, data, build)


def _buyer(running: Running, company_number: str) -> Party:
    """The buyer, if it can be invoiced: looked at before anything else of the form, or the rest would tell of it."""
    found = running.store.load(DIRECTORY, directory_key(BUYER, company_number)).subject
    buyer = as_party(running.store.load(SUBJECT, found or ""))
    require_buyer(buyer)
    return buyer


def _cash(events: Sequence[Event]) -> dict[str, int]:
    """What the seller may expect and takes at the least: cash, never a rate (decisions row 28)."""
    return {name: getattr(event, name) for event in events if isinstance(event, InvoiceSubmitted)
            for name in ("estimated_cash_pence", "least_cash_pence")}


@get("/v1/invoices", roles=(SELLER, BUYER), sync_to_thread=True, tags=["invoices"])
def listing(running: Injected, caller: Calling, limit: Limit = 50,
            cursor: Cursor = None) -> dict[str, Any]:
    """The caller's own invoices: those it sells or owes."""
    page = Page.read(running.cursor_secret, f"invoices:{caller.id}", cursor, limit)
    with running.rows() as connection:
        rows = invoices.of_subject(connection, caller.id, page.part)
    return page.of([view(row, caller) for row in rows], rows.next)


@get("/v1/invoices/{reference:str}", roles=ANYBODY, sync_to_thread=True, tags=["invoices"])
def show(running: Injected, caller: Calling, reference: Id) -> dict[str, Any]:
    return view(visible(running, caller, reference), caller)


@get("/v1/invoices/{reference:str}/timeline", roles=ANYBODY, sync_to_thread=True, tags=["invoices"],
     media_type=MediaType.JSON)
def timeline(running: Injected, caller: Calling, reference: Id, limit: Limit = 100,
             cursor: Cursor = None) -> dict[str, Any]:
    """What happened to the invoice, step by step. Staff see every entry, others the steps of the invoice itself."""
    visible(running, caller, reference)
    page = Page.read(running.cursor_secret, f"timeline:{caller.id}:{reference}", cursor, limit)
    with running.rows() as connection:
        if is_staff(caller):
            entries = audit_trail.entries(connection, page.part, invoice=reference)
            return page.of(with_states(running.store, entries), entries.next)
        steps = audit_trail.steps(connection, reference, STEPS[caller.role], page.part)
    return page.of([{"at": step["at"], "action": step["action"]} for step in steps], steps.next)


_DEBT = ("invoice.submitted.1", "invoice.buyer_notified.1", "invoice.confirmed.1", "invoice.obligor_paid.1",
         "invoice.settled.1")
_FINANCED = (*_DEBT, "invoice.verified.1", "invoice.listed.1", "invoice.funded.1", "invoice.disbursed.1")
STEPS: dict[str, frozenset[str]] = {
    SELLER: frozenset((*_FINANCED, "invoice.rejected.1", "invoice.expired.1", "invoice.voided.1")),
    BUYER: frozenset((*_DEBT, "invoice.expired.1", "invoice.voided.1")),
    LENDER: frozenset(_FINANCED),
    INVESTOR: frozenset(_FINANCED),
}
"""Which persona is told of which step; the debtor is not told how its supplier is financed."""


def new_reference(running: Running, seed: str) -> str:
    """Five hex digits from the request's seed and a check character; more when those are taken (decisions row 70)."""
    for width in range(5, 10):
        reference = checked(f"FX-INV-{seed[-width:].upper()}")
        if running.store.load(INVOICE, reference).state == "NEW":
            return reference
    return checked(f"FX-INV-{hashlib.sha256(seed.encode()).hexdigest()[:9].upper()}")


def visible(running: Running, caller: Caller, reference: str) -> dict[str, Any]:
    """The row, if this caller may see it; otherwise it does not exist."""
    with running.rows() as connection:
        row = invoices.by_reference(connection, reference)
        if row is None:
            raise NotFound("there is no such invoice")
        role = caller.role
        offered = role == LENDER and caller.party.may_act and marketplace.is_offered(connection, reference)
        holds = role in (LENDER, INVESTOR) and portfolio.has_held(connection, caller.id, reference)
    allowed = (
        (role == SELLER and row["seller"] == caller.id)
        or (role == BUYER and row["buyer"] == caller.id)
        or (role == LENDER and row["lender"] == caller.id)
        or offered
        or holds
        or role in (ADMIN, COMPLIANCE))
    if not allowed:
        raise NotFound("there is no such invoice")
    return row


COMMON = ("reference", "state", "seller_reference", "due_on", "submitted_at")
FIELDS: dict[str, tuple[str, ...]] = {
    SELLER: (*COMMON, "tenor_days", "buyer_name", "confirm_by", "confirmed_at", "settled_at", "rejection",
             "fee_tokenisation_pence", "fee_settlement_pence", "fee_scoring_pence", "fee_top_up_pence",
             "estimated_cash_pence", "least_cash_pence", "seller_cash_pence"),
    BUYER: (*COMMON, "tenor_days", "seller_name", "confirm_by", "confirmed_at", "settled_at"),
    LENDER: (*COMMON, "seller_name", "buyer_name", "grade", "confirmed_at", "page_hash", "token_reference",
             "contract", "token_id", "discount_bps", "net_advance_pence", "mint_tx", "burn_tx", "settled_at"),
    INVESTOR: (*COMMON, "seller_name", "buyer_name", "grade", "confirmed_at", "token_reference", "burn_tx",
               "settled_at"),
}
"""Which persona sees which field: what is not named here is not shown (money-control rules 1-7, 10)."""


def view(row: dict[str, Any], caller: Caller) -> dict[str, Any]:
    shown = {"face_value_pence": row["face_pence"], "currency": "GBP"}
    if is_staff(caller):
        return {**shown, **{name: value for name, value in row.items() if name not in ("face_pence", "tenant")}}
    state = STATES.get(caller.role, {}).get(row["state"], row["state"])
    return {**{name: row[name] for name in FIELDS.get(caller.role, ())}, **shown, "state": state}


_CHECKING = dict.fromkeys(("SUBMITTED", "VERIFYING", "VERIFIED", "RISK_SCORED", "RISK_HELD", "BUYER_UNREACHABLE"),
                          "IN_VERIFICATION")
STATES: dict[str, dict[str, str]] = {
    SELLER: {"TOKENISED": "CONFIRMED", "RESERVED": "LISTED", "CASH_MATCHED": "LISTED", "RISK_HELD": "RISK_SCORED",
             "REJECTED_RISK": "REJECTED"},
    BUYER: {**_CHECKING, "REJECTED_RISK": "REJECTED", **dict.fromkeys(
        ("TOKENISED", "LISTED", "RESERVED", "CASH_MATCHED", "FUNDED", "DISBURSED"), "CONFIRMED"),
        "OBLIGOR_PAID": "PAID"},
}
"""States as a persona is told them: the seller not of tokens or a lender's hesitation, the debtor not of financing."""
