"""Repayment: the debtor is reminded and pays; the holders on the slice register are paid; the invoice settles (S7)."""

from __future__ import annotations

import re

import msgspec

from domain.base import Context, Event, require
from domain.fees import FeeLine
from domain.invoice.state import Invoice, InvoiceCommand, WrongAmount, WrongPayment, WrongState, expect

# ---------------------------------------------------------------- commands


class RecordReminder(InvoiceCommand, frozen=True, kw_only=True):
    reminder: str


class Share(msgspec.Struct, frozen=True):
    """What one holder on the slice register is owed at settlement."""

    holder: str
    pence: int


class RecordObligorPaid(InvoiceCommand, frozen=True, kw_only=True):
    credit: str
    amount_pence: int
    shares: tuple[Share, ...]


class RecordPayoutHeld(InvoiceCommand, frozen=True, kw_only=True):
    """The holder may receive nothing now: its share is ring-fenced."""

    payout: str


class ConfirmPayout(InvoiceCommand, frozen=True, kw_only=True):
    payout: str


class RecordPayoutReturned(InvoiceCommand, frozen=True, kw_only=True):
    """The share had arrived, and the holder's bank has sent it back."""

    payout: str


class Settle(InvoiceCommand, frozen=True, kw_only=True):
    burn_tx: str


# ---------------------------------------------------------------- events


class BuyerReminded(Event, frozen=True, kw_only=True):
    tag = "invoice.buyer_reminded.1"
    action = "BUYER_REMINDED"
    reminder: str


class ObligorPaid(Event, frozen=True, kw_only=True):
    tag = "invoice.obligor_paid.1"
    action = "OBLIGOR_PAID"
    credit: str
    amount_pence: int


class PayoutRequested(Event, frozen=True, kw_only=True):
    tag = "invoice.payout_requested.1"
    action = "SETTLEMENT_PAYOUT_REQUESTED"
    payout: str
    holder: str
    pence: int


class PayoutHeld(Event, frozen=True, kw_only=True):
    tag = "invoice.payout_held.1"
    action = "SETTLEMENT_HELD"
    payout: str
    holder: str
    pence: int


class PayoutConfirmed(Event, frozen=True, kw_only=True):
    tag = "invoice.payout_confirmed.1"
    action = "RECEIVE_SETTLEMENT"
    payout: str
    holder: str
    pence: int


class PayoutReturned(Event, frozen=True, kw_only=True):
    """The invoice waits for it again. Once all had been paid, nothing is undone: it is ring-fenced for its holder, as
    one that is held, and nobody else waits."""

    tag = "invoice.payout_returned.1"
    action = "SETTLEMENT_RETURNED"
    payout: str
    holder: str
    pence: int


class InvoiceSettled(Event, frozen=True, kw_only=True):
    tag = "invoice.settled.1"
    action = "INVOICE_SETTLED"
    burn_tx: str
    earned_fee: FeeLine


# ---------------------------------------------------------------- decisions


def normalise(narration: str) -> str:
    """Case, spaces and hyphens do not matter in a bank narration; everything else does (decisions row 56)."""
    return "".join(ch for ch in narration.upper() if ch not in " -")


_REFERENCE = re.compile(r"FXINV([0-9A-Z]{5,10})")


def invoice_reference(narration: str) -> str | None:
    """The invoice a narration names when it names one and says nothing else."""
    found = _REFERENCE.fullmatch(normalise(narration))
    return f"FX-INV-{found[1]}" if found else None


def remind(invoice: Invoice, command: RecordReminder, context: Context) -> list[Event]:
    require(invoice.state == "DISBURSED", WrongState("only an outstanding invoice is chased"))
    require(command.reminder not in invoice.reminders, WrongState("this reminder has been sent"))
    return [BuyerReminded(reminder=command.reminder)]


def receive(invoice: Invoice, command: RecordObligorPaid, context: Context) -> list[Event]:
    """The credit is shared out exactly: every holder once, every share positive, the sum the face."""
    require(invoice.shareable, WrongState(f"only an outstanding invoice is paid; it is {invoice.state}"))
    require(command.amount_pence == invoice.face_pence, WrongAmount("the credit does not equal the face value"))
    owed = sum(share.pence for share in command.shares)
    require(owed == invoice.face_pence, WrongAmount("the slice register does not add up to the face value"))
    holders = {share.holder for share in command.shares}
    require(len(holders) == len(command.shares) and all(share.pence > 0 for share in command.shares),
            WrongAmount("the slice register must name each holder once with a positive share"))
    payouts: list[Event] = [
        PayoutRequested(payout=f"{invoice.reference}/settlement/{share.holder}", holder=share.holder,
                        pence=share.pence) for share in command.shares]
    return [ObligorPaid(credit=command.credit, amount_pence=command.amount_pence), *payouts]


def hold_payout(invoice: Invoice, command: RecordPayoutHeld, context: Context) -> list[Event]:
    """Held again after a release that came to nothing, it is held as before."""
    holder, pence, state = _payout(invoice, command.payout)
    return [PayoutHeld(payout=command.payout, holder=holder, pence=pence)] if state == "ORDERED" else []


def confirm_payout(invoice: Invoice, command: ConfirmPayout, context: Context) -> list[Event]:
    """One that was held may arrive after the invoice is settled."""
    holder, pence, _ = _payout(invoice, command.payout)
    return [PayoutConfirmed(payout=command.payout, holder=holder, pence=pence)]


def return_payout(invoice: Invoice, command: RecordPayoutReturned, context: Context) -> list[Event]:
    holder, pence, state = _known(invoice, command.payout)
    require(state == "CONFIRMED", WrongState("this payout is not with its holder"))
    return [PayoutReturned(payout=command.payout, holder=holder, pence=pence)]


def _payout(invoice: Invoice, payout: str) -> tuple[str, int, str]:
    found = _known(invoice, payout)
    require(found[2] != "CONFIRMED", WrongState("this payout is already confirmed"))
    return found


def _known(invoice: Invoice, payout: str) -> tuple[str, int, str]:
    require(bool(invoice.payouts), WrongState(f"nothing is shared out; the invoice is {invoice.state}"))
    require(payout in invoice.payouts, WrongPayment("no such payout on this invoice"))
    return invoice.payouts[payout]


def settle(invoice: Invoice, command: Settle, context: Context) -> list[Event]:
    expect(invoice, "OBLIGOR_PAID")
    require(invoice.all_paid, WrongState("an onward payment is neither confirmed nor held to order"))
    earned = next(line for line in invoice.fee_lines if line.earned == "settlement")
    return [InvoiceSettled(burn_tx=command.burn_tx, earned_fee=earned)]
