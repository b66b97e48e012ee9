"""Gates 1, 2 and the firm register: asked by us, answered by a provider, never passed by silence (seeds 000 §3)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import msgspec

from domain.base import Conflict, Context, Event, Invalid, require
from domain.company_domain import Domains, doubt_about
from domain.party import LENDER, Personal, company_key, same_account_name, same_name
from domain.subject import wallet
from domain.subject.review import ReviewOpened
from domain.subject.standing import freeze_at_once
from domain.subject.state import COOLING_OFF, UNKNOWN, GateOutOfOrder, Said, Subject, SubjectCommand, expect

CREDIT_PERMISSION = "credit"

# ---------------------------------------------------------------- commands


class StartGate(SubjectCommand, frozen=True, kw_only=True):
    """Ask the outside for one gate's answer: `identity`, `screening`, `fca` or `wallet`."""

    gate: str
    wallet: str | None = None


class RecordIdentity(SubjectCommand, frozen=True, kw_only=True):
    """What the sources said. `account_name` is as typed in the form: it is compared and not kept."""

    identity: Said
    register: Said
    payee: Said | None = None
    account_name: str = ""
    incorporated_on: date | None = None
    sic_codes: tuple[str, ...] = ()
    registered_office: str = ""
    domains: Domains = Domains()
    """Mailbox domains bound to companies so far."""


class RecordScreening(SubjectCommand, frozen=True, kw_only=True):
    """`listed`: what it found stands on a sanctions list, and is not merely politically exposed."""

    clear: bool
    lists: tuple[str, ...]
    screening: Said
    listed: bool = False


class RecordFirm(SubjectCommand, frozen=True, kw_only=True):
    """What the firm register said, and the permissions it lists."""

    register: Said
    permissions: tuple[str, ...] = ()


class ContestCompany(SubjectCommand, frozen=True, kw_only=True):
    """Another subject stands for this company in this role: a person decides which of them is the company."""

    other: str


# ---------------------------------------------------------------- events


class IdentityRequested(Event, frozen=True, kw_only=True):
    tag = "subject.identity_requested.1"
    action = "KYC_REQUESTED"
    legal_name: str
    company_number: str


class KycPassed(Event, frozen=True, kw_only=True):
    tag = "subject.kyc_passed.1"
    action = "KYC_PASSED"
    evidence: tuple[Said, ...]
    incorporated_on: date | None
    sic_codes: tuple[str, ...]
    registered_office: str


class KycReferred(Event, frozen=True, kw_only=True):
    """A source asks for a person, or one does not speak of the applicant: screening goes on, then the MLRO decides."""

    tag = "subject.kyc_referred.1"
    action = "KYC_REVIEW"
    evidence: tuple[Said, ...]
    reasons: tuple[str, ...]
    incorporated_on: date | None
    sic_codes: tuple[str, ...]
    registered_office: str


class KycFailed(Event, frozen=True, kw_only=True):
    tag = "subject.kyc_failed.1"
    action = "KYC_FAILED"
    file_number: str
    evidence: tuple[Said, ...]
    reasons: tuple[str, ...]
    again_from: datetime


class FormReturned(Event, frozen=True, kw_only=True):
    """A source does not take what the form says: back to its owner, who corrects it and hands it in again."""

    tag = "subject.form_returned.1"
    action = "FORM_RETURNED"
    file_number: str
    evidence: tuple[Said, ...]
    reasons: tuple[str, ...]
    pointers: tuple[str, ...]


class CompanyContested(Event, frozen=True, kw_only=True):
    tag = "subject.company_contested.1"
    action = "COMPANY_CONTESTED"
    other: str


class ScreeningRequested(Event, frozen=True, kw_only=True):
    tag = "subject.screening_requested.1"
    action = "SCREENING_REQUESTED"
    legal_name: str
    representative: Personal


class ScreeningPassed(Event, frozen=True, kw_only=True):
    tag = "subject.screening_passed.1"
    action = "SCREENING_PASSED"
    lists: tuple[str, ...]
    evidence: tuple[Said, ...]


class ScreeningHit(Event, frozen=True, kw_only=True):
    """A possible match, or no answer. What matched stays with the provider's payload, not in the log."""

    tag = "subject.screening_hit.1"
    action = "SCREENING_HIT"
    lists: tuple[str, ...]
    evidence: tuple[Said, ...]
    reason: str


class FirmCheckRequested(Event, frozen=True, kw_only=True):
    tag = "subject.fca_requested.1"
    action = "FCA_REQUESTED"
    firm_reference: str


class FirmVerified(Event, frozen=True, kw_only=True):
    tag = "subject.fca_verified.1"
    action = "FCA_VERIFIED"
    evidence: tuple[Said, ...]


class FirmNotAuthorised(Event, frozen=True, kw_only=True):
    tag = "subject.fca_failed.1"
    action = "FCA_FAILED"
    file_number: str
    evidence: tuple[Said, ...]
    reasons: tuple[str, ...]
    again_from: datetime


# ---------------------------------------------------------------- refusals


class NotContested(Conflict):
    code = "not_contested"


# ---------------------------------------------------------------- decisions


def start(subject: Subject, command: StartGate, context: Context) -> list[Event]:
    match command.gate:
        case "identity":
            expect(subject, "ONBOARDING_SUBMITTED")
            return [IdentityRequested(legal_name=subject.legal_name, company_number=subject.company_number)]
        case "screening":
            expect(subject, "KYC_PASSED")
            assert subject.representative is not None
            return [ScreeningRequested(legal_name=subject.legal_name, representative=subject.representative)]
        case "fca":
            require(subject.role == LENDER, GateOutOfOrder("the firm register is asked about lenders only"))
            expect(subject, "RISK_PASSED")
            return [FirmCheckRequested(firm_reference=subject.filed.firm_reference or "")]
        case "wallet":
            return wallet.request(subject, command.wallet, context)
        case _:
            raise Invalid(f"there is no gate {command.gate!r}")


def record_identity(subject: Subject, command: RecordIdentity, context: Context) -> list[Event]:
    """RED fails; what a source does not take goes back; everything that is not plainly the applicant is referred."""
    expect(subject, "KYC_PENDING")
    evidence = tuple(_kept(said, command) for said in (command.identity, command.register, command.payee) if said)
    if command.identity.status == "RED":
        return [KycFailed(file_number=subject.file_number or "", evidence=evidence,
                          reasons=("the identity provider says RED",), again_from=context.now + COOLING_OFF)]
    faults = _faults(subject, command)
    if faults:
        return [FormReturned(file_number=subject.file_number or "", evidence=evidence, pointers=tuple(faults),
                             reasons=tuple(faults.values()))]
    reasons = _doubts(subject, command)
    passed = KycPassed(evidence=evidence, incorporated_on=command.incorporated_on, sic_codes=command.sic_codes,
                       registered_office=command.registered_office)
    return [KycReferred(reasons=reasons, **msgspec.structs.asdict(passed)) if reasons else passed]


def _faults(subject: Subject, command: RecordIdentity) -> dict[str, str]:
    """Pointer -> reason, of what the applicant can put right. The number no longer, once a file has passed with it."""
    faults: dict[str, str] = {}
    if command.register.status == UNKNOWN and not subject.was_active:
        faults["/company_number"] = "the company register does not know this number"
    if command.payee is not None and command.payee.status == UNKNOWN:
        faults["/bank_account/account_number"] = "confirmation of payee: there is no such account"
    return faults


def _doubts(subject: Subject, command: RecordIdentity) -> tuple[str, ...]:
    """Every answer that is not plainly about the applicant."""
    identity, register = command.identity, command.register
    doubts: list[str] = []
    if identity.status != "GREEN":
        doubts.append("the identity provider asks for a review" if identity.status == "YELLOW"
                      else f"the identity provider answered {identity.status}")
    if register.status == UNKNOWN:
        return (*doubts, "the company register no longer knows this number")
    if register.refused:
        return (*doubts, f"the company register answered {register.status}")
    if register.number == "" or company_key(register.number) != company_key(subject.company_number):
        doubts.append(f"number_differs: the company register answered about {register.number}")
    if not same_name(register.name, subject.legal_name):
        doubts.append(f"name_differs: the company register's name is {register.name}")
    if register.status != "active":
        doubts.append(f"the company register says {register.status}")
    doubts += _account_doubts(command)
    domain = doubt_about(subject.email_domain, register.name, subject.company_number, command.domains)
    return (*doubts, domain) if domain else tuple(doubts)


def _account_doubts(command: RecordIdentity) -> list[str]:
    """The bank's holder is the company of the register, and so is the name the form gives the account."""
    payee, company = command.payee, command.register.name
    if payee is None:
        return []
    theirs = payee.status == "MATCH" or (payee.status == "CLOSE_MATCH" and same_account_name(payee.name, company))
    doubts = [] if theirs else [f"confirmation of payee answered {payee.status}"]
    if not same_account_name(command.account_name, company):
        doubts.append("account_name_differs: the form's account is not in the company's name")
    return doubts


def _kept(said: Said, command: RecordIdentity) -> Said:
    """An account holder's name that is not the company's may be a person's: it stays with the source."""
    if said is command.payee and not same_account_name(said.name, command.register.name):
        return msgspec.structs.replace(said, name="")
    return said


def contest(subject: Subject, command: ContestCompany, context: Context) -> list[Event]:
    expect(subject, "KYC_PASSED")
    require(command.other != subject.id, NotContested("this subject stands for the company itself"))
    return [CompanyContested(other=command.other)]


def record_screening(subject: Subject, command: RecordScreening, context: Context) -> list[Event]:
    """An applicant who may be listed waits for a person; a customer, who can act and be paid meanwhile, is frozen."""
    expect(subject, "SCREENING_PENDING")
    evidence = (command.screening,)
    if command.clear and not command.screening.refused:
        return [ScreeningPassed(lists=command.lists, evidence=evidence)]
    reason = (f"screening answered {command.screening.status}" if command.screening.refused
              else "possible screening match")
    hit = ScreeningHit(lists=command.lists, evidence=evidence, reason=reason)
    return [hit, *(freeze_at_once(subject, context) if command.listed and subject.was_active else [])]


def record_firm(subject: Subject, command: RecordFirm, context: Context) -> list[Event]:
    """The applicant's own firm, authorised, with a credit-related permission. No answer is for a person, whose approval
    asks again; a reference nobody has goes back to its owner."""
    expect(subject, "FCA_PENDING")
    register, file_number = command.register, subject.file_number or ""
    if register.refused:
        return [ReviewOpened(file_number=file_number, reasons=(f"the firm register answered {register.status}",))]
    if register.status == UNKNOWN:
        return [FormReturned(file_number=file_number, evidence=(register,), pointers=("/firm_reference",),
                             reasons=("the firm register does not know this reference",))]
    wrong = tuple(_not_this_firm(subject, command))
    if wrong:
        return [FirmNotAuthorised(file_number=file_number, evidence=(register,), reasons=wrong,
                                  again_from=context.now + COOLING_OFF)]
    return [FirmVerified(evidence=(register,))]


def _not_this_firm(subject: Subject, command: RecordFirm) -> Iterator[str]:
    register = command.register
    if company_key(register.number) != company_key(subject.company_number) or not same_name(register.name,
                                                                                            subject.legal_name):
        yield f"the firm register's firm is {register.name}, company {register.number}"
    if register.status != "Authorised":
        yield f"the firm register says {register.status}"
    if not any(CREDIT_PERMISSION in permission.lower() for permission in command.permissions):
        yield "the firm register lists no credit permission"
