"""Connections, bounded in number and in patience: nobody holds one by sending nothing, or a byte now and then.

A head has its seconds from its first byte (on a fresh connection: from the start), a body what `bodies` gives it, an
answer its own to be fetched, an idle connection its own. When an address or the server has all the connections it may
have, the one that has kept us waiting longest makes room: slow clients crowd out each other, not those who come to ask.
"""

from __future__ import annotations

import asyncio
import sys
from uuid import uuid4

import h11
import msgspec
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from api.edge.door import ALWAYS, UNLESS_SAID
from api.errors import PROBLEM, REQUEST_ID, problem_body

HEAD, REST, FETCH = "head", "rest", "fetch"
"""What a client may owe: a request's head, the rest of a body that nobody wants, fetching its answer."""


class Limits(msgspec.Struct, frozen=True):
    """Seconds, and numbers of connections."""

    head_s: float = 10.0
    idle_s: int = 20
    """Longer than clients keep theirs (httpx: 5 s), so that none is closed while being taken up again."""

    linger_s: float = 5.0
    """For what is left of a body that nobody wants: closing at once could cost the client its answer."""

    write_s: float = 30.0
    in_total: int = 1_000
    per_address: int = 200
    proxies: frozenset[str] = frozenset()
    """Addresses that stand for many clients, and are bounded by the total alone."""


class Crowd:
    """Every open connection of a server, by address."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self._all: set[Connection] = set()
        self._of: dict[str, set[Connection]] = {}

    def admit(self, new: Connection) -> bool:
        """Whether there is room; the one that waits on its client longest is cut off to make some."""
        beside = self._of.setdefault(new.address, set())
        full = len(beside) >= self.limits.per_address and new.address not in self.limits.proxies
        if full and not self._cut(beside):
            return False
        if len(self._all) >= self.limits.in_total and not self._cut(self._all):
            return False
        self._all.add(new)
        self._of.setdefault(new.address, set()).add(new)
        return True

    def leave(self, gone: Connection) -> None:
        self._all.discard(gone)
        beside = self._of.get(gone.address, set())
        beside.discard(gone)
        if not beside:
            self._of.pop(gone.address, None)

    def _cut(self, among: set[Connection]) -> bool:
        slowest = min((one for one in among if one.waits_on_its_client), key=lambda one: one.since, default=None)
        if slowest is None:
            return False
        self.leave(slowest)
        slowest.transport.abort()
        return True


class Connection(H11Protocol):
    """uvicorn's protocol, with a deadline for every state in which the client is to do something."""

    crowd: Crowd
    """The server's; `connections` makes a class that has one."""

    address = ""
    since = 0.0
    """When the client was last given its turn, in the loop's time."""

    _turn: str | None = None
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.since = self.loop.time()
        if self.crowd.admit(self):
            self._watch()
        else:
            self._refuse(503, "overloaded", "too many connections at the moment; try again shortly")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self.crowd.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        self.since = self.loop.time()
        if self.transport.is_closing():
            self._end()
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._end()

    @property
    def waits_on_its_client(self) -> bool:
        """For a head, the rest of a body, or an answer to be fetched; not while the server is at work."""
        return not self._answering or self.conn.their_state is h11.SEND_BODY or self.flow.write_paused

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        """Set the deadline of what the client is to do next. A byte that changes nothing about that gains no time."""
        if (turn := self._whose_turn()) == self._turn:
            return
        self._turn = turn
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        limits = self.crowd.limits
        if turn == FETCH:
            self._deadline = self.loop.call_later(limits.write_s, self.transport.abort)
        elif turn == REST:
            self._deadline = self.loop.call_later(limits.linger_s, self.transport.abort)
        elif turn == HEAD:
            self._deadline = self.loop.call_later(limits.head_s, self._head_is_late)

    def _whose_turn(self) -> str | None:
        """What the client owes us; None while it is our turn, or nobody's (uvicorn ends idle connections)."""
        if self.flow.write_paused:
            return FETCH
        if self._answering:
            return None  # the body has its deadline where it is read
        if self.conn.their_state is h11.SEND_BODY:
            return REST
        begun = self.cycle is None or self.conn.trailing_data[0]
        return HEAD if begun and self.conn.their_state is h11.IDLE else None

    def _end(self) -> None:
        """A closing connection still waits for its last bytes to be fetched; not for ever."""
        self.loop.call_later(self.crowd.limits.write_s, self.transport.abort)

    def _head_is_late(self) -> None:
        if self.conn.trailing_data[0]:
            self._refuse(408, "too_slow", "the request's head did not arrive in time")
        else:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what is not HTTP, as a problem like all others; called while h11's error is handled."""
        status = getattr(sys.exc_info()[1], "error_status_hint", 400)
        code = {431: "headers_too_large", 501: "not_implemented"}.get(status, "malformed_http")
        self._refuse(status, code, "this is not a request of HTTP/1.1 that can be read one way only")

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Answer without the application, and close."""
        if self._answering:  # the rest of its body is no HTTP: there is nobody to talk to
            self.transport.abort()
            return
        REQUEST_ID.set(request_id := uuid4().hex)
        body = msgspec.json.encode(problem_body(status, code, detail))
        headers = {**ALWAYS, **UNLESS_SAID, "content-type": PROBLEM, "fx-request-id": request_id,
                   "content-length": str(len(body)), "connection": "close"}
        for event in (h11.Response(status_code=status, headers=list(headers.items()), reason=STATUS_PHRASES[status]),
                      h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._end()


def connections(limits: Limits) -> type[Connection]:
    """The protocol class of one server, for uvicorn's `http`."""
    return type("ServedConnection", (Connection,), {"crowd": Crowd(limits)})
