"""What every step of a token shares: the slice register, the command's key, the refusals of a wrong moment."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from domain import maturity
from domain.base import Command, Conflict, Forbidden, Invalid

PLATFORM = "platform"
"""Holder of every token between minting and funding: the platform's listing wallet."""


class TokenCommand(Command, frozen=True, kw_only=True):
    kind = "token"
    token: str

    @property
    def key(self) -> str:
        return self.token


# ---------------------------------------------------------------- refusals


class TokenNotReady(Conflict):
    code = "token_not_ready"


class NotTheHolder(Forbidden):
    code = "not_the_holder"


class NoSuchSlice(Invalid):
    code = "no_such_slice"


class SliceNotFree(Conflict):
    code = "slice_not_free"


# ---------------------------------------------------------------- state


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """HELD -> LISTED -> RESERVED -> TRANSFERRING -> HELD by the next holder."""

    index: int
    face_pence: int
    holder: str
    wallet: str
    state: str = "HELD"
    price_pence: int = 0
    trade: str | None = None


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer the chain has been asked for and has not answered yet. Slice None: the whole token."""

    transfer: str
    slice_index: int | None
    face_pence: int
    holder: str
    to: str
    to_wallet: str


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """Before slicing the register holds one slice, index 0, of the whole face."""

    reference: str = ""
    state: str = "NEW"
    invoice: str = ""
    token_id: str = ""
    face_pence: int = 0
    due_on: date | None = None
    contract: str = ""
    slices: tuple[Slice, ...] = ()
    pending: tuple[Movement, ...] = ()
    pending_faces: tuple[int, ...] = ()
    listed_by: frozenset[str] = frozenset()
    """Who has offered a part of it: each pays the listing fee once (decisions row 93)."""

    lock: str | None = None
    """LOCKING -> LOCKED -> UNLOCKING -> None. Anything but None refuses movements."""

    lock_reason: str | None = None
    locked_by: str | None = None

    def slice(self, index: int) -> Slice:
        for part in self.slices:
            if part.index == index:
                return part
        raise NoSuchSlice(f"this token has no slice {index}", pointer="/slice")

    def holdings(self) -> dict[str, int]:
        """holder -> pence of face, in register order."""
        held: dict[str, int] = {}
        for part in self.slices:
            held[part.holder] = held.get(part.holder, 0) + part.face_pence
        return held


def replace_slice(token: Token, index: int, **changed: object) -> tuple[Slice, ...]:
    return tuple(msgspec.structs.replace(part, **changed) if part.index == index else part for part in token.slices)


def expect(token: Token, *states: str) -> None:
    if token.state not in states:
        raise TokenNotReady(f"this step needs the token to be {states[0]}; it is {token.state}")


def expect_trading(token: Token) -> None:
    """The register is open. A slice on its way stops nobody who deals in another slice."""
    expect(token, "HELD", "TRANSFER_PENDING")


def expect_before_record_date(token: Token, now: datetime) -> None:
    assert token.due_on is not None
    maturity.require_open(token.due_on, now)
