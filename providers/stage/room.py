"""A room is one simulator: its prefix, its vendor endpoints, its controls and its page.

Each room has an outage switch: while it is on, every vendor endpoint answers 503 and causes nothing, and the
controls and the page keep working.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from eventstore.foreign import UNREADABLE
from providers.stage.page import Html, element, form, join, page
from providers.stage.store import Store

PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-src 'self'; "
    "frame-ancestors 'self'"
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Fields = Mapping[str, Any]
Control = Callable[[Fields], Any]


class BadInput(Exception):
    """What a person sent to a control cannot be used; answered as 400."""


class Room:
    def __init__(self, app: web.Application, store: Store, prefix: str, title: str, about: str) -> None:
        self.app = app
        self.store = store
        self.prefix = prefix
        self.title = title
        self.about = about
        self._home: Callable[[], list[Html]] = list
        app.router.add_get(prefix, self._page)
        app.router.add_get(prefix + "/", self._page)
        self.control("/control/outage", self._switch_outage)

    def vendor(self, method: str, path: str, handler: Handler) -> None:
        """An endpoint of the vendor's API. `handler` checks the credentials."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if self.outage:
                return answer({"error": "service unavailable (simulated outage)"}, 503)
            return await handler(request)

        self.app.router.add_route(method, self.prefix + path, guarded)

    def control(self, path: str, handler: Control) -> None:
        """Something a person can do, by form or by JSON. Repeating one must be harmless: scripts retry."""

        async def act(request: web.Request) -> web.StreamResponse:
            _same_origin(request)
            try:
                result = handler({**await _fields(request), **request.match_info})
                if inspect.isawaitable(result):
                    result = await result
            except BadInput as error:
                return answer({"error": str(error)}, 400)
            if "text/html" in request.headers.get("Accept", ""):
                raise web.HTTPSeeOther(self.prefix + "/")
            return answer(result)

        self.app.router.add_post(self.prefix + path, act)

    def home(self, render: Callable[[], list[Html]]) -> None:
        self._home = render

    @property
    def outage(self) -> bool:
        return self.store.setting(f"{self.prefix} outage") == "on"

    def _switch_outage(self, fields: Fields) -> dict[str, bool]:
        self.store.set(f"{self.prefix} outage", "on" if flag(fields) else "off")
        return {"outage": self.outage}

    async def _page(self, _request: web.Request) -> web.Response:
        state = element("b", "down", class_="off") if self.outage else element("b", "up", class_="on")
        toggle = form(
            f"{self.prefix}/control/outage",
            "Bring it back" if self.outage else "Take it down",
            _on="false" if self.outage else "true",
        )
        parts = [element("p", self.about), element("p", "The service is ", state, "."), toggle, *self._home()]
        return html(page(self.title, join(parts)))


def flag(fields: Fields, name: str = "on") -> bool:
    """A switch that is not mentioned is being turned on."""
    value = fields.get(name, True)
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "on", "1", "yes"):
        return True
    if str(value).lower() in ("false", "off", "0", "no"):
        return False
    raise BadInput(f"{name} must be true or false")


def word(fields: Fields, name: str, default: str | None = None) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str) or not (value.strip() or default == ""):
        raise BadInput(f"{name} is required")
    return value.strip()


def answer(content: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), status=status, content_type="application/json")


def html(content: str, policy: str = "") -> web.Response:
    # The pages show text that others sent (mails, names): no script may run in them.
    policy = policy or PAGE_POLICY
    return web.Response(text=content, content_type="text/html", headers={"Content-Security-Policy": policy})


async def decoded(request: web.Request, shape: type[Any]) -> Any:
    """The request's JSON body, or 400 in the way vendors refuse a malformed one."""
    try:
        return msgspec.json.decode(await request.read(), type=shape)
    except UNREADABLE as error:
        refusal = msgspec.json.encode({"title": "Bad Request", "detail": str(error)}).decode()
        raise web.HTTPBadRequest(text=refusal, content_type="application/json") from error


async def _fields(request: web.Request) -> dict[str, Any]:
    if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    raw = await request.read()
    try:
        return msgspec.json.decode(raw, type=dict[str, Any]) if raw.strip() else {}
    except UNREADABLE as error:
        raise BadInput(f"the body is not a JSON object: {error}") from error


def _same_origin(request: web.Request) -> None:
    """A web page elsewhere in the same browser must not be able to operate the controls."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{request.host}":
        raise web.HTTPForbidden(text="cross-origin request refused")
