"""The auditor of the frozen-payee campaign: the bank simulator's own books against the log, entry by entry."""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from domain.credit import CreditMatched, CreditSuspended
from domain.invoice import INVOICE
from domain.payment import (
    PaymentCleared,
    PaymentConfirmed,
    PaymentHeld,
    PaymentRequested,
    PaymentReturned,
)
from domain.subject import SUBJECT, SubjectFrozen, SubjectUnfrozen
from domain.token import TOKEN
from providers.bank.account import end_to_end
from scripts.campaigns.frozen_life import token_of

if TYPE_CHECKING:
    from scripts.campaigns.frozen_life import Life
    from scripts.campaigns.frozen_payee import Figures

AT_REST = ("LISTED", "DISBURSED", "SETTLED")
BOOKS_S = 30.0
CALL_MAX_MS = 5_000
"""A debit this long after a freeze was no call under way any more: it was asked for in spite of it."""


class Order(msgspec.Struct):
    """A payment as the log tells it."""

    owner: str
    pence: int
    cleared: list[int] = []
    """Positions of its intents."""


class Books:
    def __init__(self, life: Life):
        self._life = life
        self._position = 0
        self._open: set[str] = set()
        self._credits = 0

    def quiet(self, reference: str, paid_in: int) -> bool:
        """All that was paid in was worked on to the end, nothing is under way or held, and nobody is frozen."""
        self._follow()
        store = self._life.store
        if self._open or self._credits != paid_in or store.load(INVOICE, reference).state not in AT_REST:
            return False
        subjects = [store.load(SUBJECT, subject) for subject in self._life.ids.values()]
        if any(subject.state == "FROZEN" or subject.claims not in ("NONE", "ISSUED") for subject in subjects):
            return False
        token = store.load(TOKEN, token_of(reference))
        return token.state != "TRANSFER_PENDING" and not any(part.state == "RESERVED" for part in token.slices)

    def _follow(self) -> None:
        """Payments that are ordered and have not arrived; credits that are matched or in suspense."""
        for entry in self._life.store.read(self._position, 100_000):
            self._position = entry.position
            match entry.event:
                case PaymentRequested() as event:
                    self._open.add(event.payment)
                case PaymentConfirmed() | PaymentReturned() as event:
                    self._open.discard(event.payment)
                case CreditMatched() | CreditSuspended():
                    self._credits += 1
                case _:
                    pass

    def check(self, figures: Figures) -> None:
        orders, windows = self._told(figures)
        debits = [row for row in self._life.story.outside.get("/bank/transactions.json") if row["direction"] == "DBIT"]
        by_key = Counter(row["end_to_end"] for row in debits)
        named = {end_to_end(payment): order for payment, order in orders.items()}
        for payment, order in orders.items():
            if (paid := by_key.pop(end_to_end(payment), 0)) != 1:
                self._wrong(figures, "not_paid_once", f"{payment} was paid {paid} times")
            if any(begin < position < end for position in order.cleared for begin, end, *_ in windows[order.owner]):
                self._wrong(figures, "paid_while_frozen", f"{payment} was cleared while {order.owner} was frozen")
        for stranger in by_key:
            self._wrong(figures, "not_paid_once", f"a debit {stranger} that nobody ordered")
        for row in debits:
            self._dated(figures, row, named.get(row["end_to_end"]), windows)
        self._balanced(figures, sum(row["amount_pence"] for row in debits))

    def _told(self, figures: Figures) -> tuple[dict[str, Order], dict[str, list[tuple[int, int, float, float]]]]:
        """Every payment, and per subject its freezes: first and last position, first and last moment in ms."""
        store = self._life.store
        moments = {row["position"]: row["recorded_us"] / 1_000 for row in store.rows(1, store.head())}
        orders: dict[str, Order] = {}
        windows: dict[str, list[tuple[int, int, float, float]]] = {}
        for entry in store.read(0, 1_000_000):
            match entry.event:
                case PaymentRequested() as event:
                    orders[event.payment] = Order(event.beside or event.payee, event.pence)
                    windows.setdefault(event.beside or event.payee, [])
                case PaymentCleared() as event:
                    orders[event.payment].cleared.append(entry.position)
                case PaymentHeld():
                    figures.held += 1
                case SubjectFrozen():
                    windows.setdefault(entry.resource, []).append(
                        (entry.position, sys.maxsize, moments[entry.position], float("inf")))
                case SubjectUnfrozen():
                    begin, _, since, _ = windows[entry.resource].pop()
                    windows[entry.resource].append((begin, entry.position, since, moments[entry.position]))
                case _:
                    pass
        figures.payments = len(orders)
        return orders, windows

    def _dated(self, figures: Figures, row: dict[str, Any], order: Order | None,
               windows: dict[str, list[tuple[int, int, float, float]]]) -> None:
        """By the bank's clock: only a call that was under way when the freeze landed is dated after it."""
        made_ms = datetime.fromisoformat(row["made_at"]).timestamp() * 1_000
        for _, _, since, until in windows[order.owner] if order else []:
            late = made_ms - since
            if late > 0 and made_ms < until:
                figures.calls_under_way += 1
                figures.calls_under_way_max_ms = max(figures.calls_under_way_max_ms, round(late))
                if late > CALL_MAX_MS:
                    self._wrong(figures, "paid_while_frozen", f"{row['end_to_end']} went out {late:.0f} ms after it")

    def _balanced(self, figures: Figures, paid_out: int) -> None:
        """The read models follow the log: they are given the time to."""
        rows = self._life.story.outside.get("/bank/transactions.json")
        received = sum(row["amount_pence"] for row in rows if row["direction"] == "CRDT")
        wanted, found = (0, 0, received - paid_out, 0), (-1, 0, 0, 0)
        deadline = time.monotonic() + BOOKS_S
        while found != wanted and time.monotonic() < deadline:
            time.sleep(0.1)
            ledger = self._life.story.admin.get("/v1/admin/ledger")
            balances = {row["account"]: row["pence"] for row in ledger["accounts"]}
            incidents = self._life.story.mlro.get("/v1/compliance/incidents")["data"]
            found = (ledger["sum_pence"], balances.get("transit", 0), balances["collections"],
                     sum(row["kind"] == "HELD" for row in incidents))
        if found != wanted:
            self._wrong(figures, "books_wrong", f"sum, transit, collections, held: {found} where {wanted} is right")

    def _wrong(self, figures: Figures, kind: str, words: str) -> None:
        setattr(figures, kind, getattr(figures, kind) + 1)
        if len(figures.wrong) < 20:
            figures.wrong.append(f"{kind}: {words}")
