"""One table from what can go wrong to what the caller is told: RFC 9457 problem+json, with a stable code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from chain.errors import Retryable as ChainRetryable
from domain.base import Conflict, Forbidden, Invalid, NotFound, Refusal
from domain.forms import choices_of, in_words
from eventstore.database import Unavailable
from eventstore.entry import NotCanonical
from eventstore.job import Overloaded
from eventstore.store import KeyReused
from processes.freshness import AnchorStale
from providers.errors import ProviderError

log = structlog.get_logger("api")

PROBLEM = "application/problem+json"
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request being answered: in every answer's FX-Request-Id, in every problem, in every line of its log."""

ANCHOR_RETRY_S = 30
"""A chain that is away is seldom back sooner."""

STATUS: tuple[tuple[type[Exception], int], ...] = (
    (KeyReused, 422),
    (Conflict, 409),
    (Forbidden, 403),
    (NotFound, 404),
    (Invalid, 422),
    (Refusal, 409),
)
"""Most specific first."""

TITLES = {
    400: "Bad request", 401: "Not authenticated", 403: "Not allowed", 404: "Not found", 405: "Method not allowed",
    408: "Too slow", 409: "Not possible now", 413: "Too large", 415: "Unsupported media type", 421: "Misdirected",
    422: "Not acceptable", 429: "Too many requests", 431: "Headers too large", 500: "Internal error",
    501: "Not implemented", 503: "Temporarily unavailable",
}

HTTP_CODES = {400: "bad_request", 401: "not_authenticated", 403: "forbidden", 404: "not_found",
              405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type", 429: "too_many_requests",
              500: "internal_error", 503: "unavailable"}

NOWHERE = "there is nothing at this address"
WHAT_TO_DO = {
    400: "this request cannot be read; /docs describes those that can", 404: NOWHERE,
    401: "send your API key as 'Authorization: Bearer fxk_…'", 403: "your API key does not open this",
    405: "this address does not take this method", 413: "the body is larger than what is read here",
    415: "send JSON, with Content-Type: application/json", 429: "too many requests; send this again later",
}
"""In place of HTTP's own phrase, which the framework gives where it has nothing to say."""

MOST_SHOWN = 100
"""Characters of a name that an answer repeats."""


def shown(name: str) -> str:
    """A caller's name for something, as an answer repeats it."""
    return name if len(name) <= MOST_SHOWN else name[:MOST_SHOWN - 1] + "…"


def allowed(methods: Iterable[str]) -> str:
    """The methods of an address as they are told, with the HEAD that the door makes of GET."""
    every = set(methods)
    return ", ".join(sorted(every | ({"HEAD"} if "GET" in every else set())))


class BadRequest(Refusal):
    """The request cannot be understood (400)."""

    code = "bad_request"

    def __init__(self, code: str, detail: str, pointer: str | None = None):
        super().__init__(detail, pointer=pointer)
        self.code = code  # pyright: ignore[reportAttributeAccessIssue]


class Gone(Exception):
    """The client went away in the middle of its body: nobody is left to be told."""


class TurnedAway(Exception):
    """What the edge refuses before anybody looks at its meaning: `code`, `detail` and headers of the problem."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None):
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, dict(headers or {})


def problem_body(status: int, code: str, detail: str) -> dict[str, Any]:
    """RFC 9457, with a stable `code` and the request's id."""
    return {"type": f"/problems/{code}", "title": TITLES.get(status, "Error"), "status": status, "code": code,
            "detail": detail, "request_id": REQUEST_ID.get()}


def problem(status: int, code: str, detail: str, *, pointer: str | None = None,
            errors: list[dict[str, str]] | None = None, headers: dict[str, str] | None = None) -> Response[Any]:
    body = problem_body(status, code, detail)
    if pointer:
        errors = [{"pointer": pointer, "detail": detail}]
    if errors:
        body["errors"] = errors
    return Response(body, status_code=status, media_type=PROBLEM, headers=headers)


def refused(_: Request[Any, Any, Any], refusal: Refusal) -> Response[Any]:
    if isinstance(refusal, BadRequest):
        return problem(400, refusal.code, refusal.detail, pointer=refusal.pointer)
    status = next(status for kind, status in STATUS if isinstance(refusal, kind))
    return problem(status, refusal.code, refusal.detail, pointer=refusal.pointer)


def turned_away(_: Request[Any, Any, Any], why: TurnedAway) -> Response[Any]:
    return problem(why.status, why.code, why.detail, headers=why.headers)


def gone(_: Request[Any, Any, Any], __: Gone) -> Response[Any]:
    """Nobody reads this."""
    return Response(None, status_code=400)


def not_now(_: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The database, the chain or a provider does not answer. Whether an order was carried out before the connection
    broke may be unknown here; its key knows, so the same request is safe to send again.
    """
    code = "overloaded" if isinstance(error, Overloaded) else "unavailable"
    return problem(503, code, "no answer can be given at the moment; send the same request again, an order with the "
                   "same key: what was done already is not done twice, and its answer is given then",
                   headers={"Retry-After": "1"})


def anchor_stale(_: Request[Any, Any, Any], error: AnchorStale) -> Response[Any]:
    """The audit log is ahead of its anchors by more than the cap: reads and orders that restrict go on, money waits."""
    return problem(503, "audit_anchor_stale", "no money moves until the audit log is anchored again; send the same "
                   "request later", headers={"Retry-After": str(ANCHOR_RETRY_S)})


def http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    if isinstance(error, ValidationException):
        return problem(400, "malformed", "the request does not have the documented form",
                       errors=_pointers(request, error))
    status = error.status_code
    headers = {**(error.headers or {}), **({"WWW-Authenticate": "Bearer"} if status == 401 else {})}
    return problem(status, HTTP_CODES.get(status, "error"), _detail(error), headers=headers)


def _detail(error: HTTPException) -> str:
    status = error.status_code
    if status >= 500:
        return "something went wrong on our side"
    if status == 405 and error.headers:
        return f"this address takes {allowed(error.headers['allow'].split(', '))}"
    return WHAT_TO_DO.get(status, WHAT_TO_DO[400]) if error.detail == HTTPStatus(status).phrase else error.detail


def crashed(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    log.error("request.failed", method=request.method, route=request.scope.get("path_template"), exc_info=error)
    return problem(500, "internal_error", "something went wrong on our side; it has been logged")


def _pointers(request: Request[Any, Any, Any], error: ValidationException) -> list[dict[str, str]]:
    extra = error.extra if isinstance(error.extra, list) else []
    return [_pointed(request, str(item.get("key", "")), str(item.get("message", "")))
            for item in extra if isinstance(item, dict)]


def _pointed(request: Request[Any, Any, Any], parameter: str, complaint: str) -> dict[str, str]:
    """Under the name callers give it: `from` is no name in Python."""
    field = request.route_handler.parsed_fn_signature.parameters.get(parameter)
    name = getattr(field and field.kwarg_definition, "name", None) or parameter
    return {"pointer": f"/{name}", "detail": in_words(complaint, choices_of(field.annotation) if field else ())}


def not_canonical(_: Request[Any, Any, Any], error: NotCanonical) -> Response[Any]:
    return problem(422, "not_storable", "a text holds U+0000 or a number is larger than 2**53")


HANDLERS: dict[Any, Any] = {
    Gone: gone,
    TurnedAway: turned_away,
    AnchorStale: anchor_stale,
    NotCanonical: not_canonical,
    Refusal: refused,
    Overloaded: not_now,
    Unavailable: not_now,
    ChainRetryable: not_now,
    ProviderError: not_now,
    HTTPException: http_error,
    Exception: crashed,
}
