"""Compliance's orders: a subject is frozen and released, a token locked and unlocked. Whoever orders one does not lift
it alone. Orders go through whatever the anchors' age: they stop money, they do not move it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from api.access import Calling
from api.parameters import Id
from api.running import Injected, KeyedOperation, Running, Work
from api.session import Caller
from domain.base import NotFound
from domain.forms import Reference
from domain.party import COMPLIANCE, CUSTOMER_ROLES
from domain.subject import SUBJECT, FreezeSubject, Subject, UnfreezeSubject
from domain.token import LOCK_REASONS, TOKEN, UNLOCK_REASONS, LockToken, Token, UnlockToken


class Order(msgspec.Struct, forbid_unknown_fields=True):
    reason_code: Reference


@post("/v1/compliance/subjects/{subject:str}/freeze", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      operation_class=KeyedOperation)
def freeze(request: Request[Any, Any, Any], running: Injected, caller: Calling, subject: Id,
           data: JSONBody[Order]) -> Response[Any]:
    """Stop a customer at once: nothing is minted for it or paid to it, and its wallet is restricted on the chain. The
    customer is told no reason."""

    def build(seed: str) -> Work:
        customer(running, subject)
        return Work(commands=[FreezeSubject(subject=subject, reason_code=data.reason_code)],
                    answer=lambda _: {"id": subject, "state": "FROZEN"})

    return running.mutate(request, caller.id, caller.role, data, build)


@post("/v1/compliance/subjects/{subject:str}/unfreeze", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      operation_class=KeyedOperation)
def unfreeze(request: Request[Any, Any, Any], running: Injected, caller: Calling,
             subject: Id) -> Response[Any]:
    """Lift the freeze: a second officer's order. Claims are issued again."""

    def build(seed: str) -> Work:
        customer(running, subject)
        return Work(commands=[UnfreezeSubject(subject=subject)],
                    answer=lambda _: {"id": subject, "frozen": False})

    return running.mutate(request, caller.id, caller.role, None, build)


@get("/v1/compliance/tokens/{reference:str}", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"])
def show_token(running: Injected, reference: Id) -> dict[str, Any]:
    """A token with its whole register and its lock."""
    token = known_token(running, reference)
    return {"reference": reference, "receivable_reference": token.invoice, "state": token.state,
            "face_value_pence": token.face_pence, "chain": {"contract": token.contract, "token_id": token.token_id},
            "lock": {"state": token.lock, "reason_code": token.lock_reason, "ordered_by": token.locked_by}
            if token.lock else None,
            "slices": [{"slice": part.index, "face_pence": part.face_pence, "holder": part.holder,
                        "wallet": part.wallet, "state": part.state} for part in token.slices]}


@post("/v1/compliance/tokens/{reference:str}/lock", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      status_code=202, operation_class=KeyedOperation,
      description=f"Stop every movement of a token. Reasons: {', '.join(LOCK_REASONS)}.")
def lock(request: Request[Any, Any, Any], running: Injected, caller: Calling, reference: Id,
         data: JSONBody[Order]) -> Response[Any]:
    command = LockToken(token=reference, reason_code=data.reason_code)
    return _token_order(request, running, caller, command, "LOCKING", data)


@post("/v1/compliance/tokens/{reference:str}/unlock", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      status_code=202, operation_class=KeyedOperation,
      description=f"Lift a lock: a second officer's order. Reasons: {', '.join(UNLOCK_REASONS)}.")
def unlock(request: Request[Any, Any, Any], running: Injected, caller: Calling, reference: Id,
           data: JSONBody[Order]) -> Response[Any]:
    command = UnlockToken(token=reference, reason_code=data.reason_code)
    return _token_order(request, running, caller, command, "UNLOCKING", data)


def _token_order(request: Request[Any, Any, Any], running: Running, caller: Caller, command: LockToken | UnlockToken,
                 becomes: str, data: Order) -> Response[Any]:
    def build(seed: str) -> Work:
        known_token(running, command.token)
        return Work(commands=[command], answer=lambda _: {"reference": command.token, "lock": becomes})

    return running.mutate(request, caller.id, caller.role, data, build)


def customer(running: Running, subject: str) -> Subject:
    found = running.store.load(SUBJECT, subject)
    if found.role not in CUSTOMER_ROLES:
        raise NotFound("there is no such subject")
    return found


def known_token(running: Running, reference: str) -> Token:
    token = running.store.load(TOKEN, reference)
    if token.state == "NEW":
        raise NotFound("there is no such token")
    return token
