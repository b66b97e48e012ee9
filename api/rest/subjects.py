"""Sign-up, the onboarding form, and 'who am I'."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from api.running import Injected, KeyedOperation, Running, Work
from api.session import api_key
from domain.invoice import PERSONAL_MAILBOXES, PersonalMailbox
from domain.party import CUSTOMER_ROLES
from domain.platform import RegisterCompany
from domain.subject import Appetite, CreateSubject, Subject, SubmitOnboarding
from providers.bank import Account

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=138)]
Email = Annotated[str, msgspec.Meta(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]
SortCode = Annotated[str, msgspec.Meta(pattern=r"^\d{2}-?\d{2}-?\d{2}$")]
AccountNumber = Annotated[str, msgspec.Meta(pattern=r"^\d{8}$")]
Pence = Annotated[int, msgspec.Meta(ge=0, le=10**13)]


class SignUp(msgspec.Struct, forbid_unknown_fields=True):
    role: str
    legal_name: Name
    representative: Name
    email: Email
    company_number: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]{8}$")] | None = None


class BankAccount(msgspec.Struct, forbid_unknown_fields=True):
    name: Name
    sort_code: SortCode
    account_number: AccountNumber


class Onboarding(msgspec.Struct, forbid_unknown_fields=True):
    bank_account: BankAccount | None = None
    turnover_pence: Pence = 0
    firm_reference: Annotated[str, msgspec.Meta(pattern=r"^\d{6,7}$")] | None = None
    mifid_category: str | None = None
    appetite: Appetite | None = None


@post("/v1/subjects", sync_to_thread=True, tags=["onboarding"], operation_class=KeyedOperation)
def sign_up(request: Request[Any, Any, Any], running: Injected, data: JSONBody[SignUp]) -> Response[Any]:
    """Create an account. The answer carries the API key; a repeat with the same idempotency key gives it again."""
    domain = data.email.rpartition("@")[2].lower()
    if domain in PERSONAL_MAILBOXES:
        raise PersonalMailbox("use a company mailbox, not a personal one", pointer="/email")

    def build(seed: str) -> Work:
        subject = f"sub_{seed[:16]}"
        create = CreateSubject(
            subject=subject, role=data.role, legal_name=data.legal_name, company_number=data.company_number,
            representative=running.vault.seal(subject, data.representative),
            email=running.vault.seal(subject, data.email), email_domain=domain)
        commands: list[Any] = [create]
        if data.company_number and data.role in CUSTOMER_ROLES:
            commands.append(RegisterCompany(role=data.role, company_number=data.company_number, subject=subject))
        return Work(commands=commands, answer=lambda _: {"id": subject, "role": data.role, "state": "CREATED"})

    answer = running.mutate(request, f"anonymous-{domain}", "anonymous", data, build)
    return _with_key(running, answer)


@post("/v1/onboarding", sync_to_thread=True, tags=["onboarding"], operation_class=KeyedOperation)
def submit_onboarding(request: Request[Any, Any, Any], running: Injected, data: JSONBody[Onboarding]) -> Response[Any]:
    """Hand in the onboarding form, or the periodic refresh. Checks start at once."""
    caller = running.caller(request, *CUSTOMER_ROLES)

    def build(seed: str) -> Work:
        file_number = f"FX-APP-{seed[:10].upper()}"
        account = None
        if data.bank_account is not None:
            bank = Account(data.bank_account.name, data.bank_account.sort_code.replace("-", ""),
                           data.bank_account.account_number)
            account = running.vault.seal_struct(caller.id, bank)
        command = SubmitOnboarding(
            subject=caller.id, file_number=file_number, bank_account=account, turnover_pence=data.turnover_pence,
            firm_reference=data.firm_reference, mifid_category=data.mifid_category, appetite=data.appetite)
        return Work(commands=[command], status=202,
                    answer=lambda _: {"file_number": file_number, "state": "ONBOARDING_SUBMITTED"})

    return running.mutate(request, caller.id, caller.role, data, build)


@get("/v1/me", sync_to_thread=True, tags=["onboarding"])
def me(request: Request[Any, Any, Any], running: Injected) -> dict[str, Any]:
    """The caller's own standing. A declined or reviewed file is told in neutral words (POCA tipping-off)."""
    subject = running.caller(request).subject
    return {"id": subject.id, "role": subject.role, "state": public_state(subject), "name": subject.legal_name,
            "application": {"file_number": subject.file_number, "state": public_stage(subject.stage)}
            if subject.stage else None}


def public_state(subject: Subject) -> str:
    return subject.state if subject.state in ("ACTIVE", "CREATED", "REFRESH_DUE") else public_stage(subject.stage)


def public_stage(stage: str | None) -> str:
    """What an applicant may know: in review, or closed; never why."""
    return "CLOSED" if stage in ("DECLINED", "KYC_FAILED", "FCA_FAILED") else "IN_REVIEW"


def _with_key(running: Running, answer: Response[Any]) -> Response[Any]:
    """The key is derived, not stored: it is added on the way out."""
    body = msgspec.json.decode(answer.content)
    body["api_key"] = api_key(running.api_key_pepper, body["id"], sandbox=running.sandbox)
    return Response(body, status_code=answer.status_code, headers=dict(answer.headers))
