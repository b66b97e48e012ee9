"""The mailbox given at sign-up, proved by a code that is mailed to it; the same way brings back a lost API key.

A code is derived from its number under a secret and stored nowhere: whoever sends the command says what it should be.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta

import msgspec

from domain.base import Conflict, Context, Event, require
from domain.party import CLOSED, CUSTOMER_ROLES, ERASED
from domain.subject.keys import ApiKeyRolled
from domain.subject.state import Code, Subject, SubjectCommand

CODE_LIVES = timedelta(hours=24)
MAX_TRIES = 5
MAX_CODES = 5
"""Within CODE_LIVES. A code has 40 random bits: 25 tries a day find none."""


# ---------------------------------------------------------------- commands


class RequestCode(SubjectCommand, frozen=True, kw_only=True):
    """Mail a new code; the one before is void."""


class MailedCode(SubjectCommand, frozen=True, kw_only=True):
    """A code typed by somebody, and what the code of that number is. Base32 letters, without separators."""

    number: int
    given: str
    expected: str


class ProveMailbox(MailedCode, frozen=True, kw_only=True):
    """Sent by the signed-in subject."""


class RedeemCode(MailedCode, frozen=True, kw_only=True):
    """Sent by whoever reads the mailbox and has lost the key: a new key, and the old one is dead."""


# ---------------------------------------------------------------- events


class CodeRequested(Event, frozen=True, kw_only=True):
    """The code itself is made when it is mailed."""

    tag = "subject.code_requested.1"
    action = "MAILBOX_CODE_REQUESTED"
    number: int
    asked_at: datetime
    signed_in: bool = True
    """By the subject itself. Anybody may ask for a code to a lost key, and spends none of the subject's by it."""


class CodeMissed(Event, frozen=True, kw_only=True):
    tag = "subject.code_missed.1"
    action = "MAILBOX_CODE_MISSED"
    number: int


class MailboxProved(Event, frozen=True, kw_only=True):
    tag = "subject.mailbox_proved.1"
    action = "MAILBOX_PROVED"
    number: int
    email_domain: str


# ---------------------------------------------------------------- refusals


class TooManyCodes(Conflict):
    code = "too_many_codes"


class CodeNotOpen(Conflict):
    code = "code_not_open"


class MailboxUnproved(Conflict):
    code = "mailbox_unproved"


# ---------------------------------------------------------------- decisions


def ask(subject: Subject, command: RequestCode, context: Context) -> list[Event]:
    require(subject.role in CUSTOMER_ROLES and subject.state not in (CLOSED, ERASED),
            CodeNotOpen("codes are mailed to customers with an account"))
    signed_in = context.actor == subject.id
    asked = subject.codes_asked if signed_in else subject.codes_asked_for
    recent = [moment for moment in asked if moment > context.now - CODE_LIVES]
    require(len(recent) < MAX_CODES, TooManyCodes(f"{MAX_CODES} codes were mailed within a day; try again tomorrow"))
    return [request(subject, context, signed_in=signed_in)]


def request(subject: Subject, context: Context, *, signed_in: bool = True) -> CodeRequested:
    return CodeRequested(number=subject.code.number + 1 if subject.code else 1, asked_at=context.now,
                         signed_in=signed_in)


def prove(subject: Subject, command: ProveMailbox, context: Context) -> list[Event]:
    return _tried(subject, command, context)


def redeem(subject: Subject, command: RedeemCode, context: Context) -> list[Event]:
    events = _tried(subject, command, context)
    proved = isinstance(events[0], MailboxProved)
    return [*events, ApiKeyRolled(generation=subject.key_generation + 1)] if proved else events


def _tried(subject: Subject, command: MailedCode, context: Context) -> list[Event]:
    code = subject.code
    if code is None or subject.state in (CLOSED, ERASED) or not _is_open(code, context.now):
        raise CodeNotOpen("this code is used, too old or was tried too often; ask for a new one")
    right = command.number == code.number and hmac.compare_digest(command.given.encode(), command.expected.encode())
    return [MailboxProved(number=code.number, email_domain=subject.email_domain)] if right else [
        CodeMissed(number=code.number)]


def _is_open(code: Code, now: datetime) -> bool:
    return not code.used and code.misses < MAX_TRIES and now < code.asked_at + CODE_LIVES


# ---------------------------------------------------------------- evolve


def evolve(subject: Subject, event: Event) -> Subject | None:
    """The state after an event of this file; None for any other event."""
    change = msgspec.structs.replace
    match event:
        case CodeRequested():
            asked = "codes_asked" if event.signed_in else "codes_asked_for"
            return change(subject, code=Code(event.number, event.asked_at),
                          **{asked: (*getattr(subject, asked), event.asked_at)[-MAX_CODES:]})
        case CodeMissed():
            missed = change(subject.code, misses=subject.code.misses + 1) if subject.code else None
            return change(subject, code=missed)
        case MailboxProved():
            used = change(subject.code, used=True) if subject.code else None
            return change(subject, mailbox_proved=True, code=used)
        case _:
            return None
