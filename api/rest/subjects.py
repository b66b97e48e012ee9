"""Sign-up, the mailbox's proof, the onboarding form, and 'who am I'."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from api.access import ANYBODY, PUBLIC, Calling
from api.rest.keys import letters, proved, required, with_key
from api.running import Injected, KeyedOperation, Work
from domain.forms import (
    AccountNumber,
    Bps,
    CompanyNumber,
    Days,
    Email,
    FirmReference,
    MailedCode,
    Name,
    Pence,
    Reference,
    SortCode,
)
from domain.invoice import PERSONAL_MAILBOXES, PersonalMailbox
from domain.party import CLOSED, CUSTOMER_ROLES, ERASED, FROZEN, RESTRICTED
from domain.subject import Appetite, CreateSubject, ProveMailbox, RequestCode, Subject, SubmitOnboarding
from domain.subject.state import ENDINGS, FORM_RETURNED
from processes.notices import mailbox_code
from providers.bank import Account


class SignUp(msgspec.Struct, forbid_unknown_fields=True):
    role: Reference
    legal_name: Name
    representative: Name
    email: Email
    company_number: CompanyNumber


class MailboxCode(msgspec.Struct, forbid_unknown_fields=True):
    code: MailedCode


class BankAccount(msgspec.Struct, forbid_unknown_fields=True):
    name: Name
    sort_code: SortCode
    account_number: AccountNumber


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    """What a lender will fund; the defaults are Appetite's."""

    max_obligor_pence: Pence = 500_000_000
    max_originator_pence: Pence = 50_000_000
    tenor_min_days: Days = 7
    tenor_max_days: Days = 120
    discount_min_bps: Bps = 200
    discount_max_bps: Bps = 300


class Onboarding(msgspec.Struct, forbid_unknown_fields=True):
    """`legal_name` and `company_number` only to correct those of the sign-up, when a form came back."""

    legal_name: Name | None = None
    company_number: CompanyNumber | None = None
    bank_account: BankAccount | None = None
    turnover_pence: Pence = 0
    firm_reference: FirmReference | None = None
    mifid_category: Reference | None = None
    appetite: Limits | None = None


@post("/v1/subjects", roles=PUBLIC, sync_to_thread=True, tags=["onboarding"], operation_class=KeyedOperation)
def sign_up(request: Request[Any, Any, Any], running: Injected, data: JSONBody[SignUp]) -> Response[Any]:
    """Create an account. The answer carries the API key, once: a repeat with the same idempotency key gets null. A
    code is mailed to the mailbox, which proves it, and brings a new key to whoever lost the first.
    """
    domain = data.email.rpartition("@")[2].lower()
    if domain in PERSONAL_MAILBOXES:
        raise PersonalMailbox("use a company mailbox, not a personal one", pointer="/email")

    def build(seed: str) -> Work:
        subject = f"sub_{seed[:16]}"
        create = CreateSubject(
            subject=subject, role=data.role, legal_name=data.legal_name, company_number=data.company_number,
            representative=running.vault.seal(subject, data.representative),
            email=running.vault.seal(subject, data.email), email_domain=domain)
        return Work(commands=[create], answer=lambda _: {"id": subject, "role": data.role, "state": "CREATED",
                                                             "generation": 1})

    answer = running.mutate(request, f"anonymous-{domain}", "anonymous", data, build)
    return with_key(running, answer)


@post("/v1/me/mailbox", roles=CUSTOMER_ROLES, sync_to_thread=True, tags=["onboarding"],
      status_code=200, operation_class=KeyedOperation)
def prove_mailbox(request: Request[Any, Any, Any], running: Injected, caller: Calling,
                  data: JSONBody[MailboxCode]) -> Response[Any]:
    """Prove that you read the mailbox you signed up with: the code we mailed to it. Five tries, 24 hours."""
    number = caller.subject.code.number if caller.subject.code else 0

    def build(seed: str) -> Work:
        expected = mailbox_code(running.outside.link_secret, caller.id, number)
        command = ProveMailbox(subject=caller.id, number=number, given=letters(data.code), expected=expected)
        return Work(commands=[command], answer=lambda events: {"proved": proved(events)})

    return required(running.mutate(request, caller.id, caller.role, data, build))


@post("/v1/me/mailbox/code", roles=CUSTOMER_ROLES, sync_to_thread=True, tags=["onboarding"],
      status_code=202, operation_class=KeyedOperation)
def ask_code(request: Request[Any, Any, Any], running: Injected, caller: Calling) -> Response[Any]:
    """Mail a new code; the one before is void. Five a day."""

    def build(seed: str) -> Work:
        return Work(commands=[RequestCode(subject=caller.id)], answer=lambda _: {"mailed": True})

    return running.mutate(request, caller.id, caller.role, {}, build)


@post("/v1/onboarding", roles=CUSTOMER_ROLES, sync_to_thread=True, tags=["onboarding"],
      status_code=202, operation_class=KeyedOperation)
def submit_onboarding(request: Request[Any, Any, Any], running: Injected, caller: Calling,
                      data: JSONBody[Onboarding]) -> Response[Any]:
    """Hand in the onboarding form, or the periodic refresh. Checks start at once."""

    def build(seed: str) -> Work:
        file_number = f"FX-APP-{seed[:10].upper()}"
        account = None
        if data.bank_account is not None:
            bank = Account(data.bank_account.name, data.bank_account.sort_code.replace("-", ""),
                           data.bank_account.account_number)
            account = running.vault.seal_struct(caller.id, bank)
        command = SubmitOnboarding(
            subject=caller.id, file_number=file_number, legal_name=data.legal_name,
            company_number=data.company_number, bank_account=account, turnover_pence=data.turnover_pence,
            firm_reference=data.firm_reference, mifid_category=data.mifid_category,
            appetite=msgspec.convert(data.appetite, Appetite, from_attributes=True) if data.appetite else None)
        return Work(commands=[command],
                    answer=lambda _: {"file_number": file_number, "state": "ONBOARDING_SUBMITTED"})

    return running.mutate(request, caller.id, caller.role, data, build)


@get("/v1/me", roles=ANYBODY, sync_to_thread=True, tags=["onboarding"])
def me(caller: Calling) -> dict[str, Any]:
    """The caller's own standing. A declined or reviewed file is told in neutral words (POCA tipping-off)."""
    return told(caller.subject)


def told(subject: Subject) -> dict[str, Any]:
    return {"id": subject.id, "role": subject.role, "state": public_state(subject), "name": subject.legal_name,
            "mailbox_proved": subject.mailbox_proved,
            "application": _application(subject) if _is_told(subject) else None}


def _is_told(subject: Subject) -> bool:
    """Of its open file. Under a freeze nothing but its end: how far the file gets may depend on what froze it."""
    return subject.stage is not None and (subject.state != FROZEN or subject.stage in ENDINGS)


def public_state(subject: Subject) -> str:
    if subject.state in (CLOSED, ERASED):
        return CLOSED
    told = ("ACTIVE", "CREATED", "REFRESH_DUE", RESTRICTED)
    return subject.state if subject.state in told else public_stage(subject.stage if _is_told(subject) else None)


def public_stage(stage: str | None) -> str:
    """What an applicant may know: in review, to be corrected, or closed; never why."""
    return CLOSED if stage in ENDINGS else FORM_RETURNED if stage == FORM_RETURNED else "IN_REVIEW"


def _application(subject: Subject) -> dict[str, Any]:
    """`correct` points into the form that came back; `again_from` is when another may be handed in."""
    return {"file_number": subject.file_number, "state": public_stage(subject.stage),
            "correct": subject.returned if subject.stage == FORM_RETURNED else (),
            "again_from": subject.again_from if subject.stage in ENDINGS else None}
