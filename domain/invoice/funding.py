"""Funding: a confirmed invoice is tokenised, listed, reserved by a lender, paid for, and advanced (F1-F5).

Money before token, token before payout; FUNDED needs both (decisions rows 51, 52).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from domain import fees, maturity, money, pricing
from domain.base import Conflict, Context, Event, Forbidden, Invalid, require
from domain.fees import FeeLine
from domain.invoice.state import PAID, Invoice, InvoiceCommand, WrongAmount, WrongState, expect
from domain.party import LENDER, Party

RESERVATION = timedelta(hours=4)
NO_CASH = "no cash in time"
CHAIN_REFUSED = "chain refused"
WITHDRAWN = "withdrawn"
"""The ways a reservation ends; each ends it in its own state, and in no other. What is withdrawn was not asked of the
chain: the token is locked, or a party to the sale may not receive now."""


# ---------------------------------------------------------------- commands


class RecordTokenised(InvoiceCommand, frozen=True, kw_only=True):
    token_reference: str
    contract: str
    token_id: str


class ListInvoice(InvoiceCommand, frozen=True, kw_only=True):
    pass


class ReserveFunding(InvoiceCommand, frozen=True, kw_only=True):
    """Goes with `ReserveExposure`, which keeps the lender's caps."""

    payment: str
    lender: Party
    discount_bps: int
    net_advance_pence: int
    band_bps: tuple[int, int]
    tenor_band: tuple[int, int]
    typed_reference: str


class InstructFunding(InvoiceCommand, frozen=True, kw_only=True):
    """The virtual account the lender pays into is open."""

    payment: str
    sort_code: str
    account_number: str


class ReleaseReservation(InvoiceCommand, frozen=True, kw_only=True):
    """CHAIN_REFUSED and WITHDRAWN end a paid reservation, whose cash goes back; any other reason an unpaid one."""

    payment: str
    reason: str


class RecordFundingCash(InvoiceCommand, frozen=True, kw_only=True):
    payment: str
    credit: str
    amount_pence: int


class RecordFunded(InvoiceCommand, frozen=True, kw_only=True):
    transfer: str
    tx: str


class RecordAdvanceHeld(InvoiceCommand, frozen=True, kw_only=True):
    """The seller may receive nothing now: its advance is ring-fenced."""

    payout: str


class RecordDisbursed(InvoiceCommand, frozen=True, kw_only=True):
    payout: str


class RecordAdvanceReturned(InvoiceCommand, frozen=True, kw_only=True):
    """The advance had arrived, and the seller's bank has sent it back."""

    payout: str


# ---------------------------------------------------------------- events


class InvoiceTokenised(Event, frozen=True, kw_only=True):
    tag = "invoice.tokenised.1"
    action = "INVOICE_TOKENISED"
    token_reference: str
    contract: str
    token_id: str
    accrued_fee: FeeLine


class InvoiceListed(Event, frozen=True, kw_only=True):
    tag = "invoice.listed.1"
    action = "LISTED"
    indicative_discount_bps: int
    pricing_policy: str


class FundingReserved(Event, frozen=True, kw_only=True):
    tag = "invoice.reserved.1"
    action = "FUNDING_RESERVED"
    payment: str
    lender: str
    lender_name: str
    discount_bps: int
    discount_pence: int
    net_advance_pence: int
    expires_at: datetime


class FundingInstructed(Event, frozen=True, kw_only=True):
    tag = "invoice.funding_instructed.1"
    action = "FUNDING_INSTRUCTED"
    payment: str
    sort_code: str
    account_number: str


class ReservationReleased(Event, frozen=True, kw_only=True):
    tag = "invoice.reservation_released.1"
    action = "FUNDING_RELEASED"
    payment: str
    lender: str
    reason: str


class FundingCashMatched(Event, frozen=True, kw_only=True):
    tag = "invoice.cash_matched.1"
    action = "FUNDING_RECEIVED"
    payment: str
    credit: str
    amount_pence: int


class InvoiceFunded(Event, frozen=True, kw_only=True):
    tag = "invoice.funded.1"
    action = "FUND_INVOICE"
    reference: str
    payment: str
    lender: str
    net_advance_pence: int
    fee_lines: tuple[FeeLine, ...]
    seller_cash_pence: int
    transfer: str
    tx: str


class AdvanceHeld(Event, frozen=True, kw_only=True):
    """It counts as paid to order: what the debtor pays is shared out without waiting for the seller's affairs."""

    tag = "invoice.advance_held.1"
    action = "ADVANCE_HELD"
    payout: str
    seller_cash_pence: int


class AdvanceDisbursed(Event, frozen=True, kw_only=True):
    tag = "invoice.disbursed.1"
    action = "ADVANCE_DISBURSED"
    payout: str
    seller_cash_pence: int


class AdvanceReturned(Event, frozen=True, kw_only=True):
    """The seller is owed it again: the invoice is FUNDED, as if it had not arrived. Once the debtor has paid, nothing
    is undone: it is ring-fenced for the seller, as one that is held."""

    tag = "invoice.advance_returned.1"
    action = "ADVANCE_RETURNED"
    payout: str
    seller_cash_pence: int


# ---------------------------------------------------------------- refusals


class NotALender(Forbidden):
    code = "not_a_lender"


class AlreadyReserved(Conflict):
    code = "already_reserved"


class NotListed(Conflict):
    code = "not_listed"


class OutsideAppetite(Conflict):
    code = "outside_appetite"


class BelowSellersMinimum(Conflict):
    """By how much stays unsaid: the seller's figure is no lender's business."""

    code = "below_sellers_minimum"


class WrongAdvance(Invalid):
    code = "wrong_net_advance"


class ReferenceMistyped(Invalid):
    code = "reference_mistyped"


# ---------------------------------------------------------------- decisions


def tokenise(invoice: Invoice, command: RecordTokenised, context: Context) -> list[Event]:
    expect(invoice, "CONFIRMED")
    accrued = next(line for line in fees.platform_fee(invoice.face_pence) if line.code == "TOKENISATION")
    return [InvoiceTokenised(token_reference=command.token_reference, contract=command.contract,
                             token_id=command.token_id, accrued_fee=accrued)]


def list_invoice(invoice: Invoice, command: ListInvoice, context: Context) -> list[Event]:
    expect(invoice, "TOKENISED")
    assert invoice.grade is not None and invoice.due_on is not None
    bps = pricing.indicative_bps(invoice.grade, maturity.days_left(invoice.due_on, context.now))
    return [InvoiceListed(indicative_discount_bps=bps, pricing_policy=pricing.CURRENT.id)]


def reserve(invoice: Invoice, command: ReserveFunding, context: Context) -> list[Event]:
    lender = command.lender
    require(lender.role == LENDER and lender.may_act, NotALender("only an active lender funds invoices"))
    require(invoice.state != "RESERVED", AlreadyReserved("another lender has reserved this receivable"))
    require(invoice.state == "LISTED", NotListed("this receivable is not on the marketplace now"))
    assert invoice.due_on is not None
    maturity.require_open(invoice.due_on, context.now)
    require(command.typed_reference == invoice.reference,
            ReferenceMistyped("re-type the receivable reference exactly", pointer="/typed_reference"))
    _check_appetite(command, maturity.days_left(invoice.due_on, context.now))
    discount = money.discount_pence(invoice.face_pence, command.discount_bps)
    net = invoice.face_pence - discount
    require(command.net_advance_pence == net,
            WrongAdvance(f"the net advance at this discount is {net} pence", pointer="/net_advance_pence"))
    require(discount >= 0, WrongAdvance("the advance stays within the face", pointer="/discount_bps"))
    require(net - fees.total(fee_lines(invoice)) >= invoice.least_cash_pence,
            BelowSellersMinimum("the seller does not take an offer as low as this"))
    return [FundingReserved(payment=command.payment, lender=lender.id, lender_name=lender.name,
                            discount_bps=command.discount_bps, discount_pence=discount, net_advance_pence=net,
                            expires_at=context.now + RESERVATION)]


def _check_appetite(command: ReserveFunding, days_left: int) -> None:
    low, high = command.band_bps[0], min(command.band_bps[1], pricing.DISCOUNT_CAP_BPS)
    require(low <= command.discount_bps <= high,
            OutsideAppetite(f"the discount must lie in your band of {low}-{high} bps"))
    shortest, longest = command.tenor_band
    require(shortest <= days_left <= longest,
            OutsideAppetite(f"{days_left} days to maturity lie outside your band of {shortest}-{longest}"))


def instruct(invoice: Invoice, command: InstructFunding, context: Context) -> list[Event]:
    expect(invoice, "RESERVED", command.payment)
    return [FundingInstructed(payment=command.payment, sort_code=command.sort_code,
                              account_number=command.account_number)]


def release(invoice: Invoice, command: ReleaseReservation, context: Context) -> list[Event]:
    """An expiry that lost the race against the lender's cash must find the reservation closed to it."""
    paid = command.reason in (CHAIN_REFUSED, WITHDRAWN)
    expect(invoice, "CASH_MATCHED" if paid else "RESERVED", command.payment)
    if command.reason == NO_CASH:
        assert invoice.reserved_until is not None
        require(context.now >= invoice.reserved_until, WrongState("the reservation still has time to be paid"))
    return [ReservationReleased(payment=command.payment, lender=invoice.lender or "", reason=command.reason)]


def match_cash(invoice: Invoice, command: RecordFundingCash, context: Context) -> list[Event]:
    expect(invoice, "RESERVED", command.payment)
    require(command.amount_pence == invoice.net_advance_pence,
            WrongAmount("the credit does not equal the net advance"))
    return [FundingCashMatched(payment=command.payment, credit=command.credit, amount_pence=command.amount_pence)]


def fund(invoice: Invoice, command: RecordFunded, context: Context) -> list[Event]:
    expect(invoice, "CASH_MATCHED", command.transfer)
    lines = fee_lines(invoice)
    return [InvoiceFunded(
        reference=invoice.reference, payment=invoice.payment or "", lender=invoice.lender or "",
        net_advance_pence=invoice.net_advance_pence, fee_lines=lines,
        seller_cash_pence=invoice.net_advance_pence - fees.total(lines),
        transfer=command.transfer, tx=command.tx)]


def fee_lines(invoice: Invoice) -> tuple[FeeLine, ...]:
    """The seller's lines; the tokenisation fee is the one accrued at the mint, whatever the prices are by now."""
    return fees.platform_fee(invoice.face_pence, accrued=invoice.accrued_fee)


def hold_advance(invoice: Invoice, command: RecordAdvanceHeld, context: Context) -> list[Event]:
    """Held again after a release that came to nothing, it is held as before."""
    if invoice.advance_held:
        return []
    expect(invoice, "FUNDED")
    return [AdvanceHeld(payout=command.payout, seller_cash_pence=invoice.seller_cash_pence)]


def disburse(invoice: Invoice, command: RecordDisbursed, context: Context) -> list[Event]:
    """An advance that was held may arrive after the debtor has paid."""
    if not invoice.advance_held:
        expect(invoice, "FUNDED")
    return [AdvanceDisbursed(payout=command.payout, seller_cash_pence=invoice.seller_cash_pence)]


def return_advance(invoice: Invoice, command: RecordAdvanceReturned, context: Context) -> list[Event]:
    if invoice.advance_held or invoice.state not in ("DISBURSED", *PAID):
        raise WrongState(f"this advance is not with the seller; the invoice is {invoice.state}")
    return [AdvanceReturned(payout=command.payout, seller_cash_pence=invoice.seller_cash_pence)]
