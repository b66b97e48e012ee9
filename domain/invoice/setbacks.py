"""Setbacks: what becomes of an invoice that cannot go straight on.

A mailbox takes no mail: the seller gives another, or the time to confirm runs out. A grade is HIGH: compliance lets
the invoice go on or refuses it (decisions row 12). The seller changes its mind before its customer has confirmed.
"""

from __future__ import annotations

from datetime import datetime

from domain.base import Context, Event, Forbidden, require
from domain.calendar import end_of_business_day
from domain.invoice.confirmation import CONFIRM_WITHIN_BUSINESS_DAYS
from domain.invoice.state import Invoice, InvoiceCommand, WrongState, expect
from domain.invoice.submission import check_mailbox
from domain.party import COMPLIANCE, Party, Personal

WITHDRAWABLE = ("RISK_SCORED", "RISK_HELD", "AWAITING_BUYER", "BUYER_UNREACHABLE")
"""Checked, and not yet confirmed by the debtor."""


# ---------------------------------------------------------------- commands


class RecordBuyerUnreachable(InvoiceCommand, frozen=True, kw_only=True):
    """The request to confirm cannot be delivered, now or later."""

    notice: str


class CorrectBuyerMailbox(InvoiceCommand, frozen=True, kw_only=True):
    seller: str
    buyer: Party
    buyer_email: Personal
    buyer_email_domain: str


class DecideRisk(InvoiceCommand, frozen=True, kw_only=True):
    """Compliance's word on a HIGH grade. The rationale is sealed for the seller it is about."""

    release: bool
    rationale: Personal


class WithdrawInvoice(InvoiceCommand, frozen=True, kw_only=True):
    seller: str


# ---------------------------------------------------------------- events


class BuyerUnreachable(Event, frozen=True, kw_only=True):
    tag = "invoice.buyer_unreachable.1"
    action = "BUYER_UNREACHABLE"
    notice: str
    confirm_by: datetime


class BuyerMailboxCorrected(Event, frozen=True, kw_only=True):
    tag = "invoice.buyer_mailbox_corrected.1"
    action = "BUYER_MAILBOX_CORRECTED"
    buyer_email: Personal


class RiskReleased(Event, frozen=True, kw_only=True):
    tag = "invoice.risk_released.1"
    action = "INVOICE_RISK_RELEASED"
    rationale: Personal


class RiskRefused(Event, frozen=True, kw_only=True):
    tag = "invoice.risk_refused.1"
    action = "INVOICE_RISK_REFUSED"
    rationale: Personal


class InvoiceWithdrawn(Event, frozen=True, kw_only=True):
    tag = "invoice.withdrawn.1"
    action = "INVOICE_WITHDRAWN"
    seller: str


# ---------------------------------------------------------------- refusals


class NotTheSeller(Forbidden):
    code = "not_the_seller"


class NotForCompliance(Forbidden):
    code = "compliance_decides"


# ---------------------------------------------------------------- decisions


def unreachable(invoice: Invoice, command: RecordBuyerUnreachable, context: Context) -> list[Event]:
    expect(invoice, "RISK_SCORED")
    return [BuyerUnreachable(notice=command.notice,
                             confirm_by=end_of_business_day(context.now, CONFIRM_WITHIN_BUSINESS_DAYS))]


def correct_mailbox(invoice: Invoice, command: CorrectBuyerMailbox, context: Context) -> list[Event]:
    require(command.seller == invoice.seller, NotTheSeller("only the invoice's seller corrects the mailbox"))
    expect(invoice, "BUYER_UNREACHABLE")
    check_mailbox(command.buyer_email_domain, command.buyer)
    return [BuyerMailboxCorrected(buyer_email=command.buyer_email)]


def decide_risk(invoice: Invoice, command: DecideRisk, context: Context) -> list[Event]:
    require(context.actor_role == COMPLIANCE, NotForCompliance("a HIGH grade is compliance's to decide"))
    expect(invoice, "RISK_HELD")
    outcome = RiskReleased if command.release else RiskRefused
    return [outcome(rationale=command.rationale)]


def withdraw(invoice: Invoice, command: WithdrawInvoice, context: Context) -> list[Event]:
    require(command.seller == invoice.seller, NotTheSeller("only the invoice's seller withdraws it"))
    require(invoice.state in WITHDRAWABLE,
            WrongState("an invoice can be withdrawn once it is checked and until its customer has confirmed it"))
    return [InvoiceWithdrawn(seller=invoice.seller)]
