"""The MLRO's desk: the queue, one case, the decision."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromQuery, JSONBody

from api.access import Calling
from api.cursor import Page
from api.parameters import Cursor, EntryPosition, Id, Limit
from api.running import Injected, KeyedOperation, Running, Work
from domain.base import NotFound
from domain.credit import CREDIT, CreditReceived, NoticeRefused
from domain.forms import Prose
from domain.party import ADMIN, COMPLIANCE
from domain.platform import DIRECTORY, ClearAlarm, RegisterCompany, directory_key
from domain.subject import SUBJECT, DecideReview, OnboardingSubmitted, Said, Subject, VerdictProposed
from projections import mlro_queue

Status = Literal["open", "decided", "ended", "returned"]


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    decision: Literal["approve", "decline"]
    rationale: Prose


@get("/v1/compliance/cases", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"])
def cases(running: Injected, status: FromQuery[Status] = "open", limit: Limit = 100,
          cursor: Cursor = None) -> dict[str, Any]:
    """The queue, oldest first, with what the advisory agent proposed; or the files that were decided, that a gate
    ended, that went back to their owner."""
    page = Page.read(running.cursor_secret, f"cases:{status}", cursor, limit)
    with running.rows() as connection:
        rows = mlro_queue.queue(connection, page.part, state=status.upper())
    return page.of(rows, rows.next)


@get("/v1/compliance/cases/{file_number:str}", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"])
def case(running: Injected, file_number: Id) -> dict[str, Any]:
    """One case with the agent's full proposal record."""
    row = _case(running, file_number)
    proposals = [entry.event for entry in running.store.history(SUBJECT, row["subject"])
                 if isinstance(entry.event, VerdictProposed) and entry.event.file_number == file_number]
    return {**row, "proposal_record": proposals[-1] if proposals else None, "evidence": _evidence(running, row),
            "contested_by": _contestant(running, row["subject"])}


@post("/v1/compliance/cases/{file_number:str}/decision", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      operation_class=KeyedOperation)
def decide(request: Request[Any, Any, Any], running: Injected, caller: Calling, file_number: Id,
           data: JSONBody[Decision]) -> Response[Any]:
    """Decide the case. The rationale is kept sealed; its hash stands in the log, keyed: it must not be guessed at once
    the sealed text is erased."""

    def build(seed: str) -> Work:
        subject = _case(running, file_number)["subject"]
        command = DecideReview(
            subject=subject, file_number=file_number, approve=data.decision == "approve",
            rationale=running.vault.seal(subject, data.rationale),
            rationale_sha256=hmac.new(running.outside.link_secret, (seed + data.rationale).encode(),
                                      hashlib.sha256).hexdigest())
        decision = "MLRO_APPROVED" if command.approve else "DECLINED"
        return Work(commands=[command, *(_takes_its_place(running, subject) if command.approve else [])],
                    answer=lambda _: {"file_number": file_number, "decision": decision})

    return running.mutate(request, caller.id, caller.role, data, build)


@get("/v1/compliance/incidents", roles=(COMPLIANCE, ADMIN), sync_to_thread=True, tags=["compliance"])
def incidents(running: Injected, caller: Calling, limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
    """Money in suspense and alarms, newest first; what a payer wrote is shown to compliance only."""
    page = Page.read(running.cursor_secret, "incidents", cursor, limit)
    with running.rows() as connection:
        rows = mlro_queue.open_incidents(connection, page.part)
    if caller.role != COMPLIANCE:
        return page.of(rows, rows.next)
    return page.of([{**row, "payer_said": _payer_said(running, row)} for row in rows], rows.next)


@post("/v1/compliance/incidents/{position:int}/close", roles=(COMPLIANCE, ADMIN), sync_to_thread=True,
      tags=["compliance"], operation_class=KeyedOperation)
def close_incident(request: Request[Any, Any, Any], running: Injected, caller: Calling,
                   position: EntryPosition) -> Response[Any]:
    """A person has dealt with what an alarm told of. If its cause comes again, it is a new occurrence.

    Money in suspense, payouts that came back and quarantines close with what is done about them.
    """

    def build(seed: str) -> Work:
        with running.rows() as connection:
            alarm = mlro_queue.open_alarm(connection, position)
        if alarm is None:
            raise NotFound("there is no open alarm at this position")
        return Work(commands=[ClearAlarm(alarm=alarm)], answer=lambda _: {"position": position, "state": "CLOSED"})

    return running.mutate(request, caller.id, caller.role, None, build)


def _payer_said(running: Running, row: dict[str, Any]) -> str | None:
    """Narration and remitter of a credit in suspense, or a whole notice that was refused, opened where they lie: in
    the log."""
    history = running.store.history(CREDIT, row["resource"]) if row["kind"] in ("SUSPENSE", "ALARM") else []
    match history[0].event if history else None:
        case CreditReceived(said=said) if said:
            return running.vault.show(said)
        case NoticeRefused(raw=raw):
            return running.vault.show(raw)
        case _:
            return None


def _evidence(running: Running, row: dict[str, Any]) -> list[Said]:
    """What each source said about the file, in the order in which they were asked."""
    said: list[Said] = []
    of_this_file = False
    for entry in running.store.history(SUBJECT, row["subject"]):
        if isinstance(entry.event, OnboardingSubmitted):
            of_this_file = entry.event.file_number == row["file_number"]
        elif of_this_file:
            said += getattr(entry.event, "evidence", ())
    return said


def _contestant(running: Running, subject: str) -> dict[str, Any] | None:
    """The other account that stands for the same company in the same role; the officer decides which one does."""
    other = _stands_for_company(running, running.store.load(SUBJECT, subject))
    if other in (None, subject):
        return None
    found = running.store.load(SUBJECT, other)
    return {"subject": found.id, "legal_name": found.legal_name, "state": found.state,
            "file_number": found.file_number, "mailbox_domain": found.email_domain}


def _takes_its_place(running: Running, subject: str) -> list[RegisterCompany]:
    """Who is approved stands for its company: refused while another account does, which is closed first."""
    found = running.store.load(SUBJECT, subject)
    if _stands_for_company(running, found) == subject:
        return []
    return [RegisterCompany(role=found.role, company_number=found.company_number, subject=subject)]


def _stands_for_company(running: Running, subject: Subject) -> str | None:
    return running.store.load(DIRECTORY, directory_key(subject.role, subject.company_number)).subject


def _case(running: Running, file_number: str) -> dict[str, Any]:
    with running.rows() as connection:
        row = mlro_queue.by_file(connection, file_number)
    if row is None:
        raise NotFound("there is no such case")
    return row
