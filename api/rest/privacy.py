"""One subject's record: what is kept of it, the end of the relationship, legal holds, and the erasure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import date
from typing import Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from api.access import ANYBODY, Calling
from api.cursor import Page
from api.parameters import Cursor, Id, Limit, Search
from api.rest.subjects import public_state
from api.running import READ_YOUR_WRITES_S, Injected, KeyedOperation, Running, Work
from api.session import Caller
from domain.base import NotFound
from domain.forms import Reference, Words
from domain.party import CLOSED, COMPLIANCE, CUSTOMER_ROLES, ERASED, Personal
from domain.restricted import REGISTER, RESTRICTED, RecordRestricted, TakeTurn, TurnMissed
from domain.subject import (
    CUSTOMER_REQUEST,
    SUBJECT,
    CloseRelationship,
    EraseSubject,
    LiftHold,
    PlaceHold,
    Subject,
    retention_of,
)
from eventstore import vault
from eventstore.database import Unavailable
from processes.erasure import Report, reports_about, restricted_id
from projections import invoices, portfolio, subjects

TURNS_TRIED = 5
"""How often an erasure or a report that missed its turn reads its facts again before the caller is asked to."""


class Closure(msgspec.Struct, forbid_unknown_fields=True):
    reason: Literal["customer_request", "platform"] = CUSTOMER_REQUEST


class NewHold(msgspec.Struct, forbid_unknown_fields=True):
    reason: Reference
    until: date | None = None


class Erasure(msgspec.Struct, forbid_unknown_fields=True):
    ground: Reference


class NewReport(msgspec.Struct, forbid_unknown_fields=True):
    subject: Reference
    made_on: date
    reference: Words


@get("/v1/subjects/{subject:str}", roles=ANYBODY, sync_to_thread=True, tags=["privacy"])
def show(running: Injected, caller: Calling, subject: Id) -> dict[str, Any]:
    """What is kept about a subject, for itself and for compliance; holds and periods are shown to compliance only."""
    found = _target(running, caller, subject)
    own = {"id": found.id, "role": found.role, "name": found.legal_name, "company_number": found.company_number,
           "representative": _shown(running, found, found.representative), "email": _shown(running, found, found.email),
           "ended_at": found.ended_at}
    if caller.role != COMPLIANCE:
        return {**own, "state": public_state(found)}
    return {**own, "state": found.state, "key_destroyed": found.key_destroyed, "holds": found.holds,
            "wallet": {"address": found.wallet, "claims": found.claims, "topics": found.claim_topics,
                       "expire_at": found.claims_expire_at} if found.wallet else None,
            "retention": retention_of(found, _reported_on(running, subject)) if found.state == CLOSED else None}


@post("/v1/subjects/{subject:str}/closure", roles=ANYBODY, sync_to_thread=True, tags=["privacy"],
      operation_class=KeyedOperation)
def close(request: Request[Any, Any, Any], running: Injected, caller: Calling, subject: Id,
          data: JSONBody[Closure]) -> Response[Any]:
    """End the relationship, once nothing is outstanding. Records are then kept for the lawful period."""
    _target(running, caller, subject)

    def build(seed: str) -> Work:
        command = CloseRelationship(subject=subject, reason=data.reason, outstanding=_outstanding(running, subject))
        return Work(commands=[command], answer=lambda _: {"id": subject, "state": CLOSED})

    return running.mutate(request, caller.id, caller.role, data, build)


@post("/v1/subjects/{subject:str}/holds", roles=(COMPLIANCE,), sync_to_thread=True, tags=["privacy"],
      operation_class=KeyedOperation)
def place_hold(request: Request[Any, Any, Any], running: Injected, caller: Calling, subject: Id,
               data: JSONBody[NewHold]) -> Response[Any]:
    """Keep the records whatever the period says, up to and including a day or until the hold is lifted."""
    _target(running, caller, subject)

    def build(seed: str) -> Work:
        hold = f"hld_{seed[:12]}"
        return Work(commands=[PlaceHold(subject=subject, hold=hold, reason=data.reason, until=data.until)],
                    answer=lambda _: {"id": hold, "reason": data.reason, "until": data.until})

    return running.mutate(request, caller.id, caller.role, data, build)


@post("/v1/subjects/{subject:str}/holds/{hold:str}/lift", roles=(COMPLIANCE,), sync_to_thread=True, tags=["privacy"],
      operation_class=KeyedOperation)
def lift_hold(request: Request[Any, Any, Any], running: Injected, caller: Calling, subject: Id,
              hold: Id) -> Response[Any]:
    _target(running, caller, subject)

    def build(seed: str) -> Work:
        return Work(commands=[LiftHold(subject=subject, hold=hold)], answer=lambda _: {"id": hold, "lifted": True})

    return running.mutate(request, caller.id, caller.role, None, build)


@post("/v1/subjects/{subject:str}/erasure", roles=(COMPLIANCE,), sync_to_thread=True, tags=["privacy"],
      status_code=202, operation_class=KeyedOperation)
def erase(request: Request[Any, Any, Any], running: Injected, caller: Calling, subject: Id,
          data: JSONBody[Erasure]) -> Response[Any]:
    """Erase the person: its key is destroyed next, for good. Refused with the reason while the records must be kept."""
    _target(running, caller, subject)

    def build(seed: str) -> Work:
        turn = _turn(running)
        command = EraseSubject(subject=subject, ground=data.ground, reported_on=_reported_on(running, subject))
        return Work(commands=[command, turn], answer=lambda _: {"id": subject, "state": ERASED})

    return _in_turn(lambda: running.mutate(request, caller.id, caller.role, data, build))


@get("/v1/compliance/subjects", roles=(COMPLIANCE,), sync_to_thread=True, tags=["privacy"])
def search(running: Injected, q: Search = "", limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    """Find a subject by company name, company number or id. Nobody can be found by a person's name."""
    page = Page.read(running.cursor_secret, f"subjects:{q}", cursor, limit)
    with running.rows() as connection:
        rows, following = subjects.search(connection, q, page.part)
    return page.of([_line(running, row) for row in rows], following)


@post("/v1/compliance/reports", roles=(COMPLIANCE,), sync_to_thread=True, tags=["privacy"],
      operation_class=KeyedOperation)
def report(request: Request[Any, Any, Any], running: Injected, caller: Calling,
           data: JSONBody[NewReport]) -> Response[Any]:
    """Record that a report about a subject was made to the authority. Nothing that is kept or answered names it.

    409 `subject_erased` where nothing is left of the subject: the record could be kept under no key.
    """
    _target(running, caller, data.subject)

    def build(seed: str) -> Work:
        turn = _turn(running)
        if running.store.load(SUBJECT, data.subject).state == ERASED:
            raise vault.SubjectGone("this subject was erased; nothing more can be kept about it")
        secret = running.outside.link_secret
        record = restricted_id(secret, data.subject)
        content = Report(data.made_on, data.reference)
        command = RecordRestricted(
            record=record, content=running.vault.seal_struct(record, content), made_on=data.made_on,
            commitment=hmac.new(secret, b"report\n" + msgspec.json.encode(content), hashlib.sha256).hexdigest())
        return Work(commands=[command, turn], answer=lambda _: {"recorded": True})

    return _in_turn(lambda: running.mutate(request, caller.id, caller.role, data, build))


# ---------------------------------------------------------------- what a command and a page need


def _target(running: Running, caller: Caller, subject: str) -> Subject:
    """The subject, for itself and for compliance; for everybody else it does not exist."""
    found = running.store.load(SUBJECT, subject)
    if caller.id != subject and (caller.role != COMPLIANCE or found.role not in CUSTOMER_ROLES):
        raise NotFound("there is no such subject")
    return found


def _outstanding(running: Running, subject: str) -> tuple[str, ...]:
    """From read models that have seen everything there is now."""
    if not running.projector.wait_for(running.store.head(), READ_YOUR_WRITES_S):
        raise Unavailable("the read models are behind")
    with running.rows() as connection:
        found = (*invoices.outstanding_of(connection, subject), *portfolio.outstanding_of(connection, subject))
    return tuple(dict.fromkeys(found))


def _reported_on(running: Running, subject: str) -> date | None:
    return max((each.made_on for each in reports_about(running.outside, subject)), default=None)


def _turn(running: Running) -> TakeTurn:
    """Asked for before the facts of a report or an erasure are read: it is missed when one of either lands after."""
    return TakeTurn(turns=running.store.load(RESTRICTED, REGISTER).turns)


def _in_turn(mutate: Callable[[], Response[Any]]) -> Response[Any]:
    """Nothing was stored by who missed its turn, so the same request is built again from the facts as they are now."""
    for _ in range(TURNS_TRIED - 1):
        try:
            return mutate()
        except TurnMissed:
            continue
    return mutate()


def _shown(running: Running, subject: Subject, value: Personal | None) -> str:
    return vault.ERASED if subject.state == ERASED else running.vault.show(value)


def _line(running: Running, row: subjects.Found) -> dict[str, Any]:
    return {"id": row.subject, "role": row.role, "name": row.legal_name, "company_number": row.company_number,
            "representative": vault.ERASED if row.erased else running.vault.show(row.representative),
            "email": vault.ERASED if row.erased else running.vault.show(row.email), "standing": row.standing,
            "claims": {"state": row.claims, "expire_at": row.claims_expire_at} if row.claims else None}
