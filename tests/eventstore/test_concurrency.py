"""Many hands at once: one chain, no gap, one effect per key, and no answer that was not kept."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from domain.base import Conflict
from eventstore.database import Unavailable
from eventstore.store import KeyReused, Outcome, Store
from tests.eventstore.notes import CONTEXT, PAD, REFUSED, Note
from tests.eventstore.test_store import chain_of


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """Runs every job on a thread of its own, all released together; results or exceptions, in order."""
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> Any:
        gate.wait()
        try:
            return job()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(run, jobs))


def test_sixteen_threads_on_few_streams_leave_no_gap(store: Store) -> None:
    def work(thread: int) -> int:
        for n in range(12):
            store.execute(Note(pad=f"p{(thread + n) % 3}"), context=CONTEXT, key=f"{thread}/{n}")
        return thread

    assert at_once(*[lambda t=t: work(t) for t in range(16)]) == list(range(16))
    assert len(chain_of(store)) == 16 * 12
    assert sum(len(store.load(PAD, f"p{n}").texts) for n in range(3)) == 16 * 12
    for n in range(3):
        versions = [entry.originator_version for entry in store.history(PAD, f"p{n}")]
        assert versions == list(range(1, len(versions) + 1))


def test_two_writers_keep_one_chain(store: Store, other_store: Store) -> None:
    def work(mine: Store, name: str) -> None:
        for n in range(15):
            mine.execute(Note(pad="shared", copies=1 + n % 3), context=CONTEXT, key=f"{name}/{n}")

    jobs = [lambda s=s, i=i: work(s, f"{id(s)}/{i}") for s in (store, other_store) for i in range(4)]
    assert at_once(*jobs) == [None] * 8
    texts = store.load(PAD, "shared").texts
    assert len(texts) == len(chain_of(store)) == 8 * sum(1 + n % 3 for n in range(15))
    codes = [entry.event.code for entry in store.history(PAD, "shared")]  # pyright: ignore[reportAttributeAccessIssue]
    assert codes == [str(n) for n in range(len(texts))], "every decision was taken on the state it was appended to"


def test_a_version_conflict_is_decided_afresh(store: Store, other_store: Store) -> None:
    """Both decide on an empty pad; the second to arrive is turned back, sees the note, and refuses."""
    answers = at_once(*[lambda s=s, n=n: s.execute(Note(pad="one", only=0), context=CONTEXT, key=f"k{n}")
                        for n, s in enumerate([store, other_store] * 4)])
    assert sum(isinstance(answer, Outcome) for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 7
    assert len(store.load(PAD, "one").texts) == 1


def test_what_was_looked_at_holds_when_the_events_land(store: Store, other_store: Store) -> None:
    """One process notes on a pad while it is empty elsewhere, another fills that other pad: never both, unseen."""
    for turn in range(12):
        rests_on = Note(pad=f"gate{turn}", only=0, copies=0)
        looks, closes = at_once(
            lambda t=turn, r=rests_on: store.execute(r, Note(pad=f"sent{t}"), context=CONTEXT, key=f"send{t}"),
            lambda t=turn: other_store.execute(Note(pad=f"gate{t}"), context=CONTEXT, key=f"close{t}"))
        assert isinstance(closes, Outcome)
        if isinstance(looks, Outcome):
            assert looks.position < closes.position
        else:
            assert isinstance(looks, Conflict) and store.load(PAD, f"sent{turn}").texts == ()
    chain_of(store)


def test_a_stream_that_grew_after_it_was_looked_at_has_everything_decided_again(
    store: Store, other_store: Store, stalled: Callable[[], Any]
) -> None:
    with ThreadPoolExecutor(2) as threads:
        with stalled():
            closing = threads.submit(other_store.execute, Note(pad="gate"), context=CONTEXT, key="close")
            time.sleep(0.1)
            looking = threads.submit(store.execute, Note(pad="gate", only=0, copies=0), Note(pad="sent"),
                                     context=CONTEXT, key="send")
            time.sleep(0.2)  # both have decided on an empty gate, and queue for the log in this order
        assert closing.result(timeout=20).position == 1
        with pytest.raises(Conflict, match="holds 1 notes"):
            looking.result(timeout=20)
    assert store.load(PAD, "sent").texts == ()


@pytest.mark.parametrize("only", [None, 0], ids=["repeatable", "refused the second time"])
def test_twenty_threads_with_one_key_have_one_effect(store: Store, other_store: Store, only: int | None) -> None:
    """Twins that come too late get the first answer, never a refusal of what they themselves did."""
    for turn in range(5):
        answers = at_once(*[
            lambda s=s, n=n, turn=turn: s.execute(
                Note(pad=f"pad{turn}", only=only), context=CONTEXT, key=f"same{turn}", fingerprint=b"f",
                respond=lambda _: b"answer of %d" % n)
            for n, s in enumerate([store, other_store] * 10)])
        assert [answer for answer in answers if not isinstance(answer, Outcome)] == []
        assert len({answer.response for answer in answers}) == 1
        assert {answer.position for answer in answers} == {turn + 1}
        assert sum(not answer.replayed for answer in answers) == 1
    chain_of(store)


def test_one_key_for_two_requests_serves_one_of_them(store: Store, other_store: Store) -> None:
    answers = at_once(*[
        lambda s=s, f=b"%d" % (n % 3 // 2): s.execute(Note(pad="p"), context=CONTEXT, key="k", fingerprint=f)
        for n, s in enumerate([store, other_store] * 6)])
    kinds = Counter(type(answer) for answer in answers)
    assert kinds in ({Outcome: 8, KeyReused: 4}, {Outcome: 4, KeyReused: 8})
    assert store.head() == 1


def test_refusals_and_poison_fail_alone(store: Store, stalled: Callable[[], Any]) -> None:
    """All in one batch: a key no database can hold, a refused command, and their neighbours."""
    good = [lambda n=n: store.execute(Note(pad=f"p{n}"), context=CONTEXT, key=f"good{n}") for n in range(8)]
    bad = [lambda name=name: store.execute(Note(pad=ascii(name)), context=CONTEXT, key=ascii(name), bookmark=(name, 1))
           for name in ("a\0b", "\ud800")]
    refused = [lambda: store.execute(Note(pad="q", text=REFUSED), context=CONTEXT, key="refused")]
    with ThreadPoolExecutor(12) as threads:
        with stalled():
            first = threads.submit(store.execute, Note(pad="first"), context=CONTEXT, key="first")
            time.sleep(0.05)
            futures = [threads.submit(job) for job in (*good[:4], bad[0], *refused, bad[1], *good[4:])]
            time.sleep(0.2)
            assert not first.done()
        errors = [future.exception(timeout=20) for future in futures]
    assert [type(error).__name__ for error in errors if error] == [
        "CharacterNotInRepertoire", "Conflict", "UnicodeEncodeError"]
    assert len(chain_of(store)) == 1 + len(good)


def test_kills_under_load_lose_and_double_nothing(
    store: Store, other_store: Store, kill: Callable[[], int]
) -> None:
    """Callers repeat a command with its key until it is acknowledged, as every caller of ours does."""
    done = threading.Event()
    acknowledged: dict[str, Outcome] = {}
    unsure = Counter[str]()

    def work(thread: int) -> None:
        mine, n = (store, other_store)[thread % 2], 0
        while not done.is_set():
            key, n = f"{thread}/{n}", n + 1
            while key not in acknowledged:
                try:
                    acknowledged[key] = mine.execute(
                        Note(pad=f"p{thread % 5}", text=key), context=CONTEXT, key=key,
                        respond=lambda _, key=key: key.encode(), bookmark=(f"b{thread}", n))
                except Unavailable:
                    unsure[key] += 1

    with ThreadPoolExecutor(16) as threads:
        jobs = [threads.submit(work, thread) for thread in range(16)]
        killed = 0
        for _ in range(20):
            time.sleep(0.12)
            killed += kill()
        done.set()
        for job in jobs:
            job.result(timeout=60)
    assert killed >= 20
    rows = chain_of(store)
    stored = Counter(entry.command for entry in store.read(0, limit=1_000_000))
    assert stored == Counter(list(acknowledged)), "every acknowledged command is there once, and nothing else"
    assert len(rows) == len(acknowledged) > 200
    by_key = {entry.command: entry for entry in store.read(0, limit=1_000_000)}
    for key, outcome in acknowledged.items():
        assert (outcome.position, outcome.response) == (by_key[key].position, key.encode())
        row = store.key_row(key)
        assert row is not None and (row.first_position, row.response) == (outcome.position, key.encode())
    for thread in range(16):
        last = max(int(key.partition("/")[2]) for key in acknowledged if key.startswith(f"{thread}/"))
        assert store.bookmark(f"b{thread}") == last + 1
