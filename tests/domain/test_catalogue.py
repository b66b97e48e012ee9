"""What holds for every event and every aggregate there is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.base import Command, Event
from domain.catalogue import EVENTS, KINDS
from domain.invoice import StartVerification
from tests.domain.examples import ANY_EVENT, strategy_of, types_in
from tests.domain.scenario import at, fold

TAG = re.compile(r"[a-z]+\.[a-z_]+\.[1-9][0-9]*")
ACTION = re.compile(r"[A-Z][A-Z_]+")


@pytest.mark.parametrize("kind", KINDS)
@given(history=st.lists(ANY_EVENT, max_size=6))
@settings(max_examples=60, database=None, deadline=None)
def test_evolve_is_total(kind: str, history: list[Event]) -> None:
    """Whatever the log holds, in whatever order, folding it raises nothing."""
    fold(kind, history)


@pytest.mark.parametrize("tag", EVENTS)
@given(data=st.data())
@settings(max_examples=5, database=None, deadline=None)
def test_every_event_is_taken_by_every_kind_in_its_first_state(tag: str, data: st.DataObject) -> None:
    event = data.draw(strategy_of(EVENTS[tag]))
    for kind in KINDS.values():
        kind.evolve(kind.initial, event)


@pytest.mark.parametrize("tag", EVENTS)
def test_names_are_stable_and_no_field_is_a_float(tag: str) -> None:
    event = EVENTS[tag]
    assert TAG.fullmatch(tag) and ACTION.fullmatch(event.action)
    assert float not in set(types_in(event))


def _commands(base: type[Command]) -> set[type[Command]]:
    children = {child for child in base.__subclasses__() if child.__module__.startswith("domain.")}
    return children.union(*(_commands(child) for child in children)) if children else set()


def test_every_command_names_a_kind() -> None:
    assert {command.kind for command in _commands(Command)} == set(KINDS)


def test_a_kind_does_not_decide_another_kinds_command() -> None:
    for name in ("subject", "token", "trade", "payment", "credit", "notice", "quarantine"):
        with pytest.raises(TypeError):
            KINDS[name].decide(KINDS[name].initial, StartVerification(reference="x"), at("2026-05-22T10:00"))
    with pytest.raises(TypeError):
        KINDS["invoice"].decide(KINDS["invoice"].initial, Command(), at("2026-05-22T10:00"))
