"""Anchoring: every interval one contiguous batch on the chain and one record in the log, whatever happens between."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap import SetupError, settings_from
from chain.anchor import Batch, anchor_pending, genesis_head, head_after
from chain.errors import Retryable
from domain.platform import BatchAnchored
from eventstore.store import Store
from processes.anchoring import INTERVAL, Anchorer
from processes.freshness import Freshness
from tests.conftest import access_to
from tests.processes.conftest import Works
from tests.projections.story import NOW


@dataclass
class Contract:
    """The anchoring contract, by hand: takes the next range and nothing else."""

    batches: list[Batch] = field(default_factory=list)
    down: bool = False
    receipt: Any = field(default_factory=lambda: SimpleNamespace(tx_hash="0xANCHOR", block_number=4, block_time=1))

    def __post_init__(self) -> None:
        self.journal = SimpleNamespace(receipt=lambda op: self.receipt)

    def batch_count(self) -> int:
        if self.down:
            raise Retryable("the node is down")
        return len(self.batches)

    def batch(self, batch_id: int) -> Batch:
        return self.batches[batch_id - 1]

    def next_position(self) -> int:
        return self.batches[-1].to_position + 1 if self.batches else 1

    def anchor_head(self) -> bytes:
        return self.batches[-1].head if self.batches else genesis_head(b"log")

    def signed_anchor(self, op: str) -> None:
        return None

    def anchor(self, op: str, batch_id: int, first: int, last: int, root: bytes, prev_head: bytes) -> Any:
        assert (batch_id, first, prev_head) == (len(self.batches) + 1, self.next_position(), self.anchor_head())
        self.batches.append(Batch(batch_id, first, last, root, prev_head,
                                  head_after(prev_head, batch_id, first, last, root)))
        return self.receipt


@dataclass
class Time:
    moment: datetime = NOW

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
def contract() -> Contract:
    return Contract()


@pytest.fixture
def time() -> Time:
    return Time()


def anchorer(works: Works, contract: Contract, time: Time, entries: int = 1_000) -> Anchorer:
    outside: Any = SimpleNamespace(store=works.store, clock=time, chain=lambda: contract,
                                   freshness=Freshness(works.store, time))  # pyright: ignore[reportArgumentType]
    return Anchorer(outside, works.feed, entries)


def recorded(works: Works) -> list[tuple[int, int, int]]:
    return [(event.batch_id, event.from_position, event.to_position) for entry in works.store.read(0, 1_000)
            if isinstance(event := entry.event, BatchAnchored)]


def test_every_interval_closes_and_an_idle_log_still_does(works: Works, contract: Contract, time: Time) -> None:
    running = anchorer(works, contract, time)
    running.turn()
    assert recorded(works) == [], "an empty log has nothing to anchor"
    for name in "abc":
        works.trigger(name)
    running.turn()
    assert recorded(works) == [], "the interval has not passed"
    for _ in range(3):
        time.moment += INTERVAL
        running.turn()
        running.turn()
    assert recorded(works) == [(1, 1, 3), (2, 4, 4), (3, 5, 5)]
    assert [batch.head.hex() for batch in contract.batches] == [
        entry.event.head for entry in works.store.read(0) if isinstance(entry.event, BatchAnchored)]


def test_enough_entries_do_not_wait_for_the_interval(works: Works, contract: Contract, time: Time) -> None:
    for name in "abcd":
        works.trigger(name)
    running = anchorer(works, contract, time, entries=5)
    running.turn()
    assert recorded(works) == []
    works.trigger("e")
    running.turn()
    assert recorded(works) == [(1, 1, 5)]
    for name in "fghi":  # and the record of the first batch
        works.trigger(name)
    running.turn()
    assert recorded(works) == [(1, 1, 5), (2, 6, 10)]
    running.turn()
    assert len(recorded(works)) == 2
    for name in "klmno":
        works.trigger(name)
    anchorer(works, contract, time, entries=5).turn()
    assert recorded(works)[2:] == [(3, 11, 16)], "a restart knows what waits"


def test_a_backlog_is_anchored_in_one_turn(works: Works, contract: Contract, time: Time,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger than one batch may be: batch after batch, until fewer wait than are anchored at once."""
    for number in range(20):
        works.trigger(f"entry {number}")
    running = anchorer(works, contract, time, entries=5)
    monkeypatch.setattr("processes.anchoring.anchor_pending", partial(anchor_pending, max_entries=6))
    running.turn()
    assert [(first, last) for _, first, last in recorded(works)] == [(1, 6), (7, 12), (13, 18), (19, 23)]


@pytest.mark.parametrize("given", ["99", "100001", "many"])
def test_so_few_or_so_many_entries_cannot_be_asked_for(given: str) -> None:
    """Fewer would be what anchoring itself writes; more than a batch takes would never be reached in one."""
    with pytest.raises(SetupError, match="FX_ANCHOR_ENTRIES"):
        settings_from({"FX_ANCHOR_ENTRIES": given})


def test_a_restart_counts_from_the_last_batch(works: Works, contract: Contract, time: Time) -> None:
    works.trigger("a")
    time.moment += INTERVAL
    anchorer(works, contract, time).turn()
    time.moment += INTERVAL - timedelta(seconds=1)
    anchorer(works, contract, time).turn()
    assert len(recorded(works)) == 1
    time.moment += timedelta(seconds=1)
    anchorer(works, contract, time).turn()
    assert recorded(works) == [(1, 1, 1), (2, 2, 2)]


def test_a_crash_between_the_chain_and_the_record_is_repaired(
    works: Works, contract: Contract, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    works.trigger("a")
    time.moment += INTERVAL

    def crash(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the power went")

    with monkeypatch.context() as broken:
        broken.setattr(works.store, "execute", crash)
        with pytest.raises(RuntimeError):
            anchorer(works, contract, time).turn()
    assert len(contract.batches) == 1 and recorded(works) == []
    works.trigger("b")
    anchorer(works, contract, time).turn()
    assert recorded(works) == [(1, 1, 1)] and len(contract.batches) == 1
    time.moment += INTERVAL
    anchorer(works, contract, time).turn()
    assert recorded(works) == [(1, 1, 1), (2, 2, 3)]


def test_a_node_that_is_down_delays_and_loses_nothing(works: Works, contract: Contract, time: Time) -> None:
    running = anchorer(works, contract, time)
    works.trigger("a")
    time.moment += INTERVAL
    contract.down = True
    with pytest.raises(Retryable):
        running.turn()
    contract.down = False
    running.turn()
    assert recorded(works) == [(1, 1, 1)]


def test_each_tenant_anchors_the_whole_chain_for_itself(works: Works, contract: Contract, time: Time,
                                                        database: str) -> None:
    """Its neighbour's entries are hashes to it; neither needs the other's process, and both may lead at once."""
    other = Works(Store(access_to(database, "tnt_other")), works.feed, works.clock, works.bell)
    theirs = Contract()
    mine, yours = anchorer(works, contract, time), anchorer(other, theirs, time)
    try:
        assert mine._lead.held() and yours._lead.held()
        works.trigger("a")
        other.trigger("b")
        works.trigger("c")
        time.moment += INTERVAL
        mine.turn()
        yours.turn()
        assert recorded(works) == [(1, 1, 3)] and recorded(other) == [(1, 1, 4)]
        assert [batch.to_position for batch in theirs.batches] == [4], "the neighbour's record is an entry, too"
    finally:
        mine._lead.release()
        yours._lead.release()
        other.store.close()

