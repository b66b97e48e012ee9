"""Who may call: every route declares it, and the caller is known before a byte of the body is read.

    @post("/v1/payments", roles=(LENDER,), …)              an API key of one of these roles
    @get("/v1/marketplace", roles=(LENDER,), active=True)  and its holder's onboarding is complete
    @get("/health/live", roles=PUBLIC)                     anybody, without a key
    @get("/v1/confirmations/…", roles=(BUYER,), or_header=CAPABILITY_HEADER)
                                                           a key, or a header that the route's own guard checks

What a route reads that its parameters do not say, it declares for the description (api/description.py): `takes`, the
media type of a body it reads raw, `signed`, the headers of a notice that signs itself; and `max_bytes` for the edge.

The order of checks is the same everywhere: who (401, 403 `not_your_role`), standing (the role's own refusal), the
request's form (400), a repeat of an earlier one, existence (404: absent and not yours are one answer), the rules. The
first two stand here. A route that declares nothing is refused when the application is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from litestar import Litestar
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection, Request
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.routes import HTTPRoute

from api.session import Caller
from domain.base import Forbidden, Refusal
from domain.invoice import BuyerNotActive, NotALender, SellerNotActive
from domain.party import BUYER, CUSTOMER_ROLES, FROZEN, INVESTOR, LENDER, PAUSED, SELLER, STAFF_ROLES
from domain.trade import NotAnInvestor

PUBLIC: tuple[str, ...] = ()
"""A route for callers without a key: that is said, not forgotten."""

ANYBODY = (*CUSTOMER_ROLES, *STAFF_ROLES)
"""Whoever has a key."""

Calling = NamedDependency[Caller]
"""How a handler asks for its caller; a route that is PUBLIC has none."""

CallingOrCode = NamedDependency[Caller | None]
"""The same on a route with `or_header`: None where the header came instead of a key."""

_NOT_ACTIVE: dict[str, type[Refusal]] = {
    SELLER: SellerNotActive, BUYER: BuyerNotActive, LENDER: NotALender, INVESTOR: NotAnInvestor}


UNFINISHED = "this opens when onboarding is complete: POST /v1/onboarding"


class NotYourRole(Forbidden):
    code = "not_your_role"


class Undeclared(Exception):
    """A route does not say who may call it, or says it in words that nobody knows."""


def provide_caller(request: Request[Any, Any, Any]) -> Caller | None:
    return request.scope.get("user")


class Guard:
    """Litestar asks it before it reads parameters and body. `authenticate` may wait: it runs on a thread."""

    def __init__(self, authenticate: Callable[[ASGIConnection[Any, Any, Any, Any]], Caller]):
        self._authenticate = authenticate

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if _is_options(handler):
            return
        roles, header = handler.opt["roles"], handler.opt.get("or_header")
        if not roles or (header is not None and header in connection.headers):
            return
        caller = await sync_to_thread(self._authenticate, connection)
        if caller.role not in roles:
            raise NotYourRole(f"this needs one of the roles: {', '.join(roles)}")
        if handler.opt.get("active") and not caller.party.may_act:
            raise _NOT_ACTIVE[caller.role](PAUSED if caller.party.state == FROZEN else UNFINISHED)
        connection.scope["user"] = caller


def routes(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    """Every path with each of its handlers, but for the OPTIONS that Litestar answers itself."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            yield from ((route.path, handler) for handler in route.route_handlers if not _is_options(handler))


def methods_of(app: Litestar) -> dict[str, frozenset[str]]:
    """What each route takes, by its template."""
    found: dict[str, frozenset[str]] = {}
    for path, handler in routes(app):
        found[path] = found.get(path, frozenset()) | frozenset(str(method) for method in handler.http_methods)
    return found


def require_declared(app: Litestar) -> None:
    """Raises Undeclared unless every route says who may call it."""
    for path, handler in routes(app):
        roles = handler.opt.get("roles")
        if not isinstance(roles, tuple) or not set(roles) <= set(ANYBODY):
            raise Undeclared(f"{path} ({handler}) does not declare `roles`: name them, or say PUBLIC")
        if handler.opt.get("active") and not set(roles) <= set(CUSTOMER_ROLES):
            raise Undeclared(f"{path} ({handler}) asks for an active caller of a role that has no standing")
        if not roles and "caller" in handler.parsed_fn_signature.parameters:
            raise Undeclared(f"{path} ({handler}) is PUBLIC and asks for its caller")


def _is_options(handler: BaseRouteHandler) -> bool:
    return isinstance(handler, HTTPRouteHandler) and handler.http_methods == {"OPTIONS"}
