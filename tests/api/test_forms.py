"""Every field of every body and every parameter of every address: each has bounds, and none takes what is near them."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from litestar.handlers import BaseRouteHandler
from litestar.params import ParameterKwarg, PathParameter, QueryParameter
from msgspec import inspect

from api.app import ROUTES
from api.bodies import read
from api.errors import BadRequest
from domain import forms
from domain.forms import NotInForm, fits
from domain.party import ADMIN, BUYER, COMPLIANCE, INVESTOR, LENDER, SELLER
from scripts.campaigns import fuzzing
from tests.api.conftest import Past
from tests.scenarios.town import Town, refused

SAMPLES = ("FX-INV-00000", "0a" * 32, "name@company.co.uk", "20-48-17", "53910462", "697241", "2.4", "23A4F",
           "ABCD-2345", "The reasons are all known and clear")
ROLES = {"mlro": COMPLIANCE, "admin": ADMIN, "coppergate": SELLER, "northwind": BUYER, "pennine": LENDER,
         "brunel": INVESTOR, "nobody": ""}
PERSONAS = tuple(ROLES)
HIDDEN = ("\n", "\x00", "\x85", "\u2028", "\u200b", "\u202e", "\ufeff", "\u3164", "\U000e0041")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
DECODERS = re.compile(
    r"RFC ?3339|enum|regex|[Oo]bject (contains|missing)|`(str|int|float|bool|array|object|date|datetime)\b")
"""What the decoder calls things, and nobody who fills in a form."""

FOREIGN_SCRIPTS_WELCOME = {forms.pattern_of(forms.Words), forms.pattern_of(forms.Prose)}
LINES_WELCOME = {forms.pattern_of(forms.Prose)}


# ---------------------------------------------------------------- what there is


def handlers() -> Iterator[tuple[str, str, BaseRouteHandler]]:
    for handler in ROUTES:
        path, = handler.paths
        for method in sorted(handler.http_methods - {"HEAD", "OPTIONS"}):
            yield method, path, handler


def bodies() -> Iterator[tuple[str, type[msgspec.Struct]]]:
    for method, path, handler in handlers():
        if method == "POST" and (data := handler.parsed_data_field) is not None:
            yield path, data.annotation


def leaves(kind: inspect.Type, at: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], inspect.Type]]:
    match kind:
        case inspect.Metadata():
            yield from leaves(kind.type, at)
        case inspect.StructType():
            for field in kind.fields:
                yield from leaves(field.type, (*at, field.encode_name))
        case inspect.UnionType():
            for one in kind.types:
                yield from leaves(one, at)
        case inspect.ListType():
            yield at, kind
            yield from leaves(kind.item_type, (*at, 0))
        case inspect.NoneType():
            pass
        case _:
            yield at, kind


def sample(kind: inspect.Type) -> Any:
    """A value that has the form."""
    return fuzzing.sample(kind, lambda text: next(one for one in SAMPLES if _has(one, text)))


def _has(text: str, kind: inspect.StrType) -> bool:
    form = next((form for form in vars(forms).values() if getattr(form, "__metadata__", None)
                 and getattr(form.__metadata__[0], "pattern", None) == kind.pattern), None)
    return form is not None and fits(form, text)


# ---------------------------------------------------------------- bounds


def test_every_field_of_every_body_has_bounds() -> None:
    for path, struct in bodies():
        assert struct.__struct_config__.forbid_unknown_fields, path
        for at, kind in leaves(inspect.type_info(struct)):
            match kind:
                case inspect.StrType():
                    assert kind.pattern in forms.WORDS and kind.max_length, (path, at)
                case inspect.IntType():
                    assert kind.ge is not None and kind.le is not None and kind.le <= 2**53, (path, at)
                case inspect.ListType():
                    assert kind.max_length, (path, at)
                case inspect.DateTimeType():
                    assert kind.tz, (path, at)
                case _:
                    assert isinstance(kind, inspect.BoolType | inspect.LiteralType | inspect.DateType), (path, at, kind)


def parameters() -> Iterator[tuple[str, str, str, Any, ParameterKwarg]]:
    """(who may call, path, its name, its type, what it asks for)."""
    for _, path, handler in handlers():
        for name, field in handler.parsed_fn_signature.parameters.items():
            kwarg = field.kwarg_definition
            if isinstance(kwarg, QueryParameter | PathParameter):
                whole = field.is_subclass_of(int) or field.has_inner_subclass_of(int)
                caller = next((who for who in PERSONAS if ROLES[who] in handler.opt["roles"]), "nobody")
                yield caller, path, kwarg.name or name, int if whole else str, kwarg


def test_every_parameter_of_every_address_has_bounds() -> None:
    found = list(parameters())
    assert len(found) > 30
    for _, path, name, kind, kwarg in found:
        bounded = (kwarg.ge is not None and kwarg.le is not None) if kind is int else kwarg.max_length is not None
        told = isinstance(kwarg, PathParameter) and kind is int  # the route takes digits alone, the handler a range
        one_of = "Literal" in str(kwarg.annotation) or name == "status"
        assert bounded or told or one_of, (path, name)


# ---------------------------------------------------------------- near misses


def misses(kind: inspect.Type) -> list[Any]:
    match kind:
        case inspect.StrType():
            good = sample(kind)
            free = kind.pattern in FOREIGN_SCRIPTS_WELCOME
            hidden = [letter for letter in HIDDEN if letter != "\n" or kind.pattern not in LINES_WELCOME]
            texts = [*(good + letter for letter in hidden), *(good[:2] + letter + good[2:] for letter in hidden[:3]),
                     good.translate(ARABIC) if not free and good.translate(ARABIC) != good else "",
                     "", " ", good * 4_001, "\u200b"]
            return [*texts, 5, 1.5, True, [good], {"a": good}]
        case inspect.IntType():
            return [-1, -10**30, 10**30, 2**63, 1.0, 1e6, 1.5, True, "1", "1000000", "١", "", [1]]
        case inspect.BoolType():
            return [0, 1, "true", "false", 1.0, None, []]
        case inspect.LiteralType():
            word = str(kind.values[0])
            return ["", word + "\n", word.upper(), 5, True, None]
        case inspect.DateType():
            return ["", "2026-07-21\n", "٢٠٢٦-07-21", "2026-7-21", "2026-02-30", "21/07/2026", 20260721, 0, True]
        case inspect.DateTimeType():
            return ["", "2026-07-21", "2026-07-21T10:14:00", "2026-07-21T10:14:00Z\n", 1764350000, 1764350000.5, "0",
                    "١", None]
        case inspect.ListType():
            return [[], {}, "", 5, None, [sample(kind.item_type)] * ((kind.max_length or 0) + 1)]
        case _:
            raise AssertionError(f"no near misses for {kind}")


def changed(body: Any, at: tuple[str | int, ...], value: Any) -> Any:
    whole = json.loads(json.dumps(body))
    inner = whole
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = value
    return whole


@pytest.fixture(scope="module")
def sent(past: Past) -> Any:
    """Sends a body to an address as whoever the address is for."""
    town, found = past.town, {}

    def send(path: str, content: bytes) -> httpx.Response:
        address = path
        for name in ("reference", "subject", "hold", "order", "trade", "payment", "file_number"):
            address = address.replace(f"{{{name}:str}}", "FX-INV-00000")
        headers = {"Content-Type": "application/json", "FX-Idempotency-Key": uuid.uuid4().hex}
        if path not in found:
            likely = ("admin",) if "sandbox" in path else PERSONAS
            found[path] = next(who for who in likely if town.person(who).http.post(
                address, content=b"[]", headers=headers).status_code == 422)
        return town.person(found[path]).http.post(address, content=content, headers=headers)

    return send


@pytest.mark.parametrize(("path", "struct"), list(bodies()), ids=lambda value: getattr(value, "__name__", value))
def test_no_field_takes_what_is_near_it(sent: Any, path: str, struct: type[msgspec.Struct]) -> None:
    """All of them as the request's reader takes them, and one of each field on its way through the platform."""
    kind = inspect.type_info(struct)
    body = sample(kind)
    assert read(json.dumps(body).encode(), struct)
    for at, leaf in leaves(kind):
        pointer = "/" + "/".join(map(str, at))
        for miss in misses(leaf):
            with pytest.raises(NotInForm) as refusal:
                read(json.dumps(changed(body, at, miss)).encode(), struct)
            assert str(refusal.value.pointer).startswith(pointer) and refusal.value.detail, (at, miss)
            assert not DECODERS.search(refusal.value.detail), refusal.value.detail
        answer = sent(path, json.dumps(changed(body, at, miss)).encode())
        assert refused(answer, 422, "malformed")["errors"][0]["pointer"].startswith(pointer), (path, at, miss)
    refused(sent(path, json.dumps({**body, "surprise": 1}).encode()), 422, "malformed")
    for name in body:
        for raw in (b"1e6", b"1.0", b"-0.0", b"1E400", b"NaN", b"Infinity", b"'a'", b"\"\xff\"", b'"\\ud800"'):
            content = json.dumps(changed(body, (name,), "HERE")).encode().replace(b'"HERE"', raw)
            with pytest.raises((BadRequest, NotInForm)):
                read(content, struct)


def test_no_parameter_takes_what_is_near_it(town: Town) -> None:
    whole = ["", "-1", "1e2", "1.0", "null", "+3", " 3", "03", "1_0", "٣", "3\n", "9" * 30, "-" + "9" * 26, "nan",
             "inf", "1e300", "0x1", "true"]
    texts = ["a\n", "a\u200b", "a\u2028", "\u202ea", "a\x00", "a\x85", "a" * 1_001]
    for who, path, name, kind, kwarg in parameters():
        if not isinstance(kwarg, QueryParameter):
            continue
        for miss in whole if kind is int else texts:
            answer = town.person(who).http.get(path.replace("{reference:str}", "FX-INV-00000"), params={name: miss})
            body = refused(answer, 400, answer.json()["code"])
            assert body["errors"][0]["pointer"] == f"/{name}", (path, name, miss, body)


@pytest.mark.parametrize("miss", ["inf", "nan", "1e300", "-1", "2.456", "٢"])
def test_a_discount_is_a_percentage(town: Town, miss: str) -> None:
    body = refused(town.person("pennine").get("/v1/marketplace", discount_min=miss), 400, "malformed")
    assert body["errors"][0]["pointer"] == "/discount_min"


def test_what_a_route_does_not_know_is_no_parameter(town: Town) -> None:
    body = refused(town.person("coppergate").get("/v1/invoices", limt=5), 400, "unknown_parameter")
    assert body["errors"][0]["pointer"] == "/limt" and "limit" in body["detail"]
    refused(town.person("coppergate").http.get("/v1/invoices?limit=5&limit=6"), 400, "repeated_parameter")
    refused(town.person("coppergate").http.get("/v1/me?now=1"), 400, "unknown_parameter")


def test_no_address_takes_what_is_near_it(town: Town) -> None:
    for path in ("/v1/invoices/{}", "/v1/audit/proofs/{}", "/v1/audit/receipts/{}", "/v1/subjects/{}"):
        for miss in ("٣", "1_0", "+1", " 1", "1.0", "a%0A", "a%E2%80%8B", "%FF", "a" * 65, "-1", "9" * 30):
            answer = town.person("mlro").http.get(path.format(miss))
            assert answer.status_code in (400, 404), (path, miss, answer.text)


def test_the_clock_goes_ten_years_ahead_at_most(town: Town) -> None:
    now = datetime.fromisoformat(town.person("admin").get("/v1/sandbox/clock").json()["now"])
    on = now.replace(year=now.year + 10)
    for to in ((on + timedelta(seconds=1)).isoformat(), (now - timedelta(seconds=1)).isoformat(),
               f"{now.year + 11}-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"):
        body = refused(town.person("admin").post("/v1/sandbox/clock/advance", {"to": to}), 422, "out_of_reach")
        assert body["errors"][0]["pointer"] == "/to"


def test_a_name_is_kept_as_one_writes_it(town: Town) -> None:
    """The same name typed on another keyboard (its accent apart) is the same name."""
    form = {"role": "sme_seller", "legal_name": "Cafe\u0301 Zoe\u0308 Ltd", "representative": "Zoe\u0308",
            "email": f"z{date.today():%d}@cafe-zoe.co.uk", "company_number": "07452999"}
    key = uuid.uuid4().hex
    answer = town.person("nobody").post("/v1/subjects", form, key=key)
    assert answer.status_code == 201, answer.text
    found = town.person("mlro").get("/v1/compliance/subjects", q="Café Zoë").json()["data"]
    assert [row["name"] for row in found] == ["Café Zoë Ltd"]
