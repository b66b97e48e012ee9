"""Money in suspense and payouts that came back: what becomes of them is proposed by one officer and approved by
another, who repeats the hash.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from api.access import Calling
from api.cursor import Page
from api.parameters import Cursor, Id, Limit
from api.running import Injected, KeyedOperation, Running, Work
from domain.base import Invalid, NotFound
from domain.credit import CREDIT
from domain.forms import PayoutId, Reference, Sha256
from domain.party import COMPLIANCE
from domain.payment import PAYMENT
from domain.release import AGAIN, RELEASE, ApproveRelease, Content, ProposeRelease, Release, WithdrawRelease
from processes.releases import carry_out, payee
from projections import releases


class NewRelease(msgspec.Struct, forbid_unknown_fields=True):
    outcome: Literal["invoice", "reservation", "trade", "bill", "return", "void"]
    resource: Reference | None = None
    """The invoice (also of a reservation), the trade or the bill that the money pays."""


class NewReroute(msgspec.Struct, forbid_unknown_fields=True):
    payment: PayoutId
    """The payout that came back, as its incident names it."""


class Approval(msgspec.Struct, forbid_unknown_fields=True):
    content_sha256: Sha256


@post("/v1/compliance/suspense/{credit:str}/releases", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      operation_class=KeyedOperation)
def propose(request: Request[Any, Any, Any], running: Injected, caller: Calling, credit: Id,
            data: JSONBody[NewRelease]) -> Response[Any]:
    """Propose what becomes of a credit in suspense. What does not fit is refused with the reason, now and again when it
    is approved. Another officer approves within four hours."""

    def build(seed: str) -> Work:
        release, found = f"rel_{seed[:16]}", running.store.load(CREDIT, credit)
        if not found.id:
            raise NotFound("there is no such credit")
        if (data.resource is None) != (data.outcome in ("return", "void")):
            raise Invalid("name what the money pays, and only where it pays something", pointer="/resource")
        content = Content(credit=credit, subject=payee(running.outside, found), pence=found.pence,
                          outcome=data.outcome, resource=data.resource or "")
        return _proposal(running, release, content)

    return running.mutate(request, caller.id, caller.role, data, build)


@post("/v1/compliance/reroutes", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      operation_class=KeyedOperation)
def reroute(request: Request[Any, Any, Any], running: Injected, caller: Calling,
            data: JSONBody[NewReroute]) -> Response[Any]:
    """Propose that a payout which the bank returned is sent again, to the account its payee has with us now. Until
    another officer approves this release, within four hours, it stays where it is."""

    def build(seed: str) -> Work:
        found = running.store.load(PAYMENT, data.payment)
        if not found.id:
            raise NotFound("there is no such payout")
        content = Content(credit="", subject=found.owner, pence=found.pence, outcome=AGAIN, resource=found.id,
                          attempt=found.attempt)
        return _proposal(running, f"rel_{seed[:16]}", content)

    return running.mutate(request, caller.id, caller.role, data, build)


def _proposal(running: Running, release: str, content: Content) -> Work:
    carry_out(running.outside, content, release)  # for its refusals alone
    return Work(commands=[ProposeRelease(release=release, content=content)], on_behalf_of=content.subject,
                answer=lambda events: {
        "id": release, "state": "PROPOSED", "content": content, "content_sha256": content.sha256,
        "expires_at": getattr(events[0], "expires_at", None)})


@get("/v1/compliance/releases", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"])
def listing(request: Request[Any, Any, Any], running: Injected, caller: Calling,
            limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
    """Releases of money in suspense and of payouts that came back, newest first."""
    page = Page.read(running.cursor_secret, "releases", cursor, limit)
    with running.rows() as connection:
        rows = releases.newest(connection, page.part)
    return page.of(rows, rows.next)


@get("/v1/compliance/releases/{release:str}", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"])
def show(request: Request[Any, Any, Any], running: Injected, caller: Calling,
         release: Id) -> dict[str, Any]:
    """One release with its content and the content's hash, which the approver repeats."""
    found, content = _release(running, release)
    return {"id": release, "state": found.state, "content": content, "content_sha256": content.sha256,
            "proposed_by": found.proposed_by, "approved_by": found.approved_by or None,
            "expires_at": found.expires_at}


@post("/v1/compliance/releases/{release:str}/approve", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      operation_class=KeyedOperation)
def approve(request: Request[Any, Any, Any], running: Injected, caller: Calling, release: Id,
            data: JSONBody[Approval]) -> Response[Any]:
    """Approve what another officer proposed: it is done at once, or refused with the reason."""

    def build(seed: str) -> Work:
        found, content = _release(running, release)
        commands = [ApproveRelease(release=release, content_sha256=data.content_sha256),
                    *(carry_out(running.outside, content, release) if found.state == "PROPOSED" else [])]
        return Work(commands=commands, moves_money=content.outcome != "void", on_behalf_of=content.subject,
                    answer=lambda _: {"id": release, "state": "APPROVED"})

    return running.mutate(request, caller.id, caller.role, data, build)


@post("/v1/compliance/releases/{release:str}/withdraw", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      operation_class=KeyedOperation)
def withdraw(request: Request[Any, Any, Any], running: Injected, caller: Calling,
             release: Id) -> Response[Any]:
    """Take a proposal back, one's own or another officer's."""

    def build(seed: str) -> Work:
        _, content = _release(running, release)
        return Work(commands=[WithdrawRelease(release=release)], on_behalf_of=content.subject,
                    answer=lambda _: {"id": release, "state": "WITHDRAWN"})

    return running.mutate(request, caller.id, caller.role, None, build)


def _release(running: Running, release: str) -> tuple[Release, Content]:
    found = running.store.load(RELEASE, release)
    if found.content is None:
        raise NotFound("there is no such release")
    return found, found.content
