"""Verifying: stream the log once, check every layer, name the first bad position and what tampering fits.

Two connections, because of tenancy: the chain columns of every tenant's entries come from one, whole rows of the bound
tenant's entries from the other. An entry whose body is another tenant's is withheld: its chain is checked, its body is
not. What the layers prove, and what nothing inside the database can: docs/evidence.md.
"""

from __future__ import annotations

import gc
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import msgspec
from psycopg import Connection

from domain.catalogue import EVENTS
from domain.upcasts import UPCASTS
from eventstore.contents import Contents
from eventstore.entry import ZERO_HASH
from eventstore.tampering import LAYERS, Chain, ChainRow, Finding, Streams
from eventstore.workers import CannotVerify, Checkers, Connect, select

_Asked = tuple[int, int, list[ChainRow], Future[Contents] | None]

PAGE = 5_000
KEPT_FINDINGS = 20

CHAIN_ROWS = ("SELECT position, recorded_us, prev_hash, body_hash, hash FROM fx.audit_entries "
              "WHERE position BETWEEN %s AND %s ORDER BY position")
NEXT_ROWS = ("SELECT position, recorded_us, prev_hash, body_hash, hash FROM fx.audit_entries "
             "WHERE position > %s AND position <= %s ORDER BY position FETCH FIRST %s ROWS WITH TIES")
HASHES = "SELECT hash FROM fx.audit_entries WHERE position BETWEEN %s AND %s ORDER BY position"
BOUNDS = "SELECT coalesce(min(position), 1), coalesce(max(position), 0) FROM fx.audit_entries"
COUNT = "SELECT count(*) FROM (SELECT position FROM fx.audit_entries WHERE position BETWEEN %s AND %s LIMIT %s) counted"


class Page(msgspec.Struct, frozen=True):
    """What was read of positions `first` to `last`, in order; `contents` is None where no bodies are read."""

    first: int
    last: int
    chain: Sequence[ChainRow]
    contents: Contents | None = None


class Source(Protocol):
    """Where entries are read: the database, or exported segments."""

    @property
    def bodies(self) -> bool:
        """Whether it reads bodies, and checks them."""
        ...

    def bounds(self) -> tuple[int, int]:
        """The first and the last position; (1, 0) for an empty log."""
        ...

    def hashes(self, first: int, last: int) -> list[bytes]: ...

    def pages(self, first: int, last: int) -> Iterator[Page]: ...


class Watcher(Protocol):
    """Sees every page after it was checked: how `chain/audit.py` compares the entries with their anchors."""

    @property
    def layers(self) -> Sequence[str]:
        """The layers it gives a verdict on."""
        ...

    unchecked: list[str]
    """What it was to check and could not, a sentence each."""

    def page(self, page: Page) -> Sequence[Finding]: ...

    def end(self) -> Sequence[Finding]: ...


class Report(msgspec.Struct, kw_only=True):
    """What was checked and what was found. `findings` holds the first ones, `faults` counts all, by layer."""

    first: int
    last: int
    entries: int = 0
    bodies: int = 0
    withheld: int = 0
    findings: list[Finding] = msgspec.field(default_factory=list[Finding])
    faults: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    layers: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    """good, bad, or not checked."""

    unchecked: list[str] = msgspec.field(default_factory=list[str])
    notes: list[str] = msgspec.field(default_factory=list[str])
    """What nobody asks of such a log, a sentence each; the exit code is the same without it."""

    unknown_topics: list[str] = msgspec.field(default_factory=list[str])
    """Events that a newer version of this code must have written. Their bytes were checked like any others."""

    seconds: float = 0.0

    @property
    def first_bad(self) -> Finding | None:
        return min(self.findings, key=lambda finding: finding.position, default=None)

    @property
    def exit_code(self) -> int:
        """0 all good; 1 findings; 3 good, but something could not be checked. 2 is `CannotVerify`."""
        return 1 if self.faults else 3 if self.unchecked else 0

    def add(self, found: Sequence[Finding]) -> None:
        self.findings += found[:max(0, KEPT_FINDINGS - len(self.findings))]
        for finding in found:
            self.faults[finding.layer] = self.faults.get(finding.layer, 0) + 1

    def close(self, checked: Sequence[str]) -> None:
        """Give every layer its verdict."""
        self.layers = {layer: "bad" if layer in self.faults else "good" if layer in checked else "not checked"
                       for layer in LAYERS if layer in checked or layer != "segments"}


def verify(source: Source, *, first: int = 1, last: int | None = None, watchers: Sequence[Watcher] = (),
           progress: Callable[[int], None] | None = None) -> Report:
    """Check positions `first` to `last` (default: to the end). `progress` is told the last position done.

    CannotVerify when the log cannot be read or the range is not in it.
    """
    low, head = source.bounds()
    last = head if last is None else last
    if first < 1:
        raise CannotVerify(f"positions begin at 1: there is no position {first}")
    if last > head or (last < first and head > 0):
        raise CannotVerify(f"the log ends at {head}: there are no positions {first} to {last}")
    report = Report(first=first, last=last)
    chain, streams = Chain(first, _link_before(source, first)), Streams(whole=first == 1)
    topics: set[str] = set()
    started = time.perf_counter()
    with _without_gc():
        for page, following in _with_next(source.pages(min(first, low) if first == 1 else first, last)):
            report.add(chain.check(page.chain, page.last, following))
            report.entries += len(page.chain)
            if page.contents is not None:
                report.add([*page.contents.findings, *_two_faces(page, page.contents)])
                missing = streams.check(page.contents)
                if "entries" not in report.faults:  # an entry that was taken out is missing from its stream as well
                    report.add(missing)
                report.bodies += len(page.contents.sealed)
                topics |= page.contents.topics
            for watcher in watchers:
                report.add(watcher.page(page))
            if progress:
                progress(page.last)
    checked = ["entries", "links", *(("bodies", "tags") if source.bodies else ())]
    for watcher in watchers:
        report.add(watcher.end())
        report.unchecked += watcher.unchecked
        checked += watcher.layers
    report.seconds = time.perf_counter() - started
    report.withheld = report.entries - report.bodies if source.bodies else 0
    report.unknown_topics = sorted(topics - EVENTS.keys() - UPCASTS.keys())
    report.close(checked)
    return report


def available_cores() -> int:
    """How many processes may run at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _two_faces(page: Page, contents: Contents) -> list[Finding]:
    """The two sessions read the same table; a server that shows them different ones is caught here."""
    chained = {row[0]: row[3] for row in page.chain}
    why = "the server shows the anchoring role another entry here than the reading role"
    return [Finding(position, "two_faces", why) for position, hashed in contents.sealed
            if chained.get(position) != hashed]


@contextmanager
def _without_gc() -> Generator[None]:
    """Rows come and go by the thousand and hold no cycles: collecting would cost a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _link_before(source: Source, first: int) -> bytes | None:
    """What the first entry must link to. Before a part of the log it is the stored hash, which stays unchecked."""
    if first == 1:
        return ZERO_HASH
    return next(iter(source.hashes(first - 1, first - 1)), None)


def _with_next(pages: Iterator[Page]) -> Iterator[tuple[Page, ChainRow | None]]:
    """Each page with the chain row after it, which says more about the page's last entry than the entry itself."""
    current = next(pages, None)
    while current is not None:
        following = next(pages, None)
        yield current, following.chain[0] if following is not None and following.chain else None
        current = following


class Log:
    """The database: chain columns of all tenants by one session, whole rows of the bound tenant by others.

    With `workers`, bodies are checked by that many processes; `bodies`, which opens a session, must then be picklable.
    """

    def __init__(self, chain: Connection[Any], bodies: Connect | None = None, *, workers: int = 0, page: int = PAGE):
        self._chain, self._connect, self._workers, self._page = chain, bodies, workers, page
        self.bodies = bodies is not None

    def bounds(self) -> tuple[int, int]:
        return select(self._chain, BOUNDS, ())[0]

    def hashes(self, first: int, last: int) -> list[bytes]:
        return [row[0] for row in select(self._chain, HASHES, (first, last))]

    def count(self, first: int, last: int, most: int) -> int:
        """How many entries there are from `first` to `last`, counted up to `most`: positions can lie about it."""
        return select(self._chain, COUNT, (first, last, most))[0][0]

    def pages(self, first: int, last: int) -> Iterator[Page]:
        """Pages in order. While one is looked at, the server and the workers are already at the next ones.

        A page is so many rows, not so many positions: a gap, however wide, costs nothing.
        """
        if first > last:
            return
        with ExitStack() as stack:
            reader = stack.enter_context(ThreadPoolExecutor(1, "fx-verify"))
            checkers = stack.enter_context(Checkers(self._connect, self._workers)) if self._connect else None

            def read(after: int) -> Future[list[ChainRow]]:
                return reader.submit(select, self._chain, NEXT_ROWS, (after, last, self._page))

            asked: deque[_Asked] = deque()
            start, coming = first, read(first - 1)
            while True:
                while start <= last and len(asked) < 2 + self._workers:
                    rows = coming.result()
                    upto = rows[-1][0] if len(rows) >= self._page else last
                    if upto < last:
                        coming = read(upto)
                    asked.append((start, upto, rows, checkers.submit(start, upto) if checkers else None))
                    start = upto + 1
                if not asked:
                    return
                begin, end, rows, contents = asked.popleft()
                yield Page(begin, end, rows, contents.result() if contents else None)
