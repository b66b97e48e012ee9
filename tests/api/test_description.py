"""The API's description, walked whole: what it says of every operation is what the operation does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.access import routes
from api.app import create_app
from api.errors import PROBLEM
from api.running import KEY_HEADER, KeyedOperation, Work
from scripts.serve import running_of
from tests.api.conftest import Past
from tests.scenarios.town import Town, accepted

PROBLEM_HERE = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}


@pytest.fixture(scope="module")
def described(past: Past) -> dict[str, Any]:
    return accepted(past.town.person("nobody").get("/docs/openapi.json"))


@pytest.fixture(scope="module")
def every(past: Past, described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any], Any]]:
    """Method, path, what is said and what handles it."""
    handlers = {(method, re.sub(r"{(\w+):\w+}", r"{\1}", path)): handler
                for path, handler in routes(create_app(running_of(past.town.house.platform)))
                for method in handler.http_methods}
    return [(method.upper(), path, operation, handlers[method.upper(), path])
            for path, methods in described["paths"].items() for method, operation in methods.items()]


def headers_of(operation: dict[str, Any]) -> dict[str, bool]:
    return {one["name"]: one["required"] for one in operation.get("parameters", []) if one["in"] == "header"}


def test_every_refusal_is_the_one_problem(every: Any, described: dict[str, Any]) -> None:
    assert len(every) > 60
    for method, path, operation, _ in every:
        refusals = {status: answer for status, answer in operation["responses"].items() if status[0] in "4d"}
        assert {"400", "default"} <= set(refusals), (method, path)
        for status, answer in refusals.items():
            assert answer["content"] == PROBLEM_HERE and answer["description"], (method, path, status)
    assert {"code", "detail", "request_id"} <= set(described["components"]["schemas"]["Problem"]["required"])
    assert "status_code" not in str(described)


def test_who_needs_a_key_is_said(every: Any) -> None:
    for method, path, operation, handler in every:
        if not handler.opt["roles"]:
            assert operation["security"] == [], (method, path)
        elif header := handler.opt.get("or_header"):
            assert operation["security"] == [{"apiKey": []}, {}] and headers_of(operation)[header] is False
        else:
            assert "security" not in operation and {"401", "403"} <= set(operation["responses"]), (method, path)


def test_every_body_and_header_is_described(every: Any) -> None:
    for method, path, operation, handler in every:
        reads = {"data", "body"} & set(handler.parsed_fn_signature.parameters)
        assert bool(reads) == ("requestBody" in operation), (method, path)
        assert "body" not in reads or handler.opt["takes"] in operation["requestBody"]["content"], path
        assert headers_of(operation).get(KEY_HEADER, False) == (handler.operation_class is KeyedOperation), path
    said = {path: operation for method, path, operation, _ in every if method == "POST"}
    assert set(said["/v1/documents"]["requestBody"]["content"]) == {"application/pdf"}
    assert set(headers_of(said["/webhooks/providers/bank"])) == {"X-Request-Time", "DigitalSignature"}


def schema_of(described: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    reference = answer["content"][PROBLEM]["schema"]["$ref"]
    return described["components"]["schemas"][reference.rpartition("/")[2]]


def tries(town: Town, method: str, path: str) -> Iterator[httpx.Response]:
    """By nobody and by each role; with nothing, noise, and what cannot be read. Without the key of a mutation, so that
    none happens.
    """
    address = re.sub(r"{\w+}", "7", path)
    for who in ("nobody", "brightside", "northwind", "pennine", "brunel", "mlro", "admin"):
        http = town.person(who).http
        yield http.request(method, f"{address}?surprise=1")
        if method == "GET":
            yield http.get(address)
        else:
            for content, kind in ((b"", "application/json"), (b"{", "application/json"), (b"{}", "application/json"),
                                  (b"x", "text/csv"), (b" " * 100_001, "application/pdf")):
                yield http.post(address, content=content, headers={"Content-Type": kind})


def test_what_is_answered_is_what_is_described(past: Past, every: Any, described: dict[str, Any]) -> None:
    seen = 0
    for method, path, operation, _ in every:
        for answer in tries(past.town, method, path):
            said = operation["responses"].get(str(answer.status_code))
            if said is None:
                assert answer.status_code >= 400, (method, path, answer.status_code, answer.text[:200])
                said = operation["responses"]["default"]
            kind = answer.headers["content-type"].partition(";")[0]
            assert kind in said["content"], (method, path, kind)
            if kind == PROBLEM:
                schema = schema_of(described, said)
                assert set(schema["required"]) <= set(answer.json()) <= set(schema["properties"]), answer.text
                seen += 1
    assert seen > 1_000


def test_a_mutation_answers_with_its_routes_status(past: Past, every: Any) -> None:
    """Which the description knows: nothing that is asked of the platform brings its own."""
    said = {path: handler.status_code for method, path, _, handler in every if method == "POST"}
    assert (said["/v1/pre-trade-checks"], said["/v1/invoices"], said["/v1/sandbox/clock/advance"]) == (202, 201, 200)
    assert "status" not in Work.__struct_fields__
    answer = past.town.person("nobody").post("/v1/api-keys/recovery", {"email": "a@b.co.uk"})
    assert answer.status_code == said["/v1/api-keys/recovery"] == 202
