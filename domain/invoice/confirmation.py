"""Confirmation: the debtor is asked, reads the page and agrees, or the time runs out (C1, C2; decisions row 17)."""

from __future__ import annotations

import hashlib
from datetime import datetime

from domain.base import Conflict, Context, Event, Forbidden, Invalid, require
from domain.calendar import end_of_business_day
from domain.invoice.state import BuyerNotActive, Invoice, InvoiceCommand, WrongState, expect
from domain.party import Party

CONFIRM_WITHIN_BUSINESS_DAYS = 5
NOTICE_TERMS_VERSION = "2026-05-01"


# ---------------------------------------------------------------- commands


class RecordBuyerNotified(InvoiceCommand, frozen=True, kw_only=True):
    notice: str


class ConfirmInvoice(InvoiceCommand, frozen=True, kw_only=True):
    """The debtor agrees the invoice is real; `typed_*` show that a human read the page."""

    buyer: Party
    page_hash: str
    typed_reference_end: str
    typed_pounds: int


class ExpireInvoice(InvoiceCommand, frozen=True, kw_only=True):
    """The debtor did not answer in time."""


class VoidInvoice(InvoiceCommand, frozen=True, kw_only=True):
    """The customer, called back, knows of no such debt."""

    reason: str


# ---------------------------------------------------------------- events


class BuyerNotified(Event, frozen=True, kw_only=True):
    tag = "invoice.buyer_notified.1"
    action = "BUYER_NOTIFIED"
    notice: str
    confirm_by: datetime


class BuyerConfirmed(Event, frozen=True, kw_only=True):
    tag = "invoice.confirmed.1"
    action = "CONFIRM_INVOICE"
    buyer: str
    page_hash: str
    terms_version: str


class InvoiceExpired(Event, frozen=True, kw_only=True):
    tag = "invoice.expired.1"
    action = "INVOICE_EXPIRED"
    confirm_by: datetime


class InvoiceVoided(Event, frozen=True, kw_only=True):
    """`reason` is for compliance; the seller is told the state and no more."""

    tag = "invoice.voided.1"
    action = "INVOICE_VOIDED"
    reason: str


# ---------------------------------------------------------------- refusals


class NotTheDebtor(Forbidden):
    code = "not_the_debtor"


class AlreadyConfirmed(Conflict):
    code = "already_confirmed"


class ConfirmationExpired(Conflict):
    code = "confirmation_expired"


class ConfirmationOpen(Conflict):
    code = "confirmation_open"


class PageChanged(Conflict):
    code = "page_changed"


class HumanCheckFailed(Invalid):
    code = "human_check_failed"


# ---------------------------------------------------------------- decisions


def page_hash(invoice: Invoice, payee: str) -> str:
    """SHA-256 over exactly the facts the debtor is shown; `payee` is the payment instruction on the page."""
    facts = "\n".join((
        "fintokenx confirmation", NOTICE_TERMS_VERSION, invoice.reference, invoice.seller_name, invoice.buyer_name,
        invoice.seller_reference, str(invoice.face_pence), "GBP", str(invoice.due_on), payee))
    return hashlib.sha256(facts.encode()).hexdigest()


def notify_buyer(invoice: Invoice, command: RecordBuyerNotified, context: Context) -> list[Event]:
    expect(invoice, "RISK_SCORED")
    by = end_of_business_day(context.now, CONFIRM_WITHIN_BUSINESS_DAYS)
    return [BuyerNotified(notice=command.notice, confirm_by=by)]


def confirm(invoice: Invoice, command: ConfirmInvoice, context: Context) -> list[Event]:
    require(command.buyer.id == invoice.buyer, NotTheDebtor("only the invoice's customer can confirm it"))
    require(invoice.page_hash is None, AlreadyConfirmed("this invoice is already confirmed"))
    require(invoice.state != "EXPIRED", _expired())
    expect(invoice, "AWAITING_BUYER")
    require(not _is_late(invoice, context), _expired())
    require(command.buyer.may_act, BuyerNotActive("this account cannot confirm invoices now"))
    typed_right = (command.typed_reference_end.upper() == invoice.reference[-5:]
                   and command.typed_pounds == invoice.face_pence // 100)
    require(typed_right, HumanCheckFailed("type the last five characters of the reference and the whole pounds of "
                                          "the amount", pointer="/reference_end"))
    return [BuyerConfirmed(buyer=command.buyer.id, page_hash=command.page_hash, terms_version=NOTICE_TERMS_VERSION)]


def expire(invoice: Invoice, command: ExpireInvoice, context: Context) -> list[Event]:
    """The exact complement of `confirm`: at any moment one of the two is too early or too late. A mailbox that takes
    no mail does not stop the clock."""
    require(invoice.state in ("AWAITING_BUYER", "BUYER_UNREACHABLE"),
            WrongState(f"nobody is asked to confirm this invoice; it is {invoice.state}"))
    assert invoice.confirm_by is not None
    require(_is_late(invoice, context), ConfirmationOpen("the debtor may still confirm this invoice"))
    return [InvoiceExpired(confirm_by=invoice.confirm_by)]


def void(invoice: Invoice, command: VoidInvoice, context: Context) -> list[Event]:
    expect(invoice, "CONFIRMED")
    return [InvoiceVoided(reason=command.reason)]


def _is_late(invoice: Invoice, context: Context) -> bool:
    return invoice.confirm_by is not None and context.now > invoice.confirm_by


def _expired() -> ConfirmationExpired:
    return ConfirmationExpired("the time to confirm this invoice has passed")
