"""The benches' own server: PostgreSQL as it comes along, with fsync on, in a temporary folder; and what it cost."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import migrations
from bootstrap.embedded import embedded_database, stop_embedded_database
from eventstore.access import Access, register
from eventstore.database import connect

TENANT = "tnt_fintokenx"
SECRET = bytes(range(32))
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
SYNCS = 200


@dataclass(frozen=True)
class Server:
    home: Path
    url: str
    """The owner's, of the server's first database."""

    def database(self, name: str) -> str:
        """Make an empty database; the owner's URL."""
        with connect(self.url) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        before, _, query = self.url.partition("?")
        return f"{before.rpartition('/')[0]}/{name}?{query}"

    def log(self, name: str) -> Access:
        """Make a database with an empty log; our tenant's way in."""
        url = self.database(name)
        migrations.upgrade(url)
        register(url, TENANT, SECRET)
        return Access(url, TENANT, SECRET)

    def run(self, url: str, statement: str) -> list[tuple[object, ...]]:
        """One statement as the owner."""
        with connect(url) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def cpu_s(self) -> float:
        """CPU seconds of the server's processes since it started, ended ones included; 0 where there is no /proc."""
        postmaster = (self.home / "postgres" / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children")
        if not children.exists():
            return 0.0
        ended = sum(_ticks(postmaster))
        return TICK_S * (ended + sum(sum(_ticks(child)[:2]) for child in children.read_text().split()))

    def sync_us(self) -> float:
        """How long this disk takes to make one page durable: the median fdatasync, in µs."""
        took: list[float] = []
        target = os.open(self.home / "sync", os.O_WRONLY | os.O_CREAT)
        for _ in range(SYNCS):
            os.pwrite(target, os.urandom(8192), 0)
            started = time.perf_counter()
            os.fdatasync(target)
            took.append(time.perf_counter() - started)
        os.close(target)
        return 1e6 * statistics.median(took)


def _ticks(pid: str) -> list[int]:
    """utime, stime, and both of its ended children; zeros when it has ended itself."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return [0, 0, 0, 0]
    return [int(field) for field in stat.rpartition(")")[2].split()[11:15]]


@contextmanager
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="fx-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        try:
            yield Server(home, embedded_database(home))
        finally:
            stop_embedded_database(home)
