"""The canonical story told directly to the aggregates, with every outside answer written by hand.

`tell` gives the commands in the order in which people and processes would send them, and names the points on the way;
`do` executes them, on a store or in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from domain.account import OpenAccount
from domain.base import Command, Context, Kind
from domain.bill import CHARGES, AddCharge, BillCharges, Charge, IssueBill
from domain.company_domain import BindDomain
from domain.credit import MatchCredit, RecordCredit, SuspendCredit
from domain.exposure import ReserveExposure
from domain.fees import total
from domain.invoice import (
    INVOICE,
    Check,
    ConfirmInvoice,
    ConfirmPayout,
    InstructFunding,
    ListInvoice,
    RecordBuyerNotified,
    RecordDisbursed,
    RecordExamination,
    RecordFunded,
    RecordFundingCash,
    RecordObligorPaid,
    RecordReminder,
    RecordTokenised,
    ReserveFunding,
    ScoreRisk,
    Settle,
    Share,
    StartVerification,
    SubmitInvoice,
    invoice_reference,
    page_hash,
)
from domain.likeness import ClaimLikeness
from domain.notice import RecordNoticeSent, RequestNotice
from domain.pair import RecordCallback, RequestCallback
from domain.party import COMPLIANCE, SYSTEM, Personal
from domain.payment import ClearPayment, RecordCredited, RecordSent, RequestPayment
from domain.platform import ClaimFingerprint, RaiseAlarm, RecordBatch, RecordCosignature, RegisterCompany
from domain.rails import bill_reference
from domain.register_order import RECOVERY, Content, ProposeOrder
from domain.release import Content as Outcome
from domain.release import ProposeRelease
from domain.subject import (
    SUBJECT,
    AssessRisk,
    BindWallet,
    CreateSubject,
    DecideReview,
    EnrolStaff,
    PassGates,
    ProveMailbox,
    RecordAdvice,
    RecordFirm,
    RecordIdentity,
    RecordScreening,
    Said,
    StartGate,
    SubmitOnboarding,
    as_party,
)
from domain.token import (
    PLATFORM,
    TOKEN,
    CloseRegister,
    ListSlice,
    RecordBurned,
    RecordMinted,
    RecordSliced,
    RecordTransferred,
    RequestBurn,
    RequestMint,
    RequestSlicing,
    RequestTransfer,
    ReserveSlice,
)
from domain.trade import (
    TRADE,
    AcceptTrade,
    AnswerPreTrade,
    InstructTrade,
    RecordExecuted,
    RecordPreTradeScreening,
    RecordTradeCash,
    RecordTradeSettled,
)
from eventstore.entry import Entry
from eventstore.store import Store

REFERENCE, TOKEN_REF, PAYMENT, TRADE_ID = "FX-INV-23A4F", "FXR-INV-23A4F", "pay_0001", "trd_0001"
ORDER_ID = "ord_0001"
SELLER, BUYER, LENDER, INVESTOR, MLRO = "sub_seller", "sub_buyer", "sub_lender", "sub_investor", "stf_mlro"
NAMES = {SELLER: "Coppergate Joinery Ltd", BUYER: "Northwind Retail plc", LENDER: "Pennine Capital Ltd",
         INVESTOR: "Brunel Partners LLP"}
ROLES = {SELLER: "sme_seller", BUYER: "corporate_buyer", LENDER: "lender", INVESTOR: "investor"}
FACE, NET, PRICE, FEE = 1_000_000, 976_000, 199_150, 797
DUE = date(2026, 7, 21)
NOW = datetime(2026, 5, 22, 9, 42, tzinfo=UTC)
DOMAINS = {SELLER: "coppergate.co.uk", BUYER: "northwind.co.uk", LENDER: "pennine.co.uk", INVESTOR: "brunel.co.uk"}
WALLETS = {LENDER: "0xLENDER", INVESTOR: "0xINVESTOR"}
SHA = "aa" * 32
SCREENED = Said("complyadvantage", "sc-1", SHA)


def number_of(who: str) -> str:
    return f"0000000{list(ROLES).index(who)}"


def checked(who: str, verdict: str = "GREEN") -> RecordIdentity:
    """Every source speaks of the applicant."""
    register = Said("companies-house", number_of(who), SHA, NAMES[who].upper(), number_of(who), "active")
    return RecordIdentity(subject=who, identity=Said("sumsub", "ref-1", SHA, status=verdict), register=register,
                          incorporated_on=date(2010, 1, 1))


def firm(status: str = "Authorised") -> RecordFirm:
    register = Said("fca-register", "310542", SHA, NAMES[LENDER], number_of(LENDER), status)
    return RecordFirm(subject=LENDER, register=register, permissions=("Consumer credit lending",))


Seal = Callable[[str, str], Personal]


class Do(Protocol):
    """Executes commands as one; `by` is the actor with its role."""

    def __call__(self, *commands: Command, by: tuple[str, str] = ..., at: datetime = ...) -> Any: ...


Look = Callable[[Kind[Any], str], Any]


def unsealed(subject: str, value: str) -> Personal:
    return Personal(subject, f"sealed:{value}")


def context(by: tuple[str, str] = ("system:test", SYSTEM), at: datetime = NOW, cause: int | None = None,
            tenant: str = "tnt_fintokenx") -> Context:
    return Context(actor=by[0], actor_role=by[1], tenant=tenant, now=at, cause=cause)


def story_entries(store: Store) -> list[Entry]:
    """Tells the whole story on a store; its entries."""
    numbers = itertools.count(1)

    def do(*commands: Command, by: tuple[str, str] = ("system:test", SYSTEM), at: datetime = NOW) -> None:
        store.execute(*commands, context=context(by, at, tenant=store.tenant), key=f"story:{next(numbers)}")

    for _ in tell(do, store.load):
        pass
    return store.read(0, limit=10_000)


def tell(do: Do, look: Look, seal: Seal = unsealed) -> Iterator[str]:
    do(EnrolStaff(subject=MLRO, role=COMPLIANCE, representative=seal(MLRO, "Priya Raman"),
                  email=seal(MLRO, "priya@fintokenx.uk")))
    for subject in ROLES:
        yield from _joins(subject, do, look, seal)
    yield from _is_confirmed(do, look, seal)
    yield from _is_funded(do, look)
    yield from _is_traded(do, look)
    yield from _is_repaid(do, look)
    _credit(do, "crd_stray", 4_200, "rent for May")
    do(SuspendCredit(credit="crd_stray", reason="no invoice reference"))
    do(ProposeRelease(release="rel_0001", content=Outcome(
        credit="crd_stray", subject="sub_payer", pence=4_200, outcome="return", resource="")), by=(MLRO, COMPLIANCE))
    charge, = look(CHARGES, LENDER).open
    bill = bill_reference(LENDER, "2026-06")
    do(BillCharges(subject=LENDER, bill=bill, lines=(charge,)), IssueBill(bill=bill, subject=LENDER, lines=(charge,)))
    do(RaiseAlarm(alarm="alarm-1", source="test", code="something", detail="look here"))
    do(ProposeOrder(order=ORDER_ID, content=Content(
        kind=RECOVERY, subject=LENDER, tokens=(TOKEN_REF,), from_wallet="0xLENDER", to=LENDER, to_wallet="0xNEW",
        reason_code="KEY_LOST")), by=(MLRO, COMPLIANCE))
    do(RecordBatch(batch_id=1, from_position=1, to_position=20, root="aa", head="bb", tx="0xANCHOR", block=9))
    do(RecordCosignature(batch_id=1, witness="w1", cosignature="— w1 AAAA", signed_at=NOW))
    yield "the end"


def _joins(who: str, do: Do, look: Look, seal: Seal) -> Iterator[str]:
    role, number = ROLES[who], number_of(who)
    do(CreateSubject(subject=who, role=role, legal_name=NAMES[who], company_number=number, email_domain=DOMAINS[who],
                     representative=seal(who, f"Person of {who}"), email=seal(who, f"{who}@example.uk")),
       RegisterCompany(role=role, company_number=number, subject=who))
    yield f"{who} signed up"
    code = f"{who}/code/1"
    do(RequestNotice(notice=code, template="mailbox_code", recipient=who, resource=who, facts={"number": "1"},
                     address=look(SUBJECT, who).email), RecordNoticeSent(notice=code))
    do(ProveMailbox(subject=who, number=1, given="A", expected="A"), by=(who, role))
    yield f"{who} mailbox proved"
    account = None if who == BUYER else seal(
        who, f'{{"name":"{NAMES[who]}","sort_code":"20-48-17","account_number":"5391046{number[-1]}"}}')
    do(SubmitOnboarding(subject=who, file_number=f"KYC-{who}", bank_account=account,
                        turnover_pence=320_000_000 if who == SELLER else 0,
                        firm_reference="310542" if who == LENDER else None,
                        mifid_category="PROFESSIONAL" if who == INVESTOR else None))
    do(StartGate(subject=who, gate="identity"))
    yield f"{who} identity asked"
    do(checked(who))
    do(StartGate(subject=who, gate="screening"))
    do(RecordScreening(subject=who, clear=True, lists=("UKSL@1",), screening=SCREENED))
    yield f"{who} screened"
    if who != BUYER:
        do(AssessRisk(subject=who))
    if who == SELLER:
        yield "seller under review"
        do(RecordAdvice(subject=who, surface="onboarding", verdict="APPROVE", grade="LOW", score=710,
                        confidence_ppm=900_000, model_version="m1", policy_version="p1", dataset_signature="d1",
                        row=(1, 2, 3), cut_off_position=9, record_sha256="cc" * 32))
        do(DecideReview(subject=who, file_number=f"KYC-{who}", approve=True, rationale=seal(who, "fine"),
                        rationale_sha256="dd" * 32), by=(MLRO, COMPLIANCE))
    if who == LENDER:
        do(StartGate(subject=who, gate="fca"))
        do(firm())
    if who == INVESTOR:
        do(PassGates(subject=who))
    if who in WALLETS:
        do(StartGate(subject=who, gate="wallet", wallet=WALLETS[who]))
        do(BindWallet(subject=who, wallet=WALLETS[who], topics=("KYC_VERIFIED",), tx=("0xBIND",),
                      claims_expire_at=NOW + timedelta(days=379)))
    do(PassGates(subject=who))
    do(BindDomain(domain=DOMAINS[who], company_number=number, subject=who))
    yield f"{who} active"


def _is_confirmed(do: Do, look: Look, seal: Seal) -> Iterator[str]:
    seller, buyer = as_party(look(SUBJECT, SELLER)), as_party(look(SUBJECT, BUYER))
    do(SubmitInvoice(reference=REFERENCE, seller=seller, buyer=buyer, buyer_email=seal(BUYER, "ap@northwind.co.uk"),
                     buyer_email_domain=buyer.email_domain, seller_reference="CJ-1042", face_pence=FACE, due_on=DUE,
                     document_sha256="ee" * 32))
    yield "submitted"
    do(StartVerification(reference=REFERENCE))
    yield "verifying"
    do(ClaimFingerprint(fingerprint="f1", invoice=REFERENCE), ClaimFingerprint(fingerprint="f2", invoice=REFERENCE),
       ClaimLikeness(registry="l1", invoice=REFERENCE, likeness="f0", due_on=DUE),
       RecordExamination(reference=REFERENCE, checks=(Check("fields_match", "PASS"),), fingerprints=("f1", "f2"),
                         likeness_registry="l1"))
    do(ScoreRisk(reference=REFERENCE, turnover_pence=320_000_000))
    yield "scored"
    do(RequestNotice(notice=f"{REFERENCE}/C1", template="confirm_request", recipient=BUYER, resource=REFERENCE,
                     address=seal(BUYER, "ap@northwind.co.uk"), facts={"amount": "£10,000.00"}))
    do(RecordNoticeSent(notice=f"{REFERENCE}/C1"))
    do(RecordBuyerNotified(reference=REFERENCE, notice=f"{REFERENCE}/C1"))
    yield "awaiting the buyer"
    do(ConfirmInvoice(reference=REFERENCE, buyer=buyer, page_hash=page_hash(look(INVOICE, REFERENCE), "FinToken X"),
                      typed_reference_end="23A4F", typed_pounds=10_000), by=(BUYER, "corporate_buyer"))
    do(RequestCallback(seller=SELLER, buyer=BUYER, invoice=REFERENCE))
    yield "call-back wanted"
    do(RecordCallback(seller=SELLER, buyer=BUYER, confirmed=True, note=seal(BUYER, "known"), note_sha256="ee" * 32),
       by=(MLRO, COMPLIANCE))
    yield "confirmed"
    do(RequestMint(token=TOKEN_REF, invoice=REFERENCE, token_id="77", face_pence=FACE, due_on=DUE, holder=PLATFORM,
                   wallet=PLATFORM))
    yield "mint ordered"
    do(RecordMinted(token=TOKEN_REF, tx="0xMINT", block=1, contract="0xTOKEN"))
    do(RecordTokenised(reference=REFERENCE, token_reference=TOKEN_REF, contract="0xTOKEN", token_id="77"))
    yield "tokenised"
    do(ListInvoice(reference=REFERENCE))
    yield "listed"


def _is_funded(do: Do, look: Look) -> Iterator[str]:
    lender = as_party(look(SUBJECT, LENDER))
    do(ReserveFunding(reference=REFERENCE, payment=PAYMENT, lender=lender, discount_bps=240, net_advance_pence=NET,
                      band_bps=(200, 300), tenor_band=(7, 120), typed_reference=REFERENCE),
       ReserveExposure(lender=LENDER, invoice=REFERENCE, obligor=BUYER, originator=SELLER, pence=FACE,
                       max_obligor_pence=500_000_000, max_originator_pence=50_000_000), by=(LENDER, "lender"))
    yield "reserved"
    do(OpenAccount(account="040004-11112222", purpose="funding", resource=REFERENCE, payment=PAYMENT,
                   payer=LENDER),
       InstructFunding(reference=REFERENCE, payment=PAYMENT, sort_code="04-00-04", account_number="11112222"))
    _credit(do, "crd_funding", NET, "advance", "11112222")
    yield "funding credited"
    do(MatchCredit(credit="crd_funding", purpose="funding", resource=REFERENCE),
       RecordFundingCash(reference=REFERENCE, payment=PAYMENT, credit="crd_funding", amount_pence=NET))
    yield "cash matched"
    do(RequestTransfer(token=TOKEN_REF, transfer=PAYMENT, slice_index=None, to=LENDER, to_wallet="0xLENDER",
                       paid_at=NOW))
    yield "transfer ordered"
    do(RecordTransferred(token=TOKEN_REF, transfer=PAYMENT, tx="0xMOVE", block=2))
    do(RecordFunded(reference=REFERENCE, transfer=PAYMENT, tx="0xMOVE"))
    yield "funded"
    invoice = look(INVOICE, REFERENCE)
    do(_payment(f"{REFERENCE}/advance", "advance", REFERENCE, SELLER, invoice.seller_cash_pence, look),
       _payment(f"{REFERENCE}/fee", "fee", REFERENCE, "platform", total(invoice.fee_lines), look, SELLER))
    yield "advance ordered"
    _pays(do, f"{REFERENCE}/advance", f"{REFERENCE}/fee")
    do(RecordDisbursed(reference=REFERENCE, payout=f"{REFERENCE}/advance"))
    yield "disbursed"


def _is_traded(do: Do, look: Look) -> Iterator[str]:
    do(RequestSlicing(token=TOKEN_REF, holder=LENDER, faces=(300_000, 200_000, 500_000)))
    yield "slicing"
    do(RecordSliced(token=TOKEN_REF, tx="0xSLICE", block=3))
    do(ListSlice(token=TOKEN_REF, holder=LENDER, index=2, price_pence=PRICE, listing_fee_pence=15_000))
    yield "slice listed"
    do(AddCharge(subject=LENDER, charge=Charge(id=f"LISTING/{TOKEN_REF}", code="LISTING", pence=15_000,
                                               resource=REFERENCE, charged_at=NOW)))
    investor = as_party(look(SUBJECT, INVESTOR))
    do(AnswerPreTrade(trade=TRADE_ID, investor=investor, token=TOKEN_REF, invoice=REFERENCE, slice_index=2,
                      seller=LENDER, face_pence=200_000, price_pence=PRICE, due_on=DUE, answers=(True,) * 7))
    yield "questions answered"
    do(RecordPreTradeScreening(trade=TRADE_ID, provider="p", provider_reference="r",
                               payload_sha256="ff" * 32))
    do(AcceptTrade(trade=TRADE_ID, investor=investor, accepted_total_pence=look(TRADE, TRADE_ID).total_pence),
       ReserveSlice(token=TOKEN_REF, index=2, trade=TRADE_ID, seller=LENDER, buyer=INVESTOR,
                    price_pence=PRICE))
    yield "trade reserved"
    do(OpenAccount(account="040004-33334444", purpose="trade", resource=TRADE_ID, payment=TRADE_ID,
                   payer=INVESTOR),
       InstructTrade(trade=TRADE_ID, sort_code="04-00-04", account_number="33334444"))
    _credit(do, "crd_trade", PRICE + FEE, "trade", "33334444")
    yield "trade credited"
    do(MatchCredit(credit="crd_trade", purpose="trade", resource=TRADE_ID),
       RecordTradeCash(trade=TRADE_ID, credit="crd_trade", amount_pence=PRICE + FEE))
    yield "trade cash matched"
    do(RequestTransfer(token=TOKEN_REF, transfer=TRADE_ID, slice_index=2, to=INVESTOR, to_wallet="0xINVESTOR",
                       paid_at=NOW))
    yield "slice transfer ordered"
    do(RecordTransferred(token=TOKEN_REF, transfer=TRADE_ID, tx="0xSOLD", block=4))
    do(RecordExecuted(trade=TRADE_ID, tx="0xSOLD"))
    yield "executed"
    do(_payment(f"{TRADE_ID}/proceeds", "proceeds", TRADE_ID, LENDER, PRICE, look),
       _payment(f"{TRADE_ID}/fee", "fee", TRADE_ID, "platform", FEE, look, LENDER))
    _pays(do, f"{TRADE_ID}/proceeds", f"{TRADE_ID}/fee")
    do(RecordTradeSettled(trade=TRADE_ID, payout=f"{TRADE_ID}/proceeds"))
    yield "trade settled"


def _is_repaid(do: Do, look: Look) -> Iterator[str]:
    do(RecordReminder(reference=REFERENCE, reminder="due day"), at=NOW + timedelta(days=60))
    _credit(do, "crd_obligor", FACE, "fx inv 23a4f")
    yield "debtor credited"
    holdings = tuple(look(TOKEN, TOKEN_REF).holdings().items())
    shares = tuple(Share(holder, pence) for holder, pence in holdings)
    do(MatchCredit(credit="crd_obligor", purpose="obligor", resource=REFERENCE),
       CloseRegister(token=TOKEN_REF, holdings=holdings),
       RecordObligorPaid(reference=REFERENCE, credit="crd_obligor", amount_pence=FACE, shares=shares))
    yield "debtor paid"
    for share in shares:
        payout = f"{REFERENCE}/settlement/{share.holder}"
        do(_payment(payout, "settlement", REFERENCE, share.holder, share.pence, look))
        _pays(do, payout)
        do(ConfirmPayout(reference=REFERENCE, payout=payout))
    yield "holders paid"
    do(RequestBurn(token=TOKEN_REF))
    yield "burn ordered"
    do(RecordBurned(token=TOKEN_REF, tx="0xBURN", block=5))
    do(Settle(reference=REFERENCE, burn_tx="0xBURN"))
    yield "settled"


def _credit(do: Do, credit: str, pence: int, narration: str, account: str = "99990000") -> None:
    do(RecordCredit(credit=credit, sort_code="04-00-04", account_number=account, pence=pence, currency="GBP",
                    reference=invoice_reference(narration), said=Personal(LENDER, "c2VhbGVk"), received_at=NOW))


def _payment(payment: str, purpose: str, resource: str, payee: str, pence: int, look: Look,
             beside: str = "") -> RequestPayment:
    account = None if payee == "platform" else look(SUBJECT, payee).payout_account
    return RequestPayment(payment=payment, purpose=purpose, resource=resource, payee=payee, pence=pence,
                          account=account, narration=REFERENCE, beside=beside)


def _pays(do: Do, *payments: str) -> None:
    for payment in payments:
        do(ClearPayment(payment=payment))
        do(RecordSent(payment=payment, provider_reference=f"bank-{payment}"))
        do(RecordCredited(payment=payment))
