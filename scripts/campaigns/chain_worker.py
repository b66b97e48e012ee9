"""A process of the chain campaign: carries out the operations it reads, one a line, and answers each with a line.

It repeats what may be repeated, as the platform's effects do, and is killed at any moment. Usage:
`python -m scripts.campaigns.chain_worker NODE_URL DATABASE_URL KEY_FOLDER`.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from chain.client import Chain
from chain.errors import ForeignTransaction, Refused, Retryable
from chain.keys import FolderKeys
from eventstore.access import ANCHOR
from eventstore.journal import JournalRows
from scripts.campaigns.commands import access

CHAIN_ID = 31337
PAUSE_S = 0.02


class Order(msgspec.Struct, frozen=True):
    """A method of `chain.client.Chain` to be called, after `op`, with these arguments."""

    op: str
    method: str
    arguments: list[Any]
    """Token ids, which JSON has no room for, in digits."""

    hashes: list[bytes] = []
    """Further arguments, at the end."""

    @property
    def values(self) -> list[Any]:
        given = [int(one) if re.fullmatch("[0-9]+", str(one)) else one for one in self.arguments]
        return [*given, *self.hashes]


class Answer(msgspec.Struct, frozen=True):
    """How it ended: a hash, a refusal, or a word that somebody else uses the key (then it goes on trying)."""

    op: str
    tx: str | None = None
    refused: str | None = None
    foreign: bool = False


def connect(url: str, database: str, folder: Path) -> Chain:
    rows = JournalRows(access(database).pool(ANCHOR, 4))
    return Chain.connect(url, CHAIN_ID, rows, FolderKeys(folder))


def carry_out(chain: Chain, order: Order) -> None:
    while True:
        try:
            receipt = getattr(chain, order.method)(order.op, *order.values)
            tell(Answer(order.op, tx=receipt.tx_hash))
            return
        except Refused as refusal:
            tell(Answer(order.op, refused=refusal.code))
            return
        except ForeignTransaction:
            tell(Answer(order.op, foreign=True))
            time.sleep(5 * PAUSE_S)
        except Retryable:
            time.sleep(PAUSE_S)


def tell(answer: Answer) -> None:
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


def main(url: str, database: str, folder: str) -> None:
    while True:
        try:
            chain = connect(url, database, Path(folder))
            break
        except Retryable:
            time.sleep(PAUSE_S)
    tell(Answer(""))
    for line in sys.stdin:
        carry_out(chain, msgspec.json.decode(line, type=Order))


if __name__ == "__main__":
    main(*sys.argv[1:])
