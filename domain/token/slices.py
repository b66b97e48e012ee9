"""Slices: the holder divides the token, offers parts of it, and a trade reserves one. The faces always add up."""

from __future__ import annotations

from domain.base import Context, Event, Invalid, require
from domain.token.lock import expect_unlocked
from domain.token.state import (
    NoSuchSlice,
    NotTheHolder,
    SliceNotFree,
    Token,
    TokenCommand,
    TokenNotReady,
    expect,
    expect_before_record_date,
    expect_trading,
)

SLICES_MIN, SLICES_MAX = 2, 128


# ---------------------------------------------------------------- commands


class RequestSlicing(TokenCommand, frozen=True, kw_only=True):
    holder: str
    faces: tuple[int, ...]


class RecordSliced(TokenCommand, frozen=True, kw_only=True):
    tx: str
    block: int


class ListSlice(TokenCommand, frozen=True, kw_only=True):
    holder: str
    index: int
    price_pence: int
    listing_fee_pence: int


class ReserveSlice(TokenCommand, frozen=True, kw_only=True):
    """`seller` and `price_pence` are what the buyer was checked for; the slice may have been sold on since."""

    index: int
    trade: str
    seller: str
    buyer: str
    price_pence: int


class ReleaseSlice(TokenCommand, frozen=True, kw_only=True):
    index: int
    trade: str


# ---------------------------------------------------------------- events


class SlicingRequested(Event, frozen=True, kw_only=True):
    tag = "token.slicing_requested.1"
    action = "SLICING_REQUESTED"
    token_id: str
    holder: str
    faces: tuple[int, ...]


class TokenSliced(Event, frozen=True, kw_only=True):
    tag = "token.sliced.1"
    action = "SLICE_CREATED"
    invoice: str
    holder: str
    faces: tuple[int, ...]
    tx: str
    block: int


class SliceListed(Event, frozen=True, kw_only=True):
    tag = "token.slice_listed.1"
    action = "SLICE_LISTED"
    invoice: str
    holder: str
    index: int
    face_pence: int
    price_pence: int
    listing_fee_pence: int


class SliceReserved(Event, frozen=True, kw_only=True):
    tag = "token.slice_reserved.1"
    action = "SLICE_RESERVED"
    index: int
    trade: str
    buyer: str


class SliceReleased(Event, frozen=True, kw_only=True):
    tag = "token.slice_released.1"
    action = "SLICE_RELEASED"
    index: int
    trade: str


# ---------------------------------------------------------------- refusals


class FacesDoNotAddUp(Invalid):
    code = "faces_do_not_add_up"


class PriceOutOfBand(Invalid):
    code = "price_out_of_band"


# ---------------------------------------------------------------- decisions


def request_slicing(token: Token, command: RequestSlicing, context: Context) -> list[Event]:
    expect(token, "HELD")
    expect_unlocked(token)
    require(len(token.slices) == 1, TokenNotReady("this token is already sliced"))
    require(token.slices[0].holder == command.holder, NotTheHolder("only the holder slices a token"))
    require(SLICES_MIN <= len(command.faces) <= SLICES_MAX and all(face > 0 for face in command.faces)
            and sum(command.faces) == token.face_pence,
            FacesDoNotAddUp(f"give {SLICES_MIN} to {SLICES_MAX} positive faces that add up to "
                            f"{token.face_pence} pence", pointer="/faces"))
    return [SlicingRequested(token_id=token.token_id, holder=command.holder, faces=command.faces)]


def record_sliced(token: Token, command: RecordSliced, context: Context) -> list[Event]:
    expect(token, "SLICING")
    return [TokenSliced(invoice=token.invoice, holder=token.slices[0].holder, faces=token.pending_faces,
                        tx=command.tx, block=command.block)]


def list_slice(token: Token, command: ListSlice, context: Context) -> list[Event]:
    expect_trading(token)
    expect_before_record_date(token, context.now)
    expect_unlocked(token)
    part = token.slice(command.index)
    require(part.index > 0, NoSuchSlice("slice the token before listing a part of it"))
    require(part.holder == command.holder, NotTheHolder("only its holder lists a slice"))
    require(part.state == "HELD", SliceNotFree(f"slice {part.index} is {part.state}"))
    require(0 < command.price_pence <= part.face_pence,
            PriceOutOfBand("the price must be positive and at most the slice's face", pointer="/price_pence"))
    fee = 0 if part.holder in token.listed_by else command.listing_fee_pence
    return [SliceListed(invoice=token.invoice, holder=part.holder, index=part.index, face_pence=part.face_pence,
                        price_pence=command.price_pence, listing_fee_pence=fee)]


def reserve_slice(token: Token, command: ReserveSlice, context: Context) -> list[Event]:
    expect_trading(token)
    expect_before_record_date(token, context.now)
    expect_unlocked(token)
    part = token.slice(command.index)
    require(part.state == "LISTED", SliceNotFree(f"slice {part.index} is {part.state}, not listed"))
    require(part.holder == command.seller, SliceNotFree("this slice has changed hands; start a new check"))
    require(part.price_pence == command.price_pence,
            SliceNotFree(f"slice {part.index} is now offered at {part.price_pence} pence"))
    require(part.holder != command.buyer, SliceNotFree("you already hold this slice"))
    return [SliceReserved(index=part.index, trade=command.trade, buyer=command.buyer)]


def release_slice(token: Token, command: ReleaseSlice, context: Context) -> list[Event]:
    """Only a reservation is released; a slice already TRANSFERRING waits for the chain's answer."""
    part = token.slice(command.index)
    require(part.state == "RESERVED" and part.trade == command.trade,
            SliceNotFree("this trade does not hold the slice"))
    return [SliceReleased(index=command.index, trade=command.trade)]
