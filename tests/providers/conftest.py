"""One real simulator process for the session; tests that kill it start their own."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from chain.anvil import free_port
from providers.bank import simulator as bank
from providers.bank.clearbank import ClearBank
from providers.credentials import Credentials
from tests.chain.test_journal_tls import certificate

CREDENTIALS = Credentials()
ROOT = Path(__file__).parents[2]


class Simulators:
    """The process, its ports and its memory; `kill` is SIGKILL and `start` comes back on the same memory."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.http_port, self.smtp_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        # One client: each costs a TLS context. No kept connections: the process behind them gets killed.
        self.client = httpx.Client(timeout=5, limits=httpx.Limits(max_keepalive_connections=0))
        self.process: subprocess.Popen[str] | None = None

    def command(self) -> list[str]:
        ports = ["--http-port", str(self.http_port), "--smtp-port", str(self.smtp_port)]
        return [sys.executable, "-m", "providers.simulators", *ports, "--data", str(self.data)]

    def start(self) -> None:
        self.process = subprocess.Popen(self.command(), cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith("simulators: http://127.0.0.1:")

    def stop(self, signum: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(signum)
        return self.process.wait(10)

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def control(self, path: str, **fields: Any) -> dict[str, Any]:
        answer = self.client.post(self.url + path, json=fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        return self.client.get(self.url + path).json()

    def bank(self) -> ClearBank:
        return ClearBank(
            f"{self.url}/bank",
            CREDENTIALS.clearbank_token,
            CREDENTIALS.clearbank_secret,
            account_id=bank.ACCOUNT_ID,
            sort_code=bank.SORT_CODE,
            account_number=bank.ACCOUNT_NUMBER,
        )


class Platform:
    """What the bank notifies: keeps headers and raw bodies, and answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[tuple[dict[str, str], bytes]] = []
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                platform.received.append((dict(self.headers.items()), raw))
                self.send_response(platform.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/bank"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def wait(self, count: int, within_s: float = 8.0) -> list[tuple[dict[str, str], bytes]]:
        deadline = time.monotonic() + within_s
        while len(self.received) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.received) >= count, f"{len(self.received)} notices, expected {count}"
        return self.received

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="session")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    running = Simulators(tmp_path_factory.mktemp("simulators"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def own_simulators(tmp_path: Path) -> Iterator[Simulators]:
    """A process this test may kill."""
    running = Simulators(tmp_path)
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()


@pytest.fixture
def platform() -> Iterator[Platform]:
    server = Platform()
    yield server
    server.close()


@pytest.fixture
def dripping() -> Iterator[Callable[[bytes], int]]:
    """Makes a server that sends its bytes one by one, ten a second, to whoever connects; its port."""
    stop, servers = threading.Event(), list[socket.socket]()

    def drip(connection: socket.socket, said: bytes) -> None:
        with connection, suppress(OSError):
            for byte in said:
                if stop.wait(0.1):
                    return
                connection.sendall(bytes([byte]))

    def accept(server: socket.socket, said: bytes) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(server.accept()[0], said), daemon=True).start()

    def make(said: bytes) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=accept, args=(server, said), daemon=True).start()
        return server.getsockname()[1]

    yield make
    stop.set()
    for server in servers:
        server.close()


def certified(folder: Path) -> tuple[Path, Path, Path]:
    """An authority's certificate, and one it signed for `localhost` with its key."""
    certificate(folder, "authority")
    certificate(folder, "server", "authority")
    return folder / "authority.pem", folder / "server.pem", folder / "server.key"
