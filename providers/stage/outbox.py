"""Notices a simulator owes to the platform: kept until a 2xx answer, retried, surviving restarts."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp

from providers.stage.store import Store

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 15.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS notice (
    ref TEXT PRIMARY KEY, body BLOB NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0,
    delivered_at TEXT, deliveries INTEGER NOT NULL DEFAULT 0, last_answer TEXT NOT NULL DEFAULT '');
"""

Seal = Callable[[bytes, datetime], Mapping[str, str]]


class Outbox:
    """`seal` makes the headers of one attempt, so that every attempt carries its own time and signature."""

    def __init__(self, store: Store, seal: Seal, url: Callable[[], str]) -> None:
        self._store = store
        self._seal = seal
        self._url = url
        self._wake = asyncio.Event()
        store.script(SCHEMA)
        # A restart is a reason to try at once: it may be what the other side was waiting for.
        store.run("UPDATE notice SET due = 0 WHERE delivered_at IS NULL")

    def add(self, ref: str, body: bytes) -> None:
        """Call inside the transaction that causes the notice, then `nudge`."""
        self._store.run("INSERT INTO notice (ref, body) VALUES (?, ?)", ref, body)

    def again(self, ref: str) -> bool:
        changed = self._store.run(
            "UPDATE notice SET delivered_at = NULL, attempts = 0, due = 0 WHERE ref = ?", ref
        )
        self.nudge()
        return changed == 1

    def nudge(self) -> None:
        self._wake.set()

    def retry_all(self) -> None:
        """The address changed: what waits for a later attempt is due now."""
        self._store.run("UPDATE notice SET due = 0 WHERE delivered_at IS NULL")
        self.nudge()

    async def run(self) -> None:
        """Delivers for ever; one attempt at a time, the oldest first."""
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            while True:
                self._wake.clear()
                for row in self._due():
                    await self._attempt(session, row)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._pause_s())

    async def _attempt(self, session: aiohttp.ClientSession, row: Any) -> None:
        body = bytes(row["body"])
        try:
            headers = dict(self._seal(body, datetime.now(UTC)))
            async with session.post(
                self._url(), data=body, headers=headers, allow_redirects=False
            ) as response:
                outcome, delivered = str(response.status), 200 <= response.status < 300
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            outcome, delivered = type(error).__name__, False
        if delivered:
            self._store.run(
                "UPDATE notice SET delivered_at = ?, deliveries = deliveries + 1, last_answer = ? "
                "WHERE ref = ?",
                datetime.now(UTC).isoformat(),
                outcome,
                row["ref"],
            )
            return
        wait = min(FIRST_WAIT_S * 2 ** row["attempts"], LONGEST_WAIT_S)
        self._store.run(
            "UPDATE notice SET attempts = attempts + 1, due = ?, last_answer = ? WHERE ref = ?",
            time.time() + wait,
            outcome,
            row["ref"],
        )

    def _due(self) -> list[Any]:
        if not self._url():
            return []
        return self._store.rows(
            "SELECT * FROM notice WHERE delivered_at IS NULL AND due <= ? ORDER BY rowid LIMIT 50",
            time.time(),
        )

    def _pause_s(self) -> float:
        row = self._store.row("SELECT min(due) AS due FROM notice WHERE delivered_at IS NULL")
        if row is None or row["due"] is None or not self._url():
            return 60.0
        return min(max(row["due"] - time.time(), 0.01), 60.0)
