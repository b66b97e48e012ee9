"""The parameters of addresses and queries: each has a form, and only those a route knows are taken."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any
from urllib.parse import parse_qsl

from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.params import PathParameter, QueryParameter

from api.errors import NOWHERE, BadRequest, shown
from domain.base import NotFound
from domain.forms import MAX_POSITION, Percent, Reference, hidden, pattern_of

MAX_LIMIT = 100

Id = Annotated[str, PathParameter(pattern=pattern_of(Reference), max_length=64)]
"""The reference of one thing, in a path."""

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="how many a page holds")]
Cursor = Annotated[str | None, QueryParameter(
    min_length=1, max_length=1_000, description="the page's `cursor`, for the page after it")]
LongLimit = Annotated[int, QueryParameter(ge=1, le=1_000, description="how many a page holds")]
"""For lists that programs read: entries and ledger lines."""

EntryName = Annotated[str, PathParameter(min_length=1, max_length=64, description="a place, or staff's position")]
"""An entry of the log, as FX-Position and receipts name it (api/opaque.py)."""

BatchNumber = Annotated[int, QueryParameter(ge=0, le=MAX_POSITION, description="of an anchored batch")]
Position = Annotated[int, QueryParameter(ge=0, le=MAX_POSITION, description="of an entry in the log")]
EntryPosition = Annotated[int, PathParameter(ge=1, le=MAX_POSITION, description="of an entry in the log")]
TenorDays = Annotated[int | None, QueryParameter(ge=0, le=3_650)]
PercentOrNone = Annotated[str | None, QueryParameter(pattern=pattern_of(Percent), max_length=5)]
Resource = Annotated[str | None, QueryParameter(pattern=pattern_of(Reference), max_length=128)]
Search = Annotated[str, QueryParameter(max_length=138)]

_WHOLE = re.compile(r"(?:0|-?[1-9][0-9]{0,18})")


def check_parameters(request: Request[Any, Any, Any]) -> None:
    """Refuses (400, naming the parameter) what the route does not know, what comes twice, and numbers that are not
    written in plain digits, which the framework would take: `1e2`, `1.0`, `null`.
    """
    known = _query_parameters(request.route_handler)
    given: set[str] = set()
    for name, value in parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True):
        pointer = f"/{shown(name)}"
        if hidden(name) is not None:
            raise BadRequest("malformed", "the name of a parameter carries a hidden character", pointer="/")
        if name not in known:
            raise BadRequest("unknown_parameter", f"this address takes {', '.join(known) or 'no parameters'}",
                             pointer=pointer)
        if name in given:
            raise BadRequest("repeated_parameter", "send this parameter once", pointer=pointer)
        given.add(name)
        if hidden(value) is not None:
            raise BadRequest("malformed", "a parameter is one line without hidden characters", pointer=pointer)
        if known[name] and not _WHOLE.fullmatch(value):
            raise BadRequest("malformed", "send a whole number in plain digits", pointer=pointer)
    segments = request.scope["path"].split("/")
    for value in request.path_params.values():
        if isinstance(value, int) and str(value) not in segments:  # `int` takes 1_0 and other scripts' digits
            raise NotFound(NOWHERE)


@cache
def _query_parameters(handler: BaseRouteHandler) -> dict[str, bool]:
    """Name -> whether it is a whole number."""
    fields = [(name, field, field.kwarg_definition) for name, field in handler.parsed_fn_signature.parameters.items()]
    return {kwarg.name or name: field.has_inner_subclass_of(int) or field.is_subclass_of(int)
            for name, field, kwarg in fields
            if isinstance(kwarg, QueryParameter)}
