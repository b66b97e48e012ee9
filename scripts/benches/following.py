"""From an append to its follower in another process: latency at a steady rate, and what idle followers cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from eventstore.access import Access
from eventstore.follow import Feed, Subscription
from eventstore.store import Store
from scripts.benches.load import CONTEXT, LIFE, Note, Ours, cpu_s

RATE = 200
WRITERS = 16
SETTLE_S = 2.0


def follow(access: Access, after: int, count: int) -> dict[int, float]:
    """Read `count` entries; when each was seen, on the clock that all processes share."""
    seen: dict[int, float] = {}
    with _log(access) as (store, feed):
        for entry in Subscription(store, feed, after):
            seen[entry.position] = time.monotonic()
            if len(seen) == count:
                break
    return seen


def append_steadily(access: Access, seconds: float) -> dict[int, float]:
    """RATE commands a second; when each was begun, by the position of its entry."""
    ours, count = Ours(access), int(RATE * seconds)
    begun: dict[int, float] = {}

    def append(number: int) -> None:
        started = time.monotonic()
        note = Note(book=f"steady/{number % 97}/{number // (97 * LIFE)}")
        begun[ours.store.execute(note, context=CONTEXT, key=f"steady/{number}").position] = started

    with ThreadPoolExecutor(WRITERS) as writers:
        first = time.monotonic() + SETTLE_S
        for number in range(count):
            time.sleep(max(0.0, first + number / RATE - time.monotonic()))
            writers.submit(append, number)
    ours.close()
    return begun


def idle(access: Access, followers: int, seconds: float) -> float:
    """CPU seconds that so many followers of one process use while nothing is appended."""
    with _log(access) as (store, feed):
        subscriptions = [Subscription(store, feed, store.head()) for _ in range(followers)]
        threads = [threading.Thread(target=list, args=(one,)) for one in subscriptions]
        for thread in threads:
            thread.start()
        time.sleep(SETTLE_S)
        before = cpu_s()
        time.sleep(seconds)
        used = cpu_s() - before
        for subscription in subscriptions:
            subscription.stop()
        for thread in threads:
            thread.join()
    return used


@contextmanager
def _log(access: Access) -> Iterator[tuple[Store, Feed]]:
    store = Store(access)
    feed = Feed(store.conninfo)
    try:
        yield store, feed
    finally:
        feed.close()
        store.close()
