"""Lock: while a token is locked nobody trades it (seeds 002 "Lock-up", seeds 004 "Obligor enters administration").

One officer locks at once, another unlocks: whoever ordered a lock does not lift it alone. From the order until the
chain has confirmed the opposite the register refuses every new movement. A lock forbids trading, not being paid: the
burn after the debtor's payment goes on, and says that it happened under a lock (docs/decisions/0017-orders.md).
"""

from __future__ import annotations

import msgspec

from domain.base import Conflict, Context, Event, Forbidden, Invalid, require
from domain.party import COMPLIANCE
from domain.token.state import Token, TokenCommand, TokenNotReady

OBLIGOR_INSOLVENT = "OBLIGOR_INSOLVENT"
LOCK_REASONS = (OBLIGOR_INSOLVENT, "COURT_ORDER", "COMPLIANCE_HOLD")
UNLOCK_REASONS = ("RESOLVED", "ORDER_LIFTED", "MISTAKE")
ON_CHAIN = "RESTRICTED"
"""What the chain says of any reason but an insolvency, which is on the public register: the rest would tip off."""

LOCKABLE = ("PENDING_MINT", "HELD", "SLICING", "TRANSFER_PENDING", "CLOSED")


# ---------------------------------------------------------------- commands


class LockToken(TokenCommand, frozen=True, kw_only=True):
    reason_code: str


class UnlockToken(TokenCommand, frozen=True, kw_only=True):
    reason_code: str


class RecordLocked(TokenCommand, frozen=True, kw_only=True):
    tx: str
    block: int


class RecordUnlocked(TokenCommand, frozen=True, kw_only=True):
    tx: str
    block: int


# ---------------------------------------------------------------- events


class LockRequested(Event, frozen=True, kw_only=True):
    tag = "token.lock_requested.1"
    action = "LOCK_PENDING"
    invoice: str
    token_id: str
    reason_code: str
    ordered_by: str


class TokenLocked(Event, frozen=True, kw_only=True):
    tag = "token.locked.1"
    action = "TOKEN_LOCKED"
    tx: str
    block: int


class UnlockRequested(Event, frozen=True, kw_only=True):
    tag = "token.unlock_requested.1"
    action = "UNLOCK_PENDING"
    invoice: str
    token_id: str
    reason_code: str
    ordered_by: str


class TokenUnlocked(Event, frozen=True, kw_only=True):
    tag = "token.unlocked.1"
    action = "TOKEN_UNLOCKED"
    tx: str
    block: int


class BurnedUnderLock(Event, frozen=True, kw_only=True):
    """The decision that the burn which is asked for next goes on although the token is locked."""

    tag = "token.burn_under_lock.1"
    action = "BURN_UNDER_LOCK"
    reason_code: str


# ---------------------------------------------------------------- refusals


class Locked(Conflict):
    """Neutral: no holder is told why."""

    code = "token_locked"


class NotLocked(Conflict):
    code = "token_not_locked"


class LockUnderWay(Conflict):
    code = "lock_under_way"


class NotTheirLock(Forbidden):
    code = "second_person_required"


class LockReasonUnknown(Invalid):
    code = "lock_reason_unknown"


# ---------------------------------------------------------------- decisions


def lock(token: Token, command: LockToken, context: Context) -> list[Event]:
    _check_officer(context)
    _check_reason(command.reason_code, LOCK_REASONS)
    require(token.lock != "UNLOCKING", LockUnderWay("the token is being unlocked; lock it again in a moment"))
    require(token.lock is None, Locked("this token is locked already"))
    require(token.state in LOCKABLE, TokenNotReady(f"a token that is {token.state} cannot be locked"))
    return [LockRequested(invoice=token.invoice, token_id=token.token_id, reason_code=command.reason_code,
                          ordered_by=context.actor)]


def unlock(token: Token, command: UnlockToken, context: Context) -> list[Event]:
    _check_officer(context)
    _check_reason(command.reason_code, UNLOCK_REASONS)
    require(token.lock is not None, NotLocked("this token is not locked"))
    require(token.lock == "LOCKED", LockUnderWay("the chain has not confirmed the last order yet"))
    require(context.actor != token.locked_by, NotTheirLock("whoever ordered the lock does not lift it alone"))
    return [UnlockRequested(invoice=token.invoice, token_id=token.token_id, reason_code=command.reason_code,
                            ordered_by=context.actor)]


def locked(token: Token, command: RecordLocked, context: Context) -> list[Event]:
    require(token.lock == "LOCKING", LockUnderWay("no lock was ordered"))
    return [TokenLocked(tx=command.tx, block=command.block)]


def unlocked(token: Token, command: RecordUnlocked, context: Context) -> list[Event]:
    require(token.lock == "UNLOCKING", LockUnderWay("no unlocking was ordered"))
    return [TokenUnlocked(tx=command.tx, block=command.block)]


def on_chain(reason_code: str) -> str:
    return reason_code if reason_code == OBLIGOR_INSOLVENT else ON_CHAIN


def expect_unlocked(token: Token) -> None:
    require(token.lock is None, Locked("this token cannot be traded at present"))


def _check_officer(context: Context) -> None:
    require(context.actor_role == COMPLIANCE, NotTheirLock("only the compliance officer locks and unlocks tokens"))


def _check_reason(code: str, known: tuple[str, ...]) -> None:
    require(code in known, LockReasonUnknown(f"the reason is one of {', '.join(known)}", pointer="/reason_code"))


# ---------------------------------------------------------------- evolve


def keep(token: Token, event: Event) -> Token | None:
    """The state after an event of this file; None for any other event."""
    change = msgspec.structs.replace
    match event:
        case LockRequested():
            return change(token, lock="LOCKING", lock_reason=event.reason_code, locked_by=event.ordered_by)
        case TokenLocked():
            return change(token, lock="LOCKED")
        case UnlockRequested():
            return change(token, lock="UNLOCKING")
        case TokenUnlocked():
            return change(token, lock=None, lock_reason=None, locked_by=None)
        case _:
            return None
