"""What a lender may fund, and funding it: one explicit approval of one receivable."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from api.access import Calling
from api.cursor import Page
from api.parameters import Cursor, Id, Limit, PercentOrNone, TenorDays
from api.running import Injected, KeyedOperation, Running, Work
from domain.base import NotFound
from domain.calendar import london_date
from domain.exposure import ReserveExposure
from domain.forms import Bps, Pence, Reference, bps_of
from domain.invoice import INVOICE, Invoice, ReserveFunding
from domain.maturity import days_left
from domain.money import discount_pence, yield_bps
from domain.party import LENDER
from domain.subject import Appetite
from domain.token import TOKEN
from processes.freezes import barred, standing
from projections import fundings, marketplace


class NewPayment(msgspec.Struct, forbid_unknown_fields=True):
    receivable_reference: Reference
    discount_bps: Bps
    net_advance_pence: Pence
    typed_reference: Reference
    """The receivable's reference once more: the explicit approval (money-control rule 5)."""


@get("/v1/marketplace", roles=(LENDER,), active=True, sync_to_thread=True, tags=["marketplace"])
def receivables(running: Injected, caller: Calling, tenor_max: TenorDays = None,
                discount_min: PercentOrNone = None, limit: Limit = 50,
                cursor: Cursor = None) -> dict[str, Any]:
    """Listed receivables inside the caller's appetite. `discount_min` is in percent, `tenor_max` in days."""
    appetite = caller.subject.accepted.appetite or Appetite()
    longest = appetite.tenor_max_days if tenor_max is None else min(tenor_max, appetite.tenor_max_days)
    least = max(bps_of(discount_min or "0"), appetite.discount_min_bps)
    page = Page.read(running.cursor_secret, f"marketplace:{caller.id}:{longest}:{least}", cursor, limit)
    with running.rows() as connection:
        rows = marketplace.receivables(connection, page.part, today=london_date(running.clock.now()),
                                       tenor_min=appetite.tenor_min_days, tenor_max=longest, discount_min_bps=least)
    now = running.clock.now()
    return page.of([_listing(row, now) for row in rows], rows.next)


def _listing(row: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Days to maturity, and the yield that comes of them, are today's."""
    face, bps, days = row["face_pence"], row["indicative_discount_bps"], days_left(row["due_on"], now)
    advance = face - discount_pence(face, bps)
    return {
        "reference": row["reference"], "token_reference": row["token_reference"],
        "originator": {"name": row["seller_name"]}, "obligor": {"name": row["buyer_name"]},
        "face_value_pence": face, "currency": "GBP", "tenor_days": days, "maturity": row["due_on"],
        "indicative_discount_bps": bps, "annualised_yield_bps": yield_bps(advance, face, days),
        "risk_grade": row["grade"],
        "buyer_confirmation": {"confirmed_at": row["confirmed_at"], "page_hash": row["page_hash"]},
        "chain": {"contract": row["contract"], "token_id": row["token_id"]},
    }


@post("/v1/payments", roles=(LENDER,), active=True, sync_to_thread=True, tags=["marketplace"],
      operation_class=KeyedOperation)
def fund(request: Request[Any, Any, Any], running: Injected, caller: Calling,
         data: JSONBody[NewPayment]) -> Response[Any]:
    """Reserve a receivable and get the account to pay into. It is funded when the money is there, not by this call."""

    def build(seed: str) -> Work:
        invoice = _offered_to(running, data.receivable_reference, caller.id)
        appetite = caller.subject.accepted.appetite or Appetite()
        payment = f"pay_{seed[:16]}"
        reserve = ReserveFunding(
            reference=data.receivable_reference, payment=payment, lender=caller.party,
            discount_bps=data.discount_bps, net_advance_pence=data.net_advance_pence,
            band_bps=(appetite.discount_min_bps, appetite.discount_max_bps),
            tenor_band=(appetite.tenor_min_days, appetite.tenor_max_days),
            typed_reference=data.typed_reference)
        at_risk = ReserveExposure(
            lender=caller.id, invoice=invoice.reference, obligor=invoice.buyer, originator=invoice.seller,
            pence=invoice.face_pence, max_obligor_pence=appetite.max_obligor_pence,
            max_originator_pence=appetite.max_originator_pence)
        parties = standing(invoice.seller, invoice.buyer, caller.id)
        return Work(commands=[reserve, at_risk, *parties], moves_money=True, answer=lambda events: {
            "id": payment, "receivable_reference": data.receivable_reference, "status": "AWAITING_FUNDS",
            "net_advance_pence": data.net_advance_pence,
            "discount_income_pence": invoice.face_pence - data.net_advance_pence,
            "expires_at": getattr(events[0], "expires_at", None)})

    return running.mutate(request, caller.id, caller.role, data, build, receipt=True)


def _offered_to(running: Running, reference: str, lender: str) -> Invoice:
    """The receivable, if it is listed and free, or this lender's own; whatever else there is does not exist."""
    invoice = running.store.load(INVOICE, reference)
    locked = running.store.load(TOKEN, invoice.token_reference or "").lock is not None
    free = invoice.state == "LISTED" and not locked and not barred(running.store.load, invoice.seller, invoice.buyer)
    if not free and invoice.lender != lender:
        raise NotFound("there is no such receivable on the marketplace")
    return invoice


@get("/v1/payments/{payment:str}", roles=(LENDER,), sync_to_thread=True, tags=["marketplace"])
def payment_status(running: Injected, caller: Calling, payment: Id) -> dict[str, Any]:
    """Where the payment stands, and the account to pay into while the reservation holds.
    DISBURSEMENT_FAILED: what came in could not be applied and goes back to the account it came from; while the
    reservation holds, it can be paid again. EXPIRED: the reservation is over, and nothing was paid."""
    with running.rows() as connection:
        row = fundings.by_payment(connection, payment)
    if row is None or row["lender"] != caller.id:
        raise NotFound("there is no such payment")
    reserved = running.store.load(INVOICE, row["reference"])
    invoice = reserved if reserved.payment == payment else Invoice(state="EXPIRED")
    failed = row["went_back"] and invoice.state in ("RESERVED", "EXPIRED")
    account = invoice.account
    return {
        "id": payment, "receivable_reference": row["reference"],
        "status": "DISBURSEMENT_FAILED" if failed else _STATUS.get(invoice.state, invoice.state),
        "net_advance_pence": row["net_advance_pence"],
        "pay_into": {"name": "FinToken X collections", "sort_code": account[0], "account_number": account[1],
                     "reference": row["reference"]} if account else None,
        "expires_at": invoice.reserved_until,
    }


_STATUS = {"RESERVED": "AWAITING_FUNDS", "CASH_MATCHED": "RECEIVED", "FUNDED": "DISBURSING", "DISBURSED": "CLOSED",
           "OBLIGOR_PAID": "CLOSED", "SETTLED": "CLOSED"}
