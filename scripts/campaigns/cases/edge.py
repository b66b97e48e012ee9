"""The edge: what comes in before anybody looks at its meaning, and what every answer carries."""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress

import httpx

from api.edge.door import ALWAYS
from scripts.campaigns.cases import World, Wrong, case, seen

HEADERS_OF_PAGES = (*ALWAYS, "content-security-policy", "cache-control", "fx-request-id")


def said(world: World, request: str, wait_s: float = 5) -> bytes:
    """What the server answers to these bytes until it closes the connection or falls silent."""
    answer = b""
    with socket.create_connection(("127.0.0.1", world.settings.http_port), timeout=wait_s) as client:
        client.sendall(request.encode("latin-1"))
        client.settimeout(wait_s)
        with suppress(TimeoutError, ConnectionError):
            while piece := client.recv(65_536):
                answer += piece
    return answer


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise Wrong(what)


@case("K1", "30,000 opening brackets as JSON, without a key, to every POST")
def brackets(world: World) -> str:
    from api.app import ROUTES

    told: set[str] = set()
    for handler in ROUTES:
        if "POST" in handler.http_methods:
            path = re.sub(r"{\w+:(\w+)}", lambda found: "1" if found[1] == "int" else "nothing", min(handler.paths))
            answer = world.post(None, path, b"[" * 30_000)
            expect(answer.status_code in (400, 401), f"{path}: {answer.status_code} {answer.text[:100]}")
            told.add(f"{answer.status_code} {answer.json()['code']}")
    seen(world.post(None, "/v1/subjects", b"[" * 30_000), 400, "malformed_json")
    seen(world.post("pennine", "/v1/payments", b"[" * 30_000), 400, "malformed_json")
    return ", ".join(sorted(told))


@case("K1", "a body from somebody without a key is not awaited")
def unread_bodies(world: World) -> str:
    answer = said(world, "POST /v1/payments HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n", 1)
    expect(answer.startswith(b"HTTP/1.1 401"), f"{answer[:60]!r}")
    return "401 before the body"


@case("K3", "invalid UTF-8 inside a JSON string, in a form and in the simulators")
def invalid_utf8(world: World) -> str:
    told = seen(world.post(None, "/v1/subjects", b'{"role":"\xff"}'), 400, "malformed_json")
    seen(world.post("coppergate", "/v1/invoices", b'{"seller_reference":"\xff"}'), 400, "malformed_json")
    outside = world.outside.post("/bank/control/outage", content=b'{"on":"\xff"}',
                                 headers={"Content-Type": "application/json"})
    expect(outside.status_code == 400, f"simulator: {outside.status_code}")
    return told


@case("K6", "a head half sent, and a byte a second of it")
def half_a_head(world: World) -> str:
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", world.settings.http_port), timeout=30) as client:
        client.sendall(b"GET /v1/me HTTP/1.1\r\nX-Slow: ")
        client.settimeout(1)
        while time.monotonic() - started < 30:
            with suppress(TimeoutError):
                answer = client.recv(1_000)
                expect(b" 408 " in answer[:20] or not answer, f"{answer[:60]!r}")
                return f"closed after {time.monotonic() - started:.0f} s"
            client.sendall(b"a")
    raise Wrong("open for 30 s")


@case("K6", "twelve uploads of 10 MB begun and left open by one seller")
def open_uploads(world: World) -> str:
    before, clients = world.apart.resident_mib(), list[socket.socket]()
    key = world.story.keys["coppergate"]
    head = (f"POST /v1/documents HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/pdf\r\nContent-Length: 10485760\r\n\r\n%PDF-")
    refused = 0
    for _ in range(12):
        client = socket.create_connection(("127.0.0.1", world.settings.http_port), timeout=10)
        clients.append(client)
        with suppress(OSError):
            client.sendall(head.encode() + b"x" * 10_000_000)
    time.sleep(1)
    for client in clients:
        client.setblocking(False)
        with suppress(OSError):
            refused += client.recv(20).startswith(b"HTTP/1.1 503")
    held = world.apart.resident_mib() - before
    for client in clients:
        client.close()
    expect(refused >= 9 and held < 60, f"{refused} refused, {held:.0f} MiB held")
    return f"{refused} of 12 refused, {held:.0f} MiB held"


@case("K22", "headers on data, refusals, pages and files; who serves; other hosts; // in a path; the example page")
def headers(world: World) -> str:
    for answer in (world.get("pennine", "/v1/me"), world.get(None, "/v1/me"), world.get(None, "/docs"),
                   world.get(None, "/static/swagger-5/swagger-ui.css"), world.get(None, "/nothing")):
        missing = [name for name in HEADERS_OF_PAGES if name not in answer.headers]
        expect(not missing and "server" not in answer.headers, f"{answer.url}: without {missing}, or a server header")
    seen(world.anyone.get("/health/live", headers={"Host": "evil.example"}), 421, "misdirected")
    expect(said(world, "GET //v1/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").startswith(
        b"HTTP/1.1 404"), "//v1/me routes")
    seen(world.get(None, "/static/swagger-5/index.html"), 404)
    return "all there"


@case("K22", "HEAD of what can be read")
def heads(world: World) -> str:
    for path in ("/v1/me", "/health/ready", "/v1/marketplace"):
        seen(world.as_("pennine").head(path), 200)
    return "200"


@case("K23", "one request id: header, body, log")
def request_ids(world: World) -> str:
    answer = world.get(None, "/v1/me")
    expect(answer.json()["request_id"] == answer.headers.get("fx-request-id"), "they differ")
    expect(answer.json()["request_id"] in world.apart.log.read_text(), "not in the log")
    expect("fx-request-id" in world.get("pennine", "/v1/me").headers, "none on what succeeds")
    return "the same"


@case("K38", "HEAD; two key headers; two Authorization; two Content-Length; a length and chunks")
def said_twice(world: World) -> str:
    for name in ("FX-Idempotency-Key", "Authorization"):
        answer: httpx.Response = world.anyone.post("/v1/subjects", content=b"{}", headers=[(name, "x"), (name, "x")])
        seen(answer, 400, "header_repeated")
    head = "POST /v1/subjects HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    for lengths in ("Content-Length: 2\r\nContent-Length: 3", "Content-Length: 2\r\nTransfer-Encoding: chunked"):
        answer_ = said(world, f"{head}{lengths}\r\n\r\n{{}}", 2)
        expect(answer_.startswith(b"HTTP/1.1 400"), f"{lengths!r}: {answer_[:60]!r}")
    seen(world.as_("pennine").head("/v1/me"), 200)
    return "400"
