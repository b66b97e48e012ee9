"""Onboarding: identity -> screening -> risk -> MLRO -> register or class -> wallet -> active; and the refresh.

A provider that does not answer leaves the effect waiting and so the gate pending: nothing passes by silence.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

import msgspec

from chain.client import WalletRole
from domain.base import Command
from domain.party import BUYER, FROZEN, LENDER
from domain.platform import DIRECTORY, RaiseAlarm, RegisterCompany, directory_key
from domain.subject import (
    LAST_GATE,
    SUBJECT,
    AssessRisk,
    BindWallet,
    Evidence,
    FirmCheckRequested,
    FirmVerified,
    IdentityRequested,
    KycPassed,
    KycReferred,
    MarkRefreshDue,
    MifidClassified,
    OnboardingSubmitted,
    PassGates,
    RecordFirm,
    RecordIdentity,
    RecordScreening,
    ReviewOpened,
    RiskPassed,
    ScreeningHit,
    ScreeningPassed,
    ScreeningRequested,
    StartGate,
    SubjectActivated,
    SubjectUnfrozen,
    WalletBound,
    WalletRequested,
)
from domain.subject.claims import UNDER_WAY
from eventstore.entry import Entry
from processes.accounts import bank_account
from processes.outside import Outside
from processes.process import Look, NotYet, Process
from providers.errors import Final, Retryable

onboarding = Process("onboarding")

CREDIT_PERMISSION = "credit"


@onboarding.reacts_to(OnboardingSubmitted)
def ask_identity(entry: Entry, event: OnboardingSubmitted, look: Look) -> Iterable[Command]:
    return [StartGate(subject=entry.resource, gate="identity")]


@onboarding.reacts_to(KycPassed, KycReferred)
def ask_screening(entry: Entry, event: KycPassed | KycReferred, look: Look) -> Iterable[Command]:
    """A company is entered in the directory once its identity is known, not when somebody types its number."""
    subject = look(SUBJECT, entry.resource)
    screening = StartGate(subject=entry.resource, gate="screening")
    if subject.company_number is None:
        return [screening]
    known = look(DIRECTORY, directory_key(subject.role, subject.company_number)).subject
    if known == subject.id:
        return [screening]
    if known is not None:
        return [RaiseAlarm(alarm=f"directory:{subject.id}", source="onboarding", code="company_known",
                           detail="another account stands for this company; the file is held")]
    return [RegisterCompany(role=subject.role, company_number=subject.company_number, subject=subject.id), screening]


@onboarding.reacts_to(ScreeningPassed, ScreeningHit)
def after_screening(entry: Entry, event: ScreeningPassed | ScreeningHit, look: Look) -> Iterable[Command]:
    subject = look(SUBJECT, entry.resource)
    if subject.role == BUYER and isinstance(event, ScreeningPassed) and not subject.flags:
        return [PassGates(subject=entry.resource)]
    return [AssessRisk(subject=entry.resource)]


@onboarding.reacts_to(RiskPassed)
def after_risk(entry: Entry, event: RiskPassed, look: Look) -> Iterable[Command]:
    subject = look(SUBJECT, entry.resource)
    if subject.role == LENDER:
        return [StartGate(subject=entry.resource, gate="fca")]
    return [PassGates(subject=entry.resource)]


@onboarding.effect(FirmVerified, port="chain")
@onboarding.effect(MifidClassified, port="chain")
def choose_wallet(entry: Entry, event: FirmVerified | MifidClassified, outside: Outside) -> Iterable[Command]:
    """Under a freeze no claim is issued: the file waits at its last gate."""
    subject = outside.look(SUBJECT, entry.resource)
    return [] if subject.state == FROZEN else [_wallet_gate(entry.resource, outside)]


@onboarding.effect(SubjectUnfrozen, port="chain")
def resume(entry: Entry, event: SubjectUnfrozen, outside: Outside) -> Iterable[Command]:
    """The file that waited goes on."""
    subject = outside.look(SUBJECT, entry.resource)
    waited = subject.stage is not None and LAST_GATE.get(subject.role) == subject.stage and subject.state != FROZEN
    return [_wallet_gate(entry.resource, outside)] if waited else []


def _wallet_gate(subject: str, outside: Outside) -> Command:
    known = outside.look(SUBJECT, subject)
    if known.claims in UNDER_WAY or known.recovery is not None:
        raise Retryable("claims_under_way", retry_after_s=0.2)
    return StartGate(subject=subject, gate="wallet", wallet=known.wallet or outside.wallets(subject))


@onboarding.reacts_to(WalletBound)
def activate(entry: Entry, event: WalletBound, look: Look) -> Iterable[Command]:
    return [PassGates(subject=entry.resource)]


# ---------------------------------------------------------------- effects


@onboarding.effect(IdentityRequested, port="identity")
def check_identity(entry: Entry, event: IdentityRequested, outside: Outside) -> Iterable[Command]:
    """Gate 1: the identity provider, the company register and, where there is an account, Confirmation of Payee."""
    subject = outside.look(SUBJECT, entry.resource)
    assert subject.email is not None
    key = f"kyc-{entry.position}"
    found = outside.identity.check(key, event.legal_name, "company", outside.vault.reveal(subject.email))
    if found.verdict == "PENDING":
        raise Retryable("identity_pending")
    evidence = [Evidence("sumsub", found.provider_ref, found.payload_sha256)]
    reasons = ["identity provider asks for a review"] if found.verdict == "YELLOW" else []
    incorporated_on, sic_codes = None, ()
    if event.company_number:
        try:
            company = outside.companies.company(event.company_number)
            incorporated_on, sic_codes = company.incorporated_on, company.sic_codes
            if company.status != "active":
                reasons.append(f"the company register says {company.status}")
        except Final:
            reasons.append("the company register does not know this number")
    if subject.bank_account is not None:
        account = bank_account(outside, subject.bank_account)
        match = outside.payee.verify(account.name, account.sort_code, account.account_number).match
        if match != "MATCH":
            reasons.append(f"confirmation of payee answered {match}")
    verdict = "YELLOW" if found.verdict == "GREEN" and reasons else found.verdict
    return [RecordIdentity(subject=entry.resource, verdict=verdict, evidence=tuple(evidence),
                           incorporated_on=incorporated_on, sic_codes=sic_codes, reasons=tuple(reasons))]


@onboarding.effect(ScreeningRequested, port="screening")
def screen(entry: Entry, event: ScreeningRequested, outside: Outside) -> Iterable[Command]:
    names = [event.legal_name, outside.vault.reveal(event.representative)]
    found = outside.screening.screen(f"screening-{entry.position}", names)
    return [RecordScreening(subject=entry.resource, clear=found.clear, lists=found.lists,
                            evidence=(Evidence("complyadvantage", found.provider_ref, found.payload_sha256),))]


@onboarding.effect(ReviewOpened, port="scorer")
def advise(entry: Entry, event: ReviewOpened, outside: Outside) -> Iterable[Command]:
    """The agent's proposal for the MLRO. Advisory: the review goes on with or without it."""
    return [outside.adviser(entry.resource, entry.position, outside.clock.now())]


@onboarding.effect(FirmCheckRequested, port="registers")
def check_firm(entry: Entry, event: FirmCheckRequested, outside: Outside) -> Iterable[Command]:
    """The FCA register: authorised, with a credit-related permission."""
    try:
        firm = outside.firms.firm(event.firm_reference)
    except Final:
        return [RecordFirm(subject=entry.resource, authorised=False, evidence=())]
    permitted = any(CREDIT_PERMISSION in permission.lower() for permission in firm.permissions)
    evidence = Evidence("fca-register", firm.frn, "")
    return [RecordFirm(subject=entry.resource, authorised=firm.status == "Authorised" and permitted,
                       evidence=(evidence,))]


@onboarding.effect(WalletRequested, port="chain")
def bind_wallet(entry: Entry, event: WalletRequested, outside: Outside) -> Iterable[Command]:
    """Register the wallet (once in its life) and issue its claims; a lapse may have made it inactive."""
    chain = outside.chain()
    transactions: list[str] = []
    known = outside.look(SUBJECT, entry.resource).wallet is not None
    if not known:
        receipt = chain.register_wallet(f"wallet:{entry.position}", event.wallet, wallet_role(event.role),
                                        subject_commitment(outside, entry.resource))
        transactions.append(receipt.tx_hash)
    receipt = chain.issue_claims(f"claims:{entry.position}", event.wallet, event.topics,
                                 int(event.claims_expire_at.timestamp()))
    transactions.append(receipt.tx_hash)
    if known:
        transactions.append(chain.set_active(f"active:{entry.position}", event.wallet, True).tx_hash)
    return [BindWallet(subject=entry.resource, wallet=event.wallet, topics=event.topics,
                       claims_expire_at=event.claims_expire_at, tx=tuple(transactions))]


@onboarding.effect(SubjectActivated, port="timer")
def fall_due(entry: Entry, event: SubjectActivated, outside: Outside) -> Iterable[Command]:
    """Identity is re-run every 6 or 12 months; a refresh that is already under way needs no reminder."""
    if outside.clock.now() < event.refresh_due_at:
        raise NotYet(event.refresh_due_at)
    subject = outside.look(SUBJECT, entry.resource)
    return [MarkRefreshDue(subject=entry.resource)] if subject.state == "ACTIVE" and subject.stage is None else []


def subject_commitment(outside: Outside, subject: str) -> bytes:
    """What stands on the chain for a subject: keyed, so that nobody can search for an id."""
    return hmac.new(outside.link_secret, b"subject:" + subject.encode(), hashlib.sha256).digest()


def wallet_role(role: str) -> WalletRole:
    """The chain knows the roles that may hold tokens."""
    return msgspec.convert(role, WalletRole)  # pyright: ignore[reportArgumentType]
