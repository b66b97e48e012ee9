"""Followers wake without polling, survive a lost connection; of several processes one leads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from eventstore.follow import Feed, Leadership
from eventstore.store import Store
from tests.eventstore.notes import CONTEXT, Note


@pytest.fixture
def feed(app_url: str) -> Iterator[Feed]:
    opened = Feed(app_url)
    opened.wait(0, timeout_s=5)  # it listens now
    yield opened
    opened.close()


def seen(feed: Feed) -> int:
    """The present signal, once nothing moves it any more."""
    signal = -1
    while (present := feed.wait(signal, timeout_s=0.3)) != signal:
        signal = present
    return signal


def test_an_append_wakes_every_follower(feed: Feed, store: Store) -> None:
    before, woken = seen(feed), []

    def follow() -> None:
        started = time.monotonic()
        feed.wait(before, timeout_s=10)
        woken.append(time.monotonic() - started)

    followers = [threading.Thread(target=follow) for _ in range(5)]
    for follower in followers:
        follower.start()
    time.sleep(0.1)
    store.execute(Note(pad="a"), context=CONTEXT, key="k")
    for follower in followers:
        follower.join(timeout=5)
    assert len(woken) == 5 and max(woken) < 4


def test_what_came_before_the_wait_is_not_missed(feed: Feed, store: Store) -> None:
    before = seen(feed)
    store.execute(Note(pad="a"), context=CONTEXT, key="k")
    deadline = time.monotonic() + 5
    while feed.wait(before, timeout_s=0.05) == before:
        assert time.monotonic() < deadline


def test_no_append_no_wake(feed: Feed) -> None:
    before, started = seen(feed), time.monotonic()
    assert feed.wait(before, timeout_s=0.2) == before
    assert time.monotonic() - started >= 0.2


def test_a_poke_wakes(feed: Feed) -> None:
    before = seen(feed)
    feed.poke()
    assert feed.wait(before, timeout_s=0) == before + 1


def test_a_lost_connection_wakes_and_listens_again(feed: Feed, store: Store, kill: Callable[[], int]) -> None:
    before = seen(feed)
    assert kill() >= 1
    assert feed.wait(before, timeout_s=5) > before, "a follower looks once more: something may have been missed"
    before = seen(feed)
    store.execute(Note(pad="a"), context=CONTEXT, key="k")
    assert feed.wait(before, timeout_s=4) > before


def test_closing_lets_the_followers_go(app_url: str) -> None:
    feed = Feed(app_url)
    waiting = threading.Thread(target=feed.wait, args=(seen(feed), 30))
    waiting.start()
    feed.close()
    waiting.join(timeout=3)
    assert not waiting.is_alive()


def test_one_leads_and_the_lead_passes_on(app_url: str) -> None:
    first, second = Leadership(app_url, "job"), Leadership(app_url, "job")
    assert first.held() and first.leading
    assert not second.held() and not second.leading
    assert first.held(), "asking again does not lose it"
    other_job = Leadership(app_url, "another job")
    assert other_job.held()
    other_job.release()
    first.release()
    assert not first.leading
    assert wait_until(second.held) and not first.held()
    first.release()
    second.release()


def test_the_lead_is_lost_with_the_connection(
    app_url: str, kill: Callable[[], int], owner: psycopg.Connection[Any]
) -> None:
    first, second = Leadership(app_url, "job"), Leadership(app_url, "job")
    assert first.held() and not second.held()
    owner.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 70002")
    assert wait_until(second.held)
    assert not first.held() and not first.leading
    assert not first.held(), "nor after it has connected again"
    second.release()
    assert wait_until(first.held)
    first.release()


def wait_until(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
