"""Reading bodies and checking them, here or in processes beside this one.

Such a process imports this module and nothing of the program that starts it: multiprocessing would import the main
module anew, which for `fx` is two seconds of every core. It ends with its pipe, so also when this process is killed.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection as PipeEnd
from queue import SimpleQueue
from typing import Any, Protocol

import psycopg
from psycopg import Connection
from psycopg.rows import tuple_row

from eventstore.contents import Contents, check_bodies

Connect = Callable[[], Connection[Any]]

BODY_ROWS = ("SELECT position, body_hash, tenant_id, originator_id::text, originator_version, topic, body "
             "FROM fx.audit_entries WHERE position BETWEEN %s AND %s ORDER BY position")
START = "import sys; sys.path[:] = {path!r}; from eventstore.workers import work; work({pipe})"
NO_SESSION = "no session could be opened to read the entries"


class CannotVerify(Exception):
    """Nothing can be said about the log: it cannot be read, or the range is not in it."""


def select(connection: Connection[Any], query: str, params: tuple[int, ...]) -> list[Any]:
    try:
        with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
            return cursor.execute(query.encode(), params).fetchall()
    except psycopg.Error as error:
        raise CannotVerify(f"the log cannot be read: {str(error).strip().splitlines()[0]}") from error


class _Checker(Protocol):
    def check(self, first: int, last: int) -> Contents: ...

    def close(self) -> None: ...


class Checkers:
    """Checks ranges of bodies, each as soon as a process is free; without `workers`, in this one, beside its caller."""

    def __init__(self, connect: Connect, workers: int):
        self._all: Sequence[_Checker] = [_Beside(connect) for _ in range(workers)] or [_Here(connect)]
        self._free: SimpleQueue[_Checker] = SimpleQueue()
        for checker in self._all:
            self._free.put(checker)
        self._threads = ThreadPoolExecutor(len(self._all), "fx-bodies")

    def submit(self, first: int, last: int) -> Future[Contents]:
        return self._threads.submit(self._check, first, last)

    def _check(self, first: int, last: int) -> Contents:
        checker = self._free.get()
        try:
            return checker.check(first, last)
        finally:
            self._free.put(checker)

    def __enter__(self) -> Checkers:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever is under way is given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for checker in self._all:
            checker.close()
        self._threads.shutdown()


class _Here:
    def __init__(self, connect: Connect):
        self._connect, self._session = connect, None

    def check(self, first: int, last: int) -> Contents:
        self._session = self._session or _opened(self._connect)
        return check_bodies(select(self._session, BODY_ROWS, (first, last)))

    def close(self) -> None:
        if self._session is not None:
            self._session.close()


class _Beside:
    """A process of its own. `connect` must be picklable; it goes through the pipe, where nobody can list it."""

    def __init__(self, connect: Connect):
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START.format(path=sys.path, pipe=theirs.fileno())], stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),), process_group=0)  # Ctrl-C is for us; the end of the pipe is for it
        self._pipe.send(connect)

    def check(self, first: int, last: int) -> Contents:
        try:
            self._pipe.send((first, last))
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise CannotVerify("a process that checks bodies has ended") from error
        if isinstance(answer, str):
            raise CannotVerify(answer)
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._pipe.close()


def work(pipe: int) -> None:
    """The main program of such a process: check what is asked, until nobody is there to ask."""
    gc.disable()  # rows come and go by the thousand and hold no cycles
    asked: PipeEnd[Any, Any] = PipeEnd(pipe)
    try:
        here = _Here(asked.recv())
        while True:
            asked.send(_answer(here, *asked.recv()))
    except (EOFError, OSError):
        return


def _answer(here: _Here, first: int, last: int) -> Contents | str:
    try:
        return here.check(first, last)
    except CannotVerify as error:
        return str(error)


def _opened(connect: Connect) -> Connection[Any]:
    try:
        return connect()
    except Exception as error:  # no server, no such login, an unproved tenant: said in the same words to every caller
        raise CannotVerify(NO_SESSION) from error
