"""Payer: an account that has paid what a debtor owes. Its money is the debtor's from then on, whatever name it bears.

Source: `spec/decisions.md` row 91. The account stands here as a keyed hash, which tells nobody without the key.
"""

from __future__ import annotations

import msgspec

from domain.base import Command, Context, Event, Kind


class KnowPayer(Command, frozen=True, kw_only=True):
    kind = "payer"
    debtor: str
    payer: str

    @property
    def key(self) -> str:
        return payer_key(self.debtor, self.payer)


class PayerKnown(Event, frozen=True, kw_only=True):
    tag = "payer.known.1"
    action = "PAYER_KNOWN"
    debtor: str
    payer: str


class Payer(msgspec.Struct, frozen=True):
    known: bool = False


def payer_key(debtor: str, payer: str) -> str:
    return f"{debtor}/{payer}"


def _decide(known: Payer, command: KnowPayer, context: Context) -> list[Event]:
    return [] if known.known else [PayerKnown(debtor=command.debtor, payer=command.payer)]


def _evolve(known: Payer, event: Event) -> Payer:
    return Payer(known=True) if isinstance(event, PayerKnown) else known


PAYER: Kind[Payer] = Kind("payer", Payer(), _decide, _evolve, resource=lambda key: f"payer of {key.partition('/')[0]}")
