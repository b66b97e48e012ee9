"""Loops go on: what ends one is said, alarmed and shown by health, and it is begun again; and no wait is for ever."""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.platform import AlarmRaised
from eventstore import loops
from eventstore.loops import Loop, unwell
from processes import effects
from processes.process import loop_ended
from providers.errors import LONGEST_WAIT_S, Retryable
from tests.processes.conftest import Bell, Works, eventually
from tests.processes.test_effects import ringing

ROOT = Path(__file__).parents[2]
WATCHED = ("eventstore", "projections", "processes", "bootstrap", "api", "providers", "chain")
NOT_LOOPS = {
    "eventstore/loops.py": "the one place where loops are made",
    "bootstrap/platform.py": "erasures are reapplied once, at the start",
    "projections/projector.py": "a read model is mended once; its own errors begin it again",
}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "AGAIN_S", 0.01)


@pytest.mark.parametrize("end", [OverflowError("timestamp too large"), SystemExit(3), KeyboardInterrupt(),
                                 MemoryError(), RecursionError(), GeneratorExit()], ids=lambda e: type(e).__name__)
def test_a_port_that_is_killed_goes_on_and_is_alarmed(works: Works, bell: Bell, end: BaseException) -> None:
    """Raised from the port itself: an error kills nothing, what is more than an error ends the thread."""
    bell.script["a"] = [end, end]  # pyright: ignore[reportArgumentType]
    running = works.effects(ringing())
    works.trigger("a")
    works.trigger("b")
    eventually(lambda: sorted(works.registered()) == ["a", "b"])
    assert bell.rung == {"a": 3, "b": 1}, "what was under way is still owed, and done once"
    if not isinstance(end, Exception):
        assert {name for name, _ in _ended(works)} <= {"fx-bell-0", "fx-bell-1"} and _ended(works)
        assert unwell(running.loops) and all(loop._thread.is_alive() for loop in running.loops)


@pytest.mark.parametrize("part", ["take", "follow"])
def test_a_loop_that_ends_outside_its_work_is_begun_again(
    works: Works, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """A number that nobody bounded once ended a port's threads where nothing caught it: while waiting for work."""
    ends = iter([OverflowError("timestamp too large")] * 2)

    def break_now() -> None:
        if (error := next(ends, None)) is not None:
            raise error

    running = works.effects(ringing())
    if part == "take":
        take = effects._Port.take
        monkeypatch.setattr(effects._Port, "take", lambda port, stop: (break_now(), take(port, stop))[1])
    else:
        held = running._lead.held
        monkeypatch.setattr(running._lead, "held", lambda: (break_now(), held())[1])
    for name in ("a", "b", "c"):
        works.trigger(name)
    eventually(lambda: sorted(works.registered()) == ["a", "b", "c"])
    eventually(lambda: _ended(works))
    assert unwell(running.loops)


def _ended(works: Works) -> list[tuple[str, str]]:
    return [(entry.event.detail.split()[0], entry.event.code) for entry in works.store.read(0, 10_000)
            if isinstance(entry.event, AlarmRaised) and entry.event.code == "loop_ended"]


def test_a_loop_that_ends_again_and_again_is_one_alarm_an_hour(works: Works) -> None:
    stop, turns = threading.Event(), []

    def run() -> None:
        turns.append(1)
        if len(turns) > 5:
            stop.set()
        raise OverflowError("timestamp too large")

    loop = Loop("fx-broken", run, stop, loop_ended(works.store, works.clock))
    loop.start()
    loop.join()
    assert len(turns) == 6 and _ended(works) == [("fx-broken", "loop_ended")]
    assert unwell([loop]) == ["fx-broken"]


def test_a_loop_that_returns_too_early_is_begun_again_and_one_never_started_is_not_missed() -> None:
    stop, turns = threading.Event(), []
    loop = Loop("fx-brief", lambda: turns.append(1) or (stop.set() if len(turns) == 3 else None), stop)
    assert unwell([loop]) == []
    loop.start()
    loop.join()
    assert len(turns) == 3


@pytest.mark.parametrize("wish", [99_999_999_999.0, 1_764_350_000.0, float("inf"), 1e300])
def test_a_vendors_wish_holds_up_its_own_effect_and_nothing_else(works: Works, bell: Bell, wish: float) -> None:
    """The wait is cut where an error is made, and where it is used: one that another class carries is cut as well."""

    class Smuggled(Retryable):
        def __init__(self) -> None:
            super().__init__("later")
            self.retry_after_s = wish

    bell.script["a"], bell.script["b"] = [Retryable("later", retry_after_s=wish)], [Smuggled()]
    running = works.effects(ringing())
    for name in ("a", "b", "c"):
        works.trigger(name)
    eventually(lambda: works.registered() == ["c"])
    waits = [due for port in running.ports.values() for due, _, _ in port.heap]
    assert len(waits) == 2 and max(waits) - min(waits) < LONGEST_WAIT_S
    assert all(effects.time.monotonic() < due <= effects.time.monotonic() + LONGEST_WAIT_S for due in waits)
    assert unwell(running.loops) == []


def sources() -> Iterator[tuple[str, ast.Module]]:
    for room in WATCHED:
        for path in (ROOT / room).rglob("*.py"):
            if "simulator" not in path.name and "stage" not in path.parts:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def calls(tree: ast.Module, wanted: Callable[[str], bool]) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and wanted(ast.unparse(node.func)):
            yield node


def test_every_thread_of_the_platform_is_a_loop() -> None:
    found = {name for name, tree in sources() for _ in calls(tree, lambda called: called == "threading.Thread")}
    assert found == set(NOT_LOOPS)


def test_every_wait_of_the_processes_has_an_end() -> None:
    """What is waited is a constant, or cut by `min` or `bounded_wait`; a name in lower case must come from one."""
    bounded, loose = {"pause_s", "timeout_s", "seconds"}, list[str]()
    for name, tree in sources():
        if not name.startswith("processes/"):
            continue
        for call in calls(tree, lambda called: called.endswith((".wait", "time.sleep"))):
            waited: list[Any] = [*call.args, *(keyword.value for keyword in call.keywords)]
            said = ast.unparse(waited[0]) if waited else ""
            fine = said.startswith(("min(", "bounded_wait(", "self._until_due(")) or said.isupper() or said in bounded
            if not (fine or _number(said) or (not said and "_log.wait" in ast.unparse(call.func))):
                loose.append(f"{name}:{call.lineno}: {ast.unparse(call)}")
    assert loose == []


def _number(said: str) -> bool:
    return said.replace(".", "", 1).isdigit()
