"""Supply: the token is minted once, its register closes when the debtor has paid, and it is burned."""

from __future__ import annotations

from datetime import date

from domain.base import Conflict, Context, Event, require
from domain.token.lock import BurnedUnderLock
from domain.token.state import Token, TokenCommand, expect


def token_reference(invoice_reference: str) -> str:
    """FX-INV-23A4F -> FXR-INV-23A4F."""
    return "FXR-" + invoice_reference.removeprefix("FX-")


# ---------------------------------------------------------------- commands


class RequestMint(TokenCommand, frozen=True, kw_only=True):
    invoice: str
    token_id: str
    face_pence: int
    due_on: date
    holder: str
    wallet: str


class RecordMinted(TokenCommand, frozen=True, kw_only=True):
    tx: str
    block: int
    contract: str


class CloseRegister(TokenCommand, frozen=True, kw_only=True):
    """The debtor has paid: who holds what now is who gets paid. `holdings`: the register the shares came from."""

    holdings: tuple[tuple[str, int], ...]


class ExpectMoving(TokenCommand, frozen=True, kw_only=True):
    """What is appended with this waits for the register to settle: it decides nothing, and is refused if it has."""


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
    due_on: date
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


class RegisterChanged(Conflict):
    code = "register_changed"


class RegisterSettled(Conflict):
    code = "register_settled"


# ---------------------------------------------------------------- decisions


def request_mint(token: Token, command: RequestMint, context: Context) -> list[Event]:
    require(token.state == "NEW", TokenExists("this receivable already has its token"))
    return [MintRequested(invoice=command.invoice, token_id=command.token_id, face_pence=command.face_pence,
                          due_on=command.due_on, holder=command.holder, wallet=command.wallet)]


def mint(token: Token, command: RecordMinted, context: Context) -> list[Event]:
    expect(token, "PENDING_MINT")
    return [TokenMinted(invoice=token.invoice, token_id=token.token_id, contract=command.contract,
                        tx=command.tx, block=command.block)]


def close_register(token: Token, command: CloseRegister, context: Context) -> list[Event]:
    """Only when nothing is on its way: a slice in transit has two holders."""
    expect(token, "HELD")
    require(command.holdings == tuple(token.holdings().items()),
            RegisterChanged("the register differs from the one the shares were computed from"))
    return [RegisterClosed(invoice=token.invoice)]


def expect_moving(token: Token, command: ExpectMoving, context: Context) -> list[Event]:
    require(token.state != "HELD", RegisterSettled("nothing of this token is on its way"))
    return []


def request_burn(token: Token, command: RequestBurn, context: Context) -> list[Event]:
    """A lock forbids trading, not being paid; that it was there is recorded."""
    expect(token, "CLOSED")
    burn: list[Event] = [BurnRequested(invoice=token.invoice, token_id=token.token_id)]
    return burn if token.lock is None else [BurnedUnderLock(reason_code=token.lock_reason or ""), *burn]


def burn(token: Token, command: RecordBurned, context: Context) -> list[Event]:
    expect(token, "BURN_PENDING")
    return [TokenBurned(invoice=token.invoice, tx=command.tx, block=command.block)]
