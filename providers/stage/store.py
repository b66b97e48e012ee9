"""The simulators' memory: one sqlite file that survives SIGKILL.

Every effect is committed with synchronous=FULL before it is answered, because the platform's recovery is only
tested if a provider that died in mid-air still knows which keys it has seen.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventstore.files import private_folder


class Store:
    """One connection, used from the event loop's thread only."""

    def __init__(self, path: Path) -> None:
        private_folder(path.parent)
        path.touch(0o600)  # the library would ask the umask
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL)")

    def script(self, sql: str) -> None:
        self._db.executescript(sql)

    def run(self, sql: str, *values: object) -> int:
        """Executes one statement and says how many rows it changed."""
        return self._db.execute(sql, values).rowcount

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        return self._db.execute(sql, values).fetchone()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def setting(self, name: str, default: str = "") -> str:
        found = self.row("SELECT value FROM setting WHERE name = ?", name)
        return found["value"] if found else default

    def set(self, name: str, value: str) -> None:
        self.run(
            "INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            name,
            value,
        )

    def close(self) -> None:
        self._db.close()
