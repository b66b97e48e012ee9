"""Forced: the register follows a register order, once the chain has carried it out (domain/register_order.py)."""

from __future__ import annotations

import msgspec

from domain.base import Context, Event, require
from domain.token.lock import expect_unlocked
from domain.token.state import (
    PLATFORM,
    Movement,
    NotTheHolder,
    SliceNotFree,
    Token,
    TokenCommand,
    TokenNotReady,
    expect_trading,
    replace_slice,
)

# ---------------------------------------------------------------- commands


class BeginForcedMove(TokenCommand, frozen=True, kw_only=True):
    """Goes with the approval: from then on nobody else moves the part (None: the whole, undivided token)."""

    order: str
    slice_index: int | None
    holder: str
    to: str
    to_wallet: str


class RecordForcedMove(TokenCommand, frozen=True, kw_only=True):
    order: str
    tx: str
    block: int


class RecordForcedMoveRefused(TokenCommand, frozen=True, kw_only=True):
    order: str
    reason: str


class RecordRewallet(TokenCommand, frozen=True, kw_only=True):
    """A holder's wallet was recovered: what it holds of this token lies in the new one."""

    order: str
    holder: str
    wallet: str


# ---------------------------------------------------------------- events


class ForcedMoveRequested(Event, frozen=True, kw_only=True):
    tag = "token.forced_move_requested.1"
    action = "FORCED_TRANSFER_PENDING"
    order: str
    invoice: str
    slice_index: int | None
    face_pence: int
    holder: str
    to: str
    to_wallet: str


class ForcedMoved(Event, frozen=True, kw_only=True):
    tag = "token.forced_moved.1"
    action = "FORCED_TRANSFER"
    order: str
    invoice: str
    slice_index: int | None
    face_pence: int
    holder: str
    to: str
    to_wallet: str
    tx: str
    block: int


class ForcedMoveRefused(Event, frozen=True, kw_only=True):
    tag = "token.forced_move_refused.1"
    action = "FORCED_TRANSFER_REFUSED"
    order: str
    slice_index: int | None
    reason: str


class Rewalleted(Event, frozen=True, kw_only=True):
    tag = "token.rewalleted.1"
    action = "HOLDING_RECOVERED"
    order: str
    holder: str
    wallet: str


# ---------------------------------------------------------------- decisions


def begin(token: Token, command: BeginForcedMove, context: Context) -> list[Event]:
    expect_trading(token)
    expect_unlocked(token)
    part = token.slice(command.slice_index or 0)
    require(part.holder == command.holder and part.holder != PLATFORM,
            NotTheHolder("this part is not the holder's any more"))
    require(part.state in ("HELD", "LISTED"), SliceNotFree(f"slice {part.index} is {part.state}"))
    return [ForcedMoveRequested(order=command.order, invoice=token.invoice, slice_index=command.slice_index,
                                face_pence=part.face_pence, holder=part.holder, to=command.to,
                                to_wallet=command.to_wallet)]


def move(token: Token, command: RecordForcedMove, context: Context) -> list[Event]:
    moving = _movement(token, command.order)
    return [ForcedMoved(order=command.order, invoice=token.invoice, slice_index=moving.slice_index,
                        face_pence=moving.face_pence, holder=moving.holder, to=moving.to, to_wallet=moving.to_wallet,
                        tx=command.tx, block=command.block)]


def refuse(token: Token, command: RecordForcedMoveRefused, context: Context) -> list[Event]:
    moving = _movement(token, command.order)
    return [ForcedMoveRefused(order=command.order, slice_index=moving.slice_index, reason=command.reason)]


def rewallet(token: Token, command: RecordRewallet, context: Context) -> list[Event]:
    require(any(part.holder == command.holder for part in token.slices), NotTheHolder("it holds nothing of this token"))
    return [Rewalleted(order=command.order, holder=command.holder, wallet=command.wallet)]


def _movement(token: Token, order: str) -> Movement:
    for moving in token.pending:
        if moving.transfer == order:
            return moving
    raise TokenNotReady("no such order is under way")


# ---------------------------------------------------------------- evolve


def keep(token: Token, event: Event) -> Token | None:
    """The state after an event of this file; None for any other event. What is forced away is no longer offered."""
    change = msgspec.structs.replace
    match event:
        case ForcedMoveRequested():
            moving = Movement(transfer=event.order, slice_index=event.slice_index, face_pence=event.face_pence,
                              holder=event.holder, to=event.to, to_wallet=event.to_wallet)
            return change(token, state="TRANSFER_PENDING", pending=(*token.pending, moving),
                          slices=replace_slice(token, event.slice_index or 0, state="TRANSFERRING", price_pence=0))
        case ForcedMoved():
            return _done(token, event.order, event.slice_index, holder=event.to, wallet=event.to_wallet)
        case ForcedMoveRefused():
            return _done(token, event.order, event.slice_index)
        case Rewalleted():
            return change(token, slices=tuple(
                change(part, wallet=event.wallet) if part.holder == event.holder else part for part in token.slices))
        case _:
            return None


def _done(token: Token, order: str, index: int | None, **changed: str) -> Token:
    waiting = tuple(moving for moving in token.pending if moving.transfer != order)
    return msgspec.structs.replace(token, state="TRANSFER_PENDING" if waiting else "HELD", pending=waiting,
                                   slices=replace_slice(token, index or 0, state="HELD", **changed))
