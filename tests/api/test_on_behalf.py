"""Staff who act on a customer are recorded as acting on its behalf: in every entry, by every command."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from api.app import ROUTES
from domain.base import Command
from domain.party import STAFF_ROLES
from domain.platform import AdvanceClock, ClearAlarm
from domain.restricted import RecordRestricted, TakeTurn
from domain.token import LockToken, UnlockToken
from tests.scenarios.town import Town

ABOUT_NOBODY: dict[type[Command], str] = {
    AdvanceClock: "the platform's clock",
    ClearAlarm: "an incident",
    LockToken: "a token, whose holders stand in its register",
    UnlockToken: "the same",
    RecordRestricted: "naming the subject would tip off",
    TakeTurn: "the same",
}
TOLD_WITHOUT = {"clock.advanced.1", "alarm.cleared.1", "token.lock_requested.1", "token.unlock_requested.1",
                "restricted.recorded.1", "restricted.turn_taken.1", "staff.enrolled.1"}
"""The events of those."""


def of_staff() -> Iterator[Any]:
    """The routes by which staff, and nobody else, change something."""
    for handler in ROUTES:
        roles = set(handler.opt["roles"])
        if "POST" in handler.http_methods and roles and roles <= set(STAFF_ROLES):
            yield handler


def called_names(function: Any, seen: set[str]) -> tuple[set[type[Command]], bool]:
    """The commands a handler builds, through the functions of its own module; and whether it says on whose behalf."""
    module = sys.modules[function.__module__]
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    commands: set[type[Command]] = set()
    says = any(isinstance(node, ast.keyword) and node.arg == "on_behalf_of" for node in ast.walk(tree))
    for name in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - seen:
        seen.add(name)
        found = getattr(module, name, None)
        if isinstance(found, type) and issubclass(found, Command) and found is not Command:
            commands.add(found)
        elif inspect.isfunction(found) and found.__module__ == function.__module__:
            more, more_says = called_names(found, seen)
            commands, says = commands | more, says or more_says
    return commands, says


@pytest.mark.parametrize("handler", list(of_staff()), ids=lambda handler: sorted(handler.paths)[0])
def test_every_command_of_staff_names_whom_it_is_about(handler: Any) -> None:
    commands, says = called_names(inspect.unwrap(handler.fn), set())
    assert commands, "no command found: this walk must see what the route sends"
    named = {command for command in commands if command.about is not Command.about}
    assert says or named or commands <= set(ABOUT_NOBODY), "one of those sent together says it for all"


def test_every_entry_of_staff_about_a_customer_names_it(town: Town) -> None:
    log = town.house.platform.store.read(0, 100_000)
    told = [entry for entry in log if entry.actor_role in STAFF_ROLES and entry.event.tag not in TOLD_WITHOUT]
    assert {entry.event.action for entry in told} >= {"MLRO_APPROVE", "ORDER_PROPOSED"}
    assert [(entry.position, entry.event.tag) for entry in told if not entry.on_behalf_of] == []


def test_nobody_else_acts_on_behalf_of_a_customer(town: Town) -> None:
    log = town.house.platform.store.read(0, 100_000)
    assert {entry.actor_role for entry in log if entry.on_behalf_of} <= set(STAFF_ROLES)
