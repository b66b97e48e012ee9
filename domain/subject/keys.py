"""API keys: none is stored. Each has a generation, and only the newest of a subject opens its account."""

from __future__ import annotations

import msgspec

from domain.base import Conflict, Context, Event, Forbidden, require
from domain.party import CLOSED, ERASED
from domain.subject.state import Subject, SubjectCommand

OPERATOR = "operator"
"""Who sits at the command line."""


# ---------------------------------------------------------------- commands


class RollApiKey(SubjectCommand, frozen=True, kw_only=True):
    """A new key; the old one is dead at once."""


class RevokeApiKey(SubjectCommand, frozen=True, kw_only=True):
    """A staff member has left: no key opens the account until an operator rolls it."""


# ---------------------------------------------------------------- events


class ApiKeyRolled(Event, frozen=True, kw_only=True):
    tag = "subject.api_key_rolled.1"
    action = "API_KEY_ROLLED"
    generation: int


class ApiKeyRevoked(Event, frozen=True, kw_only=True):
    tag = "subject.api_key_revoked.1"
    action = "API_KEY_REVOKED"


# ---------------------------------------------------------------- refusals


class NoAccount(Conflict):
    code = "no_account"


class NotYourKey(Forbidden):
    code = "not_your_key"


# ---------------------------------------------------------------- decisions


def roll(subject: Subject, command: RollApiKey, context: Context) -> list[Event]:
    """By its owner, or at the command line for staff."""
    _check(subject, context, own=True)
    return [ApiKeyRolled(generation=subject.key_generation + 1)]


def revoke(subject: Subject, command: RevokeApiKey, context: Context) -> list[Event]:
    _check(subject, context, own=False)
    require(not subject.key_revoked, NoAccount("this staff member has no key"))
    return [ApiKeyRevoked()]


def _check(subject: Subject, context: Context, *, own: bool) -> None:
    require(subject.state not in ("NEW", CLOSED, ERASED), NoAccount("there is no such account, or it is closed"))
    operator = context.actor_role == OPERATOR and subject.is_staff
    require(operator or (own and context.actor == subject.id),
            NotYourKey("a key is rolled by its owner, a staff member's also by an operator, who alone revokes it"))


# ---------------------------------------------------------------- evolve


def evolve(subject: Subject, event: Event) -> Subject | None:
    """The state after an event of this file; None for any other event."""
    match event:
        case ApiKeyRolled():
            return msgspec.structs.replace(subject, key_generation=event.generation, key_revoked=False)
        case ApiKeyRevoked():
            return msgspec.structs.replace(subject, key_revoked=True)
        case _:
            return None
