"""Tenants share a log and see nothing of each other, whatever SQL a session is made to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

import migrations
from domain.support import SupportBypassed
from eventstore import lane
from eventstore.access import ANCHOR, APPEND, READ, SUPPORT, Access, TenantUnproved
from eventstore.entry import encode, header
from eventstore.store import Store
from eventstore.support import BypassUnexplained, NoSuchTenant, read_as_support
from projections.base import prepare_tables
from projections.catalogue import PROJECTIONS
from tests.conftest import access_to
from tests.eventstore.notes import CONTEXT, NOW, PAD, Note

CANARY = "canary of the neighbour"


@pytest.fixture
def neighbour(database: str) -> Iterator[Store]:
    """Another tenant of the same log, with something to find."""
    opened = Store(access_to(database, "tnt_neighbour"))
    opened.execute(Note(pad="theirs", text=CANARY), context=replace_tenant("tnt_neighbour"), key="theirs")
    yield opened
    opened.close()


def replace_tenant(tenant: str) -> Any:
    import msgspec

    return msgspec.structs.replace(CONTEXT, tenant=tenant)


def counts(connection: psycopg.Connection[Any]) -> list[int]:
    return [connection.execute(f"SELECT count(*) FROM fx.{table}").fetchone()[0]  # pyright: ignore
            for table in ("audit_entries", "command_keys", "bookmarks")]


# ---------------------------------------------------------------- the context


def test_an_unproved_session_sees_nothing_and_appends_nothing(access: Access, store: Store) -> None:
    store.execute(Note(pad="a"), context=CONTEXT, key="k", bookmark=("b", 1))
    with psycopg.connect(access.conninfo(READ)) as connection:
        assert counts(connection) == [0, 0, 0]
    with access.connect(READ) as connection:
        assert counts(connection) == [1, 1, 1]
    with psycopg.connect(access.conninfo(APPEND)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        nothing = ", ".join(12 * ["'{}'"])
        connection.execute(f"SELECT fx.append_batch({nothing})")  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_what_an_injected_statement_could_try(access: Access, store: Store, neighbour: Store, database: str) -> None:
    """Everything but the proof itself can be set by whoever runs SQL; none of it opens the neighbour's rows."""
    store.execute(Note(pad="a"), context=CONTEXT, key="k")
    other = access_to(database, "tnt_neighbour")
    with access.connect(READ) as connection, other.connect(READ) as theirs:
        (genuine,) = connection.execute("SELECT current_setting('fx.context')").fetchone() or ("",)
        (stolen,) = theirs.execute("SELECT current_setting('fx.context')").fetchone() or ("",)
        forged = ["", ":", ":tnt_neighbour", "tnt_neighbour", "0" * 64 + ":tnt_neighbour", stolen, stolen.upper(),
                  genuine[:65] + "tnt_neighbour", genuine + "' OR true --", genuine[:64] + "|tnt_neighbour",
                  "x" * 100_000, genuine[:-1], genuine + " "]
        for claim in forged:
            for scope in ("false", "true"):
                with connection.transaction():
                    connection.execute(f"SELECT set_config('fx.context', %s, {scope})", (claim,))  # pyright: ignore
                    assert connection.execute("SELECT fx.tenant()").fetchone() == (None,), claim
                    assert counts(connection) == [0, 0, 0]
        connection.execute("SELECT set_config('fx.tenant', 'tnt_neighbour', false), "
                           "set_config('fx.bypass_rls', 'on', false), set_config('fx.context', %s, false)", (genuine,))
        found = connection.execute("SELECT DISTINCT tenant_id FROM fx.audit_entries").fetchall()
        assert found == [("tnt_fintokenx",)]
        connection.execute("SET row_security = off")  # asks for an error instead of hidden rows
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT count(*) FROM fx.audit_entries")


def test_a_proof_is_worth_nothing_in_another_backend(access: Access, store: Store) -> None:
    with access.connect(READ) as connection, psycopg.connect(access.conninfo(READ)) as attacker:
        (genuine,) = connection.execute("SELECT current_setting('fx.context')").fetchone() or ("",)
        attacker.execute("SELECT set_config('fx.context', %s, false)", (genuine,))
        assert attacker.execute("SELECT fx.tenant()").fetchone() == (None,)


def test_functions_and_casts_of_the_caller_do_not_change_the_answer(access: Access, neighbour: Store) -> None:
    """Objects of one's own in pg_temp, an operator that leaks its operands: the policy comes first."""
    with access.connect(READ) as connection:
        connection.execute("CREATE FUNCTION pg_temp.leak(bytea) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS "
                           "$$ BEGIN RAISE NOTICE '%', convert_from($1, 'UTF8'); RETURN true; END $$")
        connection.execute("CREATE FUNCTION pg_temp.tenant() RETURNS text LANGUAGE sql AS $$ SELECT 'tnt_neighbour' $$")
        heard: list[str] = []
        connection.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
        assert connection.execute("SELECT count(*) FROM fx.audit_entries WHERE pg_temp.leak(body)").fetchone() == (0,)
        assert connection.execute("EXPLAIN ANALYZE SELECT * FROM fx.audit_entries WHERE pg_temp.leak(body)").fetchall()
        assert not any(CANARY in text for text in heard)


def test_a_wrong_secret_is_told_at_once(access: Access) -> None:
    access_to(access.url, "tnt_neighbour")
    for wrong in (replace(access, secret=bytes(32)), replace(access, tenant="tnt_unknown"),
                  replace(access, tenant="tnt_neighbour")):
        with pytest.raises(TenantUnproved):
            wrong.connect(READ)


def test_two_tenants_take_turns_on_one_connection_each(database: str, neighbour: Store) -> None:
    """Pools of size one, interleaved: what a session was bound to stays with its pool."""
    mine = access_to(database).pool(READ, 1)
    theirs = access_to(database, "tnt_neighbour").pool(READ, 1)
    for _ in range(5):
        for pool, expected in ((mine, 0), (theirs, 1)):
            with pool.connection() as connection:
                assert counts(connection)[0] == expected
    mine.close()
    theirs.close()


# ---------------------------------------------------------------- streams, keys, positions


def test_the_same_names_are_different_things(store: Store, neighbour: Store) -> None:
    mine = store.execute(Note(pad="theirs"), context=CONTEXT, key="theirs", bookmark=("b", 7))
    assert not mine.replayed and mine.position == 2, "one chain, one count of positions"
    assert len(store.load(PAD, "theirs").texts) == len(neighbour.load(PAD, "theirs").texts) == 1
    assert neighbour.bookmark("b") == 0
    assert (store.head(), neighbour.head(), store.links.head()) == (2, 1, 2)
    assert [entry.position for entry in store.read(0)] == [2]
    assert [entry.position for entry in neighbour.read(0)] == [1]
    assert len(store.links.hashes(1, 2)) == 2


def test_a_lane_appends_for_its_own_tenant_only(access: Access, neighbour: Store) -> None:
    """The tenant of an entry is the session's, not an argument."""
    assert "tenant" not in lane.SQL
    with access.connect(APPEND) as connection:
        connection.execute(
            "SELECT fx.append_batch('{0}', ARRAY[gen_random_uuid()], '{1}', '{alarm.raised.1}', "
            "ARRAY['{}'::bytea], '{0}', '{k2}', ARRAY[''::bytea], ARRAY[NULL::bytea], '{}', '{}', '{}')")
    assert neighbour.head() == 1


def test_a_bypass_topic_is_not_a_way_in(access: Access) -> None:
    """append_batch writes any topic, for its own tenant; support reads by what record_bypass checked."""
    with access.connect(APPEND) as connection:
        connection.execute(
            "SELECT fx.append_batch('{0}', ARRAY[gen_random_uuid()], '{1}', '{support.bypassed.1}', "
            "ARRAY['{}'::bytea], '{0}', '{k2}', ARRAY[''::bytea], ARRAY[NULL::bytea], '{}', '{}', '{}')")
        assert connection.execute("SELECT fx.tenant()").fetchone() == (access.tenant,)


# ---------------------------------------------------------------- support


def test_support_sees_nothing_without_an_entry(access: Access, store: Store, neighbour: Store) -> None:
    with psycopg.connect(access.conninfo(SUPPORT)) as session:
        assert session.execute("SELECT count(*) FROM fx.audit_entries").fetchone() == (0,)


def test_support_reads_the_tenant_it_recorded_and_no_other(access: Access, store: Store, neighbour: Store) -> None:
    store.execute(Note(pad="a"), context=CONTEXT, key="k")
    reason = "ticket 4711: \"late\"\t\x7fé \\u0000"
    found = read_as_support(access, "tnt_neighbour", actor="support:ann", reason=reason, now=NOW)
    assert [entry.tenant for entry in found] == ["tnt_neighbour"] * 2
    assert found[0].event.detail == CANARY  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(found[1].event, SupportBypassed), "the reading stands in the log of who was read"
    recorded = neighbour.read(0)[-1]
    assert (recorded.event.action, recorded.actor, recorded.resource) == ("RBAC_BYPASS", "support:ann", "bypass 1")
    stored = list(neighbour.rows(recorded.position, recorded.position))[0]
    body = bytes(stored["body"])
    assert encode(recorded, salt=header(body).salt) == body, "the database writes it as we would"
    assert store.head() == 2 and neighbour.head() == 3
    with psycopg.connect(access.conninfo(SUPPORT)) as session:
        assert session.execute("SELECT count(*) FROM fx.audit_entries").fetchone() == (0,), "a new transaction"


def test_a_bypass_that_is_undone_leaves_its_number(access: Access, store: Store, neighbour: Store) -> None:
    assert store.bypasses_undone() == []
    with psycopg.connect(access.conninfo(SUPPORT)) as session:
        session.execute("SELECT fx.record_bypass('tnt_neighbour', 'me', 'a look', '2026-05-22T09:42:00Z')")
        assert session.execute("SELECT count(*) FROM fx.audit_entries").fetchone() == (2,)
        session.rollback()
    read_as_support(access, "tnt_neighbour", actor="support:ann", reason="ticket 4712", now=NOW)
    recorded = {entry.event.number for entry in neighbour.read(0) if isinstance(entry.event, SupportBypassed)}
    assert recorded == {2} and store.bypasses_undone() == neighbour.bypasses_undone() == [1]


def test_a_bypass_needs_a_reason_and_a_tenant(access: Access, store: Store, neighbour: Store) -> None:
    """And what is refused spends no number: there is nothing to ask support about."""
    for tenant, actor, reason, refusal in (
            ("tnt_neighbour", "support:ann", "  ", BypassUnexplained), ("tnt_neighbour", " ", "r", BypassUnexplained),
            ("tnt_nobody", "support:ann", "curiosity", NoSuchTenant)):
        with pytest.raises(refusal):
            read_as_support(access, tenant, actor=actor, reason=reason, now=NOW)
    with psycopg.connect(access.conninfo(SUPPORT)) as session, pytest.raises(psycopg.errors.InvalidParameterValue):
        session.execute("SELECT fx.record_bypass('tnt_neighbour', 'me', 'r', 'now\"')")
    assert neighbour.head() == 1 and store.bypasses_undone() == []


# ---------------------------------------------------------------- the catalogue


TABLES = """
SELECT n.nspname || '.' || c.relname, c.relrowsecurity AND c.relforcerowsecurity,
       EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid),
       EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull),
       (SELECT bool_and(a.attnum = ANY (i.indkey)) FROM pg_index i JOIN pg_attribute a
          ON a.attrelid = c.oid AND a.attname = 'tenant_id' WHERE i.indrelid = c.oid AND i.indisprimary)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
"""
TENANTLESS = {"fx.alembic_version"}
"""One row: the schema's revision."""


def test_every_table_has_tenant_policy_and_force(empty_database: Callable[[], str]) -> None:
    url = empty_database()
    migrations.upgrade(url)
    prepare_tables(url, PROJECTIONS.values())
    with psycopg.connect(url) as connection:
        tables = connection.execute(TABLES).fetchall()
        assert len(tables) > 15
        for name, forced, policy, tenant, in_key in tables:
            if name not in TENANTLESS:
                assert (forced, policy, tenant, in_key) == (True, True, True, True), name
        views = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind IN ('v', 'm') AND n.nspname IN ('fx', 'vault', 'read', 'read_rebuild', 'public') "
            "AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)").fetchall()
        assert views == [], "a view shows what its owner may see, unless it is security_invoker"
        loose = connection.execute(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname IN ('fx', 'vault', 'read', 'public') AND p.prosecdef "
            "AND NOT EXISTS (SELECT 1 FROM unnest(p.proconfig) s WHERE s LIKE 'search_path=%pg_temp')").fetchall()
        assert loose == [], "SECURITY DEFINER without a pinned search path"
        bypassing = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'fx\\_%' AND (rolsuper OR rolbypassrls OR rolcreaterole "
            "OR rolcreatedb OR rolreplication)").fetchall()
        assert bypassing == []
        gateway = connection.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'fx_gateway'").fetchone()
        assert gateway == (False,)


def test_the_anchor_sees_every_link_and_nobodys_tenant(access: Access, store: Store, neighbour: Store) -> None:
    store.execute(Note(pad="a"), context=CONTEXT, key="k")
    with access.connect(ANCHOR) as connection:
        rows = connection.execute("SELECT position, hash, prev_hash FROM fx.audit_entries ORDER BY position").fetchall()
    assert [row[0] for row in rows] == [1, 2]
    assert rows[1][2] == rows[0][1]
