"""Following the log: the position is the truth, NOTIFY only a hint that saves waiting."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Protocol

import psycopg

from eventstore.database import Unavailable, connect, readable
from eventstore.entry import Entry
from eventstore.loops import Loop
from eventstore.recorder import CHANNEL

SAFETY_POLL_S = 5.0
"""How long a follower waits at most before it looks by itself: what a hint that never came can cost."""

REASK_S = 5.0
RECONNECT_S = 0.2
PAGE = 500

Session = psycopg.Connection[tuple[object, ...]]


class Feed:
    """One LISTEN connection per process, shared by all its followers. While nothing is appended, its thread sleeps."""

    def __init__(self, conninfo: str):
        self._conninfo = conninfo
        self._changed = threading.Condition()
        self._signal = 0
        self._stop = threading.Event()
        self._bell, self._ringer = socket.socketpair()
        self.loop = Loop("fx-feed", self._listen, self._stop)
        self.loop.start()

    @property
    def signal(self) -> int:
        """Changes whenever something may have been appended. Take it before reading, wait for it to change after."""
        return self._signal

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
        self._ringer.close()  # the listener's end becomes readable
        self.loop.join(2)
        self._bell.close()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with connect(self._conninfo) as connection:
                    connection.add_notify_handler(lambda _: self.poke())
                    connection.execute(f"LISTEN {CHANNEL}")
                    self.poke()  # whatever came before we listened
                    while not self._stop.is_set():
                        self._hear(connection)
            except psycopg.Error:
                self._stop.wait(RECONNECT_S)

    def _hear(self, connection: Session) -> None:
        """Sleep until the server says something. Not `connection.notifies`, which wakes ten times a second to look."""
        if not readable(connection, self._bell, timeout_s=SAFETY_POLL_S):
            connection.execute("SELECT")  # a server that vanished without a word is found out here
        elif not self._stop.is_set():
            connection.pgconn.consume_input()
            if connection.pgconn.notifies() is not None:
                while connection.pgconn.notifies() is not None:
                    pass
                self.poke()  # once, however many batches there were


class Log(Protocol):
    """What a subscription reads: eventstore.store.Store, or a part of it."""

    def read(self, after: int, limit: int = ...) -> list[Entry]: ...


class Subscription:
    """Every entry after a position, each once and in order, for one follower. Any number of them share a feed.

    `for entry in subscription` waits for what comes and ends with `stop()`. `position` is that of the last entry whose
    turn of the loop is over: a follower that keeps it together with what it did resumes exactly there. `read` and
    `wait` are the same by hand. Positions are given under the lock that an append holds until its commit, so nothing
    ever appears below a position that was seen, whatever gaps other tenants' entries leave.
    """

    def __init__(self, log: Log, feed: Feed, after: int = 0, *, page: int = PAGE):
        self.position = after
        self._log, self._feed, self._page = log, feed, page
        self._seen = -1
        self._stopped = threading.Event()

    def read(self) -> list[Entry]:
        """The next entries after `position`, at most a page of them; the caller moves `position` on."""
        self._seen = self._feed.signal  # before reading: what is appended meanwhile ends the next wait
        return self._log.read(self.position, self._page)

    def wait(self, timeout_s: float = SAFETY_POLL_S) -> None:
        """Sleep until there may be something that the last `read` did not see."""
        self._feed.wait(self._seen, timeout_s)

    def __iter__(self) -> Iterator[Entry]:
        while not self._stopped.is_set():
            for entry in self._patiently():
                yield entry
                self.position = entry.position
                if self._stopped.is_set():
                    return

    def stop(self) -> None:
        """End the loop after its present turn; from any thread."""
        self._stopped.set()
        self._feed.poke()

    def _patiently(self) -> list[Entry]:
        """A page; an empty one after a wait, or while the database is away."""
        try:
            page = self.read()
        except Unavailable:
            self._stopped.wait(RECONNECT_S)
            return []
        if not page:
            self.wait()
        return page


class Leadership:
    """A session advisory lock: of several processes that could do a job, one does. Lost with the connection."""

    def __init__(self, conninfo: str, name: str):
        self._conninfo = conninfo
        self._name = name
        self._connection: Session | None = None
        self._asked = 0.0
        self.leading = False

    def held(self) -> bool:
        """Take or keep the lead; False while another process has it.

        The lock lives as long as the connection does, and an ended connection shows on its socket at once. So the
        database itself is asked only every REASK_S, for the server that vanished without a word.
        """
        try:
            if self._connection is None or self._connection.closed:
                self._connection = connect(self._conninfo)
            elif self.leading and time.monotonic() - self._asked < REASK_S and not readable(self._connection):
                return True
            self._asked = time.monotonic()
            row = self._connection.execute(
                "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) "
                "OR pg_try_advisory_lock(70002, hashtext(%s))", (self._name,)).fetchone()
            self.leading = bool(row and row[0])
        except psycopg.Error:
            self.release()
        return self.leading

    def release(self) -> None:
        self.leading = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None
