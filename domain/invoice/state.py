"""What every step of an invoice shares: the state it decides on, the command's key, the refusals of a wrong moment."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from domain.base import Command, Conflict
from domain.fees import FeeLine
from domain.party import Personal


class InvoiceCommand(Command, frozen=True, kw_only=True):
    kind = "invoice"
    reference: str

    @property
    def key(self) -> str:
        return self.reference


# ---------------------------------------------------------------- refusals


class WrongState(Conflict):
    code = "wrong_state"


class WrongPayment(Conflict):
    code = "wrong_payment"


class WrongAmount(Conflict):
    code = "wrong_amount"


class BuyerNotActive(Conflict):
    code = "buyer_not_active"


# ---------------------------------------------------------------- state


PAID = ("OBLIGOR_PAID", "SETTLED")
ENDED_UNPAID = ("EXPIRED", "VOID", "WITHDRAWN", "REJECTED_DUPLICATE", "REJECTED_VISION", "REJECTED_RISK")
ENDED = (*ENDED_UNPAID, "SETTLED")
"""Nothing leads on from these."""


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    reference: str = ""
    state: str = "NEW"
    seller: str = ""
    seller_name: str = ""
    buyer: str = ""
    buyer_name: str = ""
    buyer_email: Personal | None = None
    mailbox_corrections: int = 0
    seller_reference: str = ""
    face_pence: int = 0
    least_cash_pence: int = 0
    """What the seller takes at the least, after the platform's fees (decisions row 105)."""

    submitted_on: date | None = None
    due_on: date | None = None
    tenor_days: int = 0
    document_sha256: str = ""
    fingerprints: tuple[str, ...] = ()
    likeness_registry: str = ""
    """What it holds in the duplicate registries, once it is verified."""

    grade: str | None = None
    confirm_by: datetime | None = None
    page_hash: str | None = None
    token_reference: str | None = None
    accrued_fee: FeeLine | None = None
    lender: str | None = None
    payment: str | None = None
    discount_bps: int = 0
    net_advance_pence: int = 0
    reserved_until: datetime | None = None
    account: tuple[str, str] | None = None
    fee_lines: tuple[FeeLine, ...] = ()
    seller_cash_pence: int = 0
    advance_held: bool = False
    """Ring-fenced for the seller, until it has arrived."""

    reminders: tuple[str, ...] = ()
    credit: str | None = None
    queued: tuple[str, ...] = ()
    """Credits of the debtor that wait for the advance or for the slice register."""

    payouts: dict[str, tuple[str, int, str]] = {}
    """payout id -> (holder, pence, ORDERED | HELD | CONFIRMED); HELD: ring-fenced for the holder."""

    @property
    def shareable(self) -> bool:
        """The advance is paid, or ring-fenced for the seller: what the debtor pays belongs to the holders."""
        return self.state == "DISBURSED" or (self.state == "FUNDED" and self.advance_held)

    @property
    def all_paid(self) -> bool:
        """To order: what is ring-fenced counts (decisions row 57)."""
        return bool(self.payouts) and all(state != "ORDERED" for _, _, state in self.payouts.values())


def expect(invoice: Invoice, state: str, payment: str | None = None) -> None:
    """Refuse unless the invoice is in `state` and, where a payment is named, held by that payment."""
    if invoice.state != state:
        raise WrongState(f"this step needs the invoice to be {state}; it is {invoice.state}")
    if payment is not None and invoice.payment != payment:
        raise WrongPayment("another payment holds this receivable")
