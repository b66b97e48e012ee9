"""The invoice's two functions: which decision answers which command, and what each event makes of the state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from domain.base import Context, Event, Kind
from domain.invoice import confirmation as c
from domain.invoice import funding as f
from domain.invoice import repayment as r
from domain.invoice import setbacks as b
from domain.invoice import submission as s
from domain.invoice import waiting as w
from domain.invoice.state import Invoice, InvoiceCommand

_DECISIONS: dict[type[InvoiceCommand], Callable[[Invoice, Any, Context], list[Event]]] = {
    s.SubmitInvoice: s.submit,
    s.StartVerification: s.start_verification,
    s.RecordExamination: s.examine,
    s.ScoreRisk: s.score,
    c.RecordBuyerNotified: c.notify_buyer,
    c.ConfirmInvoice: c.confirm,
    c.ExpireInvoice: c.expire,
    c.VoidInvoice: c.void,
    b.RecordBuyerUnreachable: b.unreachable,
    b.CorrectBuyerMailbox: b.correct_mailbox,
    b.DecideRisk: b.decide_risk,
    b.WithdrawInvoice: b.withdraw,
    f.RecordTokenised: f.tokenise,
    f.ListInvoice: f.list_invoice,
    f.ReserveFunding: f.reserve,
    f.InstructFunding: f.instruct,
    f.ReleaseReservation: f.release,
    f.RecordFundingCash: f.match_cash,
    f.RecordFunded: f.fund,
    f.RecordAdvanceHeld: f.hold_advance,
    f.RecordDisbursed: f.disburse,
    f.RecordAdvanceReturned: f.return_advance,
    w.QueueCredit: w.queue,
    w.TakeCredits: w.take,
    r.RecordReminder: r.remind,
    r.RecordObligorPaid: r.receive,
    r.RecordPayoutHeld: r.hold_payout,
    r.ConfirmPayout: r.confirm_payout,
    r.RecordPayoutReturned: r.return_payout,
    r.Settle: r.settle,
}


def decide(invoice: Invoice, command: InvoiceCommand, context: Context) -> list[Event]:
    decision = _DECISIONS.get(type(command))
    if decision is None:
        raise TypeError(f"invoice cannot decide {type(command).__name__}")
    return decision(invoice, command, context)


_STATES: dict[type[Event], str] = {
    s.VerificationStarted: "VERIFYING",
    s.InvoiceVerified: "VERIFIED",
    s.RiskScored: "RISK_SCORED",
    c.BuyerNotified: "AWAITING_BUYER",
    c.BuyerConfirmed: "CONFIRMED",
    c.InvoiceExpired: "EXPIRED",
    c.InvoiceVoided: "VOID",
    b.BuyerUnreachable: "BUYER_UNREACHABLE",
    b.BuyerMailboxCorrected: "RISK_SCORED",
    b.RiskReleased: "RISK_SCORED",
    b.RiskRefused: "REJECTED_RISK",
    b.InvoiceWithdrawn: "WITHDRAWN",
    f.InvoiceTokenised: "TOKENISED",
    f.InvoiceListed: "LISTED",
    f.FundingReserved: "RESERVED",
    f.ReservationReleased: "LISTED",
    f.FundingCashMatched: "CASH_MATCHED",
    f.InvoiceFunded: "FUNDED",
    r.ObligorPaid: "OBLIGOR_PAID",
    r.InvoiceSettled: "SETTLED",
}


def evolve(invoice: Invoice, event: Event) -> Invoice:
    change = msgspec.structs.replace
    state = _STATES.get(type(event), invoice.state)
    match event:
        case s.InvoiceSubmitted():
            return Invoice(
                reference=event.reference, state="SUBMITTED", seller=event.seller, seller_name=event.seller_name,
                buyer=event.buyer, buyer_name=event.buyer_name, buyer_email=event.buyer_email,
                seller_reference=event.seller_reference, face_pence=event.face_pence,
                least_cash_pence=event.least_cash_pence, submitted_on=event.submitted_on, due_on=event.due_on,
                tenor_days=event.tenor_days, document_sha256=event.document_sha256)
        case s.InvoiceRejected():
            return change(invoice, state=event.reason)
        case s.InvoiceVerified():
            return change(invoice, state=state, fingerprints=event.fingerprints,
                          likeness_registry=event.likeness_registry)
        case s.RiskScored():
            return change(invoice, state="RISK_HELD" if event.grade == "HIGH" else state, grade=event.grade)
        case b.BuyerMailboxCorrected():
            return change(invoice, state=state, buyer_email=event.buyer_email,
                          mailbox_corrections=invoice.mailbox_corrections + 1)
        case c.BuyerNotified() | b.BuyerUnreachable():
            return change(invoice, state=state, confirm_by=event.confirm_by)
        case c.BuyerConfirmed():
            return change(invoice, state=state, page_hash=event.page_hash)
        case f.InvoiceTokenised():
            return change(invoice, state=state, token_reference=event.token_reference, accrued_fee=event.accrued_fee)
        case f.FundingReserved():
            return change(invoice, state=state, payment=event.payment, lender=event.lender,
                          discount_bps=event.discount_bps, net_advance_pence=event.net_advance_pence,
                          reserved_until=event.expires_at)
        case f.FundingInstructed():
            return change(invoice, account=(event.sort_code, event.account_number))
        case f.ReservationReleased():
            return change(invoice, state=state, payment=None, lender=None, discount_bps=0, net_advance_pence=0,
                          reserved_until=None, account=None)
        case f.InvoiceFunded():
            return change(invoice, state=state, fee_lines=event.fee_lines,
                          seller_cash_pence=event.seller_cash_pence, reserved_until=None)
        case f.AdvanceHeld():
            return change(invoice, advance_held=True)
        case f.AdvanceDisbursed():
            return change(invoice, advance_held=False, state="DISBURSED" if state == "FUNDED" else state)
        case f.AdvanceReturned() if state == "DISBURSED":
            return change(invoice, state="FUNDED")
        case f.AdvanceReturned():
            return change(invoice, advance_held=True)
        case w.CreditQueued():
            return change(invoice, queued=(*invoice.queued, event.credit))
        case w.CreditsTaken():
            return change(invoice, queued=tuple(each for each in invoice.queued if each not in event.credits))
        case r.BuyerReminded():
            return change(invoice, reminders=(*invoice.reminders, event.reminder))
        case r.ObligorPaid():
            return change(invoice, state=state, credit=event.credit)
        case r.PayoutRequested():
            return _payout(invoice, event, "ORDERED")
        case r.PayoutHeld():
            return _payout(invoice, event, "HELD")
        case r.PayoutConfirmed():
            return _payout(invoice, event, "CONFIRMED")
        case r.PayoutReturned():
            return _payout(invoice, event, "HELD" if invoice.all_paid else "ORDERED")
        case _:
            return change(invoice, state=state) if state != invoice.state else invoice


_AboutPayout = r.PayoutRequested | r.PayoutHeld | r.PayoutConfirmed | r.PayoutReturned


def _payout(invoice: Invoice, event: _AboutPayout, state: str) -> Invoice:
    return msgspec.structs.replace(
        invoice, payouts={**invoice.payouts, event.payout: (event.holder, event.pence, state)})


INVOICE: Kind[Invoice] = Kind("invoice", Invoice(), decide, evolve)
