"""Invoice: one receivable from submission to settlement; the spine everything else hangs on.

Source: seeds 003 S1-S7, 004 F1-F6, `spec/state-machines.md` "Invoice". Money is integer pence, times are UTC.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta

import msgspec

from domain import fees, money, risk
from domain.base import Command, Conflict, Context, Event, Forbidden, Invalid, Kind, require
from domain.calendar import end_of_business_day, london_date
from domain.fees import FeeLine
from domain.party import BUYER, LENDER, SELLER, Party, Personal

FACE_MIN_PENCE = 50_000
FACE_MAX_PENCE = 25_000_000
"""£500 < face <= £250,000: the sandbox's hard band (decisions row 4)."""

TENOR_MIN_DAYS, TENOR_MAX_DAYS = 7, 120
TURNOVER_SHARE = 4
PERSONAL_MAILBOXES = frozenset(
    {"gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "hotmail.co.uk", "live.com", "yahoo.com",
     "yahoo.co.uk", "icloud.com", "aol.com", "proton.me", "protonmail.com"})
CONFIRM_WITHIN_BUSINESS_DAYS = 5
RESERVATION = timedelta(hours=4)
INDICATIVE_DISCOUNT_BPS = 240
NOTICE_TERMS_VERSION = "2026-05-01"


# ---------------------------------------------------------------- commands


class InvoiceCommand(Command, frozen=True, kw_only=True):
    kind = "invoice"
    reference: str

    @property
    def key(self) -> str:
        return self.reference


class SubmitInvoice(InvoiceCommand, frozen=True, kw_only=True):
    seller: Party
    buyer: Party
    buyer_email: Personal
    buyer_email_domain: str
    seller_reference: str
    face_pence: int
    due_on: date
    document_sha256: str


class StartVerification(InvoiceCommand, frozen=True, kw_only=True):
    pass


class Check(msgspec.Struct, frozen=True):
    """One authenticity check: PASS, FAIL or ABSENT_NOT_REQUIRED."""

    name: str
    verdict: str
    detail: str = ""


class RecordExamination(InvoiceCommand, frozen=True, kw_only=True):
    checks: tuple[Check, ...]
    fingerprint: str
    duplicate_of: str | None = None


class ScoreRisk(InvoiceCommand, frozen=True, kw_only=True):
    turnover_pence: int


class RecordBuyerNotified(InvoiceCommand, frozen=True, kw_only=True):
    notice: str


class ConfirmInvoice(InvoiceCommand, frozen=True, kw_only=True):
    """The debtor agrees the invoice is real; `typed_*` show that a human read the page."""

    buyer: Party
    page_hash: str
    typed_reference_end: str
    typed_pounds: int


class RecordTokenised(InvoiceCommand, frozen=True, kw_only=True):
    token_reference: str
    contract: str
    token_id: str


class ListInvoice(InvoiceCommand, frozen=True, kw_only=True):
    indicative_discount_bps: int = INDICATIVE_DISCOUNT_BPS


class ReserveFunding(InvoiceCommand, frozen=True, kw_only=True):
    payment: str
    lender: Party
    discount_bps: int
    net_advance_pence: int
    band_bps: tuple[int, int]
    tenor_band: tuple[int, int]
    max_obligor_pence: int
    obligor_exposure_pence: int
    typed_reference: str


class InstructFunding(InvoiceCommand, frozen=True, kw_only=True):
    """The virtual account the lender pays into is open."""

    payment: str
    sort_code: str
    account_number: str


class ReleaseReservation(InvoiceCommand, frozen=True, kw_only=True):
    payment: str
    reason: str


class RecordFundingCash(InvoiceCommand, frozen=True, kw_only=True):
    payment: str
    credit: str
    amount_pence: int


class RecordFunded(InvoiceCommand, frozen=True, kw_only=True):
    transfer: str
    tx: str


class RecordDisbursed(InvoiceCommand, frozen=True, kw_only=True):
    payout: str


class RecordReminder(InvoiceCommand, frozen=True, kw_only=True):
    reminder: str


class RecordObligorPaid(InvoiceCommand, frozen=True, kw_only=True):
    credit: str
    amount_pence: int
    shares: tuple[Share, ...]


class Share(msgspec.Struct, frozen=True):
    """What one holder on the slice register is owed at settlement."""

    holder: str
    pence: int


class ConfirmPayout(InvoiceCommand, frozen=True, kw_only=True):
    payout: str


class Settle(InvoiceCommand, frozen=True, kw_only=True):
    burn_tx: str


# ---------------------------------------------------------------- events


class InvoiceSubmitted(Event, frozen=True, kw_only=True):
    tag = "invoice.submitted.1"
    action = "SUBMIT_INVOICE"
    reference: str
    seller: str
    seller_name: str
    buyer: str
    buyer_name: str
    buyer_email: Personal
    seller_reference: str
    face_pence: int
    currency: str
    submitted_on: date
    due_on: date
    tenor_days: int
    document_sha256: str


class VerificationStarted(Event, frozen=True, kw_only=True):
    tag = "invoice.verification_started.1"
    action = "VERIFYING"
    document_sha256: str


class InvoiceVerified(Event, frozen=True, kw_only=True):
    tag = "invoice.verified.1"
    action = "INVOICE_VERIFIED"
    checks: tuple[Check, ...]
    fingerprint: str


class InvoiceRejected(Event, frozen=True, kw_only=True):
    tag = "invoice.rejected.1"
    action = "INVOICE_REJECTED"
    reason: str
    checks: tuple[Check, ...]
    duplicate_of: str | None


class RiskScored(Event, frozen=True, kw_only=True):
    tag = "invoice.risk_scored.1"
    action = "INVOICE_RISK_SCORED"
    grade: str
    reasons: tuple[str, ...]
    rules_version: str


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


class AdvanceDisbursed(Event, frozen=True, kw_only=True):
    tag = "invoice.disbursed.1"
    action = "ADVANCE_DISBURSED"
    payout: str
    seller_cash_pence: int


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


class PayoutConfirmed(Event, frozen=True, kw_only=True):
    tag = "invoice.payout_confirmed.1"
    action = "RECEIVE_SETTLEMENT"
    payout: str
    holder: str
    pence: int


class InvoiceSettled(Event, frozen=True, kw_only=True):
    tag = "invoice.settled.1"
    action = "INVOICE_SETTLED"
    burn_tx: str
    earned_fee: FeeLine


# ---------------------------------------------------------------- refusals


class SellerNotActive(Conflict):
    code = "seller_not_active"


class NotASeller(Forbidden):
    code = "not_a_seller"


class BuyerNotActive(Conflict):
    code = "buyer_not_active"


class FaceOutOfBand(Invalid):
    code = "face_out_of_band"


class TenorOutOfBand(Invalid):
    code = "tenor_out_of_band"


class SelfDealing(Invalid):
    code = "buyer_is_seller"


class PersonalMailbox(Invalid):
    code = "personal_mailbox"


class TooConcentrated(Invalid):
    code = "face_above_turnover_share"


class ReferenceTaken(Conflict):
    code = "reference_taken"


class WrongState(Conflict):
    code = "wrong_state"


class NotTheDebtor(Forbidden):
    code = "not_the_debtor"


class AlreadyConfirmed(Conflict):
    code = "already_confirmed"


class ConfirmationExpired(Conflict):
    code = "confirmation_expired"


class PageChanged(Conflict):
    code = "page_changed"


class HumanCheckFailed(Invalid):
    code = "human_check_failed"


class NotALender(Forbidden):
    code = "not_a_lender"


class AlreadyReserved(Conflict):
    code = "already_reserved"


class NotListed(Conflict):
    code = "not_listed"


class OutsideAppetite(Conflict):
    code = "outside_appetite"


class WrongAdvance(Invalid):
    code = "wrong_net_advance"


class ReferenceMistyped(Invalid):
    code = "reference_mistyped"


class WrongAmount(Conflict):
    code = "wrong_amount"


class WrongPayment(Conflict):
    code = "wrong_payment"


# ---------------------------------------------------------------- state


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    reference: str = ""
    state: str = "NEW"
    seller: str = ""
    seller_name: str = ""
    buyer: str = ""
    buyer_name: str = ""
    buyer_email: Personal | None = None
    seller_reference: str = ""
    face_pence: int = 0
    submitted_on: date | None = None
    due_on: date | None = None
    tenor_days: int = 0
    document_sha256: str = ""
    grade: str | None = None
    confirm_by: datetime | None = None
    page_hash: str | None = None
    token_reference: str | None = None
    lender: str | None = None
    payment: str | None = None
    discount_bps: int = 0
    net_advance_pence: int = 0
    reserved_until: datetime | None = None
    account: tuple[str, str] | None = None
    fee_lines: tuple[FeeLine, ...] = ()
    seller_cash_pence: int = 0
    reminders: tuple[str, ...] = ()
    credit: str | None = None
    payouts: dict[str, tuple[str, int, bool]] = {}
    """payout id -> (holder, pence, confirmed)"""

    @property
    def all_paid(self) -> bool:
        return bool(self.payouts) and all(confirmed for _, _, confirmed in self.payouts.values())


def page_hash(invoice: Invoice, payee: str) -> str:
    """SHA-256 over exactly the facts the debtor is shown; `payee` is the payment instruction on the page."""
    facts = "\n".join((
        "fintokenx confirmation", NOTICE_TERMS_VERSION, invoice.reference, invoice.seller_name, invoice.buyer_name,
        invoice.seller_reference, str(invoice.face_pence), "GBP", str(invoice.due_on), payee))
    return hashlib.sha256(facts.encode()).hexdigest()


def normalise(narration: str) -> str:
    """Case, spaces and hyphens do not matter in a bank narration; everything else does (decisions row 56)."""
    return "".join(ch for ch in narration.upper() if ch not in " -")


# ---------------------------------------------------------------- decisions


def decide(invoice: Invoice, command: InvoiceCommand, context: Context) -> list[Event]:
    match command:
        case SubmitInvoice():
            return _submit(invoice, command, context)
        case StartVerification():
            _expect(invoice, "SUBMITTED")
            return [VerificationStarted(document_sha256=invoice.document_sha256)]
        case RecordExamination():
            return _examine(invoice, command)
        case ScoreRisk():
            _expect(invoice, "VERIFIED")
            grade, reasons = risk.invoice_grade(invoice.face_pence, command.turnover_pence, invoice.tenor_days)
            return [RiskScored(grade=grade, reasons=reasons, rules_version=risk.RULES_VERSION)]
        case RecordBuyerNotified():
            _expect(invoice, "RISK_SCORED")
            by = end_of_business_day(context.now, CONFIRM_WITHIN_BUSINESS_DAYS)
            return [BuyerNotified(notice=command.notice, confirm_by=by)]
        case ConfirmInvoice():
            return _confirm(invoice, command, context)
        case RecordTokenised():
            _expect(invoice, "CONFIRMED")
            accrued = next(line for line in fees.platform_fee(invoice.face_pence) if line.code == "TOKENISATION")
            return [InvoiceTokenised(token_reference=command.token_reference, contract=command.contract,
                                     token_id=command.token_id, accrued_fee=accrued)]
        case ListInvoice():
            _expect(invoice, "TOKENISED")
            return [InvoiceListed(indicative_discount_bps=command.indicative_discount_bps)]
        case ReserveFunding():
            return _reserve(invoice, command, context)
        case InstructFunding() | ReleaseReservation() | RecordFundingCash() | RecordFunded() | RecordDisbursed():
            return _fund(invoice, command, context)
        case RecordReminder():
            require(invoice.state == "DISBURSED", WrongState("only an outstanding invoice is chased"))
            require(command.reminder not in invoice.reminders, WrongState("this reminder has been sent"))
            return [BuyerReminded(reminder=command.reminder)]
        case RecordObligorPaid() | ConfirmPayout() | Settle():
            return _repay(invoice, command)
        case _:
            raise TypeError(f"invoice cannot decide {type(command).__name__}")


def _submit(invoice: Invoice, command: SubmitInvoice, context: Context) -> list[Event]:
    require(invoice.state == "NEW", ReferenceTaken("this reference is already used"))
    seller, buyer = command.seller, command.buyer
    require(seller.role == SELLER, NotASeller("only a seller submits invoices"))
    require(seller.state in ("ACTIVE", "REFRESH_DUE"), SellerNotActive("finish onboarding before submitting"))
    require(buyer.role == BUYER, BuyerNotActive("the buyer is not a corporate buyer on the platform"))
    require(buyer.may_act, BuyerNotActive("the buyer has not finished onboarding"))
    same_company = seller.company_number is not None and seller.company_number == buyer.company_number
    require(seller.id != buyer.id and not same_company, SelfDealing("seller and buyer are the same company"))
    require(command.buyer_email_domain not in PERSONAL_MAILBOXES,
            PersonalMailbox("use the buyer's company mailbox, not a personal one", pointer="/buyer_email"))
    require(FACE_MIN_PENCE < command.face_pence <= FACE_MAX_PENCE,
            FaceOutOfBand(f"face value must be above {money.pounds(FACE_MIN_PENCE)} and at most "
                          f"{money.pounds(FACE_MAX_PENCE)}", pointer="/face_value_pence"))
    require(command.face_pence * TURNOVER_SHARE < seller.turnover_pence,
            TooConcentrated("face value must be below 25 % of the declared turnover", pointer="/face_value_pence"))
    today = london_date(context.now)
    tenor = (command.due_on - today).days
    require(TENOR_MIN_DAYS <= tenor <= TENOR_MAX_DAYS,
            TenorOutOfBand(f"the due date must be {TENOR_MIN_DAYS} to {TENOR_MAX_DAYS} days away",
                           pointer="/due_date"))
    return [InvoiceSubmitted(
        reference=command.reference, seller=seller.id, seller_name=seller.name, buyer=buyer.id,
        buyer_name=buyer.name, buyer_email=command.buyer_email, seller_reference=command.seller_reference,
        face_pence=command.face_pence, currency="GBP", submitted_on=today, due_on=command.due_on, tenor_days=tenor,
        document_sha256=command.document_sha256)]


def _examine(invoice: Invoice, command: RecordExamination) -> list[Event]:
    _expect(invoice, "VERIFYING")
    duplicate = Check("no duplicate of an invoice already on the platform",
                      "FAIL" if command.duplicate_of else "PASS")
    checks = (*command.checks, duplicate)
    failed = [check for check in checks if check.verdict == "FAIL"]
    if failed:
        reason = "REJECTED_DUPLICATE" if command.duplicate_of else "REJECTED_VISION"
        return [InvoiceRejected(reason=reason, checks=checks, duplicate_of=command.duplicate_of)]
    return [InvoiceVerified(checks=checks, fingerprint=command.fingerprint)]


def _confirm(invoice: Invoice, command: ConfirmInvoice, context: Context) -> list[Event]:
    require(command.buyer.id == invoice.buyer, NotTheDebtor("only the invoice's customer can confirm it"))
    require(invoice.page_hash is None, AlreadyConfirmed("this invoice is already confirmed"))
    _expect(invoice, "AWAITING_BUYER")
    assert invoice.confirm_by is not None
    require(context.now <= invoice.confirm_by, ConfirmationExpired("the time to confirm this invoice has passed"))
    require(command.buyer.may_act, BuyerNotActive("this account cannot confirm invoices now"))
    typed_right = (command.typed_reference_end.upper() == invoice.reference[-5:]
                   and command.typed_pounds == invoice.face_pence // 100)
    require(typed_right, HumanCheckFailed("type the last five characters of the reference and the whole pounds of "
                                          "the amount", pointer="/reference_end"))
    return [BuyerConfirmed(buyer=command.buyer.id, page_hash=command.page_hash, terms_version=NOTICE_TERMS_VERSION)]


def _reserve(invoice: Invoice, command: ReserveFunding, context: Context) -> list[Event]:
    lender = command.lender
    require(lender.role == LENDER and lender.may_act, NotALender("only an active lender funds invoices"))
    require(invoice.state != "RESERVED", AlreadyReserved("another lender has reserved this receivable"))
    require(invoice.state == "LISTED", NotListed(f"this receivable is {invoice.state}, not LISTED"))
    require(command.typed_reference == invoice.reference,
            ReferenceMistyped("re-type the receivable reference exactly", pointer="/typed_reference"))
    low, high = command.band_bps
    require(low <= command.discount_bps <= high,
            OutsideAppetite(f"the discount must lie in your band of {low}-{high} bps"))
    shortest, longest = command.tenor_band
    require(shortest <= invoice.tenor_days <= longest, OutsideAppetite("the tenor lies outside your band"))
    require(command.obligor_exposure_pence + invoice.face_pence <= command.max_obligor_pence,
            OutsideAppetite("this would take you above your cap for this obligor"))
    discount = money.discount_pence(invoice.face_pence, command.discount_bps)
    net = invoice.face_pence - discount
    require(command.net_advance_pence == net,
            WrongAdvance(f"the net advance at this discount is {net} pence", pointer="/net_advance_pence"))
    return [FundingReserved(payment=command.payment, lender=lender.id, lender_name=lender.name,
                            discount_bps=command.discount_bps, discount_pence=discount, net_advance_pence=net,
                            expires_at=context.now + RESERVATION)]


def _fund(
    invoice: Invoice,
    command: InstructFunding | ReleaseReservation | RecordFundingCash | RecordFunded | RecordDisbursed,
    context: Context,
) -> list[Event]:
    match command:
        case InstructFunding():
            _expect(invoice, "RESERVED", command.payment)
            return [FundingInstructed(payment=command.payment, sort_code=command.sort_code,
                                      account_number=command.account_number)]
        case ReleaseReservation():
            require(invoice.state in ("RESERVED", "CASH_MATCHED"), WrongState("there is no reservation to release"))
            _expect(invoice, invoice.state, command.payment)
            return [ReservationReleased(payment=command.payment, reason=command.reason)]
        case RecordFundingCash():
            _expect(invoice, "RESERVED", command.payment)
            require(command.amount_pence == invoice.net_advance_pence,
                    WrongAmount("the credit does not equal the net advance"))
            return [FundingCashMatched(payment=command.payment, credit=command.credit,
                                       amount_pence=command.amount_pence)]
        case RecordFunded():
            _expect(invoice, "CASH_MATCHED")
            lines = fees.platform_fee(invoice.face_pence)
            return [InvoiceFunded(
                reference=invoice.reference, payment=invoice.payment or "", lender=invoice.lender or "",
                net_advance_pence=invoice.net_advance_pence, fee_lines=lines,
                seller_cash_pence=invoice.net_advance_pence - fees.total(lines),
                transfer=command.transfer, tx=command.tx)]
        case RecordDisbursed():
            _expect(invoice, "FUNDED")
            return [AdvanceDisbursed(payout=command.payout, seller_cash_pence=invoice.seller_cash_pence)]


def _repay(invoice: Invoice, command: RecordObligorPaid | ConfirmPayout | Settle) -> list[Event]:
    match command:
        case RecordObligorPaid():
            _expect(invoice, "DISBURSED")
            require(command.amount_pence == invoice.face_pence, WrongAmount("the credit does not equal the face value"))
            owed = sum(share.pence for share in command.shares)
            require(owed == invoice.face_pence, WrongAmount("the slice register does not add up to the face value"))
            payouts: list[Event] = [
                PayoutRequested(payout=f"{invoice.reference}/settlement/{share.holder}", holder=share.holder,
                                pence=share.pence) for share in command.shares]
            return [ObligorPaid(credit=command.credit, amount_pence=command.amount_pence), *payouts]
        case ConfirmPayout():
            _expect(invoice, "OBLIGOR_PAID")
            require(command.payout in invoice.payouts, WrongPayment("no such payout on this invoice"))
            holder, pence, confirmed = invoice.payouts[command.payout]
            require(not confirmed, WrongState("this payout is already confirmed"))
            return [PayoutConfirmed(payout=command.payout, holder=holder, pence=pence)]
        case Settle():
            _expect(invoice, "OBLIGOR_PAID")
            require(invoice.all_paid, WrongState("an onward payment is still unconfirmed"))
            earned = next(line for line in invoice.fee_lines if line.earned == "settlement")
            return [InvoiceSettled(burn_tx=command.burn_tx, earned_fee=earned)]


def _expect(invoice: Invoice, state: str, payment: str | None = None) -> None:
    if invoice.state != state:
        raise WrongState(f"this step needs the invoice to be {state}; it is {invoice.state}")
    if payment is not None and invoice.payment != payment:
        raise WrongPayment("another payment holds this receivable")


# ---------------------------------------------------------------- evolve

_STATES: dict[type[Event], str] = {
    VerificationStarted: "VERIFYING",
    InvoiceVerified: "VERIFIED",
    RiskScored: "RISK_SCORED",
    BuyerNotified: "AWAITING_BUYER",
    BuyerConfirmed: "CONFIRMED",
    InvoiceTokenised: "TOKENISED",
    InvoiceListed: "LISTED",
    FundingReserved: "RESERVED",
    ReservationReleased: "LISTED",
    FundingCashMatched: "CASH_MATCHED",
    InvoiceFunded: "FUNDED",
    AdvanceDisbursed: "DISBURSED",
    ObligorPaid: "OBLIGOR_PAID",
    InvoiceSettled: "SETTLED",
}


def evolve(invoice: Invoice, event: Event) -> Invoice:
    change = msgspec.structs.replace
    state = _STATES.get(type(event), invoice.state)
    match event:
        case InvoiceSubmitted():
            return Invoice(
                reference=event.reference, state="SUBMITTED", seller=event.seller, seller_name=event.seller_name,
                buyer=event.buyer, buyer_name=event.buyer_name, buyer_email=event.buyer_email,
                seller_reference=event.seller_reference, face_pence=event.face_pence,
                submitted_on=event.submitted_on, due_on=event.due_on, tenor_days=event.tenor_days,
                document_sha256=event.document_sha256)
        case InvoiceRejected():
            return change(invoice, state=event.reason)
        case RiskScored():
            return change(invoice, state="RISK_HELD" if event.grade == "HIGH" else state, grade=event.grade)
        case BuyerNotified():
            return change(invoice, state=state, confirm_by=event.confirm_by)
        case BuyerConfirmed():
            return change(invoice, state=state, page_hash=event.page_hash)
        case InvoiceTokenised():
            return change(invoice, state=state, token_reference=event.token_reference)
        case FundingReserved():
            return change(invoice, state=state, payment=event.payment, lender=event.lender,
                          discount_bps=event.discount_bps, net_advance_pence=event.net_advance_pence,
                          reserved_until=event.expires_at)
        case FundingInstructed():
            return change(invoice, account=(event.sort_code, event.account_number))
        case ReservationReleased():
            return change(invoice, state=state, payment=None, lender=None, discount_bps=0, net_advance_pence=0,
                          reserved_until=None, account=None)
        case InvoiceFunded():
            return change(invoice, state=state, fee_lines=event.fee_lines,
                          seller_cash_pence=event.seller_cash_pence, reserved_until=None)
        case BuyerReminded():
            return change(invoice, reminders=(*invoice.reminders, event.reminder))
        case ObligorPaid():
            return change(invoice, state=state, credit=event.credit)
        case PayoutRequested():
            return change(invoice, payouts={**invoice.payouts, event.payout: (event.holder, event.pence, False)})
        case PayoutConfirmed():
            return change(invoice, payouts={**invoice.payouts, event.payout: (event.holder, event.pence, True)})
        case _:
            return change(invoice, state=state) if state != invoice.state else invoice


INVOICE: Kind[Invoice] = Kind("invoice", Invoice(), decide, evolve)
