"""The writer's edges: full queue, closed, database gone, and the COMMIT whose outcome nobody saw."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from domain.platform import AlarmRaised
from eventstore import writer as writers
from eventstore.access import READ, Access
from eventstore.database import Unavailable, select
from eventstore.entry import encode
from eventstore.job import Append, Draft, KeyKnown, Overloaded, VersionConflict
from eventstore.recorder import BoundDatastore
from eventstore.store import Store
from eventstore.writer import Writer
from tests.eventstore.notes import CONTEXT, PAD, Note
from tests.eventstore.test_entry import entry_of
from tests.eventstore.test_store import chain_of


def append(key: str, *versions: int, text: str = "t", **changes: Any) -> Append:
    """A command on a stream of its own."""
    stream = changes.pop("stream", None) or uuid4()
    drafts = tuple(
        Draft(stream, version, "alarm.raised.1",
              encode(entry_of(AlarmRaised(source="s", code=str(version), detail=text), originator_id=stream,
                              originator_version=version, command=key)))
        for version in versions)
    fields: dict[str, Any] = {"key": key, "fingerprint": b"f", "drafts": drafts}
    return Append(**{**fields, **changes})


@pytest.fixture
def writer(access: Access) -> Iterator[Writer]:
    opened = Writer(access, lanes=1, give_up_after_s=0.5)  # one lane: a killed connection is the next to be used
    yield opened
    opened.close()


def test_a_full_queue_says_so_and_stores_nothing(
    store: Store, stalled: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "QUEUE_LIMIT", 3)
    with stalled():
        futures = [store.writer.submit(append("first", 1))]
        time.sleep(0.1)  # the first is on its way, the next three wait
        futures += [store.writer.submit(append(f"k{n}", 1)) for n in range(3)]
        with pytest.raises(Overloaded):
            store.writer.submit(append("too much", 1))
        with pytest.raises(Overloaded):
            store.execute(Note(pad="a"), context=CONTEXT, key="too much")
    for future in futures:
        future.result(timeout=10)
    assert store.known_keys(["too much", "k1"]) == {"k1"}
    assert len(chain_of(store)) == 4


def test_a_closed_store_is_unavailable(access: Access) -> None:
    store = Store(access)
    store.execute(Note(pad="a"), context=CONTEXT, key="k")
    store.writer.close()
    with pytest.raises(Unavailable):
        store.execute(Note(pad="a"), context=CONTEXT, key="k2")
    store.close()


def test_closing_writes_what_is_queued(access: Access, store: Store, stalled: Callable[[], Any]) -> None:
    writer = Writer(access)
    with ThreadPoolExecutor(1) as threads:
        with stalled():
            futures = [writer.submit(append(f"k{n}", 1, 2)) for n in range(5)]
            closing = threads.submit(writer.close)
            time.sleep(0.05)
        closing.result(timeout=10)
    assert [future.result().last_position - future.result().first_position for future in futures] == [1] * 5
    assert len(chain_of(store)) == 10


def test_a_database_that_never_answers_is_unavailable() -> None:
    writer = Writer(Access("postgresql://127.0.0.1:1/nowhere", "tnt_x", bytes(32)), give_up_after_s=0.3)
    futures = [writer.submit(append(f"k{n}", 1)) for n in range(3)]
    for future in futures:
        with pytest.raises(Unavailable):
            future.result(timeout=5)
    writer.close()


def test_versions_must_continue_the_stream_without_a_gap(store: Store) -> None:
    stream = uuid4()
    store.writer.submit(append("k1", 1, 2, stream=stream)).result()
    for key, versions in {"again": (2,), "gap": (4,), "inner gap": (3, 5), "from zero": (1, 2, 3)}.items():
        with pytest.raises(VersionConflict):
            store.writer.submit(append(key, *versions, stream=stream)).result()
    with pytest.raises(psycopg.IntegrityError):
        store.writer.submit(append("twice", 3, 3, 5, stream=stream)).result()
    store.writer.submit(append("k2", 3, stream=stream)).result()
    assert len(chain_of(store)) == 3


def test_a_lost_connection_is_replaced(store: Store, kill: Callable[[], int]) -> None:
    for n in range(3):
        store.execute(Note(pad="a"), context=CONTEXT, key=f"k{n}")
        assert kill() >= 1
    assert len(store.load(PAD, "a").texts) == 3
    assert store.execute(Note(pad="a"), context=CONTEXT, key="k9").position == 4


def test_what_landed_before_the_connection_broke_is_not_sent_again(
    writer: Writer, store: Store, kill: Callable[[], int]
) -> None:
    """Stands for a COMMIT whose answer was lost: the same command is asked for on a dead connection."""
    command = append("k", 1, 2, response=b"answer")
    first = writer.submit(command).result()
    kill()
    assert writer.submit(command).result() == first
    assert store.head() == 2


@pytest.mark.parametrize("change", [{"response": b"mine"}, {"fingerprint": b"g"}, {"text": "other"}], ids=str)
def test_a_twin_that_landed_is_not_taken_for_ones_own(
    writer: Writer, store: Store, kill: Callable[[], int], change: dict[str, Any]
) -> None:
    stream = uuid4()
    store.writer.submit(append("k", 1, stream=stream, response=b"theirs")).result()
    writer.submit(append("other", 1)).result()
    kill()
    with pytest.raises(KeyKnown):
        writer.submit(append("k", 1, **{"stream": stream, "response": b"theirs", **change})).result()


def test_poison_met_while_recovering_fails_alone(
    writer: Writer, store: Store, kill: Callable[[], int], stalled: Callable[[], Any]
) -> None:
    writer.submit(append("warm", 1)).result()
    with stalled():
        batch = [writer.submit(append("lead", 1))]
        time.sleep(0.1)
        batch += [writer.submit(append("a", 1)), writer.submit(append("b", 1, bookmark=("\ud800", 1))),
                  writer.submit(append("c", 1))]
        kill()  # the lead's connection dies; the three are a batch of their own on a new one
    errors = [future.exception(timeout=10) for future in batch]
    assert [type(error) for error in errors] == [type(None), type(None), UnicodeEncodeError, type(None)]
    assert store.known_keys(["lead", "a", "b", "c"]) == {"lead", "a", "c"}


def test_a_key_no_index_can_hold_fails_alone_and_at_once(store: Store, stalled: Callable[[], Any]) -> None:
    """ProgramLimitExceeded is an OperationalError, and yet no word about the connection."""
    with stalled():
        batch = [store.writer.submit(append("lead", 1))]
        time.sleep(0.1)
        noise = "".join(hashlib.sha256(b"%d" % n).hexdigest() for n in range(400))
        batch += [store.writer.submit(append(key, 1)) for key in ("a", noise, "b")]
    started = time.monotonic()
    errors = [future.exception(timeout=10) for future in batch]
    assert isinstance(errors[2], psycopg.errors.ProgramLimitExceeded)
    assert [errors[0], errors[1], errors[3]] == [None] * 3
    assert time.monotonic() - started < 5


def test_a_caller_that_went_away_leaves_the_writer_well(store: Store, stalled: Callable[[], Any]) -> None:
    with stalled():
        futures = [store.writer.submit(append(f"k{n}", 1)) for n in range(6)]
        time.sleep(0.1)
        assert any(future.cancel() for future in futures)
    assert store.writer.submit(append("next", 1)).result(timeout=10).first_position >= 1
    assert store.execute(Note(pad="a"), context=CONTEXT, key="k").position == 8, "a cancelled append may still land"


def test_whoever_waits_behind_an_outage_need_not_wait_as_long_again() -> None:
    writer = Writer(Access("postgresql://127.0.0.1:1/nowhere", "tnt_x", bytes(32)), lanes=1, give_up_after_s=0.5)
    started = time.monotonic()
    futures = [writer.submit(append(f"k{n % 2}", 1)) for n in range(600)]
    for future in futures:
        assert isinstance(future.exception(timeout=5), Unavailable)
    assert time.monotonic() - started < 3
    writer.close()


def test_reads_outlive_the_connections_in_the_pool(store: Store, kill: Callable[[], int]) -> None:
    store.execute(Note(pad="a"), context=CONTEXT, key="k")
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            assert list(threads.map(lambda _: store.head(), range(16))) == [1] * 16
            assert kill() >= 1


def test_reads_without_a_database_are_unavailable(access: Access) -> None:
    nowhere = BoundDatastore(replace(access, url=f"{access.conninfo(READ)} dbname=no_such"))
    nowhere.pool.timeout = 0.2
    with pytest.raises(Unavailable):
        select(nowhere, "SELECT 1", ())
    nowhere.close()


def test_every_part_of_the_url_reaches_the_pool(access: Access) -> None:
    source = BoundDatastore(replace(access, url=f"{access.conninfo(READ)} application_name=fx-test"))
    assert select(source, "SHOW application_name", ()) == [{"application_name": "fx-test"}]
    source.close()
