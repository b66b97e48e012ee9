"""The owner makes the tables, for every tenant; each tenant's processes keep their own rows in them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
import structlog.testing
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import IntegrityError

import bootstrap
from bootstrap import Settings, SetupError
from domain.quarantine import StreamQuarantined, StreamReleased
from eventstore.access import PROJECT
from eventstore.follow import Feed
from eventstore.store import Store
from projections import base
from projections.base import (
    OtherTables,
    Projection,
    RebuildUnderWay,
    open_engine,
    position_of,
    prepare,
    prepare_tables,
    rebuild,
)
from projections.projector import Projector
from tests.conftest import access_to
from tests.eventstore.newer import claimed, in_colour, write
from tests.projections.conftest import ALL, alarm, alarms_by_position, checksums, names, take_up
from tests.projections.story import story_entries
from tests.projections.test_quarantine import Start, behind, facts, told


@dataclass
class Tenant:
    store: Store
    engine: Engine
    feed: Feed

    def projector(self, *projections: Projection) -> Projector:
        return Projector(self.engine, self.store, self.feed, projections)

    def project(self, *projections: Projection) -> Projector:
        """Once over the log."""
        projector = self.projector(*projections)
        while projector._step():
            pass
        return projector


@pytest.fixture
def ours(engine: Engine, store: Store, feed: Feed) -> Tenant:
    return Tenant(store, engine, feed)


@pytest.fixture
def theirs(database: str) -> Iterator[Tenant]:
    access = access_to(database, "tnt_other")
    store, engine = Store(access), open_engine(access, PROJECT)
    feed = Feed(store.conninfo)
    prepare(engine, ALL)
    yield Tenant(store, engine, feed)
    feed.close()
    engine.dispose()
    store.close()


def execute(owner_url: str, *statements: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as owner:
        for statement in statements:
            owner.execute(statement)  # pyright: ignore[reportArgumentType, reportCallIssue]


def count(owner_url: str, table: str) -> int:
    """Rows of all tenants."""
    with psycopg.connect(owner_url) as owner:
        row = owner.execute(f"SELECT count(*) FROM {table}").fetchone()  # pyright: ignore
        return row[0] if row else -1


# ---------------------------------------------------------------- two tenants, one set of tables


def test_each_tenant_keeps_its_own_rows(database: str, ours: Tenant, theirs: Tenant) -> None:
    told = len(story_entries(ours.store))
    ours.project(*ALL)
    assert count(database, "read.audit_trail") == told
    alarm(theirs.store, "theirs")
    assert len(story_entries(theirs.store)) == told + 1
    theirs.project(*ALL)
    assert count(database, "read.audit_trail") == 2 * told + 1
    for tenant, rows in ((ours, told), (theirs, told + 1)):
        with tenant.engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM read.audit_trail")).scalar_one() == rows
            assert connection.execute(text("SELECT count(*) FROM read.bookmarks")).scalar_one() == len(ALL)


def test_a_rebuild_leaves_the_neighbours_rows_alone(database: str, ours: Tenant, theirs: Tenant) -> None:
    for tenant in (ours, theirs):
        story_entries(tenant.store)
        tenant.project(*ALL)
    before, mine = checksums(theirs.engine), checksums(ours.engine)
    with theirs.engine.begin() as connection:  # a rebuild of theirs is half done
        connection.execute(text("INSERT INTO read_rebuild.audit_trail SELECT * FROM read.audit_trail"))
    for projection in ALL:
        rebuild(ours.engine, ours.store, projection)
    assert checksums(theirs.engine) == before and checksums(ours.engine) == mine
    with theirs.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM read_rebuild.audit_trail")).scalar_one() > 0
    for projection in ALL:  # and what was broken off is in nobody's way
        rebuild(theirs.engine, theirs.store, projection)
    assert checksums(theirs.engine) == before and count(database, "read_rebuild.audit_trail") == 0


def test_only_the_same_tenants_rebuild_is_in_the_way(ours: Tenant, theirs: Tenant) -> None:
    trail = next(projection for projection in ALL if projection.name == "audit_trail")
    alarm(ours.store, "a")
    alarm(theirs.store, "a")
    met: list[str] = []

    def meanwhile(done: int) -> None:
        rebuild(ours.engine, ours.store, trail)
        with pytest.raises(RebuildUnderWay):
            rebuild(theirs.engine, theirs.store, trail)
        met.append("both")

    rebuild(theirs.engine, theirs.store, trail, meanwhile)
    assert met == ["both"]


# ---------------------------------------------------------------- another version's tables


def test_a_shape_that_changes_under_two_tenants(
    database: str, ours: Tenant, theirs: Tenant, alarms: Projection
) -> None:
    """We migrate and go on; the neighbour's old process stops where it is until it is started anew."""
    prepare_tables(database, [alarms])
    old: list[Projector] = []
    for tenant in (ours, theirs):
        prepare(tenant.engine, [alarms])
        alarm(tenant.store, "a")
        old.append(tenant.project(alarms, *ALL))
    changed = alarms_by_position("source")
    prepare_tables(database, [changed])
    prepare(ours.engine, [changed])
    with structlog.testing.capture_logs() as logs:
        for tenant, projector in zip((ours, theirs), old, strict=True):
            alarm(tenant.store, "b")
            projector._step()
            projector.stuck = dict.fromkeys(projector.stuck, 0.0)  # its second is over
            projector._step()
            assert set(projector.stuck) == {"test_alarms"}, "both old processes: neither shape is theirs"
    assert [(log["event"], log["name"]) for log in logs] == 2 * [("projection.of_another_version", "test_alarms")]
    assert count(database, "read.test_alarms") == 0 and old[1].position == theirs.store.head()
    for tenant in (ours, theirs):
        prepare(tenant.engine, [changed, *ALL])
        tenant.project(changed)
        assert names(tenant.engine, changed) == ["a", "b"]
    assert count(database, "read.test_alarms") == 4


def test_tables_made_anew_with_rows_written_meanwhile(database: str, theirs: Tenant, alarms: Projection) -> None:
    """Rows that somebody wrote into the new table before it was taken up would collide when the log is read again."""
    take_up(database, theirs.engine, [alarms])
    position = alarm(theirs.store, "a")
    theirs.project(alarms)
    changed = alarms_by_position("source")
    prepare_tables(database, [changed])
    with theirs.engine.begin() as connection:
        connection.execute(insert(changed.tables[0]).values(position=position, name="a"))
        connection.execute(insert(base.quarantined).values(
            name=changed.name, stream=theirs.store.read(0)[0].originator_id, position=position))
    prepare(theirs.engine, [changed])
    assert names(theirs.engine, changed) == []
    assert theirs.project(changed).stuck == {}
    assert names(theirs.engine, changed) == ["a"], "and no stream is left out on old grounds"


def test_an_old_process_does_not_write_into_what_a_new_one_took_up(
    database: str, ours: Tenant, alarms: Projection
) -> None:
    take_up(database, ours.engine, [alarms])
    first = ours.projector(alarms)
    changed = alarms_by_position("source")
    take_up(database, ours.engine, [changed])
    alarm(ours.store, "a")
    first._step()
    assert set(first.stuck) == {"test_alarms"} and names(ours.engine, changed) == []
    with pytest.raises(OtherTables):
        rebuild(ours.engine, ours.store, alarms)


def test_tables_made_anew_under_a_rebuild(
    database: str, ours: Tenant, alarms: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages written before are gone: half a read model must not be swapped in."""
    monkeypatch.setattr(base, "PAGE", 1)
    take_up(database, ours.engine, [alarms])
    for name in ("a", "b"):
        alarm(ours.store, name)
    ours.project(alarms)

    def meanwhile(done: int) -> None:
        execute(database, "DROP TABLE read_rebuild.test_alarms")
        take_up(database, ours.engine, [alarms])

    with pytest.raises(OtherTables):
        rebuild(ours.engine, ours.store, alarms, meanwhile)
    ours.project(alarms)
    assert names(ours.engine, alarms) == ["a", "b"]


def test_streams_left_out_are_not_released_before_they_are_met_again(
    database: str, engine: Engine, store: Store, projector: Start
) -> None:
    running = projector()
    write(store, "a", claimed("a1"), in_colour("a2"))
    told(running, store, StreamQuarantined)
    running.stop()
    execute(database, "DROP TABLE read.quarantined")
    take_up(database, engine, ALL)
    second = projector()
    behind(second, store)
    write(store, "b", claimed("b1"))
    behind(second, store)
    assert second.incomplete() == {projection.name: 1 for projection in ALL}
    assert (len(facts(store, StreamQuarantined)), facts(store, StreamReleased)) == (1, [])


# ---------------------------------------------------------------- making them


def test_making_the_tables_again_changes_nothing(database: str, ours: Tenant) -> None:
    alarm(ours.store, "a")
    ours.project(*ALL)
    before = checksums(ours.engine)
    take_up(database, ours.engine, ALL)
    assert checksums(ours.engine) == before
    with ours.engine.connect() as connection:
        assert position_of(connection, ALL[0].name) == 1
    with psycopg.connect(database) as owner:
        owners = owner.execute("SELECT DISTINCT schemaname, tableowner FROM pg_tables "
                               "WHERE schemaname IN ('read', 'read_rebuild') ORDER BY 1").fetchall()
    assert owners == [("read", "fx_migrate"), ("read_rebuild", "fx_migrate")]


@pytest.mark.parametrize("change", [
    "COMMENT ON TABLE read.invoices IS 'older'", "COMMENT ON TABLE read_rebuild.invoices IS NULL",
    "DROP TABLE read.quarantined", "DROP TABLE read.bookmarks"])
def test_a_start_on_another_versions_tables_is_one_line(database: str, settings: Settings, change: str) -> None:
    secrets = bootstrap.load_secrets(settings.home)
    bootstrap.open_database(settings, secrets, migrate=True)
    execute(database, change)
    with pytest.raises(SetupError, match="the read models are of another version .*: run `fx migrate`") as caught:
        bootstrap.open_with_read_models(settings, secrets)
    assert "\n" not in str(caught.value)
    bootstrap.open_database(settings, secrets, migrate=True)
    store, engine = bootstrap.open_with_read_models(settings, secrets)
    store.close()
    engine.dispose()


# ---------------------------------------------------------------- what is said of a failure


def test_an_error_names_no_values(database: str, ours: Tenant, alarms: Projection) -> None:
    """Log lines go where personal data must not."""
    take_up(database, ours.engine, [alarms])
    alarm(ours.store, "Aisha" + "Mahmood")
    with ours.engine.begin() as connection:
        connection.execute(insert(alarms.tables[0]).values(position=1, name="Aisha" + "Mahmood"))
    with pytest.raises(IntegrityError) as caught:
        ours.projector(alarms)._apply(alarms, ours.store.read(0), 0)
    said = "".join(traceback.format_exception(caught.value))
    assert "UniqueViolation" in said and "AishaMahmood" not in said
