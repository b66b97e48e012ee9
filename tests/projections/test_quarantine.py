"""A read model leaves a stream out from its first unreadable entry on, and is built anew once that can be read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from domain.quarantine import StreamQuarantined, StreamReleased
from eventstore.store import Store
from projections.audit_trail import entries
from projections.base import Projection, prepare, rebuild
from projections.mlro_queue import open_incidents
from projections.projector import Projector
from tests.eventstore.newer import claimed, in_colour, stream_of, upgrade, write
from tests.projections.conftest import ALL, checksums

Start = Callable[[], Projector]


def shown(engine: Engine) -> list[str]:
    """What the audit trail holds of the fingerprints, in its order."""
    with engine.connect() as connection:
        return [f"{row['resource']} {row['type'][-1]}" for row in entries(connection)
                if row["type"].startswith("fingerprint.")]


def facts(store: Store, kind: type[Any]) -> list[Any]:
    return [entry.event for entry in store.read(0, 10_000) if isinstance(entry.event, kind)]


def told(running: Projector, store: Store, kind: type[Any], times: int = 1) -> list[Any]:
    """What the projector said, once it has said it and the read models show that too."""
    deadline = time.monotonic() + 10
    while len(facts(store, kind)) < times or running.position < store.head():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return facts(store, kind)


def behind(running: Projector, store: Store) -> None:
    """Until the read models have seen all there is."""
    assert running.wait_for(store.head(), 10)


def test_an_unreadable_stream_is_left_out_alone_and_for_good(engine: Engine, store: Store, projector: Start) -> None:
    running = projector()
    write(store, "a", claimed("a1"))
    position = write(store, "a", in_colour("a2"), claimed("a3"))[0]
    write(store, "b", claimed("b1"))
    write(store, "a", claimed("a4"))
    said = told(running, store, StreamQuarantined)
    assert shown(engine) == ["a 1", "b 1"] and running.stuck == {}
    assert running.incomplete() == {projection.name: 1 for projection in ALL}
    assert said == [StreamQuarantined(
        follower="read-models", stream=stream_of(store, "a"), position=position, type="fingerprint.claimed.2",
        reason="unknown_event", resource="a")]
    with engine.connect() as connection:
        assert [(row["kind"], row["reason"], row["detail"]) for row in open_incidents(connection)] == [
            ("QUARANTINE", "unknown_event", f"read-models: without a from entry {position} (fingerprint.claimed.2) on")]
    running.stop()
    second = projector()
    write(store, "a", claimed("a5"))
    behind(second, store)
    live = checksums(engine)
    for projection in ALL:
        rebuild(engine, store, projection)
    assert checksums(engine) == live, "a rebuild leaves out the same"
    assert second.incomplete() == {projection.name: 1 for projection in ALL}
    assert len(facts(store, StreamQuarantined)) == 1


def test_once_it_can_be_read_it_is_in_its_place(
    engine: Engine, store: Store, projector: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = projector()
    write(store, "a", claimed("a1"), in_colour("a2"))
    write(store, "b", claimed("b1"))
    write(store, "a", claimed("a3"))
    told(first, store, StreamQuarantined)
    first.stop()
    upgrade(monkeypatch)
    second = projector()
    write(store, "c", claimed("c1"))
    told(second, store, StreamReleased)
    assert shown(engine) == ["a 1", "a 2", "b 1", "a 1", "c 1"] and second.incomplete() == {}
    live = checksums(engine)
    for projection in ALL:
        rebuild(engine, store, projection)
    assert checksums(engine) == live


def test_a_rebuild_by_hand_is_told_to_the_log_at_the_next_start(
    engine: Engine, store: Store, projector: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = projector()
    write(store, "a", in_colour("a1"))
    told(first, store, StreamQuarantined)
    first.stop()
    upgrade(monkeypatch)
    for projection in ALL:
        rebuild(engine, store, projection)
    second = projector()
    assert len(told(second, store, StreamReleased)) == 1 and second.incomplete() == {}


def test_a_read_model_made_anew_leaves_out_what_the_others_do(engine: Engine, store: Store, projector: Start) -> None:
    write(store, "a", claimed("a1"), in_colour("a2"), claimed("a3"))
    running = projector()
    told(running, store, StreamQuarantined)
    running.stop()
    late = Projection("late")
    seen: list[int] = []
    late.on_every(lambda connection, entry, event: seen.append(entry.position))
    prepare(engine, [*ALL, late])
    second = Projector(engine, store, running.feed, [*ALL, late])
    second._step()
    assert seen == [1, 4] and second.incomplete() == {projection.name: 1 for projection in (*ALL, late)}
