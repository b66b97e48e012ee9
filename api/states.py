"""The state in which each entry of the log left its thing: the fold of the thing's own history up to that entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from domain.base import Kind
from domain.catalogue import KINDS
from eventstore.entry import Unreadable
from eventstore.store import Store


def with_states(store: Store, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The audit trail's rows with `state` in the place of `stream`; None for a thing that has no states."""
    shown = list(rows)
    last = {row["stream"]: row["position"] for row in shown}
    kinds = {row["stream"]: kind for row in shown if (kind := _kind_of(row["type"])) is not None}
    states = {position: state for stream, kind in kinds.items()
              for position, state in _left(store, kind, stream, last[stream])}
    return [{**{name: value for name, value in row.items() if name != "stream"}, "state": states.get(row["position"])}
            for row in shown]


def _kind_of(tag: str) -> Kind[Any] | None:
    """Which kind of thing an event is of, if it is one that has states."""
    kind = KINDS.get(tag.partition(".")[0])
    return kind if kind is not None and hasattr(kind.initial, "state") else None


def _left(store: Store, kind: Kind[Any], stream: UUID, upto: int) -> Iterator[tuple[int, str]]:
    """Position and state after it, for each entry of one thing; none while one of them cannot be read."""
    entries = store.entries_of_stream(stream, 1)
    if any(isinstance(entry.event, Unreadable) for entry in entries):
        return
    aggregate = kind.initial
    for entry in entries:
        if entry.position <= upto:
            aggregate = kind.evolve(aggregate, entry.event)
            yield entry.position, aggregate.state
