"""The sandbox clock stands still, moves forward on command, and never back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bootstrap import Sandbox, SetupError, choose_clock, settings_from
from domain.platform import AdvanceClock, ClockAdvanced, ClockMovesForward
from eventstore.clock import SandboxClock, SystemClock
from eventstore.store import Store
from tests.eventstore.notes import CONTEXT, NOW
from tests.eventstore.test_entry import entry_of
from tests.house.test_production import GOOD


def test_it_stands_until_it_is_moved(store: Store) -> None:
    clock = SandboxClock(store, NOW)
    assert clock.now() == NOW
    store.execute(AdvanceClock(to=NOW + timedelta(days=1)), context=CONTEXT, key="k1")
    assert clock.now() == NOW
    clock.observe(store.read(0)[0])
    assert clock.now() == NOW + timedelta(days=1)
    assert SandboxClock(store, NOW).now() == NOW + timedelta(days=1), "a later process reads it from the log"
    with pytest.raises(ClockMovesForward):
        store.execute(AdvanceClock(to=NOW), context=CONTEXT, key="k2")


def test_a_log_behind_the_start_does_not_turn_it_back(store: Store) -> None:
    clock = SandboxClock(store, NOW)
    earlier = msgspec.structs.replace(CONTEXT, now=NOW - timedelta(days=2))
    store.execute(AdvanceClock(to=NOW - timedelta(days=1)), context=earlier, key="k1")
    clock.observe(store.read(0)[0])
    assert clock.now() == NOW
    assert SandboxClock(store, NOW).now() == NOW


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(-1_000_000, 1_000_000), max_size=8))
def test_whatever_order_entries_come_in_it_reads_the_latest(store: Store, hours: list[int]) -> None:
    clock = SandboxClock(store, NOW)
    for hour in hours:
        before = clock.now()
        clock.observe(entry_of(ClockAdvanced(to=NOW + timedelta(hours=hour))))
        assert clock.now() >= before
    assert clock.now() == max(NOW, *(NOW + timedelta(hours=hour) for hour in hours), NOW)


def test_the_system_clock_is_utc_and_moves_by_itself() -> None:
    clock = SystemClock()
    clock.observe(entry_of(ClockAdvanced(to=NOW + timedelta(days=9_999))))
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert clock.now().tzinfo is UTC


def test_production_takes_up_no_log_that_has_known_a_sandbox_clock(store: Store) -> None:
    store.execute(AdvanceClock(to=NOW + timedelta(days=1)), context=CONTEXT, key="k1")
    assert isinstance(choose_clock(Sandbox(), store), SandboxClock)
    with pytest.raises(SetupError, match="begins with an empty database"):
        choose_clock(settings_from(GOOD), store)
