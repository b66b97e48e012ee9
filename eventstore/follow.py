"""Following the log: the position is the truth, NOTIFY only a hint that saves waiting."""

from __future__ import annotations

import threading
import time

import psycopg

from eventstore.database import connect
from eventstore.recorder import CHANNEL

SAFETY_POLL_S = 5.0


class Feed:
    """One LISTEN connection per process, shared by all its followers."""

    def __init__(self, conninfo: str):
        self._conninfo = conninfo
        self._changed = threading.Condition()
        self._signal = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="fx-feed", daemon=True)
        self._thread.start()

    def wait(self, seen: int, timeout_s: float = SAFETY_POLL_S) -> int:
        """Sleep until something was appended since signal `seen`, or the time is up; returns the present signal."""
        with self._changed:
            self._changed.wait_for(lambda: self._signal != seen or self._stop.is_set(), timeout_s)
            return self._signal

    def poke(self) -> None:
        """Wake the followers for a reason other than an append (the clock moved, work is due)."""
        with self._changed:
            self._signal += 1
            self._changed.notify_all()

    def close(self) -> None:
        self._stop.set()
        self.poke()
        self._thread.join(timeout=2)

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with connect(self._conninfo) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self.poke()  # whatever came before we listened
                    while not self._stop.is_set():
                        for _ in connection.notifies(timeout=0.5, stop_after=1):
                            self.poke()
            except psycopg.Error:
                time.sleep(0.2)


class Leadership:
    """A session advisory lock: of several processes that could do a job, one does. Lost with the connection."""

    def __init__(self, conninfo: str, name: str):
        self._conninfo = conninfo
        self._name = name
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self.leading = False

    def held(self) -> bool:
        """Take or keep the lead; False while another process has it."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = connect(self._conninfo)
            row = self._connection.execute(
                "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) "
                "OR pg_try_advisory_lock(70002, hashtext(%s))", (self._name,)).fetchone()
            self.leading = bool(row and row[0])
        except psycopg.Error:
            self._connection = None
            self.leading = False
        return self.leading

    def release(self) -> None:
        self.leading = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None
