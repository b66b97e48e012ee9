"""Where people really put things: folders with spaces and accents, long paths, a plain C locale, an open umask."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from bootstrap.embedded import embedded_database
from tests.house.test_rules import tracked
from tests.scripts.test_command_line import Environment, fx, surroundings

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
READY_S = 100.0
FOREIGN = {"origin": "http://page.example", "content-type": "application/json"}


@dataclass(frozen=True)
class Awkward:
    """A platform in a clone, and with a home, that lie where scripts stumble."""

    clone: Path
    home: Path
    environment: Environment


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Awkward]:
    folder = tmp_path_factory.mktemp("here") / "a b (c)"
    clone, home = folder / "my clone", folder / "höm é" / ("x" * 60) / ("y" * 60)
    for path in tracked("--cached", "--others", "--exclude-standard"):
        target = clone / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            shutil.copyfile(path, target)
    (clone / "node_modules").symlink_to((ROOT / "node_modules").resolve())
    environment = {**surroundings(home), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": ""}
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "scripts.fx", "serve"], cwd=clone, env=environment,
                                   stdout=log, stderr=log, umask=0)
    url = f"http://127.0.0.1:{environment['FX_HTTP_PORT']}/health/ready"
    deadline = time.monotonic() + READY_S
    try:
        while not _answers(url):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "serve.log").read_text()
            time.sleep(0.1)
        yield Awkward(clone, home, environment)
    finally:
        process.terminate()
        process.wait(timeout=30)
        subprocess.run([sys.executable, "-m", "scripts.fx", "stop"], cwd=clone, env=environment, check=False,
                       capture_output=True)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def test_nobody_else_can_look_into_the_home(awkward: Awkward) -> None:
    """Run by root, PostgreSQL is a user of its own, and walks through it in our group."""
    assert awkward.home.stat().st_mode & 0o777 == (0o710 if os.geteuid() == 0 else 0o700)
    database = awkward.home / "postgres"
    inside = [path for path in awkward.home.rglob("*") if database not in (path, *path.parents)]
    assert {"secrets.json", "simulators.sqlite3", "simulators.log", "anvil.log", "key_ring.json", "minter.key",
            "serve.lock", "witness.log", "witness.key", "named"} <= {path.name for path in inside}
    assert [path for path in inside if path.stat().st_mode & 0o077] == []
    assert database.stat().st_mode & 0o077 == 0


def test_the_database_reaches_its_files_by_their_whole_paths(awkward: Awkward) -> None:
    """As checkpoints do, every five minutes; without them it would end at the first."""
    with psycopg.connect(embedded_database(awkward.home), autocommit=True) as owner:
        owner.execute("CHECKPOINT")
        assert owner.execute("SELECT 1").fetchone() == (1,)


def test_the_node_answers_no_page_and_no_other_machine(awkward: Awkward) -> None:
    port = int(awkward.environment["FX_CHAIN_PORT"])
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    answer = httpx.post(f"http://127.0.0.1:{port}", json=call, headers=FOREIGN)
    asked = httpx.options(f"http://127.0.0.1:{port}", headers={**FOREIGN, "access-control-request-method": "POST"})
    for one in (answer, asked):
        assert not [name for name in one.headers if name.startswith("access-control")]
    for name in ("FX_CHAIN_PORT", "FX_SIMULATOR_PORT", "FX_SMTP_PORT", "FX_HTTP_PORT"):
        assert _listening(int(awkward.environment[name])) == {"127.0.0.1"}, name


def _listening(port: int) -> set[str]:
    """The addresses on which somebody listens on a port, as the kernel tells (Linux)."""
    found = set[str]()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, _, at = line.split()[1].partition(":")
            if int(at, 16) == port and line.split()[3] == "0A":
                found.add(socket.inet_ntoa(bytes.fromhex(address)[::-1]) if len(address) == 8 else address)
    return found


@pytest.mark.parametrize("target", ["help", "demo", "serve", "test", "bench"])
def test_make_works_in_a_folder_with_blanks(awkward: Awkward, target: str) -> None:
    """Only what would be run, and whether `make` can tell: setting up takes minutes."""
    done = subprocess.run(["make", "-n", target], cwd=awkward.clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("character", ['"', "$", "`", "\\", "\n"])
def test_a_path_that_postgresql_cannot_take_is_said_in_one_line(tmp_path: Path, character: str) -> None:
    done = fx(surroundings(tmp_path / f"a{character}b"), "serve")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
    assert "PostgreSQL's own tools cannot take the path" in done.stderr and "FX_HOME" in done.stderr
