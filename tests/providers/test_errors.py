"""What a vendor's answer means: the one table that sorts failures, and what must never be in them."""

import ast
import math
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from chain.anvil import free_port
from providers.credentials import Credentials
from providers.errors import LONGEST_WAIT_S, Final, Retryable, bounded_wait
from providers.http import LIMIT_BYTES, Wire
from tests.providers.conftest import CREDENTIALS, ROOT


class Vendor:
    status = 200
    body = b"{}"
    headers: dict[str, str] = {}
    wait_s = 0.0


@pytest.fixture
def vendor() -> Iterator[tuple[Vendor, Wire]]:
    answers = Vendor()
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stop.wait(answers.wait_s)
            self.send_response(answers.status)
            for name, value in answers.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in answers.headers:
                self.send_header("Content-Length", str(len(answers.body)))
            self.end_headers()
            self.wfile.write(answers.body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield answers, Wire("Vendor", f"http://127.0.0.1:{server.server_port}", httpx.Timeout(0.3))
    stop.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_overload_and_failure_are_retryable(vendor, status: int):
    vendor[0].status = status
    with pytest.raises(Retryable, match="unavailable"):
        vendor[1].call("GET", "/")


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "refused"), (401, "unauthorised"), (403, "unauthorised"), (404, "not_found"), (409, "conflict"),
     (422, "refused"), (302, "refused")],
)  # fmt: skip
def test_refusals_are_final(vendor, status: int, code: str):
    vendor[0].status = status
    vendor[0].headers = {"Location": "http://127.0.0.1:1/elsewhere"}
    with pytest.raises(Final) as refused:
        vendor[1].call("GET", "/")
    assert refused.value.code == code


IN_AN_HOUR, LONG_AGO = (format_datetime(datetime.now(UTC) + timedelta(seconds=s), usegmt=True) for s in (3600, -3600))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("900", 900.0), ("901", 900.0), ("99999999999", 900.0), ("1764350000", 900.0),
     ("9" * 400, None), ("-1", None), ("inf", None), ("nan", None), ("1e9", None), ("1_0", None), ("٧", None),
     ("7.5", None), ("", None), ("soon", None), ("Fri, 31 Dec 9999 23:59:59 GMT", 900.0),
     ("Mon, 01 Jan 0001 00:00:00 GMT", 0.0), ("Mon, 99 Foo 99999 00:00:00 GMT", None),
     pytest.param(IN_AN_HOUR, 900.0, id="in an hour"), pytest.param(LONG_AGO, 0.0, id="long ago")],
)  # fmt: skip
def test_the_vendors_own_wish_is_passed_on_as_far_as_it_is_reasonable(vendor, header: str, seconds: float | None):
    vendor[0].status, vendor[0].headers = 429, {"Retry-After": header.encode().decode("latin-1")}
    with pytest.raises(Retryable) as refused:
        vendor[1].call("GET", "/")
    assert refused.value.retry_after_s == seconds


@pytest.mark.parametrize("wish", [math.inf, -math.inf, math.nan, 1e300, -1e300, 10**400, 0, 899.5, 900.5])
def test_no_wait_of_a_retryable_is_without_bounds(wish: float):
    """Whoever makes one, whatever from: there is one place where the wait is taken."""
    assert 0 <= (Retryable("later", retry_after_s=wish).retry_after_s or 0) <= LONGEST_WAIT_S
    assert 0 <= bounded_wait(wish) <= LONGEST_WAIT_S


@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 900],
    ids=["a body", "headers"],
)
def test_a_vendor_that_trickles_is_left(dripping: Callable[[bytes], int], said: bytes):
    wire = Wire("Vendor", f"http://127.0.0.1:{dripping(said)}", httpx.Timeout(5.0), total_s=1.0)
    started = time.monotonic()
    with pytest.raises(Retryable, match="timeout"):
        wire.call("GET", "/")
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "headers",
    [{"Content-Length": "99999999999999999999"}, {"Content-Length": "-1"}, {"Content-Length": "1e3"},
     {"Content-Encoding": "gzip"}],
    ids=str,
)  # fmt: skip
def test_an_answer_that_lies_about_itself_is_retryable(vendor, headers: dict[str, str]):
    vendor[0].headers = headers
    with pytest.raises(Retryable, match=r"unreachable|unreadable|timeout"):
        vendor[1].call("GET", "/")


def test_an_answer_without_an_end_is_left(vendor):
    vendor[0].body = b"x" * (LIMIT_BYTES + 1)
    with pytest.raises(Retryable, match="unreadable"):
        vendor[1].call("GET", "/")


def test_silence_is_retryable(vendor):
    vendor[0].wait_s = 5
    with pytest.raises(Retryable, match="timeout"):
        vendor[1].call("GET", "/")


def test_nobody_there_is_retryable():
    with pytest.raises(Retryable, match="unreachable"):
        Wire("Vendor", f"http://127.0.0.1:{free_port()}").call("GET", "/")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"a": ', b'{"a":"\xff"}', b"[" * 100_000, b'{"a":1e400000}',
                                  b'{"a":9007199254740993}', b'{"a":-1e16}',
                                  b'{"a":1,"b":[{"c":"' + b"x" * 5000 + b'"}]}', b'{"a":1,"b":' + b"[" * 51 + b"]" * 51,
                                  b'{"a":1,"b":"\\u0000"}',
                                  b'{"a":' + b"9" * 5000 + b"}"], ids=lambda body: body[:20].decode("latin-1"))
def test_nonsense_is_retryable(vendor, body: bytes):
    vendor[0].body = body
    with pytest.raises(Retryable, match="unreadable"):
        vendor[1].read(vendor[1].call("GET", "/"), dict[str, int])


def test_credentials_do_not_show():
    assert "secret" not in repr(CREDENTIALS)
    given = Credentials.from_env({"FX_SUMSUB_SECRET": "from the environment", "FX_FCA_KEY": ""})
    assert given.sumsub_secret == "from the environment"
    assert given.fca_key == Credentials().fca_key


def test_ports_import_neither_adapters_nor_simulators():
    """Only bootstrap may name a vendor: a port that did would bring it along to everybody."""
    folders = [path for path in (ROOT / "providers").iterdir() if (path / "__init__.py").exists()]
    assert len(folders) >= 8
    for folder in folders:
        tree = ast.parse((folder / "__init__.py").read_text())
        imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {
            name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
        }
        assert not {name for name in imported if name.startswith(("providers", "aiohttp", "httpx"))}, folder
