"""What the API is handed of the running platform, and how a request becomes commands.

Every mutation: recognise a repeated key, build commands, execute, answer. The answer is stored in the transaction of
the events, so a repeat gets it again whatever happened in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema
from sqlalchemy import Connection, Engine

from api.errors import BadRequest
from api.opaque import Opaque
from api.receipts import with_receipt
from api.session import Caller, authenticate
from chain.cosigning import Witnesses
from chain.notes import Signer
from domain.base import Command, Context, Event
from domain.forms import IdempotencyKey, fits
from domain.party import STAFF_ROLES
from eventstore.clock import Clock
from eventstore.database import Unavailable
from eventstore.entry import canonical
from eventstore.loops import Loop
from eventstore.store import Outcome, Store
from eventstore.vault import Vault
from processes.effects import Effects
from processes.freshness import AnchorStale
from processes.outside import Outside
from projections.projector import Projector
from projections.reading import reading

READ_YOUR_WRITES_S = 3.0
KEY_HEADER = "FX-Idempotency-Key"


class _Stored(msgspec.Struct, frozen=True):
    status: int
    body: msgspec.Raw


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks for: commands, who acts, and how the decided events are answered."""

    commands: Sequence[Command]
    answer: Callable[[Sequence[Event]], Any]
    on_behalf_of: str | None = None
    """Whom staff act on, where no command says whom it is about."""

    moves_money: bool = False
    """Refused with 503 while the log's anchors are stale."""


@dataclass(frozen=True)
class Running:
    store: Store
    clock: Clock
    vault: Vault
    outside: Outside
    engine: Engine
    projector: Projector
    effects: Effects
    sandbox: bool
    api_key_pepper: bytes
    cursor_secret: bytes
    opaque: Opaque
    collections: tuple[str, str]
    """Sort code and account number the debtor pays into."""

    log_key: Signer
    """Signs receipts; its public half is published."""

    witnesses: Witnesses
    loops: Sequence[Loop] = ()
    """The platform's threads, for health to ask."""


    # ------------------------------------------------------------ reading

    def rows(self) -> AbstractContextManager[Connection]:
        """A connection to the read models: `with running.rows() as connection`."""
        return reading(self.engine)

    def authenticate(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
        """Whose API key this is, as that subject stands now; 401 otherwise."""
        return authenticate(connection, self.store, self.api_key_pepper, sandbox=self.sandbox)

    # ------------------------------------------------------------ writing

    def mutate(self, request: Request[Any, Any, Any], actor: str, actor_role: str, body: Any,
               build: Callable[[str], Work], *, receipt: bool = False) -> Response[Any]:
        """Run one mutation and answer it; see `perform`.

        `receipt`: the answer carries the log's signed receipt of the first entry.
        """
        return self.answer(self.perform(request, actor, actor_role, body, build), actor_role, receipt=receipt)

    def perform(self, request: Request[Any, Any, Any], actor: str, actor_role: str, body: Any,
                build: Callable[[str], Work]) -> Outcome:
        """Run one mutation under the request's idempotency key. `build` gets an id seed that a repeat shares."""
        key = self._key(request, actor)
        fingerprint = self.opaque.fingerprint(request.url.path.encode(), str(request.url.query).encode(),
                                              canonical(body))
        if (done_before := self.store.replay(key, fingerprint)) is not None:
            return done_before
        work = build(self.opaque.seed(key))
        if work.moves_money and self.outside.freshness.stale():
            raise AnchorStale
        context = Context(actor=actor, actor_role=actor_role, tenant=self.store.tenant, now=self.clock.now(),
                          on_behalf_of=_on_behalf_of(actor, actor_role, work))

        def respond(events: Sequence[Event]) -> bytes:
            body = msgspec.Raw(msgspec.json.encode(work.answer(events)))
            return msgspec.json.encode(_Stored(request.route_handler.status_code, body))

        outcome = self.store.execute(*work.commands, context=context, key=key, fingerprint=fingerprint,
                                     respond=respond)
        self.settle(outcome)
        return outcome

    def settle(self, outcome: Outcome) -> None:
        """Wait until the caller can read what it wrote, if the database is there to ask; it is done in any case."""
        if outcome.events:
            with suppress(Unavailable):
                self.projector.wait_for(outcome.last_position, READ_YOUR_WRITES_S)

    def answer(self, outcome: Outcome, actor_role: str, *, receipt: bool = False) -> Response[Any]:
        """The stored answer. FX-Position says where the first entry stands: to staff the number, to others a place."""
        stored = (msgspec.json.decode(outcome.response, type=_Stored) if outcome.response
                  else _Stored(200, msgspec.Raw(b"null")))
        body = bytes(stored.body)
        if receipt:
            body = with_receipt(body, self.store, self.opaque, self.log_key, outcome.position)
        position = outcome.position
        headers = {"FX-Position": str(position) if actor_role in STAFF_ROLES else self.opaque.place(position)}
        if outcome.replayed:
            headers["FX-Idempotency-Replayed"] = "true"
        return Response(body, status_code=stored.status, media_type="application/json", headers=headers)

    def _key(self, request: Request[Any, Any, Any], actor: str) -> str:
        given = given_key(request)
        route = getattr(request.route_handler, "path_template", None) or sorted(request.route_handler.paths)[0]
        return self.opaque.command_key(actor, f"{request.method} {route}", given)


def given_key(request: Request[Any, Any, Any]) -> str:
    """The idempotency key; BadRequest without one."""
    given = request.headers.get(KEY_HEADER, "")
    if not given:
        raise BadRequest("idempotency_key_required", f"send a {KEY_HEADER} header with every mutation")
    if not fits(IdempotencyKey, given):
        raise BadRequest("idempotency_key_malformed", f"{KEY_HEADER} is 1 to 255 visible ASCII characters")
    return given


def _on_behalf_of(actor: str, actor_role: str, work: Work) -> str | None:
    """Staff who act on a customer are recorded as acting on its behalf; a customer acts for itself."""
    about = work.on_behalf_of or next((command.about for command in work.commands if command.about), None)
    return about if actor_role in STAFF_ROLES and about != actor else None


@dataclass
class KeyedOperation(Operation):
    """How a mutation shows in the API's description: with the header every mutation needs."""

    def __post_init__(self) -> None:
        header = Parameter(name=KEY_HEADER, param_in="header", required=True, schema=Schema(type=OpenAPIType.STRING),
                           description="1 to 255 visible ASCII characters; a repeat with the same key changes nothing")
        self.parameters = [*(self.parameters or []), header]


Injected = NamedDependency[Running]
"""How a handler asks for the running platform."""


def wall_clock() -> datetime:
    """For judging signatures of the outside, which does not live by the platform clock."""
    return datetime.now(UTC)


def is_staff(caller: Caller) -> bool:
    return caller.role in STAFF_ROLES
