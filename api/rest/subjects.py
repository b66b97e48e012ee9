"""Sign-up, the onboarding form, and 'who am I'."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from api.access import ANYBODY, PUBLIC, Calling
from api.running import KEY_HEADER, Injected, KeyedOperation, Running, Work, wall_clock
from api.session import api_key
from domain.base import Invalid
from domain.forms import AccountNumber, Bps, CompanyNumber, Days, Email, FirmReference, Name, Pence, Reference, SortCode
from domain.invoice import PERSONAL_MAILBOXES, PersonalMailbox
from domain.party import CLOSED, CUSTOMER_ROLES, ERASED, RESTRICTED
from domain.subject import Appetite, CreateSubject, Subject, SubmitOnboarding
from eventstore import vault
from eventstore.store import Outcome
from providers.bank import Account

KEY_AGAIN = timedelta(hours=24)
MIN_KEY = 22
"""A key of 22 random characters carries 128 bits: whoever repeats it is whoever made it."""


class WeakKey(Invalid):
    code = "idempotency_key_weak"


class SignUp(msgspec.Struct, forbid_unknown_fields=True):
    role: Reference
    legal_name: Name
    representative: Name
    email: Email
    company_number: CompanyNumber | None = None


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
    bank_account: BankAccount | None = None
    turnover_pence: Pence = 0
    firm_reference: FirmReference | None = None
    mifid_category: Reference | None = None
    appetite: Limits | None = None


@post("/v1/subjects", roles=PUBLIC, sync_to_thread=True, tags=["onboarding"], operation_class=KeyedOperation)
def sign_up(request: Request[Any, Any, Any], running: Injected, data: JSONBody[SignUp]) -> Response[Any]:
    """Create an account. The answer carries the API key; for 24 hours a repeat with the same idempotency key gives it
    again, which is why this key must be random and long.
    """
    if len(request.headers.get(KEY_HEADER, "")) < MIN_KEY:
        raise WeakKey(f"use a random {KEY_HEADER} of at least {MIN_KEY} characters here: it opens the account again")
    domain = data.email.rpartition("@")[2].lower()
    if domain in PERSONAL_MAILBOXES:
        raise PersonalMailbox("use a company mailbox, not a personal one", pointer="/email")

    def build(seed: str) -> Work:
        subject = f"sub_{seed[:16]}"
        create = CreateSubject(
            subject=subject, role=data.role, legal_name=data.legal_name, company_number=data.company_number,
            representative=running.vault.seal(subject, data.representative),
            email=running.vault.seal(subject, data.email), email_domain=domain)
        return Work(commands=[create], answer=lambda _: {"id": subject, "role": data.role, "state": "CREATED"})

    return _with_key(running, running.perform(request, f"anonymous-{domain}", "anonymous", data, build))


@post("/v1/onboarding", roles=CUSTOMER_ROLES, sync_to_thread=True, tags=["onboarding"], operation_class=KeyedOperation)
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
            subject=caller.id, file_number=file_number, bank_account=account, turnover_pence=data.turnover_pence,
            firm_reference=data.firm_reference, mifid_category=data.mifid_category,
            appetite=msgspec.convert(data.appetite, Appetite, from_attributes=True) if data.appetite else None)
        return Work(commands=[command], status=202,
                    answer=lambda _: {"file_number": file_number, "state": "ONBOARDING_SUBMITTED"})

    return running.mutate(request, caller.id, caller.role, data, build)


@get("/v1/me", roles=ANYBODY, sync_to_thread=True, tags=["onboarding"])
def me(caller: Calling) -> dict[str, Any]:
    """The caller's own standing. A declined or reviewed file is told in neutral words (POCA tipping-off)."""
    subject = caller.subject
    return {"id": subject.id, "role": subject.role, "state": public_state(subject), "name": public_name(subject),
            "application": {"file_number": subject.file_number, "state": public_stage(subject.stage)}
            if subject.stage else None}


def public_state(subject: Subject) -> str:
    if subject.state in (CLOSED, ERASED):
        return CLOSED
    told = ("ACTIVE", "CREATED", "REFRESH_DUE", RESTRICTED)
    return subject.state if subject.state in told else public_stage(subject.stage)


def public_name(subject: Subject) -> str:
    """A company keeps its name; whoever has no number signed up with a person's, which goes with the person."""
    return vault.ERASED if subject.state == ERASED and subject.company_number is None else subject.legal_name


def public_stage(stage: str | None) -> str:
    """What an applicant may know: in review, or closed; never why."""
    return "CLOSED" if stage in ("DECLINED", "KYC_FAILED", "FCA_FAILED") else "IN_REVIEW"


def _with_key(running: Running, outcome: Outcome) -> Response[Any]:
    """The key is derived, not stored: it is added on the way out, while the sign-up is young."""
    answer = running.answer(outcome, "anonymous")
    body = msgspec.json.decode(answer.content)
    first = next(running.store.rows(outcome.position, outcome.position))
    age = wall_clock().timestamp() - first["recorded_us"] / 1_000_000
    body["api_key"] = (api_key(running.api_key_pepper, body["id"], sandbox=running.sandbox)
                       if age < KEY_AGAIN.total_seconds() else None)
    return Response(body, status_code=answer.status_code, headers=dict(answer.headers))
