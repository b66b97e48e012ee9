"""The event store against the stock library, a naive chain and itself: `make bench-eventstore`.

Figures that are compared are taken in alternating short rounds on one server and compared round by round, because other
work on the machine changes from minute to minute. FX_BENCH_QUICK=1 shows in under a minute that everything runs.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from statistics import median
from typing import Any

from eventstore.access import Access
from scripts.benches import following, large
from scripts.benches.load import WARM_UP_S, Ours, Round, Side, tasks, threads
from scripts.benches.rivals import Naive, OneEvent, Stock
from scripts.benches.server import Server, server

Drive = Callable[[Any, int, float], Round]
Rounds = dict[str, list[Round]]


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    cycles: int = 5
    round_s: float = 2.0
    preloaded: int = 1_000_000
    verified: int = 250_000
    follow_s: float = 10.0
    idle_s: float = 10.0
    idle_followers: int = 20


FULL = Size()
QUICK = Size(cycles=1, round_s=0.7, preloaded=40_000, verified=20_000, follow_s=3.0, idle_s=2.0)

TARGETS = {
    "append_ratio_1": ">= 1.3", "append_ratio_16": ">= 6", "append_ratio_256": ">= 20", "append_ratio_2proc": ">= 30",
    "append_p99_ms_256": "<= 40", "preloaded_ratio": ">= 0.85", "verify_ratio": ">= 0.15",
    "verify_chain_only_ratio": ">= 0.4", "follow_p50_ms": "<= 5", "follow_p99_ms": "<= 30",
    "idle_follower_cpu_percent": "<= 0.5"}
"""Ratios are against stock with 16 callers; append_ratio_1 is against stock with one."""


def eventstore() -> dict[str, float]:
    return measure(QUICK if os.environ.get("FX_BENCH_QUICK") else FULL)


def measure(size: Size) -> dict[str, float]:
    with server() as here:
        return {"load_average": os.getloadavg()[0], "fdatasync_us": here.sync_us(),
                **_appending(here, size), **_large(here, size), **_following(here, size)}


# ---------------------------------------------------------------- appending

def _appending(here: Server, size: Size) -> dict[str, float]:
    """All sides in turn, `cycles` times over; each figure is the median of its rounds."""
    log = here.log("ours")
    rounds: Rounds = {}
    postgres_us: list[float] = []
    with ExitStack() as stack:
        ours, second, stock, naive, one_event = (stack.enter_context(Process(make, where)) for make, where in (
            (Ours, log), (Ours, log), (Stock, here.database("stock")), (Naive, here.database("naive")),
            (OneEvent, here.log("one_event"))))
        for _ in range(size.cycles):
            for name, side, drive, callers in (
                    ("stock_1", stock, threads, 1), ("ours_1", ours, threads, 1),
                    ("ours_16", ours, threads, 16), ("stock_16", stock, threads, 16), ("ours_256", ours, tasks, 256),
                    ("ours_64", ours, tasks, 64), ("naive_16", naive, threads, 16),
                    ("one_event_1", one_event, threads, 1), ("one_event_16", one_event, threads, 16)):
                before = here.cpu_s()
                done = side.play(drive, callers, size.round_s).result()
                rounds.setdefault(name, []).append(done)
                if name == "ours_256":
                    postgres_us.append(1e6 * (here.cpu_s() - before) / (done.per_s * (size.round_s + WARM_UP_S)))
            both = [side.play(tasks, 128, size.round_s) for side in (ours, second)]
            rounds.setdefault("ours_2proc", []).append(_together([one.result() for one in both]))
    return {
        "append_ratio_1": _ratio(rounds, "ours_1", "stock_1"),
        **{f"append_ratio_{name}": _ratio(rounds, f"ours_{name}", "stock_16") for name in ("16", "64", "256", "2proc")},
        "append_p99_ms_256": median(one.p99_ms for one in rounds["ours_256"]),
        "append_p50_ms_256": median(one.p50_ms for one in rounds["ours_256"]),
        "append_p99_ms_2proc": median(one.p99_ms for one in rounds["ours_2proc"]),
        **{f"{name}_per_s": median(one.per_s for one in done) for name, done in rounds.items()},
        "naive_ratio": _ratio(rounds, "naive_16", "stock_16"),
        "cpu_python_us_256": median(one.cpu_us for one in rounds["ours_256"]),
        "cpu_postgres_us_256": median(postgres_us)}


def _ratio(rounds: Rounds, one: str, other: str) -> float:
    return median(a.per_s / b.per_s for a, b in zip(rounds[one], rounds[other], strict=True))


def _together(rounds: list[Round]) -> Round:
    """Rounds that several processes played at the same time, as one."""
    return Round(per_s=sum(one.per_s for one in rounds), p50_ms=max(one.p50_ms for one in rounds),
                 p99_ms=max(one.p99_ms for one in rounds), cpu_us=median(one.cpu_us for one in rounds))


# ---------------------------------------------------------------- a large log

def _large(here: Server, size: Size) -> dict[str, float]:
    """256 callers on a log that is long already, and on an empty one; then verifying it."""
    long = here.log("long")
    large.preload(here, long, size.preloaded)
    ratios: list[float] = []
    with Process(Ours, long) as loaded, Process(Ours, here.log("short")) as empty:
        for _ in range(size.cycles):
            on_long, on_short = (side.play(tasks, 256, size.round_s).result().per_s for side in (loaded, empty))
            ratios.append(on_long / on_short)
    verified = partial(large.verified_per_s, long, size.verified)
    runs = [(large.hashed_per_s(here, long, size.verified), verified(bodies=True),
             verified(bodies=False)) for _ in range(min(3, size.cycles))]
    return {
        "preloaded_ratio": median(ratios), "preloaded_entries": size.preloaded,
        "hashlib_per_s": median(run[0] for run in runs), "verify_per_s": median(run[1] for run in runs),
        "verify_chain_only_per_s": median(run[2] for run in runs),
        "verify_ratio": median(run[1] / run[0] for run in runs),
        "verify_chain_only_ratio": median(run[2] / run[0] for run in runs)}


# ---------------------------------------------------------------- following

def _following(here: Server, size: Size) -> dict[str, float]:
    log = here.log("followed")
    count = int(following.RATE * size.follow_s)
    with Process() as follower:
        seeing = follower.call(following.follow, log, 0, count)
        begun = following.append_steadily(log, size.follow_s)
        seen = seeing.result()
        before = here.cpu_s()
        idle_s = follower.call(following.idle, log, size.idle_followers, size.idle_s).result()
        idle_postgres_s = here.cpu_s() - before
    took = sorted(1e3 * (seen[position] - started) for position, started in begun.items())
    return {"follow_p50_ms": took[len(took) // 2], "follow_p99_ms": took[int(len(took) * 0.99)],
            "idle_follower_cpu_percent": 100 * idle_s / size.idle_s,
            "idle_postgres_cpu_percent": 100 * idle_postgres_s / (size.idle_s + following.SETTLE_S)}


# ---------------------------------------------------------------- processes

class Process:
    """A process of its own, with one side of the comparison opened in it."""

    def __init__(self, make: Callable[[Any], Side] | None = None, where: Access | str | None = None):
        self._pool = ProcessPoolExecutor(1, get_context("spawn"))
        if make is not None:
            self.call(_open, make, where).result()

    def play(self, drive: Drive, callers: int, seconds: float) -> Future[Round]:
        return self.call(_play, drive, callers, seconds)

    def call(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        return self._pool.submit(function, *arguments)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.call(_close).result()
        self._pool.shutdown()


_sides: list[Side] = []
"""In a process of ours: what it plays."""


def _open(make: Callable[[Any], Side], where: Any) -> None:
    _sides.append(make(where))
    gc.collect()
    gc.freeze()  # what was imported stays for ever: no side pays for looking through it again and again


def _play(drive: Drive, callers: int, seconds: float) -> Round:
    return drive(_sides[0], callers, seconds)


def _close() -> None:
    while _sides:
        _sides.pop().close()
    gc.unfreeze()
