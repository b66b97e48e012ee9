"""Requests nobody would send, made from the application's own routes: every route, by every persona, every field and
parameter with what is near to right, and bodies of noise. The same seed makes the same requests.
"""

from __future__ import annotations

import json
import random
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from msgspec import inspect

from api.app import ROUTES

PATIENCE_S = 1.0
PARAMETER = re.compile(r"{(\w+):\w+}")

TEXTS: tuple[Any, ...] = (
    "", " ", "a", "A" * 5_000, "\x00", "a\n", "\u2028", "\u202e", "\ufeff", "\ud83d\ude00", "٠١٢٣", "²",
    "e\u0301", "a" + "\u0300" * 8_000 + "\u0316" * 7_000,
    "../..", "%00", "' OR 1=1 --", "{{7*7}}", "${jndi:x}", "<script>", "=1+1", "NaN", "null", "-1", "1e9",
    "2026-02-30", "0001-01-01", "2026-07-21T10:14:00Z", "9999-12-31T23:59:59-23:59", "fxk_test_sub_0_a",
    "a@b.co", "a..b@c.co", "FX-INV-23A4F")
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 7, 128, 10**4, 10**13, 10**13 + 1, 2**31, 2**53, 2**53 + 1, 2**63, 2**64, -2**63, 10**30, 0.5, 1e300,
    -0.0)
ODD: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None] * 200, {"": ""}, {"a": {"a": {"a": []}}})
NOISE = b'[]{}":,\\0123456789.eE+-truefalsn \t\n\r\x00\x7f\xc3\xa9\xff\xed\xa0\x80'


class Shot(msgspec.Struct, frozen=True):
    who: str
    method: str
    path: str
    body: bytes | None


class Seen(msgspec.Struct):
    """What came back from all of them."""

    requests: int = 0
    failed: list[str] = []
    """Requests that were answered 5xx, or not at all."""

    slow: list[str] = []
    """Requests that took longer than PATIENCE_S, asked three times."""

    max_ms: float = 0.0
    statuses: dict[int, int] = {}


class Maker:
    """`personas`: who calls, with their roles. `known`: what may stand in a path, by parameter; the rest is made up."""

    def __init__(self, seed: int, personas: Mapping[str, str], known: Mapping[str, Sequence[str]]):
        self._dice, self._personas, self._known = random.Random(seed), personas, known

    def every_field(self) -> Iterator[Shot]:
        """Every route by every persona: as it should be, then each field with each value that is near or odd."""
        for method, path, handler in handlers():
            for who in self._personas:
                yield self._shot(who, method, path, handler, self._body(handler))
            if (data := handler.parsed_data_field) is not None:
                right = sample(inspect.type_info(data.annotation))
                for at in leaves(right):
                    for value in (*TEXTS, *NUMBERS, *ODD):
                        yield self._shot(self._caller(handler), method, path, handler,
                                         json.dumps(changed(right, at, value)).encode())
            for name in queries(handler):
                for value in (*TEXTS, *NUMBERS):
                    shot = self._shot(self._caller(handler), method, path, handler, None)
                    yield msgspec.structs.replace(shot, path=f"{path_of(shot)}?{name}={escaped(value)}")

    def noise(self, count: int) -> Iterator[Shot]:
        """Bodies at random, to whatever takes one: bytes, JSON's own signs, right bodies with some bytes changed."""
        taking = [(method, path, handler) for method, path, handler in handlers()
                  if method == "POST" and not ends_a_persona(path)]
        for _ in range(count):
            method, path, handler = self._dice.choice(taking)
            yield self._shot(self._caller(handler), method, path, handler, self._noise(handler))

    def _caller(self, handler: HTTPRouteHandler) -> str:
        """Mostly somebody whom the route lets in."""
        may = [who for who, role in self._personas.items() if role in handler.opt["roles"]]
        return self._dice.choice(may if may and self._dice.random() < 0.8 else list(self._personas))

    def _noise(self, handler: HTTPRouteHandler) -> bytes:
        dice = self._dice
        match dice.randrange(4):
            case 0:
                return dice.randbytes(dice.randrange(400))
            case 1:
                return bytes(dice.choices(NOISE, k=dice.randrange(2_000)))
            case 2:
                return json.dumps(self._value(0)).encode()
            case _:
                body = bytearray(self._body(handler) or b"{}")
                for _ in range(dice.randrange(1, 6)):
                    body[dice.randrange(len(body))] = dice.choice(NOISE)
                return bytes(body)

    def _value(self, depth: int) -> Any:
        dice = self._dice
        if depth > 4 or dice.random() < 0.5:
            return dice.choice((*TEXTS, *NUMBERS, *ODD))
        if dice.random() < 0.5:
            return [self._value(depth + 1) for _ in range(dice.randrange(5))]
        return {dice.choice(TEXTS): self._value(depth + 1) for _ in range(dice.randrange(5))}

    def _body(self, handler: HTTPRouteHandler) -> bytes | None:
        data = handler.parsed_data_field
        return None if data is None else json.dumps(sample(inspect.type_info(data.annotation))).encode()

    def _shot(self, who: str, method: str, path: str, handler: HTTPRouteHandler, body: bytes | None) -> Shot:
        def filled(found: re.Match[str]) -> str:
            known = self._known.get(found[1], ())
            likely = known and self._dice.random() < 0.7
            return escaped(self._dice.choice(known) if likely else self._dice.choice((*TEXTS, *NUMBERS))) or "x"

        return Shot(who, method, PARAMETER.sub(filled, path), body)


def handlers() -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Method, path and handler of every route; the clock stands aside: who moves it waits until the log is anchored."""
    found = [(method, path, handler) for handler in ROUTES for path in handler.paths
             for method in sorted(handler.http_methods)
             if path != "/v1/sandbox/clock/advance" or method != "POST"]
    yield from sorted(found, key=lambda one: ends_a_persona(one[1]))


def ends_a_persona(path: str) -> bool:
    """Whoever is let in has no key, or no account, afterwards: such routes come last, or nobody is let in anywhere."""
    return path == "/v1/api-keys" or path.endswith(("/closure", "/erasure", "/freeze"))


def queries(handler: HTTPRouteHandler) -> list[str]:
    fields = handler.parsed_fn_signature.parameters.items()
    return [field.kwarg_definition.name or name for name, field in fields
            if isinstance(field.kwarg_definition, QueryParameter)]


def path_of(shot: Shot) -> str:
    return shot.path.partition("?")[0]


def escaped(value: Any) -> str:
    return quote(str(value).encode("utf-8", "surrogatepass")[:1_500], safe="")


def likely(kind: inspect.StrType) -> str:
    """A text that mostly has the form."""
    texts = ("FX-INV-23A4F", "0a" * 32, "name@company.co.uk", "07452983", "20-48-17", "697241", "23A4F",
             "The reasons are all known and clear")
    return next((text for text in texts if re.search(kind.pattern or "", text)
                 and (kind.min_length or 0) <= len(text) <= (kind.max_length or 5_000)), "a")


def sample(kind: inspect.Type, text: Callable[[inspect.StrType], str] = likely) -> Any:
    """A value of the right type; its texts are `text`'s."""
    match kind:
        case inspect.Metadata():
            return sample(kind.type, text)
        case inspect.StructType():
            return {field.encode_name: sample(field.type, text) for field in kind.fields}
        case inspect.UnionType():
            return sample(next(one for one in kind.types if not isinstance(one, inspect.NoneType)), text)
        case inspect.ListType():
            return [sample(kind.item_type, text)] * (kind.min_length or 1)
        case inspect.StrType():
            return text(kind)
        case inspect.IntType():
            return kind.ge or 0
        case inspect.BoolType():
            return True
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.DateType():
            return "2026-07-21"
        case inspect.DateTimeType():
            return "2026-07-21T10:14:00Z"
        case _:
            return None


def leaves(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where every value inside stands, the containers themselves included."""
    if at:
        yield at
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*at, name))
    elif isinstance(value, list) and value:
        yield from leaves(value[0], (*at, 0))


def changed(body: Any, at: tuple[str | int, ...], value: Any) -> Any:
    whole = json.loads(json.dumps(body))
    inner = whole
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = value
    return whole


def fire(shots: Iterator[Shot], clients: Mapping[str, httpx.Client], seen: Seen) -> None:
    """Send them one after another; `clients` by persona."""
    for shot in shots:
        status, took = _send(shot, clients[shot.who])
        for _ in range(2):  # a busy machine is not the platform's fault
            if took > PATIENCE_S:
                took = min(took, _send(shot, clients[shot.who])[1])
        seen.requests += 1
        seen.statuses[status] = seen.statuses.get(status, 0) + 1
        seen.max_ms = max(seen.max_ms, took * 1_000)
        said = f"{status} {shot.who} {shot.method} {shot.path[:200]} {(shot.body or b'')[:300]!r}"
        if status >= 500 or status == 0:
            seen.failed.append(said)
        if took > PATIENCE_S:
            seen.slow.append(f"{took:.1f} s: {said}")


def _send(shot: Shot, client: httpx.Client) -> tuple[int, float]:
    keyed = {"FX-Idempotency-Key": uuid.uuid4().hex, "Content-Type": "application/json"}
    headers = keyed if shot.method == "POST" else {}
    started = time.monotonic()
    try:
        status = client.request(shot.method, shot.path, content=shot.body, headers=headers).status_code
    except httpx.HTTPError:
        status = 0
    return status, time.monotonic() - started
