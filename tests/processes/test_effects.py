"""Effects: the outside is called with the entry's key until it answers, and the answer is recorded once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from chain.errors import Final as ChainFinal
from chain.errors import Retryable as ChainRetryable
from domain.base import Command
from domain.platform import ALARM, AdvanceClock, FingerprintClaimed, RegisterCompany
from eventstore.database import Unavailable
from eventstore.entry import Entry
from eventstore.job import Overloaded
from eventstore.store import Contended
from processes import effects
from processes.process import NotYet, Process
from providers.errors import Final, Retryable
from tests.processes.conftest import Bell, Works, eventually
from tests.projections.story import NOW, context


def ringing(company: Callable[[FingerprintClaimed], str] = lambda event: event.invoice) -> Process:
    """Rings the bell for every fingerprint, then registers a company."""
    process = Process("ringing")

    @process.effect(FingerprintClaimed, port="bell")
    def ring(entry: Entry, event: FingerprintClaimed, outside: Any) -> Iterable[Command]:
        outside.bell.ring(event.invoice)
        return [RegisterCompany(role="r", company_number=company(event), subject="s")]

    return process


def test_an_effect_is_done_once_across_restarts(works: Works, bell: Bell) -> None:
    for turn in range(3):
        running = works.effects(ringing())
        works.trigger(f"t{turn}")
        eventually(lambda turn=turn: len(works.registered()) == turn + 1)
        running.stop()
    assert dict(bell.rung) == {"t0": 1, "t1": 1, "t2": 1}
    entry = works.store.read(1)[0]
    assert (entry.actor, entry.cause, entry.command) == ("system:ringing", 1, "ringing.ring:1")


@pytest.mark.parametrize("trouble", [Retryable("down"), ChainRetryable("node down"), Unavailable("db"),
                                     Overloaded("full"), Contended("busy"), Retryable("later", retry_after_s=0.02)],
                         ids=lambda trouble: type(trouble).__module__ + "." + type(trouble).__name__)
def test_what_may_pass_is_tried_again(works: Works, bell: Bell, trouble: Exception) -> None:
    bell.script["a"] = [trouble] * 3
    works.effects(ringing())
    works.trigger("a")
    works.trigger("b")
    eventually(lambda: sorted(works.registered()) == ["a", "b"])
    assert dict(bell.rung) == {"a": 4, "b": 1} and works.alarms() == []


def test_a_final_answer_is_an_alarm_and_the_end_of_it(works: Works, bell: Bell) -> None:
    bell.script["a"] = [Final("refused", "no")]
    running = works.effects(ringing())
    position = works.trigger("a")
    eventually(works.alarms)
    eventually(lambda: running.oldest_open() is None)
    running.stop()
    works.effects(ringing())
    works.trigger("b")
    eventually(works.registered)
    assert works.alarms() == [(f"ringing.ring:{position}", "refused")]
    assert dict(bell.rung) == {"a": 1, "b": 1}


def test_an_outcome_the_aggregate_refuses_is_an_alarm(works: Works) -> None:
    works.effects(ringing(lambda event: "the same"))
    first = works.trigger("a")
    eventually(works.registered)
    second = works.trigger("b")
    eventually(works.alarms)
    assert first < second and works.alarms() == [(f"ringing.ring:{second}", "company_known")]


def test_a_bug_is_said_once_and_the_effect_stays_owed(works: Works, bell: Bell) -> None:
    bell.script["a"] = [ZeroDivisionError("a bug")] * 4
    running = works.effects(ringing())
    position = works.trigger("a")
    eventually(works.alarms)
    assert running.oldest_open() == ("bell", position)
    eventually(works.registered)
    assert works.alarms() == [(f"ringing.ring:{position}:failing", "ZeroDivisionError")]
    assert bell.rung["a"] == 5


def test_a_chain_set_up_wrong_is_said_once_and_mended_the_effect_is_done_once(works: Works, bell: Bell) -> None:
    """An expired certificate, another chain behind the URL: what was owed meanwhile is still owed."""
    bell.script["a"] = [ChainFinal("no TLS with the node: certificate has expired")] * 4
    running = works.effects(ringing())
    position = works.trigger("a")
    eventually(works.alarms)
    running.stop()
    works.effects(ringing())
    works.trigger("b")
    eventually(lambda: sorted(works.registered()) == ["a", "b"])
    assert works.alarms() == [(f"ringing.ring:{position}:failing", "Final")]
    assert dict(bell.rung) == {"a": 5, "b": 1}
    eventually(lambda: not works.store.load(ALARM, f"ringing.ring:{position}:failing").standing)


@pytest.mark.parametrize("restart", [False, True])
def test_a_crash_between_call_and_record_repeats_the_call(
    works: Works, bell: Bell, monkeypatch: pytest.MonkeyPatch, restart: bool
) -> None:
    """The outside is asked with the same key, which it knows; the log tells of it once."""
    execute, crash = works.store.execute, threading.Event()

    def crashing(*commands: Command, **kwargs: Any) -> Any:
        if kwargs["key"].startswith("ringing.") and not (crash.is_set() and not restart):
            crash.set()
            raise Unavailable("the power went")
        return execute(*commands, **kwargs)

    monkeypatch.setattr(works.store, "execute", crashing)
    running = works.effects(ringing())
    works.trigger("a")
    assert crash.wait(5)
    if restart:
        running.stop()
        monkeypatch.setattr(works.store, "execute", execute)
        works.effects(ringing())
    eventually(works.registered)
    assert works.registered() == ["a"] and works.alarms() == []
    assert bell.rung["a"] >= 2


def waiting(days: int) -> Process:
    process = Process("waiting")

    @process.effect(FingerprintClaimed, port="timer")
    def wait(entry: Entry, event: FingerprintClaimed, outside: Any) -> Iterable[Command]:
        due = entry.at + timedelta(days=days)
        outside.bell.ring(event.invoice)
        if outside.clock.now() < due:
            raise NotYet(due)
        return [RegisterCompany(role="r", company_number=event.invoice, subject="s")]

    return process


def test_an_effect_waits_for_its_date(works: Works, bell: Bell) -> None:
    running = works.effects(waiting(days=3))
    works.trigger("a")
    eventually(lambda: running.parked)
    assert running.oldest_open() is None, "waiting for a date is no delay"
    for day, done in ((1, []), (2, []), (3, ["a"])):
        works.store.execute(AdvanceClock(to=NOW + timedelta(days=day)), context=context(), key=f"day {day}")
        eventually(lambda day=day: works.clock.now() == NOW + timedelta(days=day))
        if done:
            eventually(works.registered)
        assert works.registered() == done
    assert bell.rung["a"] == 2, "it is not asked again before its time"


def test_a_date_is_still_kept_after_a_restart(works: Works) -> None:
    running = works.effects(waiting(days=3))
    works.trigger("a")
    eventually(lambda: running.parked)
    running.stop()
    works.store.execute(AdvanceClock(to=NOW + timedelta(days=9)), context=context(), key="on")
    works.effects(waiting(days=3))
    eventually(works.registered)


def test_the_bookmark_never_passes_an_open_effect(
    works: Works, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "SAVE_EVERY", 1)
    running = works.effects(ringing())
    for n in range(3):
        works.trigger(f"before {n}")
    eventually(lambda: len(works.registered()) == 3)
    bell.script["stuck"] = [Retryable("down", retry_after_s=0.05)] * 40
    stuck = works.trigger("stuck")
    for n in range(5):
        works.trigger(f"after {n}")
    eventually(lambda: len(works.registered()) == 8)
    assert running.oldest_open() == ("bell", stuck)
    assert works.store.bookmark("effects") < stuck
    bell.script["stuck"] = []
    eventually(lambda: works.store.bookmark("effects") >= stuck, 15)
    running.stop()
    second = works.effects(ringing())
    works.trigger("last")
    eventually(lambda: "last" in works.registered())
    assert second.position > stuck and set(bell.rung) - {"stuck"} and bell.rung["before 0"] == 1


def test_of_two_only_the_leader_works(make_works: Callable[[], Works], bell: Bell) -> None:
    first, second = make_works(), make_works()
    leading = first.effects(ringing())
    first.trigger("a")
    eventually(first.registered)
    standing_by = second.effects(ringing())
    for n in range(8):
        second.trigger(f"b{n}")
    eventually(lambda: len(first.registered()) == 9)
    assert set(bell.rung.values()) == {1}
    assert standing_by.position == 0 and standing_by.open == {}
    leading.stop()
    second.trigger("c")
    eventually(lambda: len(second.registered()) == 10)
    assert set(bell.rung.values()) == {1} and second.alarms() == []


def test_who_loses_the_lead_forgets_its_work(make_works: Callable[[], Works], bell: Bell, database: str) -> None:
    """Its connection is cut while an effect is open: the other process owes it from now on, alone."""
    first, second = make_works(), make_works()
    bell.script["a"] = [Retryable("down", retry_after_s=0.1)] * 10_000
    leading = first.effects(ringing())
    first.trigger("a")
    eventually(lambda: leading.open)
    standing_by = second.effects(ringing())
    with psycopg.connect(database, autocommit=True) as owner:
        eventually(lambda: owner.execute(  # until the lead has really changed hands
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 70002 AND "
            "objid::bigint = hashtext('tnt_fintokenx/effects')::bigint & 4294967295").fetchall()
            and _moved(leading, standing_by))
    assert leading.open == {} and not leading._lead.leading
    bell.script["a"] = []
    eventually(second.registered)
    assert second.registered() == ["a"] and second.alarms() == []


def _moved(old: effects.Effects, new: effects.Effects) -> bool:
    """Whether the lead changes hands; the old leader may have been faster to take it again."""
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline and not (new.open and not old.open):
        old.feed.poke()  # again: the server may take a moment to cut the connection
        time.sleep(0.05)
    return bool(new.open) and not old.open
