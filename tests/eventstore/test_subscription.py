"""A subscription hands out every entry once and in order: whatever restarts, breaks off, or is rolled back."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.entry import Entry
from eventstore.follow import Feed, Subscription
from eventstore.store import Store
from tests.eventstore.notes import CONTEXT, Note
from tests.eventstore.test_entry import PLAIN

IDLE_FOLLOWERS = 20
IDLE_S = 1.5


@pytest.fixture
def feed(app_url: str) -> Iterator[Feed]:
    opened = Feed(app_url)
    opened.wait(0, timeout_s=5)  # it listens now
    yield opened
    opened.close()


class Follower:
    """Follows in a thread of its own and keeps what it saw; may be stopped and resumed where it was."""

    def __init__(self, store: Store, feed: Feed, page: int):
        self.seen: list[int] = []
        self._make: Callable[[], Subscription] = lambda: Subscription(
            store, feed, self.seen[-1] if self.seen else 0, page=page)
        self.resume()

    def resume(self) -> None:
        self._subscription = self._make()
        self._thread = threading.Thread(target=self._follow, args=(self._subscription,))
        self._thread.start()

    def stop(self) -> None:
        self._subscription.stop()
        self._thread.join(timeout=5)
        assert not self._thread.is_alive()

    def _follow(self, subscription: Subscription) -> None:
        for entry in subscription:
            self.seen.append(entry.position)


@pytest.fixture
def follow(store: Store, feed: Feed) -> Iterator[Callable[[int], Follower]]:
    """Starts a follower with pages of this size; all are stopped at the end."""
    started: list[Follower] = []

    def start(page: int) -> Follower:
        started.append(Follower(store, feed, page))
        return started[-1]

    yield start
    for follower in started:
        follower.stop()


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


ROLLED_BACK = """
INSERT INTO fx.audit_entries (position, tenant_id, originator_id, originator_version, topic, recorded_us,
                              prev_hash, body_hash, hash, body)
SELECT max(position) + n, min(tenant_id), gen_random_uuid(), 1, 'never.was.1', 0,
       sha256('a'), sha256('b'), sha256('c'), 'never' FROM fx.audit_entries, generate_series(1, 3) n GROUP BY n
"""


def append_and_think_better_of_it(owner: psycopg.Connection[Any]) -> None:
    """As an append that dies before its commit: positions taken, followers told, nothing there."""
    with pytest.raises(ZeroDivisionError), owner.transaction():
        owner.execute("SELECT pg_advisory_xact_lock(70001)")
        owner.execute(ROLLED_BACK)
        owner.execute("SELECT pg_notify('fx_audit', '1')")
        time.sleep(0.01)
        raise ZeroDivisionError


def test_no_entry_is_missed_or_repeated(
    store: Store, other_store: Store, owner: psycopg.Connection[Any], kill: Callable[[], int],
    follow: Callable[[int], Follower],
) -> None:
    """Several followers, two writers; meanwhile followers restart, appends are rolled back, connections are cut."""
    followers = [follow(page) for page in (1, 3, 500)]
    numbers, writing = itertools.count(), threading.Event()

    def write(on: Store) -> None:
        while not writing.is_set():
            store_key = f"k{next(numbers)}"
            on.execute(Note(pad=store_key, copies=2), context=CONTEXT, key=store_key)
            time.sleep(0.002)

    writers = [threading.Thread(target=write, args=(on,)) for on in (store, other_store)]
    for writer in writers:
        writer.start()
    until(lambda: store.head() > 0)
    chance = random.Random(6)
    for turn in range(20):
        append_and_think_better_of_it(owner)
        follower = chance.choice(followers)
        follower.stop()
        if turn % 4 == 3:
            kill()
        follower.resume()
    writing.set()
    for writer in writers:
        writer.join(timeout=20)
    head = store.head()
    until(lambda: all(len(follower.seen) >= head for follower in followers))
    for follower in followers:
        assert follower.seen == list(range(1, head + 1))


def test_a_turn_that_fails_is_not_over(store: Store, feed: Feed) -> None:
    """What was not handled comes again; what was, does not."""
    for n in range(3):
        store.execute(Note(pad="p"), context=CONTEXT, key=f"k{n}")
    subscription, handled, failures = Subscription(store, feed, page=2), list[int](), [RuntimeError("a bug")]
    for _ in range(2):
        try:
            for entry in subscription:
                if entry.position == 2 and failures:
                    raise failures.pop()
                handled.append(entry.position)
                if entry.position == 3:
                    subscription.stop()
        except RuntimeError:
            assert subscription.position == 1
    assert handled == [1, 2, 3] and subscription.position == 3


def test_it_begins_after_a_position_and_stops_while_it_waits(store: Store, feed: Feed) -> None:
    for n in range(3):
        store.execute(Note(pad="p"), context=CONTEXT, key=f"k{n}")
    subscription, seen = Subscription(store, feed, after=2), []
    following = threading.Thread(target=lambda: seen.extend(entry.position for entry in subscription))
    following.start()
    time.sleep(0.1)
    started = time.monotonic()
    subscription.stop()
    following.join(timeout=5)
    assert seen == [3] and time.monotonic() - started < 1


class Memory:
    """A log and a feed in one, without a database: whoever waits finds the next batch written."""

    def __init__(self, batches: list[int]):
        self.signal, self.batches, self.entries = 0, batches, cast(list[Entry], [])
        self.over = lambda: None

    def read(self, after: int, limit: int = 500) -> list[Entry]:
        if self.batches and self.signal % 3 == 2:  # one lands between the signal and the read
            self.write()
        return self.entries[after:after + limit]

    def write(self) -> None:
        begin = len(self.entries)
        self.entries += [PLAIN_AT[begin + n + 1] for n in range(self.batches.pop(0))]
        self.signal += 1

    def wait(self, seen: int, timeout_s: float = 0) -> int:
        if self.signal == seen:
            self.write() if self.batches else self.over()
        return self.signal

    def poke(self) -> None:
        self.signal += 1


PLAIN_AT = [msgspec.structs.replace(PLAIN, position=n) for n in range(200)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 8), max_size=12), st.integers(1, 6), st.sets(st.integers(1, 60)))
def test_whatever_the_batches_pages_and_restarts(batches: list[int], page: int, restarts: set[int]) -> None:
    memory, seen, over = Memory(list(batches)), list[int](), [False]
    while not over[0]:
        log = cast(Any, memory)
        subscription = Subscription(log, log, seen[-1] if seen else 0, page=page)

        def end(subscription: Subscription = subscription) -> None:
            over[0] = True
            subscription.stop()

        memory.over = end
        for entry in subscription:
            seen.append(entry.position)
            if entry.position in restarts and seen.count(entry.position) == 1:
                restarts.discard(entry.position)
                break
    assert seen == list(range(1, sum(batches) + 1))


def test_idle_followers_cost_nothing(store: Store, feed: Feed, follow: Callable[[int], Follower]) -> None:
    """Nobody polls: threads sleep until something is appended or five seconds are over."""
    for _ in range(IDLE_FOLLOWERS):
        follow(500)
    time.sleep(0.5)
    before = time.process_time()
    time.sleep(IDLE_S)
    assert time.process_time() - before < 0.05 * IDLE_S
