"""Who may call what, read from the routes themselves: every role, every route, every method, before anything else."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from litestar import Litestar, Router, get, post

from api.access import ANYBODY, PUBLIC, Undeclared, require_declared, routes
from api.app import create_app
from domain.party import ADMIN, BUYER, COMPLIANCE, INVESTOR, LENDER, SELLER
from scripts.serve import running_of
from tests.api.conftest import Past
from tests.scenarios.town import Person, refused

PERSONAS = {SELLER: "coppergate", BUYER: "northwind", LENDER: "pennine", INVESTOR: "brunel", COMPLIANCE: "mlro",
            ADMIN: "admin"}
PARAMETER = re.compile(r"{\w+:(\w+)}")


def declared(past: Past) -> Iterator[tuple[str, str, Any]]:
    """Method, an address where nothing is, and what its route declares."""
    for path, handler in routes(create_app(running_of(past.town.house.platform))):
        if path.startswith("/v1"):
            address = PARAMETER.sub(lambda found: "99999999" if found[1] == "int" else "no-such-thing", path)
            for method in handler.http_methods:
                yield method, address, handler.opt


def send(person: Person, method: str, address: str) -> Any:
    return person.http.request(method, address, content=b"{}" if method == "POST" else None,
                               headers={"Content-Type": "application/json"})


def test_every_role_at_every_route(past: Past) -> None:
    assert set(PERSONAS) == set(ANYBODY)
    seen = 0
    for method, address, opt in declared(past):
        for role, who in PERSONAS.items():
            answer = send(past.town.person(who), method, address)
            if opt["roles"] and role not in opt["roles"]:
                refused(answer, 403, "not_your_role")
            else:
                assert answer.status_code < 500 and answer.json().get("code") != "not_your_role", (method, address, who)
            seen += 1
    assert seen > 250


def test_strangers_are_told_to_say_who_they_are_before_anything_else(past: Past) -> None:
    nobody = past.town.person("nobody")
    for method, address, opt in declared(past):
        answer = send(nobody, method, address)
        if opt["roles"]:
            refused(answer, 401, "not_authenticated")
        else:
            assert answer.status_code not in (401, 403), (method, address)


def test_a_stranger_is_refused_before_a_byte_of_the_body_is_read(past: Past) -> None:
    where = urlsplit(past.town.house.url)
    for method, address, opt in declared(past):
        if method != "POST" or not opt["roles"]:
            continue
        with socket.create_connection((where.hostname or "", where.port or 0), timeout=5) as stranger:
            head = f"POST {address} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: 900000\r\n\r\n"
            stranger.sendall(head.encode())
            assert stranger.recv(12) == b"HTTP/1.1 401", address


@pytest.mark.parametrize("declares", [{}, {"roles": None}, {"roles": ("seler",)}, {"roles": "lender"},
                                      {"roles": (COMPLIANCE,), "active": True}])
def test_a_route_that_does_not_say_who_may_call_it_is_refused_at_start(declares: dict[str, Any]) -> None:
    @get("/forgotten", sync_to_thread=False, **declares)
    def forgotten() -> None: ...

    with pytest.raises(Undeclared, match="/forgotten"):
        require_declared(Litestar([Router("/", route_handlers=[forgotten])]))


@pytest.mark.parametrize(("path", "who", "code"), [("/v1/listings", "clifton", "not_an_investor")])
def test_standing_is_asked_before_anything_is_looked_up(past: Past, path: str, who: str, code: str) -> None:
    """Clifton has signed up and not finished onboarding."""
    refused(past.town.person(who).get(path), 403, code)
    refused(past.town.person(who).get(path, cursor="nonsense"), 403, code)


def test_what_only_one_method_declares_is_refused_too() -> None:
    @get("/half", roles=PUBLIC, sync_to_thread=False)
    def read() -> None: ...

    @post("/half", sync_to_thread=False)
    def write() -> None: ...

    with pytest.raises(Undeclared, match="/half"):
        require_declared(Litestar([read, write]))


def test_these_and_no_others_are_public(past: Past) -> None:
    app = create_app(running_of(past.town.house.platform))
    public = {path for path, handler in routes(app) if handler.opt["roles"] == PUBLIC and not path.startswith("/docs")}
    assert public == {"/", "/problems/{code:str}", "/v1/subjects", "/v1/api-keys/recovery", "/v1/api-keys/redeem",
                      "/v1/audit/keys", "/v1/sandbox/clock", "/health/live", "/health/ready",
                      "/webhooks/providers/bank", "/static/swagger-5/{name:str}",
                      "/static/docs.js"}
