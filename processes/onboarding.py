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
from domain.company_domain import DOMAINS, BindDomain
from domain.party import BUYER, FROZEN, LENDER
from domain.platform import DIRECTORY, RegisterCompany, directory_key
from domain.subject import (
    LAST_GATE,
    REFUSED,
    SUBJECT,
    UNKNOWN,
    AssessRisk,
    BindWallet,
    ContestCompany,
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
    Said,
    ScreeningHit,
    ScreeningPassed,
    ScreeningRequested,
    StartGate,
    Subject,
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
from processes.sanctions import SCREENING, listed, match_alarm, said_of
from providers.errors import Final, Retryable
from providers.registers import Company

onboarding = Process("onboarding")

IDENTITY, COMPANIES, PAYEE = "sumsub", "companies-house", "confirmation-of-payee"
FIRMS = "fca-register"
"""The sources, as evidence names them."""


@onboarding.reacts_to(OnboardingSubmitted)
def ask_identity(entry: Entry, event: OnboardingSubmitted, look: Look) -> Iterable[Command]:
    return [StartGate(subject=entry.resource, gate="identity")]


@onboarding.reacts_to(KycPassed, KycReferred)
def ask_screening(entry: Entry, event: KycPassed | KycReferred, look: Look) -> Iterable[Command]:
    """A company is entered in the directory once its identity is known, not when somebody types its number. Whoever
    comes second is not told: the file goes on, and a person decides which of the two is the company."""
    subject = look(SUBJECT, entry.resource)
    screening = StartGate(subject=entry.resource, gate="screening")
    known = look(DIRECTORY, directory_key(subject.role, subject.company_number)).subject
    if known == subject.id:
        return [screening]
    if known is not None:
        return [ContestCompany(subject=entry.resource, other=known), screening]
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


@onboarding.reacts_to(SubjectActivated)
def bind_domain(entry: Entry, event: SubjectActivated, look: Look) -> Iterable[Command]:
    """What a person approved, or nobody had to doubt, is the company's mailbox from now on."""
    subject = look(SUBJECT, entry.resource)
    return [BindDomain(domain=subject.email_domain, company_number=subject.company_number, subject=subject.id)]


@onboarding.reacts_to(WalletBound)
def activate(entry: Entry, event: WalletBound, look: Look) -> Iterable[Command]:
    return [PassGates(subject=entry.resource)]


# ---------------------------------------------------------------- effects


@onboarding.effect(IdentityRequested, port="identity")
def check_identity(entry: Entry, event: IdentityRequested, outside: Outside) -> Iterable[Command]:
    """Gate 1: the identity provider, the company register and, where there is an account, Confirmation of Payee, which
    is asked about the register's name. What their answers are worth is decided in the domain."""
    subject = outside.look(SUBJECT, entry.resource)
    identity = _ask_identity(outside, entry, subject)
    register, company = _ask_register(outside, event.company_number)
    payee, account_name = _ask_payee(outside, subject, company)
    return [RecordIdentity(
        subject=entry.resource, identity=identity, register=register, payee=payee,
        account_name=account_name, incorporated_on=company.incorporated_on if company else None,
        sic_codes=company.sic_codes if company else (),
        registered_office=company.registered_office if company else "",
        domains=outside.look(DOMAINS, "platform"))]


def _ask_identity(outside: Outside, entry: Entry, subject: Subject) -> Said:
    assert subject.email is not None
    try:
        found = outside.identity.check(f"kyc-{entry.position}", subject.legal_name, "company",
                                       outside.vault.reveal(subject.email))
    except Final as no:
        return _refused(IDENTITY, no)
    if found.verdict == "PENDING":
        raise Retryable("identity_pending")
    return Said(IDENTITY, found.provider_ref, found.payload_sha256, status=found.verdict)


def _ask_register(outside: Outside, number: str) -> tuple[Said, Company | None]:
    try:
        company = outside.companies.company(number)
    except Final as no:
        return _refused(COMPANIES, no), None
    said = Said(COMPANIES, company.number, company.payload_sha256, company.name, company.number, company.status)
    return said, company


def _ask_payee(outside: Outside, subject: Subject, company: Company | None) -> tuple[Said | None, str]:
    """The answer, and the account's name as typed; nobody is asked about a company that the register did not name."""
    if subject.filed.bank_account is None or company is None:
        return None, ""
    account = bank_account(outside, subject.filed.bank_account)
    try:
        found = outside.payee.verify(company.name, account.sort_code, account.account_number)
    except Final as no:
        return _refused(PAYEE, no), account.name
    said = Said(PAYEE, found.reason or "", found.payload_sha256, name=found.name or "", status=found.match)
    return said, account.name


def _refused(source: str, no: Final) -> Said:
    """A source that would not answer: it does not know what it was asked about, or a person must see to it."""
    return Said(source, "", "", status=UNKNOWN if no.code == "not_found" else f"{REFUSED}:{no.code}")


@onboarding.effect(ScreeningRequested, port="screening")
def screen(entry: Entry, event: ScreeningRequested, outside: Outside) -> Iterable[Command]:
    names = [event.legal_name, outside.vault.reveal(event.representative)]
    try:
        found = outside.screening.screen(f"screening-{entry.position}", names)
    except Final as no:
        said = Said(SCREENING, "", "", status=f"{REFUSED}:{no.code}")
        return [RecordScreening(subject=entry.resource, clear=False, lists=(), screening=said)]
    on_a_list = listed(found)
    recorded = RecordScreening(subject=entry.resource, clear=found.clear, lists=found.lists, listed=on_a_list,
                               screening=said_of(found))
    frozen = on_a_list and outside.look(SUBJECT, entry.resource).was_active
    return [recorded, *([match_alarm(entry.resource, entry.position, found)] if frozen else [])]


@onboarding.effect(ReviewOpened, port="scorer")
def advise(entry: Entry, event: ReviewOpened, outside: Outside) -> Iterable[Command]:
    """The agent's proposal for the MLRO, once a file. Advisory: the review goes on with or without it."""
    subject = outside.look(SUBJECT, entry.resource)
    if subject.stage != "MLRO_REVIEW" or subject.advised_file == subject.file_number:
        return []
    return [outside.adviser(entry.resource, entry.position, outside.clock.now())]


@onboarding.effect(FirmCheckRequested, port="registers")
def check_firm(entry: Entry, event: FirmCheckRequested, outside: Outside) -> Iterable[Command]:
    """The FCA register: whose firm it is, what it says of it, what it permits."""
    try:
        firm = outside.firms.firm(event.firm_reference)
    except Final as no:
        return [RecordFirm(subject=entry.resource, register=_refused(FIRMS, no))]
    said = Said(FIRMS, firm.frn, firm.payload_sha256, firm.name, firm.company_number, firm.status)
    return [RecordFirm(subject=entry.resource, register=said, permissions=firm.permissions)]


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
