"""The API's description for other people's tools. The framework knows a route's forms; what our routes declare beside
them (who may call, which headers count, how large a body may be) and how the edge refuses is put in here, for all of
them. Patterns are as ECMA-262 writes them, which knows no `\\A` and `\\Z`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import JsonRenderPlugin

from api.access import routes
from api.edge.bodies import MAX_JSON_BYTES
from api.errors import PROBLEM, TITLES
from api.running import KeyedOperation

TEXT = {"type": "string"}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object", "title": "Problem", "description": "RFC 9457: `code` is stable, `detail` says what to do.",
    "properties": {
        "type": TEXT, "title": TEXT, "status": {"type": "integer"}, "code": TEXT, "detail": TEXT, "request_id": TEXT,
        "errors": {"type": "array", "description": "what of the request is wrong, where it can be pointed at",
                   "items": {"type": "object", "required": ["pointer", "detail"],
                             "properties": {"pointer": TEXT, "detail": TEXT}}}},
    "required": ["type", "title", "status", "code", "detail", "request_id"],
}
POSITION = {
    "FX-Position": "where the log holds what was done",
    "FX-Idempotency-Replayed": "true: the answer to the first request with this key; nothing was done again"}
"""Headers of the answer to a mutation."""


class Json(JsonRenderPlugin):
    @staticmethod
    def render_json(request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Made once for each application."""
        state = request.app.state
        if "description" not in state:
            complete(request.app, openapi_schema)
            state["description"] = _portable(JsonRenderPlugin.render_json(request, openapi_schema))
        return state["description"]


def complete(app: Litestar, schema: dict[str, Any]) -> None:
    """What is said of every operation, from what its route declares."""
    schema["components"]["schemas"]["Problem"] = PROBLEM_SCHEMA
    for path, handler in routes(app):
        described = schema["paths"].get(re.sub(r"{(\w+):\w+}", r"{\1}", path), {})
        for method in handler.http_methods & {method.upper() for method in described}:
            _complete(described[method.lower()], path, handler)


def _complete(operation: dict[str, Any], path: str, handler: HTTPRouteHandler) -> None:
    _describe_request(operation, handler)
    if not handler.opt["roles"]:
        operation["security"] = []
    elif handler.opt.get("or_header"):
        operation["security"] = [{"apiKey": []}, {}]
    _describe_answers(operation["responses"], handler,
                      set(_refusals(path, handler, body="requestBody" in operation)))


def _describe_request(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """The headers and the raw body."""
    if headers := _headers(handler):
        operation["parameters"] = [*operation.get("parameters", []), *headers]
    if takes := handler.opt.get("takes"):
        schema = {"type": "object"} if takes == "application/json" else {"type": "string", "format": "binary"}
        operation["requestBody"] = {"required": True, "content": {takes: {"schema": schema}}}


def _describe_answers(responses: dict[str, Any], handler: HTTPRouteHandler, refusals: set[int]) -> None:
    """The headers of what is done, and the problem of what is refused."""
    if handler.operation_class is KeyedOperation:
        responses[str(handler.status_code)]["headers"] = {
            name: {"description": text, "schema": TEXT} for name, text in POSITION.items()}
    for status in sorted(refusals):
        responses[str(status)] = _problem(TITLES[status])
    if 413 in refusals:
        limit = handler.opt.get("max_bytes", MAX_JSON_BYTES)
        responses["413"] = _problem(f"{TITLES[413]}: at most {limit:,} bytes are read here")
    responses["default"] = _problem("Whatever else is refused, or cannot be answered")


def _headers(handler: HTTPRouteHandler) -> list[dict[str, Any]]:
    """What a route reads beside the API key's: `or_header` in its place, `signed` from those who have none."""
    signed = [(name, True, text) for name, text in handler.opt.get("signed", {}).items()]
    instead = [(name, False, "the code of the mail, in place of an API key")
               for name in (handler.opt.get("or_header"),) if name]
    return [{"name": name, "in": "header", "required": required, "description": text, "schema": TEXT}
            for name, required, text in (*signed, *instead)]


def _refusals(path: str, handler: HTTPRouteHandler, *, body: bool) -> Iterator[int]:
    """The statuses a client of this route has to expect."""
    yield 400
    if handler.opt["roles"]:
        yield from (401, 403)
    if handler.opt.get("signed"):
        yield 401
    if "{" in path:
        yield 404
    if body:
        yield 413
    if "POST" in handler.http_methods:
        yield 415
    if handler.operation_class is KeyedOperation:
        yield from (409, 422)
    if handler.opt.get("uploads"):
        yield 429


def _problem(words: str) -> dict[str, Any]:
    return {"description": words, "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _portable(schema: bytes) -> bytes:
    """Every pattern of `domain.forms` begins with `\\A(?:` and ends with `)\\Z`: here with `^(?:` and `)$`."""
    return schema.replace(rb'"\\A(?:', b'"^(?:').replace(rb')\\Z"', b')$"')
