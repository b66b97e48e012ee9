"""Reactions: each entry once, in order, however often the reactor starts; a refusal is an alarm, not an obstacle."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import psycopg
import pytest

from domain.base import Command
from domain.platform import AdvanceClock, ClockAdvanced, FingerprintClaimed, RegisterCompany
from eventstore.entry import Entry
from eventstore.store import Contended
from processes import reactor
from processes.process import Look, Process
from tests.processes.conftest import Works, eventually
from tests.projections.story import NOW, context


def registering(
    name: str = "registering", number: Callable[[FingerprintClaimed], str] = lambda event: event.invoice
) -> Process:
    """Registers a company for every fingerprint: a second time for the same number is refused."""
    process = Process(name)

    @process.reacts_to(FingerprintClaimed)
    def register(entry: Entry, event: FingerprintClaimed, look: Look) -> Iterable[Command]:
        return [RegisterCompany(role="r", company_number=number(event), subject="s")]

    return process


def test_every_entry_has_one_reaction_across_restarts(works: Works) -> None:
    process = registering()
    expected: list[str] = []
    for turn in range(4):
        running = works.reactor(process)
        for n in range(3):
            works.trigger(name := f"{turn}/{n}")
            expected.append(name)
        if turn % 2:
            eventually(lambda: len(works.registered()) == len(expected))
        running.stop()
        works.trigger(name := f"{turn}/while down")
        expected.append(name)
    works.reactor(process)
    eventually(lambda: len(works.registered()) == len(expected))
    assert works.registered() == expected and works.alarms() == []


def test_a_reaction_names_its_cause_and_its_process(works: Works) -> None:
    works.reactor(registering())
    position = works.trigger("a")
    eventually(works.registered)
    entry = works.store.read(position)[0]
    assert (entry.actor, entry.actor_role, entry.cause, entry.command, entry.at) == (
        "system:registering", "system", position, f"registering:{position}", NOW)
    assert works.store.bookmark("processes") == position - 1, "other processes may still have to see it"


def test_a_refused_reaction_is_an_alarm_and_blocks_nobody(works: Works) -> None:
    always_one = registering("stubborn", lambda event: "the same")
    works.reactor(always_one, registering())
    positions = [works.trigger(name) for name in ("a", "b", "c")]
    eventually(lambda: len(works.alarms()) == 2 and len(works.registered()) == 4)
    assert works.alarms() == [(f"stubborn:{position}", "company_known") for position in positions[1:]]
    assert works.registered() == ["the same", "a", "b", "c"]


def test_a_refusal_is_looked_at_once_more_before_it_is_an_alarm(works: Works) -> None:
    """Something moved between the look and the append: the second look sees it and wants nothing."""
    racing = Process("racing")
    looks: list[int] = []

    @racing.reacts_to(FingerprintClaimed)
    def register(entry: Entry, event: FingerprintClaimed, look: Look) -> Iterable[Command]:
        looks.append(entry.position)
        if looks.count(entry.position) > 1:
            return []
        taken = RegisterCompany(role="r", company_number="taken", subject="s")
        return [taken, taken]

    works.reactor(racing, registering())
    position = works.trigger("a")
    eventually(works.registered)
    assert looks == [position, position] and works.alarms() == []


def test_a_reaction_that_wants_nothing_leaves_nothing(works: Works) -> None:
    silent = Process("silent")
    silent.reacts_to(FingerprintClaimed)(lambda entry, event, look: [])
    running = works.reactor(silent)
    position = works.trigger("a")
    eventually(lambda: running.position == position)
    assert works.store.head() == 1 and not works.store.known_keys([f"silent:{position}"])


def test_contention_is_no_refusal(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many writers at one aggregate: the reaction waits its turn, nothing is given up."""
    execute, failures = works.store.execute, [Contended("busy")]

    def contended_once(*commands: Command, **kwargs: Any) -> Any:
        if kwargs["key"].startswith("registering:") and failures:
            raise failures.pop()
        return execute(*commands, **kwargs)

    monkeypatch.setattr(works.store, "execute", contended_once)
    works.reactor(registering())
    works.trigger("a")
    eventually(works.registered)
    assert works.alarms() == [] and failures == []


def test_a_bug_stops_at_its_entry_and_goes_on_once_it_is_mended(works: Works) -> None:
    broken = [True]

    def number(event: FingerprintClaimed) -> str:
        if broken and event.invoice == "b":
            broken.pop()
            raise KeyError("a bug")
        return event.invoice

    works.reactor(registering(number=number))
    for name in "abc":
        works.trigger(name)
    eventually(lambda: len(works.registered()) == 3)
    assert works.registered() == ["a", "b", "c"] and works.alarms() == []


def test_the_bookmark_is_saved_now_and_then(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reactor, "SAVE_EVERY", 3)
    silent = Process("silent")
    running = works.reactor(silent)
    positions = [works.trigger(str(n)) for n in range(7)]
    eventually(lambda: running.position == positions[-1])
    eventually(lambda: works.store.bookmark("processes") >= 3)


def test_the_clock_is_told_of_every_entry(works: Works) -> None:
    works.reactor(Process("silent"))
    later = NOW.replace(year=2027)
    works.store.execute(AdvanceClock(to=later), context=context(), key="advance")
    eventually(lambda: works.clock.now() == later)
    assert isinstance(works.store.read(0)[0].event, ClockAdvanced)


def test_of_two_reactors_one_works_and_the_other_takes_over(make_works: Callable[[], Works]) -> None:
    first, second = make_works(), make_works()
    leading, waiting = first.reactor(registering()), None
    first.trigger("a")
    eventually(first.registered)
    waiting = second.reactor(registering())
    for n in range(5):
        second.trigger(f"b{n}")
    eventually(lambda: len(first.registered()) == 6)
    assert waiting.position == 0 and leading.position > 0
    leading.stop()
    second.trigger("c")
    eventually(lambda: len(second.registered()) == 7)
    assert second.alarms() == [] and waiting.position > 0


def test_a_lost_connection_costs_nothing(works: Works, database: str) -> None:
    works.reactor(registering())
    for n in range(6):
        works.trigger(f"t{n}")
        with psycopg.connect(database, autocommit=True) as owner:
            owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                          "WHERE datname = current_database() AND usename IN ('fx_append', 'fx_read')")
    eventually(lambda: len(works.registered()) == 6, 20)
    assert works.registered() == [f"t{n}" for n in range(6)] and works.alarms() == []
