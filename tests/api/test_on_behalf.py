"""Staff who act on a customer are recorded as acting on its behalf: in every entry, by every command."""

from __future__ import annotations

from domain.party import STAFF_ROLES
from tests.scenarios.town import Town

ABOUT_NOBODY = {
    "clock.advanced.1": "the platform's clock",
    "alarm.cleared.1": "an incident",
    "token.lock_requested.1": "a token, whose holders stand in its register",
    "token.unlock_requested.1": "the same",
    "restricted.recorded.1": "naming the subject would tip off",
    "restricted.turn_taken.1": "the same",
    "staff.enrolled.1": "a member of staff",
}


def test_every_entry_of_staff_about_a_customer_names_it(town: Town) -> None:
    log = town.house.platform.store.read(0, 100_000)
    of_staff = [entry for entry in log if entry.actor_role in STAFF_ROLES and entry.event.tag not in ABOUT_NOBODY]
    assert {entry.event.action for entry in of_staff} >= {"MLRO_APPROVE", "ORDER_PROPOSED"}
    assert [(entry.position, entry.event.tag) for entry in of_staff if not entry.on_behalf_of] == []


def test_nobody_else_acts_on_behalf_of_a_customer(town: Town) -> None:
    log = town.house.platform.store.read(0, 100_000)
    assert {entry.actor_role for entry in log if entry.on_behalf_of} <= set(STAFF_ROLES)
