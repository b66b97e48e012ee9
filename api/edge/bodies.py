"""Bodies, bounded before they are parsed: in size, in time, in the memory of all that are on their way, in what one
subject may upload in a day, and JSON in its depth. Nothing is read before the guard has let the caller in.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from litestar.types import HTTPScope, Receive

from api.errors import Gone, TurnedAway
from eventstore.foreign import deeper_than

MAX_JSON_BYTES = 100_000
"""The longest honest form (a rationale of 4,000 characters, 128 slices) has a tenth of it. A route that takes more, or
less, declares its `max_bytes`; the framework's own limit is off, since it answers without saying which.
"""

MAX_DEPTH = 32
PATIENCE_S = 10.0
LEAST_BYTES_PER_S = 256 * 1024
"""A body has PATIENCE_S, and longer only as far as it may be larger than this a second."""

IN_FLIGHT_BYTES = 64 * 1024 * 1024
IN_FLIGHT_BYTES_EACH = 24 * 1024 * 1024
"""Of all bodies being read, and of one caller's (an address's, while nobody has said who it is)."""

DAILY_UPLOAD_BYTES = 200 * 1024 * 1024
"""Of one subject in a day of the platform's clock, repeats included. Counted in memory; a restart forgets it."""

CLOSE = {"Connection": "close"}


@dataclass
class Bodies:
    """The books of one server: bytes in flight, by caller, and bytes uploaded today, by subject."""

    now: Callable[[], datetime]
    in_flight: int = 0
    _by_caller: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    _today: date = date.min
    _uploaded: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    @contextmanager
    def bounded(self, scope: HTTPScope, receive: Receive) -> Iterator[Receive]:
        """What the application receives instead: the whole body in one message, or an exception that says why not.
        The bytes count as in flight until the request is over.
        """
        body = _Body(self, scope, receive)
        try:
            yield body
        finally:
            body.release()

    def take(self, caller: str, size: int) -> None:
        """Room for so many more bytes of this caller's; TurnedAway (503) when there is none."""
        if self._by_caller[caller] + size > IN_FLIGHT_BYTES_EACH or self.in_flight + size > IN_FLIGHT_BYTES:
            raise TurnedAway(503, "overloaded", "too much is being uploaded at the moment; send this again shortly",
                             {"Retry-After": "1", **CLOSE})
        self._by_caller[caller] += size
        self.in_flight += size

    def give_back(self, caller: str, size: int) -> None:
        self.in_flight -= size
        self._by_caller[caller] -= size
        if not self._by_caller[caller]:
            del self._by_caller[caller]

    def upload(self, subject: str, size: int, *, announced: bool = False) -> None:
        """Count an upload against the subject's day, or only ask whether it will fit; TurnedAway (429) when not."""
        now = self.now()
        if now.date() != self._today:
            self._today = now.date()
            self._uploaded.clear()
        if self._uploaded[subject] + size > DAILY_UPLOAD_BYTES:
            midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
            raise TurnedAway(429, "upload_quota_spent",
                             f"at most {DAILY_UPLOAD_BYTES // 2**20} MiB of documents a day; go on tomorrow",
                             {"Retry-After": str(int((midnight - now).total_seconds()) + 1), **CLOSE})
        if not announced:
            self._uploaded[subject] += size


class _Body:
    """One request's body, read when the application asks for it."""

    def __init__(self, books: Bodies, scope: HTTPScope, receive: Receive):
        self._books, self._scope, self._receive = books, scope, receive
        self._caller, self._held, self._given = "", 0, False

    async def __call__(self) -> Any:
        if self._given:
            return await self._receive()
        self._given = True
        handler: Any = self._scope["route_handler"]
        limit: int = handler.opt.get("max_bytes", MAX_JSON_BYTES)
        subject = getattr(self._scope.get("user"), "id", None)
        self._caller = subject or (self._scope["client"] or ("", 0))[0]
        uploader = subject if handler.opt.get("uploads") else None
        self._check_announced(limit, uploader)
        try:
            async with asyncio.timeout(PATIENCE_S + limit / LEAST_BYTES_PER_S):
                body = await self._read(limit, uploader)
        except TimeoutError:
            raise TurnedAway(408, "too_slow", "the body did not arrive in time; send it again", CLOSE) from None
        if "data" in handler.parsed_fn_signature.parameters:
            _check_json(body)
        return {"type": "http.request", "body": body, "more_body": False}

    def release(self) -> None:
        if self._held:
            self._books.give_back(self._caller, self._held)
            self._held = 0

    def _check_announced(self, limit: int, uploader: str | None) -> None:
        size = int(next((value for name, value in self._scope["headers"] if name == b"content-length"), b"0"))
        if size > limit:
            raise _too_large(limit)
        if uploader:
            self._books.upload(uploader, size, announced=True)

    async def _read(self, limit: int, uploader: str | None) -> bytes:
        pieces: list[bytes] = []
        while True:
            message: Any = await self._receive()
            if message["type"] == "http.disconnect":
                raise Gone
            piece: bytes = message.get("body", b"")
            if self._held + len(piece) > limit:
                raise _too_large(limit)
            self._books.take(self._caller, len(piece))
            self._held += len(piece)
            if uploader:
                self._books.upload(uploader, len(piece))
            pieces.append(piece)
            if not message.get("more_body", False):
                return b"".join(pieces)


def _check_json(body: bytes) -> None:
    if not body:
        raise TurnedAway(400, "malformed_json", "the body is empty: send the form of this address as JSON")
    if deeper_than(MAX_DEPTH, body):
        raise TurnedAway(400, "malformed_json", f"this JSON is nested more than {MAX_DEPTH} deep")


def _too_large(limit: int) -> TurnedAway:
    return TurnedAway(413, "too_large", f"at most {limit:,} bytes are read here", CLOSE)
