"""What a vendor's answer means: the one table that sorts failures, and what must never be in them."""

import ast
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from providers.credentials import Credentials
from providers.errors import Final, Retryable
from providers.http import Wire
from tests.providers.conftest import CREDENTIALS, ROOT, free_port


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


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("-1", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None)]
)
def test_the_vendors_own_wish_is_passed_on(vendor, header: str, seconds: float | None):
    vendor[0].status, vendor[0].headers = 429, {"Retry-After": header}
    with pytest.raises(Retryable) as refused:
        vendor[1].call("GET", "/")
    assert refused.value.retry_after_s == seconds


def test_silence_is_retryable(vendor):
    vendor[0].wait_s = 5
    with pytest.raises(Retryable, match="timeout"):
        vendor[1].call("GET", "/")


def test_nobody_there_is_retryable():
    with pytest.raises(Retryable, match="unreachable"):
        Wire("Vendor", f"http://127.0.0.1:{free_port()}").call("GET", "/")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"a": '])
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
