"""A seller and its customer: known to each other once compliance has called the customer back.

Whoever reads the customer's mailbox confirms an invoice; that the customer knows of it, somebody at its registered
office says on the telephone, once for each pair. Until then the confirmed invoice waits. Source: decisions row 48.

    new -> waiting -> known     for ever
                   -> new       denied: what waited is void, and the next confirmation is called back again
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from domain.base import Command, Conflict, Context, Event, Forbidden, Kind, require
from domain.calendar import end_of_business_day
from domain.party import COMPLIANCE, Personal

CALL_WITHIN_BUSINESS_DAYS = 2


# ---------------------------------------------------------------- commands


class PairCommand(Command, frozen=True, kw_only=True):
    kind = "pair"
    seller: str
    buyer: str

    @property
    def key(self) -> str:
        return pair_key(self.seller, self.buyer)


class RequestCallback(PairCommand, frozen=True, kw_only=True):
    """A confirmed invoice of a pair that is not known yet."""

    invoice: str


class RecordCallback(PairCommand, frozen=True, kw_only=True):
    """What the customer said on the telephone. The note is kept sealed, its keyed hash in the open."""

    confirmed: bool
    note: Personal
    note_sha256: str

    @property
    def about(self) -> str:
        return self.buyer


# ---------------------------------------------------------------- events


class CallbackRequested(Event, frozen=True, kw_only=True):
    tag = "pair.callback_requested.1"
    action = "CALLBACK_REQUESTED"
    seller: str
    buyer: str
    invoice: str
    call_by: datetime


class CallbackConfirmed(Event, frozen=True, kw_only=True):
    tag = "pair.callback_confirmed.1"
    action = "CALLBACK_CONFIRMED"
    seller: str
    buyer: str
    invoices: tuple[str, ...]
    note: Personal
    note_sha256: str


class CallbackDenied(Event, frozen=True, kw_only=True):
    tag = "pair.callback_denied.1"
    action = "CALLBACK_DENIED"
    seller: str
    buyer: str
    invoices: tuple[str, ...]
    note: Personal
    note_sha256: str


# ---------------------------------------------------------------- refusals


class PairKnown(Conflict):
    code = "pair_known"


class NoCallback(Conflict):
    code = "no_callback"


class NotTheCaller(Forbidden):
    code = "not_the_caller"


# ---------------------------------------------------------------- state


class Pair(msgspec.Struct, frozen=True):
    known: bool = False
    waiting: tuple[str, ...] = ()
    """Invoices, in the order of their confirmation."""


def pair_key(seller: str, buyer: str) -> str:
    return f"{seller}/{buyer}"


# ---------------------------------------------------------------- decisions


def decide(pair: Pair, command: PairCommand, context: Context) -> list[Event]:
    match command:
        case RequestCallback():
            require(not pair.known, PairKnown("this customer was called back about this seller"))
            if command.invoice in pair.waiting:
                return []
            return [CallbackRequested(seller=command.seller, buyer=command.buyer, invoice=command.invoice,
                                      call_by=end_of_business_day(context.now, CALL_WITHIN_BUSINESS_DAYS))]
        case RecordCallback():
            require(context.actor_role == COMPLIANCE, NotTheCaller("only a compliance officer calls back"))
            require(context.actor not in (command.seller, command.buyer), NotTheCaller("nobody decides their own case"))
            require(pair.waiting != (), NoCallback("no call-back waits for this seller and this customer"))
            outcome = CallbackConfirmed if command.confirmed else CallbackDenied
            return [outcome(seller=command.seller, buyer=command.buyer, invoices=pair.waiting, note=command.note,
                            note_sha256=command.note_sha256)]
        case _:
            raise TypeError(f"pair cannot decide {type(command).__name__}")


def evolve(pair: Pair, event: Event) -> Pair:
    match event:
        case CallbackRequested():
            return Pair(waiting=(*pair.waiting, event.invoice))
        case CallbackConfirmed():
            return Pair(known=True)
        case CallbackDenied():
            return Pair()
        case _:
            return pair


PAIR: Kind[Pair] = Kind("pair", Pair(), decide, evolve)
