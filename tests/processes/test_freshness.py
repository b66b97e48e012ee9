"""How old the oldest entry without an anchor is, what waits for it, and what the log says about it afterwards."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from domain.audit_freeze import STALE_AFTER, AuditFrozen, AuditReleased
from domain.platform import AlarmCleared, AlarmRaised, FingerprintClaimed
from processes.anchoring import INTERVAL
from processes.effects import Effects
from processes.freshness import Freshness
from processes.process import Process
from tests.processes.conftest import Works, eventually
from tests.processes.test_anchoring import Contract, Time, anchorer
from tests.projections.story import NOW

HOUR = timedelta(hours=1)


@pytest.fixture
def contract() -> Contract:
    return Contract()


@pytest.fixture
def time() -> Time:
    return Time()


def freshness_of(works: Works, time: Time) -> Freshness:
    return Freshness(works.store, time)  # pyright: ignore[reportArgumentType]


def freezes(works: Works) -> list[Any]:
    kinds = (AuditFrozen, AuditReleased, AlarmRaised, AlarmCleared)
    return [entry.event for entry in works.store.read(0, 1_000) if isinstance(entry.event, kinds)]


def test_the_lag_is_the_age_of_the_oldest_entry_without_an_anchor(
    works: Works, contract: Contract, time: Time
) -> None:
    seen = freshness_of(works, time)
    assert (seen.lag().position, seen.lag().age, seen.stale()) == (None, timedelta(0), False)
    first = works.trigger("a")
    time.moment += INTERVAL
    works.trigger("b")
    assert (seen.lag().position, seen.lag().age) == (first, INTERVAL)
    anchorer(works, contract, time).turn()
    lag = seen.lag()
    assert (lag.anchored_to, lag.position, lag.age) == (first + 1, first + 2, timedelta(0)), "the record is next"


@pytest.mark.parametrize("batches", [1, 2, 5, 8])
def test_a_start_finds_the_last_batch_without_reading_the_log(
    works: Works, contract: Contract, time: Time, batches: int
) -> None:
    running = anchorer(works, contract, time)
    works.trigger("a")
    for _ in range(batches):
        time.moment += INTERVAL
        running.turn()
    assert freshness_of(works, time).lag().anchored_to == contract.batches[-1].to_position


def test_a_freeze_begins_past_the_hour_and_an_anchor_ends_it(
    works: Works, contract: Contract, time: Time
) -> None:
    running = anchorer(works, contract, time)
    oldest = works.trigger("a")
    contract.down = True
    time.moment += HOUR
    running._attempt()
    running.judge()
    assert freezes(works) == [] and not running.outside.freshness.stale(), "an hour is not past the hour"
    time.moment += timedelta(seconds=1)
    for _ in range(2):
        running._attempt()
        running.judge()
    begun, alarm = freezes(works)
    assert begun == AuditFrozen(oldest=oldest, since=NOW)
    assert alarm.code == "audit_anchor_stale"

    anchorer(works, contract, time).judge()  # another process takes the lead meanwhile
    assert len(freezes(works)) == 2
    contract.down = False
    running._attempt()
    running.judge()
    assert not running.outside.freshness.stale()
    assert [type(event) for event in freezes(works)[2:]] == [AuditReleased, AlarmCleared]
    assert contract.batches[-1].to_position == freezes(works)[2].anchored_to


def test_a_jump_of_the_clock_alone_is_no_freeze(works: Works, contract: Contract, time: Time) -> None:
    running = anchorer(works, contract, time)
    works.trigger("a")
    time.moment += timedelta(days=60)
    assert running.outside.freshness.stale()
    running._attempt()
    running.judge()
    assert freezes(works) == [] and not running.outside.freshness.stale()


def test_money_waits_for_an_anchor_and_nothing_else_does(works: Works, time: Time) -> None:
    done: list[str] = []
    process = Process("test")

    @process.effect(FingerprintClaimed, port="bank", moves_money=True)
    def pay(entry: Any, event: Any, outside: Any) -> list[Any]:
        done.append("paid")
        return []

    @process.effect(FingerprintClaimed, port="chain")
    def revoke(entry: Any, event: Any, outside: Any) -> list[Any]:
        done.append("revoked")
        return []

    works.trigger("a")
    time.moment += STALE_AFTER + timedelta(seconds=1)
    outside: Any = SimpleNamespace(store=works.store, clock=time, freshness=freshness_of(works, time))
    engine = Effects(works.store, works.feed, works.clock, [process], outside)
    works.started.append(engine)
    engine.start()
    eventually(lambda: "revoked" in done)
    assert "paid" not in done and engine.oldest_open() == ("bank", 1)
    time.moment -= timedelta(minutes=2)
    eventually(lambda: "paid" in done)
    assert done == ["revoked", "paid"]
