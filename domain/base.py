"""What every aggregate is made of: events, commands, refusals, the context a command runs in.

An aggregate is two functions over an immutable state:

    decide(state, command, context) -> list[Event]     may raise Refusal
    evolve(state, event) -> state                      total: never raises
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID, uuid5

import msgspec

NAMESPACE = UUID("6f1b5a52-6f8e-5a0e-9f63-0d7f0f6b9e11")
"""Root of every name-based id, so that a business key names the same stream on every machine."""


class Event(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fact that happened. `tag` names it for ever (`noun.verb.version`); `action` is the source's name for it."""

    tag: ClassVar[str]
    action: ClassVar[str]


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A wish. `kind` says which aggregate decides, `key` which one of them."""

    kind: ClassVar[str]

    @property
    def key(self) -> str:
        raise NotImplementedError(f"{type(self).__name__} names no aggregate key")

    @property
    def about(self) -> str | None:
        """The subject this is about, where it is about one: whom an officer who sends it acts on (on_behalf_of)."""
        return None


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts, for whom, in which tenant, and when (UTC, from the platform clock)."""

    actor: str
    actor_role: str
    tenant: str
    now: datetime
    on_behalf_of: str | None = None
    cause: int | None = None
    """Position of the entry this command reacts to."""


class Refusal(Exception):
    """The rules say no. Subclasses state the fact; `code` is stable and public, `detail` says what to do.

    Refusal
    ├── Conflict      the state does not allow it now              (409)
    ├── Forbidden     this actor may not do it                     (403)
    ├── NotFound      no such thing for this caller                (404)
    └── Invalid       the request breaks a rule on its own         (422), with a JSON pointer
    """

    code: ClassVar[str] = "refused"

    def __init__(self, detail: str, *, pointer: str | None = None):
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer


class Conflict(Refusal):
    code = "conflict"


class Forbidden(Refusal):
    code = "forbidden"


class NotFound(Refusal):
    code = "not_found"


class Invalid(Refusal):
    code = "invalid"


S = TypeVar("S")


@lru_cache(maxsize=10_000)  # an aggregate takes several commands within a short time
def _named(name: str) -> UUID:
    return uuid5(NAMESPACE, name)


class Kind(Generic[S]):
    """One kind of aggregate: its name, its empty state and its two functions."""

    def __init__(
        self,
        name: str,
        initial: S,
        decide: Callable[[S, Any, Context], list[Event]],
        evolve: Callable[[S, Event], S],
        resource: Callable[[str], str] = lambda key: key,
    ):
        self.name = name
        self.initial = initial
        self.decide = decide
        self.evolve = evolve
        self.resource = resource
        """How the audit log names the thing to people: by default its business key."""

    def stream(self, tenant: str, key: str) -> UUID:
        return _named(f"{tenant}/{self.name}/{key}")


def require(condition: bool, refusal: Refusal) -> None:
    if not condition:
        raise refusal
