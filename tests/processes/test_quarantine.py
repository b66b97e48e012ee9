"""What a process cannot handle holds up its own stream and nothing else, and is made up for in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from domain.base import Command
from domain.platform import FINGERPRINT, AlarmRaised, ClaimFingerprint, FingerprintClaimed, RaiseAlarm, RegisterCompany
from domain.quarantine import RequestRelease, StreamQuarantined, StreamReleased
from eventstore.database import Unavailable
from eventstore.entry import Entry, UnknownEvent
from eventstore.quarantine import held_streams
from processes import effects
from processes.process import Look, Process
from tests.eventstore.newer import ClaimedInColour, claimed, in_colour, stream_of, upgrade, write
from tests.processes.conftest import Bell, Works, eventually
from tests.projections.story import context


def registering(broken: set[str] | None = None) -> Process:
    """Registers a company for every claim, of either version; a bug for the invoices in `broken`."""
    process = Process("registering")

    @process.reacts_to(FingerprintClaimed, ClaimedInColour)
    def register(entry: Entry, event: Any, look: Look) -> Iterable[Command]:
        if event.invoice in (broken or ()):
            raise KeyError("what an exception says may hold anything")
        return [RegisterCompany(role="r", company_number=event.invoice, subject="s")]

    return process


def facts(works: Works, kind: type[Any]) -> list[Any]:
    return [entry.event for entry in works.store.read(0, 10_000) if isinstance(entry.event, kind)]


def ask_for_release(works: Works, name: str, follower: str = "processes") -> None:
    works.store.execute(RequestRelease(follower=follower, stream=stream_of(works.store, name)), context=context(),
                        key=f"ask:{works.store.head()}")


# ---------------------------------------------------------------- entries of a newer version


def test_an_unreadable_entry_holds_up_its_stream_alone(works: Works) -> None:
    running = works.reactor(registering())
    write(works.store, "a", claimed("a1"))
    position, *_ = write(works.store, "a", in_colour("a2"), claimed("a3"))
    for name in ("b", "c"):
        works.trigger(name)
    write(works.store, "a", claimed("a4"))
    eventually(lambda: running.position == works.store.head())
    assert works.registered() == ["a1", "b", "c"]
    assert facts(works, StreamQuarantined) == [StreamQuarantined(
        follower="processes", stream=stream_of(works.store, "a"), position=position, type="fingerprint.claimed.2",
        reason="unknown_event", resource="a")]
    assert works.store.bookmark("processes") >= position


def test_it_is_left_out_until_a_version_that_can_read_it_starts(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = works.reactor(registering())
    write(works.store, "a", claimed("a1"), in_colour("a2"), claimed("a3"))
    works.trigger("b")
    eventually(lambda: works.registered() == ["a1", "b"])
    first.stop()
    second = works.reactor(registering())
    write(works.store, "a", in_colour("a4"))
    works.trigger("c")
    eventually(lambda: works.registered() == ["a1", "b", "c"])
    second.stop()
    assert len(facts(works, StreamQuarantined)) == 1 and facts(works, StreamReleased) == []
    write(works.store, "a", claimed("a5"))
    upgrade(monkeypatch)
    works.reactor(registering())
    eventually(lambda: len(works.registered()) == 7)
    assert works.registered() == ["a1", "b", "c", "a2", "a3", "a4", "a5"], "all of it, in the order of its stream"
    eventually(lambda: facts(works, StreamReleased))
    works.trigger("d")
    eventually(lambda: works.registered()[-1] == "d")
    assert len(facts(works, StreamReleased)) == 1 and held_streams(works.store) == {} and works.alarms() == []


def test_nothing_is_decided_on_such_a_stream(works: Works) -> None:
    write(works.store, "a", in_colour("a1"))
    with pytest.raises(UnknownEvent, match="newer version is needed") as refused:
        works.store.execute(ClaimFingerprint(fingerprint="a", invoice="x"), context=context(), key="k")
    assert refused.value.code == "stream_quarantined"
    with pytest.raises(UnknownEvent):
        works.store.load(FINGERPRINT, "a")


def test_a_reaction_that_has_to_look_at_such_a_stream_waits_too(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not refused: giving it up with an alarm would lose it."""
    looking = Process("looking")

    @looking.reacts_to(FingerprintClaimed)
    def look_first(entry: Entry, event: FingerprintClaimed, look: Look) -> Iterable[Command]:
        look(FINGERPRINT, "a" if event.invoice == "b" else event.invoice)
        return [RegisterCompany(role="r", company_number=event.invoice, subject="s")]

    write(works.store, "a", in_colour("a1"))
    running = works.reactor(looking)
    for name in ("b", "c"):
        works.trigger(name)
    eventually(works.registered)
    assert works.registered() == ["c"] and works.alarms() == []
    assert [fact.reason for fact in facts(works, StreamQuarantined)] == ["unknown_event", "UnknownEvent"]
    running.stop()
    upgrade(monkeypatch)
    works.reactor(looking)
    eventually(lambda: works.registered() == ["c", "b"])


# ---------------------------------------------------------------- bugs


def test_a_bug_that_stays_is_quarantined_and_released_on_request(works: Works) -> None:
    broken = {"b1"}
    running = works.reactor(registering(broken))
    write(works.store, "b", claimed("b1"))
    works.trigger("c")
    write(works.store, "b", claimed("b2"))
    works.trigger("d")
    eventually(lambda: works.registered() == ["c", "d"])
    assert [(fact.reason, fact.type) for fact in facts(works, StreamQuarantined)] == [
        ("KeyError", "fingerprint.claimed.1")]
    ask_for_release(works, "b")
    eventually(lambda: running.position == works.store.head())
    assert works.registered() == ["c", "d"] and facts(works, StreamReleased) == [], "it still fails"
    broken.clear()
    ask_for_release(works, "b")
    eventually(lambda: works.registered() == ["c", "d", "b1", "b2"])
    eventually(lambda: facts(works, StreamReleased))
    write(works.store, "b", claimed("b3"))
    eventually(lambda: works.registered()[-1] == "b3")
    assert len(facts(works, StreamQuarantined)) == 1 and works.alarms() == []


def test_a_crash_while_it_is_made_up_for_doubles_nothing(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    execute, failures = works.store.execute, [Unavailable("the power went")] * 2

    def failing(*commands: Command, **kwargs: Any) -> Any:
        if kwargs["key"].startswith("processes.release") and failures:
            raise failures.pop()
        return execute(*commands, **kwargs)

    broken = {"b1"}
    first = works.reactor(registering(broken))
    write(works.store, "b", claimed("b1"), claimed("b2"))
    works.trigger("c")
    eventually(lambda: works.registered() == ["c"])
    first.stop()
    monkeypatch.setattr(works.store, "execute", failing)
    works.reactor(registering())
    eventually(lambda: facts(works, StreamReleased))
    assert works.registered() == ["c", "b1", "b2"] and failures == []


# ---------------------------------------------------------------- effects


def ringing() -> Process:
    process = Process("ringing")

    @process.effect(FingerprintClaimed, port="bell")
    @process.effect(ClaimedInColour, port="bell")
    def ring(entry: Entry, event: Any, outside: Any) -> Iterable[Command]:
        outside.bell.ring(event.invoice)
        return [RaiseAlarm(alarm=event.invoice, source="rung", code="rung", detail="")]

    return process


def test_effects_behind_an_unreadable_entry_are_owed(
    works: Works, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "SAVE_EVERY", 1)
    for turn in range(2):
        running = works.effects(ringing())
        if turn == 0:
            position = write(works.store, "a", claimed("a1"), in_colour("a2"), claimed("a3"))[1]
        works.trigger(f"b{turn}")
        eventually(lambda turn=turn, running=running: bell.rung[f"b{turn}"] == 1 and running.oldest_open() is None)
        running.stop()
    assert dict(bell.rung) == {"a1": 1, "b0": 1, "b1": 1}
    assert works.store.bookmark("effects") < position, "a restart must meet it again"
    assert len(facts(works, StreamQuarantined)) == 1
    upgrade(monkeypatch)
    works.effects(ringing())
    eventually(lambda: len(facts(works, AlarmRaised)) == 5)
    assert dict(bell.rung) == {"a1": 1, "b0": 1, "b1": 1, "a2": 1, "a3": 1}
    assert [fact.follower for fact in facts(works, StreamReleased)] == ["effects"]
    eventually(lambda: works.store.bookmark("effects") > position)


def test_an_effect_that_has_to_look_at_such_a_stream_stays_owed(
    works: Works, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = Process("looking")

    @looking.effect(FingerprintClaimed, port="bell")
    def look_first(entry: Entry, event: FingerprintClaimed, outside: Any) -> Iterable[Command]:
        outside.look(FINGERPRINT, "a")
        return [RegisterCompany(role="r", company_number=event.invoice, subject="s")]

    write(works.store, "a", in_colour("a1"))
    running = works.effects(looking)
    position = works.trigger("b")
    eventually(works.alarms)
    assert works.alarms() == [(f"looking.look_first:{position}:failing", "stream_quarantined")]
    assert running.oldest_open() == ("bell", position)
    upgrade(monkeypatch)
    eventually(lambda: works.registered() == ["b"])


def test_the_operator_names_what_is_held(works: Works) -> None:
    works.reactor(registering())
    works.effects(ringing())
    write(works.store, "a", in_colour("a1"))
    eventually(lambda: len(held_streams(works.store)) == 2)
    assert {follower for follower, _ in held_streams(works.store)} == {"processes", "effects"}
