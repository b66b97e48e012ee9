"""The state shown of an entry is that of its thing after it: the thing's own fold, and no guess."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

from api.states import with_states
from domain.base import Event
from domain.catalogue import KINDS
from domain.invoice import INVOICE
from domain.subject import SUBJECT
from eventstore.entry import Entry
from eventstore.store import Store
from tests.eventstore import newer
from tests.projections.story import REFERENCE, SELLER, story_entries


def as_rows(entries: list[Entry]) -> list[dict[str, Any]]:
    """What the read model keeps of them, as far as it matters here."""
    return [{"position": entry.position, "stream": entry.originator_id, "type": entry.event.tag} for entry in entries]


def folds(entries: list[Entry]) -> dict[int, str | None]:
    """Position -> the state of its thing there, folded from the thing's first event each time."""
    told: dict[Any, list[Event]] = defaultdict(list)
    found: dict[int, str | None] = {}
    for entry in entries:
        told[entry.originator_id].append(entry.event)
        kind = KINDS.get(entry.event.tag.partition(".")[0])
        state = kind.initial if kind else None
        for event in told[entry.originator_id] if kind else ():
            state = kind.evolve(state, event) if kind else None
        found[entry.position] = getattr(state, "state", None)
    return found


def test_every_state_of_the_story_is_its_things_own_fold(store: Store) -> None:
    entries = story_entries(store)
    shown = {row["position"]: row["state"] for row in with_states(store, as_rows(entries))}
    assert shown == folds(entries)
    assert sum(state is not None for state in shown.values()) > len(entries) // 2
    assert shown[last(entries, INVOICE.stream(store.tenant, REFERENCE))] == store.load(INVOICE, REFERENCE).state
    assert shown[last(entries, SUBJECT.stream(store.tenant, SELLER))] == store.load(SUBJECT, SELLER).state


def last(entries: list[Entry], stream: UUID) -> int:
    """The position of a thing's last entry."""
    return max(entry.position for entry in entries if entry.originator_id == stream)


def test_a_page_shows_what_the_whole_list_shows(store: Store) -> None:
    rows = as_rows(story_entries(store))
    whole = with_states(store, rows)
    assert [row for at in range(0, len(rows), 7) for row in with_states(store, rows[at:at + 7])] == whole


def test_a_thing_with_an_entry_nobody_can_read_shows_no_state(store: Store) -> None:
    rows = as_rows(story_entries(store))
    stream = INVOICE.stream(store.tenant, REFERENCE)
    newer.append(store, stream, REFERENCE, newer.in_colour("x"))
    assert {row["state"] for row, given in zip(with_states(store, rows), rows, strict=True)
            if given["stream"] == stream} == {None}
    assert any(row["state"] for row in with_states(store, rows))
