"""A locked token: nobody trades it, everybody is still paid, and whoever locked it does not unlock it alone."""

from __future__ import annotations

import pytest

from domain import token as t
from domain.base import Event
from domain.party import ADMIN, COMPLIANCE
from tests.domain.scenario import Row, at, fold, given, history_of
from tests.domain.test_token import (
    FACES,
    HELD,
    INV,
    LISTED,
    MINTED,
    MOVING,
    NOON,
    PATH,
    PENNINE,
    RESERVED,
    SLICED,
    TOK,
    cut,
    move,
    offer,
    take,
)

MLRO, DEPUTY = at("2026-05-22T13:21", "sub_mlro", COMPLIANCE), at("2026-05-22T13:21", "sub_deputy", COMPLIANCE)
LOCK = t.LockToken(token=TOK, reason_code="OBLIGOR_INSOLVENT")
UNLOCK = t.UnlockToken(token=TOK, reason_code="RESOLVED")
ORDERED = t.LockRequested(invoice=INV, token_id="7", reason_code="OBLIGOR_INSOLVENT", ordered_by="sub_mlro")
LOCKED = t.TokenLocked(tx="0x9", block=9)
LIFTED = t.UnlockRequested(invoice=INV, token_id="7", reason_code="RESOLVED", ordered_by="sub_deputy")
UNLOCKED = t.TokenUnlocked(tx="0xa", block=10)
BURN = t.RequestBurn(token=TOK)

REFUSED = [
    Row(t.NotTheirLock, HELD, LOCK, NOON),
    Row(t.NotTheirLock, HELD, LOCK, at("2026-05-22T13:21", "sub_admin", ADMIN)),
    Row(t.LockReasonUnknown, HELD, t.LockToken(token=TOK, reason_code="SANCTIONS"), MLRO),
    Row(t.TokenNotReady, (), LOCK, MLRO),
    Row(t.TokenNotReady, history_of(PATH, 13), LOCK, MLRO),
    Row(t.Locked, (*HELD, ORDERED), LOCK, DEPUTY),
    Row(t.LockUnderWay, (*HELD, ORDERED), UNLOCK, DEPUTY),
    Row(t.LockUnderWay, (*HELD, ORDERED, LOCKED, LIFTED), LOCK, MLRO),
    Row(t.LockUnderWay, HELD, t.RecordLocked(token=TOK, tx="0x9", block=9), NOON),
    Row(t.LockUnderWay, (*HELD, ORDERED, LOCKED), t.RecordUnlocked(token=TOK, tx="0xa", block=10), NOON),
    Row(t.NotLocked, HELD, UNLOCK, DEPUTY),
    Row(t.NotTheirLock, (*HELD, ORDERED, LOCKED), UNLOCK, MLRO),
    Row(t.NotTheirLock, (*HELD, ORDERED, LOCKED), UNLOCK, NOON),
    Row(t.LockReasonUnknown, (*HELD, ORDERED, LOCKED), t.UnlockToken(token=TOK, reason_code="WHY_NOT"), DEPUTY),
    Row(t.Locked, (*MINTED, ORDERED), move("pay_1", None, PENNINE), NOON),
    Row(t.Locked, (*HELD, ORDERED), cut(*FACES), NOON),
    Row(t.Locked, (*SLICED, ORDERED, LOCKED), offer(), NOON),
    Row(t.Locked, (*LISTED, ORDERED, LOCKED), take(), NOON),
    Row(t.Locked, (*RESERVED, ORDERED, LOCKED), PATH[8].command, NOON),
    Row(t.Locked, (*RESERVED, ORDERED, LOCKED, LIFTED), PATH[8].command, NOON),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_locked_by_one_unlocked_by_another() -> None:
    given(*HELD).when(LOCK, MLRO).then(ORDERED)
    given(*HELD, ORDERED).when(t.RecordLocked(token=TOK, tx="0x9", block=9), NOON).then(LOCKED)
    given(*HELD, ORDERED, LOCKED).when(UNLOCK, DEPUTY).then(LIFTED)
    given(*HELD, ORDERED, LOCKED, LIFTED).when(t.RecordUnlocked(token=TOK, tx="0xa", block=10), NOON).then(UNLOCKED)
    assert fold("token", (*HELD, ORDERED, LOCKED, LIFTED, UNLOCKED)) == fold("token", HELD)


@pytest.mark.parametrize("history", [HELD, SLICED, RESERVED, MOVING], ids=["held", "sliced", "reserved", "moving"])
def test_what_is_under_way_comes_to_its_end(history: tuple[Event, ...]) -> None:
    """A reservation may be given back and a transfer answered: the lock stops what is new."""
    locked = (*history, ORDERED, LOCKED)
    if history is RESERVED:
        given(*locked).when(t.ReleaseSlice(token=TOK, index=1, trade="trd_1"), NOON).then(
            t.SliceReleased(index=1, trade="trd_1"))
    if history is MOVING:
        given(*locked).when(PATH[9].command, NOON).then(*PATH[9].events)
    if history in (HELD, SLICED):
        closing = t.CloseRegister(token=TOK, holdings=((PENNINE, 1_000_000),))
        given(*locked).when(closing, NOON).then(t.RegisterClosed(invoice=INV))


def test_the_burn_of_a_locked_token_says_so() -> None:
    closed = history_of(PATH, 11)
    asked = t.BurnRequested(invoice=INV, token_id="7")
    under = t.BurnedUnderLock(reason_code="OBLIGOR_INSOLVENT")
    given(*closed).when(BURN, NOON).then(asked)
    given(*closed, ORDERED, LOCKED).when(BURN, NOON).then(under, asked)
    assert fold("token", (*closed, ORDERED, LOCKED, under, asked)).state == "BURN_PENDING"


def test_the_chain_is_told_of_an_insolvency_and_of_nothing_else() -> None:
    assert {reason: t.on_chain(reason) for reason in t.LOCK_REASONS} == {
        "OBLIGOR_INSOLVENT": "OBLIGOR_INSOLVENT", "COURT_ORDER": "RESTRICTED", "COMPLIANCE_HOLD": "RESTRICTED"}
