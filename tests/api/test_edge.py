"""The edge: bodies bounded before they are parsed, one set of headers, one request id, requests that say one thing."""

from __future__ import annotations

import ast
import asyncio
import re
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
import structlog

from api.access import routes
from api.app import create_app
from api.edge.bodies import MAX_DEPTH, MAX_JSON_BYTES, Bodies
from api.edge.door import ALWAYS, UNLESS_SAID
from bootstrap import SetupError, require_limits
from eventstore.foreign import deeper_than
from scripts.serve import http_config, running_of
from tests.api.conftest import Past
from tests.scenarios.town import Town, accepted, refused

JSON_PATH = "/v1/subjects"
"""A route that reads JSON from anybody."""

HEADERS = {"Content-Type": "application/json"}

NOT_JSON = {
    "30,000 brackets": b"[" * 30_000, "30,000 objects": b'{"a":' * 15_000, "open strings": b'["\\"' * 20_000,
    "invalid UTF-8": b'{"role":"\xff"}', "invalid UTF-8 in a key": b'{"\xff":1}',
    "half a surrogate": b'{"role":"\\ud800"}',
    "a number without end": b'{"role":1e999999}', "digits without end": b'{"role":' + b"9" * 5_000 + b"}",
    "a byte order mark": b"\xef\xbb\xbf{}", "nothing that ends": b'{"role":', "NaN": b'{"role":NaN}', "a NUL": b"\x00",
    "two texts": b"{}{}", "too deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
}


def post(town: Town, path: str, content: bytes, who: str = "nobody", **headers: str) -> httpx.Response:
    return town.person(who).http.post(path, content=content, headers={
        **HEADERS, "FX-Idempotency-Key": uuid.uuid4().hex, **headers})


def raw(town: Town, request: bytes, timeout: float = 5) -> bytes:
    """What the server answers to these bytes, up to its closing the connection or falling silent."""
    where = urlsplit(town.house.url)
    answer = b""
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=timeout) as client:
        client.sendall(request.replace(b"@HOST@", where.netloc.encode()))
        client.settimeout(1)
        try:
            while piece := client.recv(65_536):
                answer += piece
        except TimeoutError:
            pass
    return answer


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_malformed_whatever_is_wrong_with_it(town: Town, content: bytes) -> None:
    refused(post(town, JSON_PATH, content), 400, "malformed_json")
    assert accepted(town.person("nobody").get("/health/live")) == {"status": "live"}


def test_no_route_that_reads_json_parses_what_is_none(past: Past) -> None:
    """Every such route, by whoever may call it; others are turned away before."""
    town = past.town
    people = {accepted(town.person(who).get("/v1/me"))["role"]: who
              for who in ("coppergate", "northwind", "pennine", "brunel", "mlro", "admin")}
    seen = 0
    for path, handler in routes(create_app(running_of(town.house.platform))):
        if "data" in handler.parsed_fn_signature.parameters:
            who = people[handler.opt["roles"][0]] if handler.opt["roles"] else "nobody"
            address = re.sub(r"{\w+:\w+}", "nothing", path)
            for content in (NOT_JSON["30,000 brackets"], NOT_JSON["invalid UTF-8"], NOT_JSON["two texts"]):
                refused(post(town, address, content, who), 400, "malformed_json")
                seen += 1
    assert seen > 40


def test_the_webhook_survives_them_too(town: Town) -> None:
    for content in NOT_JSON.values():
        assert post(town, "/webhooks/providers/bank", content).status_code in (400, 401, 413)
        answer = post(town, "/webhooks/providers/bank", content, **{"Content-Type": "application/octet-stream"})
        assert answer.status_code in (400, 401, 413)


def test_the_simulators_survive_them_too(past: Past) -> None:
    outside = past.town.outside.http
    for content in NOT_JSON.values():
        for path in ("/bank/control/outage", "/identity/control/outage", "/email/control/outage"):
            assert outside.post(path, content=content, headers=HEADERS).status_code == 400, (path, content[:20])
        assert outside.post("/identity/resources/applicants", content=content, headers=HEADERS).status_code < 500


def test_whoever_decodes_what_others_wrote_expects_all_that_can_go_wrong() -> None:
    """`except msgspec.DecodeError` alone lets invalid UTF-8 and endless nesting through."""
    root = Path(__file__).parent.parent.parent
    for room in ("api", "providers"):
        for path in sorted((root / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ExceptHandler) and node.type is not None:
                    assert ast.unparse(node.type) != "msgspec.DecodeError", f"{path.name}:{node.lineno}"


def test_depth_is_counted_outside_of_strings() -> None:
    assert not deeper_than(2, b'[["[[[[[[\\"[[["]]')
    assert deeper_than(2, b'["]]]",[[1]]]')
    assert not deeper_than(1, b"[],[],{},[]")
    assert deeper_than(32, b"[" * 33)


@pytest.mark.parametrize("piece", [b'\\"', b'"\\', b"[", b"[]", b'"', b'{"a":', b'"["', b"\\", b"]["])
def test_the_scan_takes_time_in_proportion(piece: bytes) -> None:
    text = b'"' + piece * (1_000_000 // len(piece))
    started = time.perf_counter()
    deeper_than(32, text)
    assert time.perf_counter() - started < 1.5


def test_a_form_has_a_size(town: Town) -> None:
    refused(post(town, JSON_PATH, b" " * (MAX_JSON_BYTES + 1)), 413, "too_large")
    where = urlsplit(town.house.url)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=5) as client:
        client.sendall(f"POST {JSON_PATH} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(8):
            client.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        assert client.recv(12) == b"HTTP/1.1 413"


def test_a_day_has_a_quota_for_uploads(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.edge.bodies.DAILY_UPLOAD_BYTES", 4_000)
    town = past.town
    town.forward(days=1)
    pdf = {"Content-Type": "application/pdf"}
    sent = [post(town, "/v1/documents", b"%PDF-" + b" " * 1_500, "coppergate", **pdf) for _ in range(3)]
    assert [answer.status_code for answer in sent] == [201, 201, 429]
    refused(sent[-1], 429, "upload_quota_spent")
    assert 0 < int(sent[-1].headers["retry-after"]) <= 86_400
    books = Bodies(lambda: town.now)
    books.upload("sub_a", 4_000)
    books.upload("sub_b", 4_000)
    refused(post(town, "/v1/documents", b"%PDF-", "brightside", **pdf), 409, "seller_not_active")


def test_libraries_do_not_raise_the_recursion_limit() -> None:
    """py_ecc does, on import; with 100,000 a nested text ends the process."""
    said = subprocess.run([sys.executable, "-c", "import scripts.serve, sys; print(sys.getrecursionlimit())"],
                          capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "1000"
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        with pytest.raises(SetupError, match="recursion limit"):
            require_limits()
    finally:
        sys.setrecursionlimit(before)


# ---------------------------------------------------------------- what every answer carries


def answers(past: Past) -> dict[str, httpx.Response]:
    """One of each sort: pages, files, data, refusals of every layer."""
    nobody, mlro = past.town.person("nobody").http, past.town.person("mlro").http
    return {
        "data": mlro.get("/v1/me"), "file": mlro.get("/v1/audit/bundles", params={"from": 1, "to": 3}),
        "page": nobody.get("/docs"), "description": nobody.get("/docs/openapi.json"),
        "asset": nobody.get("/static/swagger-5/swagger-ui.css"), "script": nobody.get("/static/docs.js"),
        "redirect": nobody.get("/"), "health": nobody.get("/health/live"), "problem page": nobody.get("/problems/x"),
        "no key": nobody.get("/v1/me"), "no such route": nobody.get("/nothing"), "method": nobody.delete("/v1/me"),
        "options": nobody.options("/v1/me"), "head": mlro.head("/v1/me"),
        "malformed": nobody.post(JSON_PATH, content=b"{"),
        "too large": nobody.post(JSON_PATH, content=b" " * 200_000, headers=HEADERS),
        "turned away": nobody.get("//v1/me"),
        "other host": nobody.get("/health/live", headers={"Host": "evil.example"}),
    }


def test_every_answer_carries_one_set_of_headers(past: Past) -> None:
    seen = answers(past)
    for what, answer in seen.items():
        assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS, what
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, what
        assert "server" not in answer.headers and "strict-transport-security" not in answer.headers, what
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["fx-request-id"]), what
        cached = answer.headers["cache-control"]
        assert cached == (UNLESS_SAID["cache-control"] if what not in ("page", "description", "asset", "script")
                          else "public, max-age=3600"), what
    assert len({answer.headers["fx-request-id"] for answer in seen.values()}) == len(seen)


def test_a_request_has_one_id_in_header_body_and_log(past: Past) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        for what, answer in answers(past).items():
            if answer.status_code >= 400:
                request_id = answer.headers["fx-request-id"]
                assert answer.json()["request_id"] == request_id, what
                said = [line for line in lines if line.get("request_id") == request_id]
                assert [line["status"] for line in said] == [answer.status_code], what
    assert "evil.example" not in str(lines) and "/nothing" not in str(lines)


def test_what_is_not_http_is_answered_like_everything_else(town: Town) -> None:
    for request, status, code in (
            (b"NONSENSE\r\n\r\n", 400, "malformed_http"), (b"GET / HTTP/1.1\r\n\r\n", 400, "malformed_http"),
            (b"GET / HTTP/1.1\r\nHost: @HOST@\r\nX: " + b"a" * 17_000 + b"\r\n\r\n", 431, "headers_too_large"),
            (b"GET / HTTP/1.1\r\nHost: @HOST@\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "not_implemented")):
        head, _, body = raw(town, request).partition(b"\r\n\r\n")
        lines = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:]]
        answer = httpx.Response(int(head.split()[1]), content=body, headers=[(name, value) for name, value in lines])
        refused(answer, status, code)
        assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
        assert answer.headers["fx-request-id"] == answer.json()["request_id"]


def test_the_page_loads_only_what_its_policy_allows(town: Town) -> None:
    nobody = town.person("nobody").http
    page = nobody.get("/docs")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert re.search(r"<script(?![^>]*src=)|style=|onload=|javascript:", page.text) is None
    kinds = {loaded: nobody.get(loaded).headers["content-type"].partition(";")[0]
             for loaded in re.findall(r'(?:src|href)="([^"]+)"', page.text)}
    assert len(kinds) >= 3
    named = {"css": "text/css", "js": "text/javascript", "png": "image/png"}
    for loaded, kind in kinds.items():  # a browser told not to guess runs and draws what is named as it is
        assert kind == named[loaded.rpartition(".")[2]], loaded
    for other in ("index.html", "swagger-initializer.js", "swagger-ui.js", "package.json", "..%2fpackage.json"):
        refused(nobody.get(f"/static/swagger-5/{other}"), 404, "not_found")
    refused(nobody.get("/docs/anything"), 404, "not_found")
    refused(nobody.get("/docs/oauth2-redirect.html"), 404, "not_found")


# ---------------------------------------------------------------- requests that say one thing


@pytest.mark.parametrize("path", ["//v1/me", "/v1//me", "/v1/me/", "/v1/./me", "/v1/x/../me", "/v1%2fme", "/v1%5Cme",
                                  "/v1/invoices/%00", "/v1/invoices/a%0ab"])
def test_an_address_is_written_one_way(town: Town, path: str) -> None:
    answer = raw(town, f"GET {path} HTTP/1.1\r\nHost: @HOST@\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404"), answer[:200]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost@evil.example", "[::2]:80"])
def test_requests_for_another_host_are_misdirected(town: Town, host: str) -> None:
    refused(town.person("nobody").http.get("/health/live", headers={"Host": host}), 421, "misdirected")


def test_settings_say_which_hosts_are_ours_and_who_speaks_for_others(past: Past) -> None:
    platform = past.town.house.platform
    settings = msgspec.structs.replace(platform.settings, public_url="https://fx.example", trusted_proxies="10.0.0.7",
                                       hosts="a.example, B.example")
    config = http_config(replace(platform, settings=settings))
    config.load()

    async def ask(host: str, peer: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=config.loaded_app, client=(peer, 1))  # pyright: ignore[reportArgumentType]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/health/live", headers={"Host": host, "X-Forwarded-Proto": "https"})

    for host in ("fx.example", "a.example", "b.example:443", "localhost"):
        answer = asyncio.run(ask(host, "10.0.0.7"))
        assert answer.status_code == 200 and answer.headers["strict-transport-security"].startswith("max-age="), host
    assert asyncio.run(ask("c.example", "10.0.0.7")).status_code == 421
    assert http_config(platform).proxy_headers is False


def test_loopback_names_and_ports_are_ours(town: Town) -> None:
    for host in ("127.0.0.1", "localhost:8000", "LOCALHOST", "[::1]:9"):
        accepted(town.person("nobody").http.get("/health/live", headers={"Host": host}))


@pytest.mark.parametrize(("name", "value"), [
    ("FX-Idempotency-Key", "a-long-random-key-000000001"), ("Authorization", "Bearer x"),
    ("Content-Type", "application/json"),
    ("FX-Confirmation-Code", "0" * 64)])
def test_a_header_that_counts_is_sent_once(town: Town, name: str, value: str) -> None:
    answer = town.person("nobody").http.post(JSON_PATH, content=b"{}", headers=[(name, value), (name, value)])
    refused(answer, 400, "header_repeated")


def test_a_body_has_one_length(town: Town) -> None:
    head = f"POST {JSON_PATH} HTTP/1.1\r\nHost: @HOST@\r\nConnection: close\r\n"
    for lengths in ("Content-Length: 2\r\nContent-Length: 3", "Content-Length: 2, 3", "Content-Length: +2",
                    "Content-Length: 2\r\nTransfer-Encoding: chunked"):
        answer = raw(town, f"{head}{lengths}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 400"), (lengths, answer[:200])


def test_head_is_get_without_the_body(past: Past) -> None:
    """Every route that is read: the same status and headers, no body; what cannot be read has no HEAD either."""
    town = past.town
    app = create_app(running_of(town.house.platform))
    read = {path for path, handler in routes(app) if "GET" in handler.http_methods}
    for path in sorted({path for path, _ in routes(app)}):
        address = re.sub(r"{\w+:int}", "7", re.sub(r"{\w+:(str|path)}", past.settled, path))
        http = town.person("mlro").http
        head = http.head(address)
        assert head.content == b""
        if path in read:
            got = http.get(address)
            assert (head.status_code, set(head.headers)) == (got.status_code, set(got.headers)), path
            assert head.headers["content-type"] == got.headers["content-type"], path
        else:
            assert head.status_code == 405 and "HEAD" not in head.headers["allow"], path


def test_methods_are_named_where_they_are_asked_for(town: Town) -> None:
    nobody = town.person("nobody").http
    assert nobody.options("/v1/me").status_code == 204
    assert set(nobody.options("/v1/me").headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert set(nobody.options("/v1/invoices").headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    answer = nobody.request("BREW", "/v1/me")
    refused(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    refused(nobody.options("/nothing"), 404, "not_found")
    assert not [name for name in nobody.options("/v1/me").headers if name.startswith("access-control")]
