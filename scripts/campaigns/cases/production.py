"""Production's settings, the home, vendors without measure, and a database that means otherwise or hangs up."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from bootstrap.embedded import embedded_database
from eventstore.database import connect
from providers.errors import LONGEST_WAIT_S, Retryable
from providers.http import Wire
from scripts.campaigns.cases import World, Wrong, case, seen
from scripts.campaigns.served import ROOT

HOSTILE = {"timezone": "America/New_York", "datestyle": "German", "default_transaction_read_only": "on",
           "statement_timeout": "1", "idle_session_timeout": "2000"}
OTHERS = ("SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity "
          "WHERE datname = current_database() AND pid <> pg_backend_pid()")


def fx(*words: str, umask: int = -1, **environ: str) -> subprocess.CompletedProcess[str]:
    """One command in a process of its own, with no FX_* variables but those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FX_")}
    return subprocess.run([sys.executable, "-m", "scripts.fx", *words], cwd=ROOT, umask=umask, check=False, timeout=90,
                          env={**kept, "COLUMNS": "200", **environ}, capture_output=True, text=True)


@case("K21", "production with the sandbox's settings: a start, and the doctor")
def production_on_sandbox_settings(world: World) -> str:
    home = str(world.home / "never")
    started = fx("serve", FX_PROFILE="production", FX_HOME=home, FX_FCA_KEY="x")
    told = fx("doctor", "--profile", "production", FX_HOME=home, FX_FCA_KEY="x")
    named = set(re.findall(r"FX_[A-Z_]+", told.stdout))
    if started.returncode != 1 or told.returncode != 1 or len(started.stderr.splitlines()) != 1 or len(named) < 30:
        raise Wrong(f"start {started.returncode}, doctor {told.returncode}, {len(named)} named: {started.stderr[:200]}")
    if not set(re.findall(r"FX_[A-Z_]+", started.stderr)) >= named or Path(home).exists():
        raise Wrong("the start and the doctor name other settings, or something was made")
    return f"neither starts anything; both name {len(named)} settings at once"


@case("K22", "the home's folder and files")
def home_is_private(world: World) -> str:
    database = world.home / "postgres"
    inside = [path for path in world.home.rglob("*") if database not in (path, *path.parents)]
    open_to = [path.name for path in (world.home, *inside) if path.stat().st_mode & 0o067]
    if open_to:
        raise Wrong(f"open to others: {open_to[:5]}")
    return f"{len(inside)} files and folders, each its owner's alone"


@case("K22", "a page in a browser asks the embedded node")
def node_answers_no_page(world: World) -> str:
    answer = httpx.post(f"http://127.0.0.1:{world.settings.chain_port}", headers={"Origin": "http://page.example"},
                        json={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []})
    allowed = answer.headers.get("access-control-allow-origin")
    if allowed is not None:
        raise Wrong(f"access-control-allow-origin: {allowed}")
    return "no access-control-allow-origin"


@contextmanager
def vendor_says(text: bytes, pause_s: float = 0.0) -> Iterator[str]:
    """A vendor that answers whatever it is asked with these bytes, one by one with a pause between; its address."""
    server, stop = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def answer() -> None:
        with suppress(OSError):
            while True:
                connection = server.accept()[0]
                with connection:
                    connection.recv(65_536)
                    for part in ([text] if not pause_s else [bytes([byte]) for byte in text]):
                        connection.sendall(part)
                        if stop.wait(pause_s):
                            return

    threading.Thread(target=answer, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        stop.set()
        server.close()


@case("K28", "Retry-After: 99999999999, 1764350000, inf, nan, a date in 9999")
def retry_after_without_measure(world: World) -> str:
    waits = list[float | None]()
    for wish in ("99999999999", "1764350000", "inf", "nan", "Fri, 31 Dec 9999 23:59:59 GMT"):
        said = f"HTTP/1.1 429 Too Many\r\nRetry-After: {wish}\r\nContent-Length: 0\r\n\r\n".encode()
        with vendor_says(said) as url:
            try:
                Wire("vendor", url).call("GET", "/")
            except Retryable as error:
                waits.append(error.retry_after_s)
    if len(waits) != 5 or any(wait is not None and not 0 <= wait <= LONGEST_WAIT_S for wait in waits):
        raise Wrong(f"waits of {waits}")
    return f"waits of {waits} s"


@case("K28", "a vendor that sends one byte every 50 ms; an answer without an end")
def vendor_without_end(world: World) -> str:
    told, started = list[str](), time.monotonic()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
    for text, pause_s in ((b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5_000, 0.05), (head + b"x" * 9_000_000, 0.0)):
        with vendor_says(text, pause_s) as url:
            try:
                Wire("vendor", url, total_s=1.0).call("GET", "/")
            except Retryable as error:
                told.append(error.code)
    if told != ["timeout", "unreadable"] or time.monotonic() - started > 10:
        raise Wrong(f"{told} after {time.monotonic() - started:.0f} s")
    ready = world.anyone.get("/health/ready").json()
    if ready["loops_unwell"]:
        raise Wrong(f"loops that ended: {ready['loops_unwell']}")
    return f"{told} after {time.monotonic() - started:.1f} s; no loop of the platform ended"


@case("K32", "the database set to New York, German dates, read-only, time-outs of 1 ms")
def database_that_means_otherwise(world: World) -> str:
    with connect(embedded_database(world.home)) as owner:
        name = owner.info.dbname
        for setting, value in HOSTILE.items():
            owner.execute(f'ALTER DATABASE "{name}" SET {setting} = \'{value}\''.encode())
        try:
            owner.execute(OTHERS)
            entries = world.get("mlro", "/v1/audit/entries").json()["data"]
            times = re.findall(r'"[0-9]{4}-[0-9]{2}-[0-9]{2}T[^"]*"', str(entries).replace("'", '"'))
            written = world.post(None, "/v1/subjects", _somebody("0899"))
        finally:
            owner.execute(f'ALTER DATABASE "{name}" RESET ALL'.encode())
    if not times or any(not one.endswith('Z"') for one in times):
        raise Wrong(f"times such as {times[:2]}")
    return f"{len(times)} times, each with Z; an order: {seen(written, 201)}"


def _somebody(prefix: str) -> dict[str, str]:
    number = prefix + f"{uuid.uuid4().int % 10_000:04}"
    return {"role": "sme_seller", "legal_name": f"Harbour {number} Ltd", "company_number": number,
            "representative": "Hal Harbour", "email": f"hal@harbour{number}.co.uk"}


@case("K33", "every session ended, then each of the mlro's reads; an order under it, repeated with its key")
def sessions_that_end(world: World) -> str:
    paths = ("/v1/me", "/v1/compliance/cases", "/v1/compliance/subjects", "/v1/audit/entries", "/v1/admin/ledger",
             "/v1/compliance/incidents", "/health/ready")
    body, key, told = _somebody("0898"), uuid.uuid4().hex, list[int]()
    with connect(embedded_database(world.home)) as owner:
        for path in paths:
            owner.execute(OTHERS)
            told.append(world.get("mlro", path).status_code)
        owner.execute(OTHERS)
        answers = [world.anyone.post("/v1/subjects", json=body, headers={"FX-Idempotency-Key": key})]
        owner.execute(OTHERS)
        answers.append(world.anyone.post("/v1/subjects", json=body, headers={"FX-Idempotency-Key": key}))
    if set(told) != {200}:
        raise Wrong(f"reads answered {told}")
    if [answer.status_code for answer in answers] != [201, 201] or answers[0].json()["id"] != answers[1].json()["id"]:
        raise Wrong(f"the order answered {[answer.text[:100] for answer in answers]}")
    return f"{len(told)} reads: 200; the order: 201, and the same answer again"


@case("K34", "a home with blanks, accents and 150 characters, LC_ALL=C PYTHONUTF8=0, umask 000")
def awkward_home(world: World) -> str:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "a b (c)" / "höm é" / ("x" * 60) / ("y" * 60)
        done = fx("migrate", umask=0, FX_HOME=str(home), LC_ALL="C", PYTHONUTF8="0")
        mode = home.stat().st_mode & 0o067 if home.exists() else None
        fx("stop", FX_HOME=str(home), LC_ALL="C", PYTHONUTF8="0")
    if done.returncode or mode:
        raise Wrong(f"exit {done.returncode}, mode {mode}: {done.stderr[:200]}")
    return f"{done.stdout.strip()}; nobody else can look in"


@case("K34", 'a home whose name holds $ and "')
def home_beyond_postgresql(world: World) -> str:
    with tempfile.TemporaryDirectory() as folder:
        done = fx("migrate", FX_HOME=f'{folder}/a$b"c')
    if done.returncode != 1 or len(done.stderr.splitlines()) != 1 or "FX_HOME" not in done.stderr:
        raise Wrong(f"exit {done.returncode}: {done.stderr[:200]}")
    return "one line that says which characters, and exit 1"
