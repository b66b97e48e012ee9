"""`fx serve` as a process of its own that is killed and started again while the outside world lives on."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess

import msgspec

from bootstrap import Settings
from eventstore.follow import Feed
from eventstore.store import Store
from scripts.campaigns.served import fork_serve

READY_S = 30.0


class KillPoint(msgspec.Struct, frozen=True):
    """Kill when this kind of entry has been committed for the n-th time, after that many milliseconds.

    `and_again`: a second time while the first is being recovered from, as soon as the chain is up to be told.
    """

    tag: str
    nth: int = 1
    after_ms: int = 0
    and_again: bool = False

    def __str__(self) -> str:
        return f"{self.tag} #{self.nth} +{self.after_ms} ms"


@dataclass
class Victim:
    """The platform's process. `kill` gives it no time to do anything."""

    settings: Settings
    kills: int = 0
    _process: ForkServerProcess | None = None

    def start(self, until_port: int | None = None) -> None:
        """Until it answers HTTP, or until another of its ports is open."""
        port = until_port or self.settings.http_port
        environment = {**os.environ, "FX_LOG_LEVEL": "error", **{
            f"FX_{name.upper()}": str(value) for name in self.settings.__struct_fields__
            if (value := getattr(self.settings, name)) not in (None, "")}}
        began, log = time.monotonic(), self.settings.home / "serve.log"
        self._process = fork_serve(environment, log)
        while not self._listens(port):
            assert self._process.is_alive(), log.read_text()[-3_000:]
            assert time.monotonic() - began < READY_S, "fx serve does not come up"
            time.sleep(0.02)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.join()
        self.kills += 1

    def stop(self) -> None:
        if self._process is not None and self._process.is_alive():
            self._process.terminate()
            self._process.join(timeout=30)

    def _listens(self, port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0


class Assassin:
    """Reads the log as it grows and strikes at its points, in whatever order they come."""

    def __init__(self, victim: Victim, store: Store, points: list[KillPoint]):
        self.victim, self.store = victim, store
        self.open, self.struck = list(points), list[KillPoint]()
        self.failure: BaseException | None = None
        self.busy = threading.RLock()
        self._seen: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="assassin", daemon=True)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join(timeout=READY_S)
        if self.failure is not None:
            raise self.failure

    def strike(self, *, and_again: bool = False) -> None:
        """Kill and start again; a blow at a time."""
        with self.busy:
            self.victim.kill()
            if and_again:
                self.victim.start(until_port=self.victim.settings.chain_port)
                self.victim.kill()
            self.victim.start()

    def _run(self) -> None:
        feed = Feed(self.store.conninfo)
        position, signal_seen = 0, 0
        try:
            while not self._stop.is_set():
                for entry in self.store.read(position, 200):
                    position = entry.position
                    tag = entry.event.tag
                    self._seen[tag] = self._seen.get(tag, 0) + 1
                    self._consider(tag)
                signal_seen = feed.wait(signal_seen, 0.05)
        except BaseException as error:
            self.failure = error
        finally:
            feed.close()

    def _consider(self, tag: str) -> None:
        for point in [point for point in self.open if (point.tag, point.nth) == (tag, self._seen[tag])]:
            time.sleep(point.after_ms / 1000)
            self.open.remove(point)
            self.struck.append(point)
            self.strike(and_again=point.and_again)
