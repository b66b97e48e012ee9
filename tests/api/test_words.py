"""What refusals say: what to do, in our words, and of what was sent no more than a reader can see at a glance."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, cast

import httpx
import litestar.exceptions
import msgspec
import pytest
from litestar.exceptions import HTTPException

from api.access import routes
from api.app import create_app
from api.bodies import read
from api.edge.bodies import MAX_JSON_BYTES
from api.errors import MOST_SHOWN, NOWHERE, BadRequest, http_error
from api.rest.callbacks import Called
from api.rest.invoices import NewInvoice
from domain.forms import NotInForm
from eventstore.foreign import doubled_name
from scripts.serve import running_of
from tests.api.conftest import Past
from tests.scenarios.town import Town, refused

PHRASES = {status.phrase for status in HTTPStatus}
FORM = {"role": "sme_seller", "legal_name": "Alder Ltd", "representative": "Al Der", "email": "al@alder.co.uk",
        "company_number": "07452981"}
LONG = "n" * 90_000


def post(town: Town, content: bytes, path: str = "/v1/subjects", who: str = "nobody", **headers: str) -> httpx.Response:
    return town.person(who).http.post(path, content=content, headers={
        "Content-Type": "application/json", "FX-Idempotency-Key": uuid.uuid4().hex, **headers})


# ---------------------------------------------------------------- HTTP's own phrases


def exceptions() -> Iterator[type[HTTPException]]:
    """Every one that the framework has."""
    named = (getattr(litestar.exceptions, name) for name in litestar.exceptions.__all__)
    return (kind for kind in named if isinstance(kind, type) and issubclass(kind, HTTPException))


def details(answer: Any) -> list[str]:
    return [answer["detail"], *(error["detail"] for error in answer.get("errors", []))]


@pytest.mark.parametrize("kind", list(exceptions()), ids=lambda kind: kind.__name__)
def test_no_error_of_the_framework_is_told_in_its_words(kind: type[HTTPException]) -> None:
    made = [kind(), kind(status_code=400)] if kind is not litestar.exceptions.TemplateNotFoundException else []
    for error in made:
        answer = http_error(cast(Any, None), error).content
        assert answer["status"] == error.status_code and answer["code"] != "error"
        assert answer["detail"] not in PHRASES and len(answer["detail"]) > 20


def test_every_route_says_what_to_do_instead(past: Past) -> None:
    """A method it does not take, a body that is none, too large or of a kind it does not read, a parameter too many."""
    town = past.town
    nobody, officer = town.person("nobody").http, town.person("mlro").http
    seen = 0
    for path, handler in routes(create_app(running_of(town.house.platform))):
        address = re.sub(r"{\w+:\w+}", "7", path)
        for answer in (
                nobody.request("BREW", address), nobody.delete(address), nobody.get(f"{address}/nothing"),
                nobody.post(address, content=b""), officer.post(address, content=b""), officer.get(f"{address}?x=1"),
                officer.post(address, content=b"{}", headers={"Content-Type": "text/csv"})):
            if answer.status_code >= 400:
                assert not PHRASES & set(details(answer.json())), answer.text
                seen += 1
            if answer.status_code == 405:
                told = answer.json()["detail"].removeprefix("this address takes ")
                assert told == answer.headers["allow"]
                assert answer.url.path != address or handler.http_methods <= set(told.split(", "))
            if answer.status_code == 404 and answer.json()["code"] == "not_found" and "/nothing" in str(answer.url):
                assert answer.json()["detail"] == NOWHERE
    assert seen > 300


def test_the_limit_of_a_body_is_named_by_the_edge_alone(past: Past) -> None:
    """Announced or not: the framework, which says no limit, has none."""
    app = create_app(running_of(past.town.house.platform))
    assert {handler.resolve_request_max_body_size() for _, handler in routes(app)} == {None}
    for path, who in (("/v1/subjects", "nobody"), ("/v1/documents", "coppergate"),
                      ("/webhooks/providers/bank", "nobody")):
        limit = next(handler for at, handler in routes(app) if at == path and "POST" in handler.http_methods).opt.get(
            "max_bytes", MAX_JSON_BYTES)
        pieces = [b" " * (limit + 1)]
        for content in (pieces[0], iter(pieces)):
            answer = post(past.town, cast(Any, content), path, who)
            assert f"{limit:,} bytes" in refused(answer, 413, "too_large")["detail"]


def test_an_empty_body_is_called_empty(town: Town) -> None:
    body = refused(post(town, b""), 400, "malformed_json")
    assert "empty" in body["detail"] and "errors" not in body


def test_a_date_is_asked_for_in_its_form() -> None:
    for wrong in ("21/07/2026", "2026-7-21", "", 5):
        with pytest.raises(NotInForm, match="a date such as 2026-07-21"):
            read(json.dumps({"buyer_company_number": "07452983", "buyer_email": "a@b.co.uk", "face_value_pence": 1,
                             "due_date": wrong}).encode(), NewInvoice)


def test_a_word_of_a_few_is_asked_for_by_all_of_them(town: Town) -> None:
    with pytest.raises(NotInForm, match="Expected one of: confirmed, denied\\Z"):
        read(json.dumps({"outcome": LONG, "note": "The line was dead"}).encode(), Called)
    answer = town.person("mlro").get("/v1/compliance/callbacks", status="x" * 5_000)
    told = refused(answer, 400, "malformed")["errors"][0]
    assert told == {"pointer": "/status", "detail": "Expected one of: confirmed, denied, open"}


# ---------------------------------------------------------------- what is repeated of a request


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    inner: Inner
    rows: list[Inner]


PLACES = {"at the top": '{"inner":{"name":"a"},"rows":[],%s}', "inside": '{"inner":{"name":"a",%s},"rows":[]}',
          "in a list": '{"inner":{"name":"a"},"rows":[{"name":"a"},{"name":"a",%s}]}'}


@pytest.mark.parametrize("body", PLACES.values(), ids=PLACES)
def test_names_are_short_and_wholly_seen(body: str) -> None:
    for value in ('1', '"\\u200b"', '{"b":1}'):
        with pytest.raises(NotInForm) as refusal:
            read((body % f'"{LONG}":{value}').encode(), Outer)
        assert len(refusal.value.detail) + len(refusal.value.pointer or "") < 2 * MOST_SHOWN
    for letter in ("\u200b", "\\u0000", "\\n", "\\t", "\u202e", "\u2028", "\u0085"):
        with pytest.raises(NotInForm, match="hidden character, U\\+") as refusal:
            read((body % f'"a{letter}b":1').encode(), Outer)
        assert str(refusal.value.pointer).isprintable()


def test_no_answer_repeats_a_long_request(town: Town) -> None:
    """A name or a word of 90 kB, wherever an anonymous caller may put it."""
    bodies = [{**FORM, LONG: 1}, {**FORM, LONG: {LONG: "\u200b"}}, {**FORM, "role": LONG}, {**FORM, "email": LONG},
              {LONG: FORM}, LONG, [LONG], {**FORM, "legal_name": [LONG]}]
    answers = [post(town, json.dumps(body, ensure_ascii=False).encode()[:MAX_JSON_BYTES]) for body in bodies]
    nobody, long = town.person("nobody").http, LONG[:8_000]
    answers += [nobody.get(f"/v1/audit/keys?{long}=1"), nobody.get(f"/v1/{long}"), nobody.get(f"/problems/{long}"),
                nobody.request("A" * 5_000, "/v1/me"), post(town, b"{}", **{"Content-Type": long}),
                post(town, b"{}", **{"FX-Idempotency-Key": long}),
                nobody.get("/health/live", headers=[(f"FX-{long}", "1"), (f"FX-{long}", "1")]),
                nobody.get("/v1/audit/keys", params={"a\u200bb": "1"})]
    for answer in answers:
        assert 400 <= answer.status_code < 500 and len(answer.content) < 1_000, answer.text[:300]
    assert "\u200b" not in answers[-1].text and "hidden" in answers[-1].json()["detail"]


TWICE = {
    "at the top": ('{"inner":{"name":"a"},"rows":[],"inner":{"name":"b"}}', "/inner"),
    "inside": ('{"inner":{"name":"a","name":"b"},"rows":[]}', "/inner/name"),
    "in a list": ('{"inner":{"name":"a"},"rows":[{"name":"a"},{"name":"a","name":"a"}]}', "/rows/1/name"),
    "written otherwise": ('{"inner":{"name":"a","n\\u0061me":"b"},"rows":[]}', "/inner/name"),
    "with spaces and quotes": ('{"inner":{"name":"\\\\\\"" , "name" :\t"\\""},"rows":[]}', "/inner/name"),
    "unknown": ('{"inner":{"name":"a"},"rows":[],"b":1,"b":[2]}', "/b"),
    "and three times": ('{"inner":{"name":"a","name":"b","name":"c"},"rows":[]}', "/inner/name"),
}


@pytest.mark.parametrize(("text", "pointer"), TWICE.values(), ids=TWICE)
def test_a_name_comes_once(text: str, pointer: str) -> None:
    with pytest.raises(BadRequest, match="comes twice; send it once") as refusal:
        read(text.encode(), Outer)
    assert (refusal.value.code, refusal.value.pointer) == ("malformed_json", pointer)


def test_what_looks_like_a_name_is_none() -> None:
    for text in ('{"a":"\\"a\\":1","b":"\\\\","c":["a","a",{"a":"a"},{"a":"a"}]}', '{"":{"":{"":""}}}', '"a"',
                 '{"a":1.50,"b":1e3,"\\u0022":"\\u0022\\\\"}', '{"a":100000000000000000000000000}', "[[],{}]"):
        assert doubled_name(text.encode(), msgspec.json.decode(text)) is None
    assert doubled_name(b'{"a":[{"b":{"c":1,"c":2}}]}', {"a": [{"b": {"c": 2}}]}) == ("a", "0", "b", "c")


def test_doubled_names_are_looked_for_in_no_time() -> None:
    """In the largest body that is read; nothing but a body that is refused is parsed once more."""
    for piece in (b'{"":0}', b"{}", b"0", b'""', b'"\\""'):
        body = b"[" + b",".join([piece] * (MAX_JSON_BYTES // (len(piece) + 1) - 1)) + b"]"
        decoded = msgspec.json.decode(body)
        taken: list[float] = []
        for _ in range(5):
            started = time.perf_counter()
            assert doubled_name(body, decoded) is None
            taken.append(time.perf_counter() - started)
        assert min(taken) < 0.005


def test_a_doubled_name_is_refused_to_whoever_sends_it(town: Town) -> None:
    body = refused(post(town, json.dumps(FORM).replace("{", '{"role":"boss",', 1).encode()), 400, "malformed_json")
    assert body["errors"][0]["pointer"] == "/role" and "`role`" in body["detail"]
