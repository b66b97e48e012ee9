"""Transfer: the whole token or one slice changes hands on the chain. Intent first, then the outcome with its hash."""

from __future__ import annotations

from datetime import datetime

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
    expect,
    expect_before_record_date,
    expect_trading,
)

# ---------------------------------------------------------------- commands


class RequestTransfer(TokenCommand, frozen=True, kw_only=True):
    """Move the whole token (slice None) or one slice; `transfer` is the key of the movement, `paid_at` when the cash
    for it was there: what was paid before the record date moves, however long the chain takes."""

    transfer: str
    slice_index: int | None
    to: str
    to_wallet: str
    paid_at: datetime


class RecordTransferred(TokenCommand, frozen=True, kw_only=True):
    transfer: str
    tx: str
    block: int


class RecordTransferRefused(TokenCommand, frozen=True, kw_only=True):
    transfer: str
    reason: str


# ---------------------------------------------------------------- events


class TransferRequested(Event, frozen=True, kw_only=True):
    tag = "token.transfer_requested.1"
    action = "TRANSFER_REQUESTED"
    transfer: str
    invoice: str
    token_id: str
    slice_index: int | None
    face_pence: int
    holder: str
    from_wallet: str
    to: str
    to_wallet: str


class TokenTransferred(Event, frozen=True, kw_only=True):
    tag = "token.transferred.1"
    action = "TOKEN_TRANSFER"
    transfer: str
    invoice: str
    slice_index: int | None
    face_pence: int
    holder: str
    to: str
    to_wallet: str
    tx: str
    block: int


class TransferRefused(Event, frozen=True, kw_only=True):
    tag = "token.transfer_refused.1"
    action = "TRANSFER_REFUSED"
    transfer: str
    invoice: str
    slice_index: int | None
    reason: str


# ---------------------------------------------------------------- decisions


def request_transfer(token: Token, command: RequestTransfer, context: Context) -> list[Event]:
    expect_unlocked(token)
    if command.slice_index is None:
        expect(token, "HELD")
        part = token.slice(0)
        require(part.holder == PLATFORM, NotTheHolder("the whole token leaves the platform once, when it is funded"))
    else:
        expect_trading(token)
        part = token.slice(command.slice_index)
        require(part.state == "RESERVED" and part.trade == command.transfer,
                SliceNotFree("a slice moves only for the trade that reserved it"))
    expect_before_record_date(token, command.paid_at)
    return [TransferRequested(
        transfer=command.transfer, invoice=token.invoice, token_id=token.token_id,
        slice_index=command.slice_index, face_pence=part.face_pence, holder=part.holder,
        from_wallet=part.wallet, to=command.to, to_wallet=command.to_wallet)]


def transfer(token: Token, command: RecordTransferred, context: Context) -> list[Event]:
    moving = _movement(token, command.transfer)
    return [TokenTransferred(
        transfer=moving.transfer, invoice=token.invoice, slice_index=moving.slice_index,
        face_pence=moving.face_pence, holder=moving.holder, to=moving.to, to_wallet=moving.to_wallet,
        tx=command.tx, block=command.block)]


def refuse_transfer(token: Token, command: RecordTransferRefused, context: Context) -> list[Event]:
    moving = _movement(token, command.transfer)
    return [TransferRefused(transfer=moving.transfer, invoice=token.invoice, slice_index=moving.slice_index,
                            reason=command.reason)]


def _movement(token: Token, transfer_id: str) -> Movement:
    for moving in token.pending:
        if moving.transfer == transfer_id:
            return moving
    raise TokenNotReady("no such transfer is under way")
