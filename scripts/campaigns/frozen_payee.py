"""`make campaign-frozen-payee`: 200 random orders of freeze, unfreeze, bank outage, stale anchors and kill -9 around
every kind of payment; nobody is paid between its freeze and its unfreezing, and everybody is paid once in the end.

What is true is read from the bank simulator's own books and the log's positions (scripts/campaigns/frozen_books.py).
The seed fixes who is frozen when among which blows, not what the machine did then.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import cyclopts
import msgspec
from rich.console import Console

from scripts.campaigns.figures import keep
from scripts.campaigns.frozen_books import Books
from scripts.campaigns.frozen_life import Life, PaysIn, lived
from scripts.campaigns.server import Server

ORDERS = 200
LIFE = ("give-back", "advance", "proceeds", "trade refund", "proceeds", "settlement")
"""The kinds of payment around which orders are played, in the order in which an invoice comes by them."""

PAYEE = {"give-back": ("pennine",), "advance": ("coppergate",), "proceeds": ("pennine",), "trade refund": ("brunel",),
         "settlement": ("pennine", "brunel")}
"""Who is frozen and lifted around the payment."""

WITHDRAWN_BY = {"give-back": "coppergate", "trade refund": "pennine"}
"""Who is frozen beforehand, so that the money goes back."""

STRUCK = ("payment.requested.1", "payment.cleared.1", "payment.held.1", "payment.released.1", "payment.sent.1")
"""Entries upon which the platform is killed."""

LONGEST_PAUSE_S = 0.25
STRIKE_WITHIN_S = 0.4


class Figures(msgspec.Struct):
    """`paid_while_frozen`: bank debits whose intent lies between the payee's freeze and its end, by log position.
    `calls_under_way`: debits the bank dates after a freeze whose intent lies before it, and the latest of them."""

    seed: int
    orders_run: int = 0
    by: dict[str, int] = {}
    kills: int = 0
    freezes: int = 0
    payments: int = 0
    held: int = 0
    paid_while_frozen: int = 0
    calls_under_way: int = 0
    calls_under_way_max_ms: int = 0
    not_paid_once: int = 0
    books_wrong: int = 0
    wrong: list[str] = []
    seconds: float = 0.0

    @property
    def faults(self) -> int:
        return self.paid_while_frozen + self.not_paid_once + self.books_wrong


class Campaign:
    def __init__(self, life: Life, seed: int, tell: Callable[[Figures], None] = lambda _: None):
        self.life, self.tell = life, tell
        self.figures = Figures(seed=seed)
        self._books = Books(life)
        self._random = random.Random(seed)

    def run(self, orders: int) -> Figures:
        began = time.monotonic()
        while self.figures.orders_run < orders:
            reference = self.life.listed()
            for kind in LIFE:
                if self.figures.orders_run == orders:
                    break
                if kind == "advance" and not self.life.listed_again(reference):
                    reference = self.life.listed()  # the freeze came too late to send the money back
                self._order(kind, reference)
                self.figures.orders_run += 1
                self.figures.by[kind] = self.figures.by.get(kind, 0) + 1
                self.figures.seconds = round(time.monotonic() - began, 1)
                self.tell(self.figures)
        self._books.check(self.figures)
        self.figures.seconds = round(time.monotonic() - began, 1)
        return self.figures

    # ------------------------------------------------------------ one order

    def _order(self, kind: str, reference: str) -> None:
        money = self._prepared(kind, reference)
        if money is None:
            return
        if kind in WITHDRAWN_BY:
            self._freeze(WITHDRAWN_BY[kind])
        for step in self._shuffled(self._random.choice(PAYEE[kind]), money):
            step()
            time.sleep(self._random.random() * LONGEST_PAUSE_S)
        self._calm(reference)
        if kind == "advance":
            self._funded(reference)

    def _prepared(self, kind: str, reference: str) -> PaysIn | None:
        """What is paid in; None when an earlier order sold every slice."""
        if kind in ("give-back", "advance"):
            return self.life.reserved(reference)
        if kind == "settlement":
            return self.life.owed(reference)
        index = self.life.offered(reference)
        return None if index is None else self.life.accepted(reference, index)

    def _shuffled(self, payee: str, money: PaysIn) -> list[Callable[[], None]]:
        """The money comes, the payee is frozen and perhaps let go; blows in between. What is begun ends in `_calm`."""
        steps: list[Callable[[], None]] = [lambda: self.life.pays(money), lambda: self._freeze(payee)]
        self._random.shuffle(steps)
        blows: list[Callable[[], None]] = []
        if self._random.random() < 0.5:
            blows += [lambda: self.life.bank_away(True), lambda: self.life.bank_away(False)]
        if self._random.random() < 0.3:
            blows += [lambda: self.life.stale(True), lambda: self.life.stale(False)]
        if self._random.random() < 0.4:
            blows.append(self._kill)
        if self._random.random() < 0.7:
            blows.append(lambda: self._lift(payee))
        if self._random.random() < 0.2:
            blows += [lambda: self._freeze(payee)]
        for blow in blows:
            steps.insert(self._random.randrange(len(steps) + 1), blow)
        return steps

    def _freeze(self, who: str) -> None:
        if who not in self.life.frozen():
            self.life.freeze(who)
            self.figures.freezes += 1

    def _lift(self, who: str) -> None:
        if who in self.life.frozen():
            self.life.unfreeze(who)

    def _kill(self) -> None:
        """Upon the next entry about a payment, if one comes."""
        position, deadline = self.life.store.head(), time.monotonic() + STRIKE_WITHIN_S
        while time.monotonic() < deadline:
            if any(entry.event.tag in STRUCK for entry in self.life.store.read(position)):
                break
            time.sleep(0.003)
        time.sleep(self._random.random() * 0.02)
        self.life.kill()
        self.figures.kills += 1

    def _calm(self, reference: str) -> None:
        """All blows end, everybody is let go, and all that was owed has arrived."""
        self.life.stale(False)
        self.life.bank_away(False)
        for who in self.life.frozen():
            self.life.unfreeze(who)
        self._wait_quiet(reference)

    def _wait_quiet(self, reference: str) -> None:
        self.life.wait(lambda: self._books.quiet(reference, self.life.paid_in), "everything to have arrived")

    def _funded(self, reference: str) -> None:
        """The life goes on with an advance, whatever became of the one that was played around."""
        if self.life.listed_again(reference):
            self.life.pays(self.life.reserved(reference))
            self._wait_quiet(reference)
        self.life.wait_state(reference, "DISBURSED")
        self.life.sliced(reference)


app = cyclopts.App(help=__doc__)


@app.default
def main(orders: int = ORDERS, seed: int = 0) -> None:
    console = Console()
    with (tempfile.TemporaryDirectory(prefix="fx-frozen-") as folder,
          closing(Server(Path(folder))) as server,
          console.status("starting a platform and its people …") as status,
          lived(Path(folder), server.url) as life):
        figures = Campaign(life, seed, lambda now: status.update(
            f"{now.orders_run} of {orders} orders, {now.kills} kills, {now.seconds:,.0f} s")).run(orders)
    told: dict[str, Any] = {**msgspec.to_builtins(figures), "faults": figures.faults}
    keep("frozen_payee", told)
    console.print(told)
    sys.exit(1 if figures.faults or figures.wrong else 0)


if __name__ == "__main__":
    app()
