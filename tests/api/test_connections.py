"""Slow clients: nobody holds a connection or memory by sending nothing, or a byte now and then. A server of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import uvicorn
from litestar import Litestar, Response, get, post
from litestar.params import JSONBody, RawBody

from api.access import PUBLIC
from api.edge.bodies import Bodies
from api.edge.connections import Limits, connections
from api.edge.door import Door
from api.errors import HANDLERS
from chain.anvil import free_port

PROXY = "127.0.0.99"
LIMITS = Limits(head_s=0.6, idle_s=1, linger_s=0.5, write_s=0.7, in_total=12, per_address=6,
                proxies=frozenset({PROXY}))
PATIENCE_S = 0.8


@get("/quick", roles=PUBLIC, sync_to_thread=False)
def quick() -> dict[str, str]:
    return {"said": "quick"}


@get("/large", roles=PUBLIC, sync_to_thread=False)
def large() -> Response[bytes]:
    return Response(b"x" * 20_000_000, media_type="application/octet-stream")


@get("/busy", roles=PUBLIC, sync_to_thread=True)
def busy() -> dict[str, str]:
    time.sleep(1.5)
    return {"said": "at last"}


@post("/json", roles=PUBLIC, sync_to_thread=False)
def json(data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
    return data


@post("/file", roles=PUBLIC, sync_to_thread=False, max_bytes=1_000_000)
def file(body: RawBody) -> dict[str, int]:
    return {"bytes": len(body)}


class Served:
    def __init__(self) -> None:
        self.port = free_port()
        self.bodies = Bodies(lambda: datetime.now(UTC))
        app = Litestar([quick, large, busy, json, file], exception_handlers=HANDLERS)
        self.server = uvicorn.Server(uvicorn.Config(
            Door(app, {}, self.bodies, frozenset(), tls=False), port=self.port, log_level="critical", access_log=False,
            http=connections(LIMITS), ws="none", timeout_keep_alive=LIMITS.idle_s, timeout_graceful_shutdown=1))
        threading.Thread(target=self.server.run, daemon=True).start()
        while not self.server.started:
            time.sleep(0.01)

    def connect(self, address: str = "127.0.0.1", sends: bytes = b"") -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=5, source_address=(address, 0))
        client.sendall(sends)
        return client

    def get(self, path: str = "/quick", address: str = "127.0.0.1") -> httpx.Response:
        with httpx.Client(transport=httpx.HTTPTransport(local_address=address)) as client:
            return client.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr("api.edge.bodies.PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr("api.edge.bodies.LEAST_BYTES_PER_S", 100_000_000)
    server = Served()
    yield server
    server.server.should_exit = True


def head(method: str, path: str, length: int | None = None) -> bytes:
    body = "" if length is None else f"Content-Length: {length}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{body}\r\n".encode()


def until_closed(client: socket.socket, dribble: bytes = b"") -> tuple[float, bytes]:
    """Seconds until the server closes the connection, and what it said; `dribble` is sent now and then."""
    started, said = time.monotonic(), b""
    client.settimeout(0.1)
    while time.monotonic() - started < 5:
        try:
            piece = client.recv(65_536)
        except TimeoutError:
            with suppress(OSError):
                client.sendall(dribble)
            continue
        except ConnectionError:
            break
        if not piece:
            break
        said += piece
    return time.monotonic() - started, said


@pytest.mark.parametrize(("sends", "dribble", "says"), [
    (b"", b"", b""),
    (b"GET /quick HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"a", b"HTTP/1.1 408"),
    (b"G", b"", b"HTTP/1.1 408"),
], ids=["nothing", "a header that never ends", "half a method"])
def test_a_head_has_its_time(served: Served, sends: bytes, dribble: bytes, says: bytes) -> None:
    took, said = until_closed(served.connect(sends=sends), dribble)
    assert LIMITS.head_s * 0.8 < took < LIMITS.head_s + 0.6
    assert said.startswith(says)


def test_so_has_the_next_head_of_a_connection(served: Served) -> None:
    client = served.connect(sends=head("GET", "/quick") + b"GET /qu")
    took, said = until_closed(client, b"i")
    assert said.count(b"HTTP/1.1 200") == 1 and b"HTTP/1.1 408" in said
    assert took < LIMITS.head_s + 0.6


def test_an_idle_connection_is_closed(served: Served) -> None:
    took, said = until_closed(served.connect(sends=head("GET", "/quick")))
    assert said.startswith(b"HTTP/1.1 200") and LIMITS.idle_s * 0.8 < took < LIMITS.idle_s + 0.7


def test_a_body_has_its_time(served: Served) -> None:
    took, said = until_closed(served.connect(sends=head("POST", "/json", 1_000) + b'{"a": "'), b"a")
    assert said.startswith(b"HTTP/1.1 408") and b"too_slow" in said
    assert PATIENCE_S * 0.8 < took < PATIENCE_S + 0.7
    assert served.bodies.in_flight == 0


def test_a_body_that_nobody_wants_is_not_awaited(served: Served) -> None:
    took, said = until_closed(served.connect(sends=head("POST", "/nothing", 10_000_000)), b"a" * 100)
    assert said.startswith(b"HTTP/1.1 404")
    assert took < LIMITS.linger_s + 0.6


def test_an_answer_that_is_not_fetched_is_given_up(served: Served) -> None:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.connect(("127.0.0.1", served.port))
    client.sendall(head("GET", "/large"))
    time.sleep(LIMITS.write_s + 0.7)
    assert served.server.server_state.connections == set()
    client.close()


def test_a_client_that_goes_away_leaves_nothing(served: Served) -> None:
    clients = [served.connect(sends=head("POST", "/file", 900_000) + b"x" * 200_000) for _ in range(4)]
    time.sleep(0.3)
    assert served.bodies.in_flight >= 4 * 100_000
    for client in clients:
        client.close()
    time.sleep(0.3)
    assert served.bodies.in_flight == 0 and served.server.server_state.connections == set()


def test_bodies_in_flight_have_a_bound(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.edge.bodies.IN_FLIGHT_BYTES_EACH", 300_000)
    monkeypatch.setattr("api.edge.bodies.IN_FLIGHT_BYTES", 400_000)
    upload = head("POST", "/file", 290_000) + b"x" * 250_000
    first = served.connect("127.0.0.2", upload)
    time.sleep(0.2)
    for address in ("127.0.0.2", "127.0.0.3"):  # its own bound, and everybody's
        client = served.connect(address, upload)
        assert client.recv(12) == b"HTTP/1.1 503"
    first.sendall(b"x" * 40_000)
    assert first.recv(12) == b"HTTP/1.1 201"


def test_slow_clients_crowd_out_each_other(served: Served) -> None:
    """An address has six connections, the server twelve; whoever comes with a request finds room."""
    slow = [served.connect(f"127.0.0.{2 + number % 4}", b"GET /") for number in range(40)]
    assert len(served.server.server_state.connections) <= LIMITS.in_total + 1
    for address in ("127.0.0.2", "127.0.0.9"):
        assert served.get(address=address).status_code == 200
    for client in slow:
        client.close()


def test_those_being_served_are_not_cut_off(served: Served) -> None:
    """What waits for the server keeps its place, and who finds no room is told so."""
    at_work = [served.connect("127.0.0.2", head("GET", "/busy")) for _ in range(LIMITS.per_address)]
    time.sleep(0.2)
    took, said = until_closed(served.connect("127.0.0.2"))
    assert said.startswith(b"HTTP/1.1 503") and b'"overloaded"' in said and took < 0.5
    assert served.get(address="127.0.0.3").status_code == 200
    for client in at_work:
        assert client.recv(12) == b"HTTP/1.1 200"


def test_a_proxy_is_bounded_by_the_total_alone(served: Served) -> None:
    """The addresses behind it are not seen by the connection."""
    slow = [served.connect(PROXY, b"GET /") for _ in range(LIMITS.in_total)]
    time.sleep(0.2)
    assert len(served.server.server_state.connections) == LIMITS.in_total
    for client in slow:
        client.close()
