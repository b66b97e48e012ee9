"""The projection engine: live rows equal rebuilt rows, whatever happens in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select, text

from domain.invoice import INVOICE, InvoiceFunded
from eventstore.follow import Feed
from eventstore.store import Store
from projections import base
from projections.base import Projection, checksum, position_of, rebuild
from projections.cash_ledger import Unbalanced, cash_ledger
from projections.projector import Projector
from tests.projections.conftest import ALL, alarm, alarms_by_position, checksums, names, take_up
from tests.projections.story import REFERENCE, story_entries

Start = Callable[[], Projector]


# ---------------------------------------------------------------- live and rebuilt


def test_a_rebuild_equals_the_live_rows(engine: Engine, store: Store, projector: Start) -> None:
    running = projector()
    told = story_entries(store)
    assert running.wait_for(told[-1].position, 20)
    live = checksums(engine)
    for projection in ALL:
        progress: list[int] = []
        assert rebuild(engine, store, projection, progress.append) == told[-1].position
        assert progress == sorted(progress) and progress[-1] == told[-1].position
    assert checksums(engine) == live
    with engine.connect() as connection:
        assert {position_of(connection, projection.name) for projection in ALL} == {told[-1].position}
        empty = [t.name for p in ALL for t in p.tables if connection.execute(select(t).limit(1)).first() is None]
        assert set(empty) <= {"slice_listings", "marketplace_absent"}, (
            "the story touches every table; closed registers sell nothing, and nobody is frozen at its end")


def test_rebuilding_while_the_projector_runs(
    engine: Engine, store: Store, projector: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers see whole tables all the time; nothing is lost or applied twice at the swap."""
    monkeypatch.setattr(base, "PAGE", 7)
    running = projector()
    writing = threading.Thread(target=story_entries, args=(store,))
    writing.start()
    counts: list[int] = []
    trail = next(projection for projection in ALL if projection.name == "audit_trail")
    while writing.is_alive():
        for projection in ALL:
            rebuild(engine, store, projection)
        with engine.connect() as connection:
            counts.append(len(connection.execute(select(trail.tables[0].c.position)).all()))
    writing.join()
    assert counts == sorted(counts)
    assert running.wait_for(store.head(), 20)
    live = checksums(engine)
    for projection in ALL:
        rebuild(engine, store, projection)
    assert checksums(engine) == live


def test_a_rebuild_keeps_the_applications_right_to_read(engine: Engine, store: Store, database: str) -> None:
    story_entries(store)
    for projection in ALL:
        rebuild(engine, store, projection)
    with psycopg.connect(store.conninfo) as connection:
        for projection in ALL:
            for table in projection.tables:
                connection.execute(f"SELECT count(*) FROM read.{table.name}")  # pyright: ignore
    with psycopg.connect(database) as connection:
        left = [connection.execute(f"SELECT count(*) FROM read_rebuild.{table.name}").fetchone()  # pyright: ignore
                for projection in ALL for table in projection.tables]
        indexes = connection.execute("SELECT count(*) FROM pg_indexes WHERE schemaname = 'read'").fetchone()
    assert set(left) == {(0,)} and indexes is not None and indexes[0] > 12


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(4, 60), min_size=1, max_size=6))
def test_whatever_the_pages_the_rows_are_the_same(
    engine: Engine, store: Store, feed: Feed, cuts: list[int]
) -> None:
    told = store.read(0, limit=10_000) or story_entries(store)
    for projection in ALL:
        rebuild(engine, store, projection)
    whole = checksums(engine)
    empty(engine)
    running = Projector(engine, store, feed, ALL)
    start = 0
    while start < len(told):
        size = cuts[start % len(cuts)]
        for projection in ALL:
            running._apply(projection, told[start:start + size], start)
            overlap = max(0, start - 3)
            running._apply(projection, told[overlap:start + size], overlap)
        start += size
    assert checksums(engine) == whole


def empty(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(base.bookmarks.update().values(position=0))
        for projection in ALL:
            for table in projection.tables:
                connection.execute(table.delete())


# ---------------------------------------------------------------- one transaction


def test_row_and_bookmark_are_one(
    database: str, engine: Engine, store: Store, feed: Feed, alarms: Projection
) -> None:
    take_up(database, engine, [alarms])
    running = Projector(engine, store, feed, [alarms])
    alarm(store, "good")
    assert running._step()
    alarm(store, "second")
    alarm(store, "bad")
    running._stop.set()
    running._step()
    assert names(engine, alarms) == ["good"], "neither the page's good row nor the bad one"
    with engine.connect() as connection:
        assert position_of(connection, alarms.name) == 1


def test_a_read_model_that_fails_does_not_hold_up_the_others(
    database: str, engine: Engine, store: Store, feed: Feed, alarms: Projection
) -> None:
    take_up(database, engine, [alarms])
    running = Projector(engine, store, feed, [alarms, *ALL])
    running._stop.set()
    alarm(store, "bad")
    for name in ("x", "y"):
        alarm(store, name)
        running._step()
    with engine.connect() as connection:
        assert [position_of(connection, p.name) for p in (alarms, *ALL)] == [0, *[3] * len(ALL)]
    assert running.position == 3, "nobody waits for the one that is stuck"
    assert set(running.stuck) == {"test_alarms"}


def test_a_page_that_does_not_continue_the_rows_is_left_alone(
    database: str, engine: Engine, store: Store, feed: Feed, alarms: Projection
) -> None:
    """Another process emptied the read model (its shape changed) after this one read its page."""
    take_up(database, engine, [alarms])
    running = Projector(engine, store, feed, [alarms])
    for name in ("a", "b", "c"):
        alarm(store, name)
    assert running._apply(alarms, store.read(1), 1) == 0
    assert names(engine, alarms) == []
    running._step()
    assert names(engine, alarms) == ["a", "b", "c"]


def test_the_ledger_refuses_an_unbalanced_event(engine: Engine, store: Store) -> None:
    told = story_entries(store)
    funded = next(entry for entry in told if isinstance(entry.event, InvoiceFunded))
    crooked = msgspec.structs.replace(funded, event=msgspec.structs.replace(funded.event, seller_cash_pence=1))
    with engine.connect() as connection, pytest.raises(Unbalanced, match=rf"entry {funded.position} "):
        cash_ledger.apply(connection, [crooked])


# ---------------------------------------------------------------- shape


def test_a_changed_shape_is_built_anew(
    database: str, engine: Engine, store: Store, feed: Feed, alarms: Projection
) -> None:
    take_up(database, engine, [alarms])
    alarm(store, "a")
    Projector(engine, store, feed, [alarms])._step()
    take_up(database, engine, [alarms])
    assert names(engine, alarms) == ["a"], "the same shape keeps its rows"

    changed = alarms_by_position("source")
    assert changed.shape != alarms.shape
    take_up(database, engine, [changed])
    assert names(engine, changed) == []
    Projector(engine, store, feed, [changed])._step()
    with engine.connect() as connection:
        assert connection.execute(select(changed.tables[0])).all() == [("tnt_fintokenx", 1, "a", "s")]


def test_a_new_read_model_catches_up_from_the_beginning(
    database: str, engine: Engine, store: Store, feed: Feed, alarms: Projection, projector: Start
) -> None:
    running = projector()
    assert running.wait_for(alarm(store, "a"), 10)
    running.stop()
    take_up(database, engine, [*ALL, alarms])
    second = Projector(engine, store, feed, [*ALL, alarms])
    second.start()
    try:
        assert second.wait_for(alarm(store, "b"), 10)
        assert names(engine, alarms) == ["a", "b"]
    finally:
        second.stop()


def test_two_processes_prepare_at_once(database: str, engine: Engine, alarms: Projection) -> None:
    errors: list[Exception] = []

    def run() -> None:
        try:
            take_up(database, engine, [*ALL, alarms])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


# ---------------------------------------------------------------- running


def test_a_projector_resumes_where_it_stopped(engine: Engine, store: Store, projector: Start) -> None:
    first = projector()
    assert first.wait_for(alarm(store, "a"), 10)
    first.stop()
    alarm(store, "b")
    second = projector()
    assert second.wait_for(alarm(store, "c"), 10)
    live = checksums(engine)
    for projection in ALL:
        rebuild(engine, store, projection)
    assert checksums(engine) == live


def test_one_projector_leads_and_the_other_can_still_wait(engine: Engine, store: Store, projector: Start) -> None:
    first = projector()
    assert first.wait_for(alarm(store, "a"), 10)
    second = projector()
    assert second.wait_for(alarm(store, "b"), 10)
    assert first._lead.leading and not second._lead.leading
    assert not second.wait_for(99, 0.05)
    first.stop()
    position = alarm(store, "c")
    assert second.wait_for(position, 10)
    assert second.lowest() == position


def test_a_projector_outlives_lost_connections(
    engine: Engine, store: Store, database: str, projector: Start
) -> None:
    running = projector()
    assert running.wait_for(alarm(store, "a"), 10)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                      "AND usename IN ('fx_append', 'fx_read', 'fx_project')")
    position = alarm(store, "b")
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            if running.lowest() >= position:
                break
        except Exception:
            time.sleep(0.1)
    assert running.lowest() == position


def test_checksums_see_every_value(engine: Engine, store: Store) -> None:
    story_entries(store)
    for projection in ALL:
        rebuild(engine, store, projection)
    before = checksums(engine)
    assert len(set(before.values())) == len(ALL)
    with engine.begin() as connection:
        connection.execute(text("UPDATE read.invoices SET face_pence = face_pence + 1"))
    after = checksums(engine)
    assert [name for name in before if before[name] != after[name]] == ["invoices"]
    with engine.connect() as connection:
        assert checksum(connection, ALL[0]) == after[ALL[0].name]
    assert store.load(INVOICE, REFERENCE).state == "SETTLED"
