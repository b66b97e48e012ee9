"""The door: what a request must be before it is routed, and what every answer carries, errors and files included."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from api.edge.bodies import Bodies
from api.errors import NOWHERE, PROBLEM, REQUEST_ID, TurnedAway, allowed, problem_body, shown

log = structlog.get_logger("api")

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
UNLESS_SAID = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""A route whose answer is public, or a page, says otherwise itself."""

BEHIND_TLS = {"strict-transport-security": "max-age=31536000; includeSubDomains"}

ONCE = frozenset((b"authorization", b"content-type", b"content-length", b"content-encoding", b"transfer-encoding",
                  b"host"))
MAX_HEAD_BYTES = 16_384
_LOOPBACK = frozenset(("127.0.0.1", "localhost", "[::1]"))
_PORT = re.compile(r":[0-9]{1,5}\Z")
_STRANGE_PATH = re.compile(r"[\x00-\x1f\x7f\ufffd\\]|//|/\.{1,2}(?:/|\Z)")
_HIDDEN = re.compile(rb"%(?:2f|5c)", re.IGNORECASE)


class Door:
    """Wraps the application.

    `methods`: what each route takes, by its template. `hosts`: the names requests may be addressed to, besides the
    loopback's. `tls`: whether people reach us by https.
    """

    def __init__(self, app: ASGIApp, methods: Mapping[str, frozenset[str]], bodies: Bodies, hosts: frozenset[str], *,
                 tls: bool):
        self._app, self._methods, self._bodies, self._hosts, self._tls = app, methods, bodies, hosts | _LOOPBACK, tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid4().hex
        REQUEST_ID.set(request_id)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        # HEAD is GET whose answer's body the server leaves out.
        inner: HTTPScope = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        answer = _Answer(inner, send, request_id, self._methods, tls=self._tls or scope["scheme"] == "https")
        try:
            check_request(inner, self._hosts)
            with self._bodies.bounded(inner, receive) as bounded:
                await self._app(inner, bounded, answer)
        except TurnedAway as why:
            await _told(why, inner, receive, answer)
        except Exception as error:
            log.error("request.failed", method=scope["method"], route=_route(inner), exc_info=error)
            if answer.status is not None:
                raise  # the server cuts the connection: half an answer must not look like a whole one
            await _told(TurnedAway(500, "internal_error", "something went wrong on our side; it has been logged"),
                        inner, receive, answer)


class _Answer:
    """The server's `send`, with the headers that every answer carries."""

    def __init__(self, scope: HTTPScope, send: Send, request_id: str, methods: Mapping[str, frozenset[str]], *,
                 tls: bool):
        self._scope, self._send, self._methods = scope, send, methods
        self._always = {**ALWAYS, "fx-request-id": request_id, **(BEHIND_TLS if tls else {})}
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = {name.lower(): value for name, value in message["headers"]}
            if b"allow" in headers:
                headers[b"allow"] = self._allowed(headers[b"allow"].decode())
            added = {**{name: text for name, text in UNLESS_SAID.items() if name.encode() not in headers},
                     **self._always}
            message = {**message, "headers": [*headers.items(), *((name.encode(), text.encode())
                                                                  for name, text in added.items())]}
            _note(self._scope, self.status)
        await self._send(message)

    def _allowed(self, told: str) -> bytes:
        """Litestar answers OPTIONS from a part of a route's methods."""
        return allowed([*told.split(", "), *self._methods.get(_route(self._scope), ())]).encode()


def check_request(scope: HTTPScope, hosts: frozenset[str]) -> None:
    """TurnedAway unless the request is addressed to us, written as our addresses are, its headers saying one thing."""
    if sum(len(name) + len(value) for name, value in scope["headers"]) + len(scope["raw_path"]) + len(
            scope["query_string"]) > MAX_HEAD_BYTES:
        raise TurnedAway(431, "headers_too_large", f"address and headers are at most {MAX_HEAD_BYTES:,} bytes together")
    counted = Counter(name for name, _ in scope["headers"])
    for name, times in counted.items():
        if times > 1 and (name in ONCE or name.startswith(b"fx-")):
            raise TurnedAway(400, "header_repeated", f"send the header {shown(name.decode('latin-1'))} once")
    if counted[b"content-length"] and counted[b"transfer-encoding"]:
        raise TurnedAway(400, "length_unclear", "send Content-Length or Transfer-Encoding, not both",
                         {"Connection": "close"})
    headers = dict(scope["headers"])
    if _PORT.sub("", headers.get(b"host", b"").decode("latin-1").lower()) not in hosts:
        raise TurnedAway(421, "misdirected", "this host name is not ours: use the address you were given")
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise TurnedAway(415, "unsupported_media_type", "send the body as it is, without Content-Encoding")
    path = scope["path"]
    if (not path.startswith("/") or (path != "/" and path.endswith("/")) or _STRANGE_PATH.search(path)
            or _HIDDEN.search(scope["raw_path"])):
        raise TurnedAway(404, "not_found", NOWHERE)


async def _told(why: TurnedAway, scope: HTTPScope, receive: Receive, answer: _Answer) -> None:
    body = msgspec.json.encode(problem_body(why.status, why.code, why.detail))
    await ASGIResponse(body=body, status_code=why.status, media_type=PROBLEM, headers=why.headers)(
        scope, receive, answer)


def _note(scope: HTTPScope, status: int) -> None:
    """Refusals and failures, for whoever is given a request id to look up. The route is named by its template: what was
    filled in is the caller's."""
    if status >= 400:
        log.warning("request.refused", status=status, method=scope["method"], route=_route(scope))


def _route(scope: Any) -> str:
    return scope.get("path_template", "")
