"""API keys: a new one for whoever is signed in, and for whoever reads the mailbox and has lost the old one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from litestar import Request, Response, post
from litestar.background_tasks import BackgroundTask
from litestar.params import JSONBody

from api.access import ANYBODY, PUBLIC, Calling
from api.running import Injected, KeyedOperation, Running, Work, given_key
from api.session import api_key
from domain.base import Context, Event, Invalid, Refusal
from domain.forms import Email, MailedCode, Reference
from domain.party import CUSTOMER_ROLES
from domain.subject import SUBJECT, ApiKeyRolled, MailboxProved, RedeemCode, RequestCode, RollApiKey
from eventstore.database import Unavailable
from processes.notices import mailbox_code
from projections import subjects as rows

log = structlog.get_logger("api")


class CodeWrong(Invalid):
    code = "code_wrong"


class LostKey(msgspec.Struct, forbid_unknown_fields=True):
    """One of the two: the account's id, which stands in every mail with a code, or the mailbox."""

    subject: Reference | None = None
    email: Email | None = None


class Redemption(msgspec.Struct, forbid_unknown_fields=True):
    subject: Reference
    code: MailedCode


@post("/v1/api-keys", roles=ANYBODY, sync_to_thread=True, tags=["keys"], operation_class=KeyedOperation)
def roll(request: Request[Any, Any, Any], running: Injected, caller: Calling) -> Response[Any]:
    """A new API key; the one this request was sent with opens nothing from now on. Answered once."""

    def build(seed: str) -> Work:
        return Work(commands=[RollApiKey(subject=caller.id)], answer=lambda events: _key_made(caller.id, events))

    return with_key(running, running.mutate(request, caller.id, caller.role, {}, build))


@post("/v1/api-keys/recovery", roles=PUBLIC, sync_to_thread=True, status_code=202, tags=["keys"],
      operation_class=KeyedOperation)
def recover(request: Request[Any, Any, Any], running: Injected, data: JSONBody[LostKey]) -> Response[Any]:
    """Ask for a code by mail, for an account or for a mailbox. The answer is always the same: whether there is such an
    account is nobody's business."""
    given = hashlib.sha256(given_key(request).encode()).hexdigest()
    if (data.subject is None) == (data.email is None):
        raise Invalid("name the account's id or the mailbox, one of the two", pointer="/email")
    running.store.head()  # without a database nothing could be mailed: 503, and the caller comes again
    return Response({"state": "IF_THERE_IS_SUCH_AN_ACCOUNT_A_CODE_IS_MAILED"}, status_code=202,
                    background=BackgroundTask(_mail_codes, running, data, given))


@post("/v1/api-keys/redeem", roles=PUBLIC, sync_to_thread=True, tags=["keys"], operation_class=KeyedOperation)
def redeem(request: Request[Any, Any, Any], running: Injected, data: JSONBody[Redemption]) -> Response[Any]:
    """A new API key for the code that was mailed. Five tries, 24 hours; every other key of the account is dead.
    Whatever is wrong is answered by one refusal: others would tell whether there is such an account."""
    given_key(request)
    subject = running.store.load(SUBJECT, data.subject)
    if subject.code is None:
        raise _wrong()
    number, expected = subject.code.number, mailbox_code(running.outside.link_secret, subject.id, subject.code.number)

    def build(seed: str) -> Work:
        command = RedeemCode(subject=subject.id, number=number, given=letters(data.code), expected=expected)
        return Work(commands=[command], answer=lambda events: _key_made(subject.id, events))

    try:
        answer = running.mutate(request, subject.id, subject.role, data, build)
    except Refusal:
        raise _wrong() from None
    return with_key(running, required(answer))


# ---------------------------------------------------------------- shared with sign-up and the mailbox's proof


def with_key(running: Running, answer: Response[Any]) -> Response[Any]:
    """Put the key in on the way out, and only for the request that did the work: it is stored nowhere, and whoever
    repeats the request gets null."""
    body = msgspec.json.decode(answer.content)
    again = "FX-Idempotency-Replayed" in answer.headers
    body["api_key"] = None if again else api_key(running.api_key_pepper, body["id"], body["generation"],
                                                 sandbox=running.sandbox)
    return Response(body, status_code=answer.status_code, headers=dict(answer.headers))


def required(answer: Response[Any]) -> Response[Any]:
    """The answer to a right code; a wrong one is recorded, and refused here."""
    if not msgspec.json.decode(answer.content)["proved"]:
        raise _wrong()
    return answer


def letters(code: str) -> str:
    """The code as it is compared, however it was typed."""
    return code.upper().replace("-", "").replace(" ", "")


def proved(events: Sequence[Event]) -> bool:
    return any(isinstance(event, MailboxProved) for event in events)


def _key_made(subject: str, events: Sequence[Event]) -> dict[str, Any]:
    made = [event.generation for event in events if isinstance(event, ApiKeyRolled)]
    return {"id": subject, "generation": made[0] if made else 0, "proved": bool(made)}


def _wrong() -> CodeWrong:
    return CodeWrong("this is not the code that was mailed last, or it is used, too old or was tried too often; ask "
                     "for a new one", pointer="/code")


def _mail_codes(running: Running, data: LostKey, key: str) -> None:
    """After the answer, so that its time tells nothing."""
    wanted = [data.subject] if data.subject else []
    if data.email:
        wanted += _readers_of(running, data.email)
    for subject in wanted:
        context = Context(actor="anonymous", actor_role="anonymous", tenant=running.store.tenant,
                          now=running.clock.now())
        try:
            running.store.execute(RequestCode(subject=subject), context=context, key=f"recovery:{subject}:{key}")
        except Refusal as refused:
            log.info("recovery.refused", code=refused.code)
        except Unavailable:
            log.warning("recovery.lost")  # the answer is given: its reader asks again when no mail comes


def _readers_of(running: Running, email: str) -> list[str]:
    """The customers with exactly this mailbox, proved: addresses are sealed, so those of its domain are opened."""
    with running.rows() as connection:
        near = rows.at_domain(connection, email.rpartition("@")[2].lower())
    held = {subject: running.store.load(SUBJECT, subject).email for subject in near}
    return [subject for subject, sealed in held.items()
            if sealed is not None and running.vault.show(sealed).casefold() == email.casefold()
            and running.store.load(SUBJECT, subject).role in CUSTOMER_ROLES]
