"""Token: the receivable on the chain, and its slice register off it. Faces are integer pence; they always add up.

Source: seeds 000 §7, 002 "Chain & ERC-3643", `spec/state-machines.md` "Token", "Slice". Every change on the chain is
an intent (`…_requested`), then the outcome (`minted`, `transferred`, …) with the transaction hash.
"""

from __future__ import annotations

import msgspec

from domain.base import Command, Conflict, Context, Event, Forbidden, Invalid, Kind, require

SLICES_MIN, SLICES_MAX = 2, 128
PLATFORM = "platform"
"""Holder of every token between minting and funding: the platform's listing wallet."""


def token_reference(invoice_reference: str) -> str:
    """FX-INV-23A4F -> FXR-INV-23A4F."""
    return "FXR-" + invoice_reference.removeprefix("FX-")


# ---------------------------------------------------------------- commands


class TokenCommand(Command, frozen=True, kw_only=True):
    kind = "token"
    token: str

    @property
    def key(self) -> str:
        return self.token


class RequestMint(TokenCommand, frozen=True, kw_only=True):
    invoice: str
    token_id: str
    face_pence: int
    holder: str
    wallet: str


class RecordMinted(TokenCommand, frozen=True, kw_only=True):
    tx: str
    block: int
    contract: str


class RequestTransfer(TokenCommand, frozen=True, kw_only=True):
    """Move the whole token (slice None) or one slice; `transfer` is the key of the movement."""

    transfer: str
    slice_index: int | None
    to: str
    to_wallet: str


class RecordTransferred(TokenCommand, frozen=True, kw_only=True):
    transfer: str
    tx: str
    block: int


class RecordTransferRefused(TokenCommand, frozen=True, kw_only=True):
    transfer: str
    reason: str


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
    index: int
    trade: str
    buyer: str
    price_pence: int


class ReleaseSlice(TokenCommand, frozen=True, kw_only=True):
    index: int
    trade: str


class CloseRegister(TokenCommand, frozen=True, kw_only=True):
    """The debtor has paid: who holds what now is who gets paid."""


class RequestBurn(TokenCommand, frozen=True, kw_only=True):
    pass


class RecordBurned(TokenCommand, frozen=True, kw_only=True):
    tx: str
    block: int


# ---------------------------------------------------------------- events


class MintRequested(Event, frozen=True, kw_only=True):
    tag = "token.mint_requested.1"
    action = "PENDING_MINT"
    invoice: str
    token_id: str
    face_pence: int
    holder: str
    wallet: str


class TokenMinted(Event, frozen=True, kw_only=True):
    tag = "token.minted.1"
    action = "TOKEN_MINT"
    invoice: str
    token_id: str
    contract: str
    tx: str
    block: int


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


class RegisterClosed(Event, frozen=True, kw_only=True):
    tag = "token.register_closed.1"
    action = "REGISTER_CLOSED"
    invoice: str


class BurnRequested(Event, frozen=True, kw_only=True):
    tag = "token.burn_requested.1"
    action = "BURN_PENDING"
    invoice: str
    token_id: str


class TokenBurned(Event, frozen=True, kw_only=True):
    tag = "token.burned.1"
    action = "TOKEN_BURN"
    invoice: str
    tx: str
    block: int


# ---------------------------------------------------------------- refusals


class TokenExists(Conflict):
    code = "token_exists"


class TokenNotReady(Conflict):
    code = "token_not_ready"


class NotTheHolder(Forbidden):
    code = "not_the_holder"


class FacesDoNotAddUp(Invalid):
    code = "faces_do_not_add_up"


class NoSuchSlice(Invalid):
    code = "no_such_slice"


class SliceNotFree(Conflict):
    code = "slice_not_free"


class PriceOutOfBand(Invalid):
    code = "price_out_of_band"


# ---------------------------------------------------------------- state


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    face_pence: int
    holder: str
    wallet: str
    state: str = "HELD"
    price_pence: int = 0
    trade: str | None = None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """Before slicing the register holds one slice, index 0, of the whole face."""

    reference: str = ""
    state: str = "NEW"
    invoice: str = ""
    token_id: str = ""
    face_pence: int = 0
    contract: str = ""
    slices: tuple[Slice, ...] = ()
    pending: TransferRequested | None = None
    pending_faces: tuple[int, ...] = ()
    listed_before: bool = False

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


# ---------------------------------------------------------------- decisions


def decide(token: Token, command: TokenCommand, context: Context) -> list[Event]:
    match command:
        case RequestMint():
            require(token.state == "NEW", TokenExists("this receivable already has its token"))
            return [MintRequested(invoice=command.invoice, token_id=command.token_id, face_pence=command.face_pence,
                                  holder=command.holder, wallet=command.wallet)]
        case RecordMinted():
            _expect(token, "PENDING_MINT")
            return [TokenMinted(invoice=token.invoice, token_id=token.token_id, contract=command.contract,
                                tx=command.tx, block=command.block)]
        case RequestTransfer() | RecordTransferred() | RecordTransferRefused():
            return _transfer(token, command)
        case RequestSlicing() | RecordSliced():
            return _slice(token, command)
        case ListSlice():
            return _list(token, command)
        case ReserveSlice():
            _expect(token, "HELD")
            part = token.slice(command.index)
            require(part.state == "LISTED", SliceNotFree(f"slice {part.index} is {part.state}, not listed"))
            require(part.price_pence == command.price_pence,
                    SliceNotFree(f"slice {part.index} is now offered at {part.price_pence} pence"))
            require(part.holder != command.buyer, SliceNotFree("you already hold this slice"))
            return [SliceReserved(index=part.index, trade=command.trade, buyer=command.buyer)]
        case ReleaseSlice():
            part = token.slice(command.index)
            require(part.state == "RESERVED" and part.trade == command.trade,
                    SliceNotFree("this trade does not hold the slice"))
            return [SliceReleased(index=command.index, trade=command.trade)]
        case CloseRegister():
            _expect(token, "HELD")
            return [RegisterClosed(invoice=token.invoice)]
        case RequestBurn():
            _expect(token, "CLOSED")
            return [BurnRequested(invoice=token.invoice, token_id=token.token_id)]
        case RecordBurned():
            _expect(token, "BURN_PENDING")
            return [TokenBurned(invoice=token.invoice, tx=command.tx, block=command.block)]
        case _:
            raise TypeError(f"token cannot decide {type(command).__name__}")


def _transfer(token: Token, command: RequestTransfer | RecordTransferred | RecordTransferRefused) -> list[Event]:
    if isinstance(command, RequestTransfer):
        _expect(token, "HELD")
        part = token.slice(command.slice_index or 0)
        if command.slice_index is not None:
            require(part.state == "RESERVED", SliceNotFree("a slice moves only for the trade that reserved it"))
        return [TransferRequested(
            transfer=command.transfer, invoice=token.invoice, token_id=token.token_id,
            slice_index=command.slice_index, face_pence=part.face_pence, holder=part.holder,
            from_wallet=part.wallet, to=command.to, to_wallet=command.to_wallet)]
    moving = token.pending
    if moving is None or moving.transfer != command.transfer:
        raise TokenNotReady("no such transfer is under way")
    if isinstance(command, RecordTransferRefused):
        return [TransferRefused(transfer=moving.transfer, invoice=token.invoice, slice_index=moving.slice_index,
                                reason=command.reason)]
    return [TokenTransferred(
        transfer=moving.transfer, invoice=token.invoice, slice_index=moving.slice_index,
        face_pence=moving.face_pence, holder=moving.holder, to=moving.to, to_wallet=moving.to_wallet,
        tx=command.tx, block=command.block)]


def _slice(token: Token, command: RequestSlicing | RecordSliced) -> list[Event]:
    if isinstance(command, RequestSlicing):
        _expect(token, "HELD")
        require(len(token.slices) == 1, TokenNotReady("this token is already sliced"))
        require(token.slices[0].holder == command.holder, NotTheHolder("only the holder slices a token"))
        require(SLICES_MIN <= len(command.faces) <= SLICES_MAX and all(face > 0 for face in command.faces)
                and sum(command.faces) == token.face_pence,
                FacesDoNotAddUp(f"give {SLICES_MIN} to {SLICES_MAX} positive faces that add up to "
                                f"{token.face_pence} pence", pointer="/faces"))
        return [SlicingRequested(token_id=token.token_id, holder=command.holder, faces=command.faces)]
    _expect(token, "SLICING")
    return [TokenSliced(invoice=token.invoice, holder=token.slices[0].holder, faces=token.pending_faces,
                        tx=command.tx, block=command.block)]


def _list(token: Token, command: ListSlice) -> list[Event]:
    _expect(token, "HELD")
    part = token.slice(command.index)
    require(part.index > 0, NoSuchSlice("slice the token before listing a part of it"))
    require(part.holder == command.holder, NotTheHolder("only its holder lists a slice"))
    require(part.state == "HELD", SliceNotFree(f"slice {part.index} is {part.state}"))
    require(0 < command.price_pence <= part.face_pence,
            PriceOutOfBand("the price must be positive and at most the slice's face", pointer="/price_pence"))
    fee = 0 if token.listed_before else command.listing_fee_pence
    return [SliceListed(invoice=token.invoice, holder=part.holder, index=part.index, face_pence=part.face_pence,
                        price_pence=command.price_pence, listing_fee_pence=fee)]


def _expect(token: Token, state: str) -> None:
    if token.state != state:
        raise TokenNotReady(f"this step needs the token to be {state}; it is {token.state}")


# ---------------------------------------------------------------- evolve


def evolve(token: Token, event: Event) -> Token:
    change = msgspec.structs.replace
    match event:
        case MintRequested():
            whole = Slice(index=0, face_pence=event.face_pence, holder=event.holder, wallet=event.wallet)
            return Token(reference=token.reference, state="PENDING_MINT", invoice=event.invoice,
                         token_id=event.token_id, face_pence=event.face_pence, slices=(whole,))
        case TokenMinted():
            return change(token, state="HELD", contract=event.contract)
        case TransferRequested():
            return change(token, state="TRANSFER_PENDING", pending=event)
        case TokenTransferred():
            moved = _replace(token, event.slice_index or 0, holder=event.to, wallet=event.to_wallet, state="HELD",
                             trade=None, price_pence=0)
            return change(token, state="HELD", pending=None, slices=moved)
        case TransferRefused():
            return change(token, state="HELD", pending=None)
        case SlicingRequested():
            return change(token, state="SLICING", pending_faces=event.faces)
        case TokenSliced():
            owner = token.slices[0]
            parts = tuple(Slice(index=i, face_pence=face, holder=owner.holder, wallet=owner.wallet)
                          for i, face in enumerate(event.faces, start=1))
            return change(token, state="HELD", slices=parts, pending_faces=())
        case SliceListed():
            listed = _replace(token, event.index, state="LISTED", price_pence=event.price_pence)
            return change(token, slices=listed, listed_before=True)
        case SliceReserved():
            return change(token, slices=_replace(token, event.index, state="RESERVED", trade=event.trade))
        case SliceReleased():
            return change(token, slices=_replace(token, event.index, state="LISTED", trade=None))
        case RegisterClosed():
            return change(token, state="CLOSED")
        case BurnRequested():
            return change(token, state="BURN_PENDING")
        case TokenBurned():
            return change(token, state="BURNED", slices=())
        case _:
            return token


def _replace(token: Token, index: int, **change: object) -> tuple[Slice, ...]:
    return tuple(msgspec.structs.replace(part, **change) if part.index == index else part for part in token.slices)


TOKEN: Kind[Token] = Kind("token", Token(), decide, evolve)
