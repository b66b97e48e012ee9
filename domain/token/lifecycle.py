"""The token's two functions: which decision answers which command, and what each event makes of the register."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from domain.base import Context, Event, Kind
from domain.token import forced, lock, slices, supply, transfer
from domain.token.state import Movement, Slice, Token, TokenCommand, replace_slice

_DECISIONS: dict[type[TokenCommand], Callable[[Token, Any, Context], list[Event]]] = {
    supply.RequestMint: supply.request_mint,
    supply.RecordMinted: supply.mint,
    supply.CloseRegister: supply.close_register,
    supply.ExpectMoving: supply.expect_moving,
    supply.RequestBurn: supply.request_burn,
    supply.RecordBurned: supply.burn,
    transfer.RequestTransfer: transfer.request_transfer,
    transfer.RecordTransferred: transfer.transfer,
    transfer.RecordTransferRefused: transfer.refuse_transfer,
    lock.LockToken: lock.lock,
    lock.UnlockToken: lock.unlock,
    lock.RecordLocked: lock.locked,
    lock.RecordUnlocked: lock.unlocked,
    forced.BeginForcedMove: forced.begin,
    forced.RecordForcedMove: forced.move,
    forced.RecordForcedMoveRefused: forced.refuse,
    forced.RecordRewallet: forced.rewallet,
    slices.RequestSlicing: slices.request_slicing,
    slices.RecordSliced: slices.record_sliced,
    slices.ListSlice: slices.list_slice,
    slices.ReserveSlice: slices.reserve_slice,
    slices.ReleaseSlice: slices.release_slice,
}


def decide(token: Token, command: TokenCommand, context: Context) -> list[Event]:
    decision = _DECISIONS.get(type(command))
    if decision is None:
        raise TypeError(f"token cannot decide {type(command).__name__}")
    return decision(token, command, context)


def evolve(token: Token, event: Event) -> Token:
    change = msgspec.structs.replace
    if (kept := lock.keep(token, event) or forced.keep(token, event)) is not None:
        return kept
    match event:
        case supply.MintRequested():
            whole = Slice(index=0, face_pence=event.face_pence, holder=event.holder, wallet=event.wallet)
            return Token(reference=token.reference, state="PENDING_MINT", invoice=event.invoice,
                         token_id=event.token_id, face_pence=event.face_pence, due_on=event.due_on, slices=(whole,))
        case supply.TokenMinted():
            return change(token, state="HELD", contract=event.contract)
        case transfer.TransferRequested() | transfer.TokenTransferred() | transfer.TransferRefused():
            return _move(token, event)
        case slices.SlicingRequested():
            return change(token, state="SLICING", pending_faces=event.faces)
        case slices.TokenSliced():
            wallet = token.slices[0].wallet if token.slices else ""
            parts = tuple(Slice(index=i, face_pence=face, holder=event.holder, wallet=wallet)
                          for i, face in enumerate(event.faces, start=1))
            return change(token, state="HELD", slices=parts, pending_faces=())
        case slices.SliceListed():
            listed = replace_slice(token, event.index, state="LISTED", price_pence=event.price_pence)
            return change(token, slices=listed, listed_by=token.listed_by | {event.holder})
        case slices.SliceReserved():
            return change(token, slices=replace_slice(token, event.index, state="RESERVED", trade=event.trade))
        case slices.SliceReleased():
            return change(token, slices=replace_slice(token, event.index, state="LISTED", trade=None))
        case supply.RegisterClosed():
            return change(token, state="CLOSED")
        case supply.BurnRequested():
            return change(token, state="BURN_PENDING")
        case supply.TokenBurned():
            return change(token, state="BURNED", slices=())
        case _:
            return token


def _move(
    token: Token, event: transfer.TransferRequested | transfer.TokenTransferred | transfer.TransferRefused
) -> Token:
    """The token is TRANSFER_PENDING while any of its parts is on its way."""
    change, index = msgspec.structs.replace, event.slice_index or 0
    waiting = tuple(moving for moving in token.pending if moving.transfer != event.transfer)
    match event:
        case transfer.TransferRequested():
            moving = Movement(transfer=event.transfer, slice_index=event.slice_index, face_pence=event.face_pence,
                              holder=event.holder, to=event.to, to_wallet=event.to_wallet)
            return change(token, state="TRANSFER_PENDING", pending=(*waiting, moving),
                          slices=replace_slice(token, index, state="TRANSFERRING"))
        case transfer.TokenTransferred():
            parts = replace_slice(token, index, holder=event.to, wallet=event.to_wallet, state="HELD", trade=None,
                             price_pence=0)
        case transfer.TransferRefused():
            parts = replace_slice(token, index, state="HELD" if event.slice_index is None else "RESERVED")
    return change(token, state="TRANSFER_PENDING" if waiting else "HELD", pending=waiting, slices=parts)


TOKEN: Kind[Token] = Kind("token", Token(), decide, evolve)
