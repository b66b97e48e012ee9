"""Every role tries every statement: what is not in the table below is refused, whatever table comes along later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

import migrations
from eventstore.access import ANCHOR, APPEND, MIGRATE, PROJECT, READ, ROLES, SUPPORT, VAULT, Access
from eventstore.store import Store
from projections.base import prepare_tables
from projections.catalogue import PROJECTIONS
from tests.eventstore.notes import CONTEXT, Note
from tests.eventstore.test_store import chain_of

STATEMENTS = {
    "SELECT": "SELECT * FROM {table}",
    "INSERT": "INSERT INTO {table} DEFAULT VALUES",
    "UPDATE": "UPDATE {table} SET tenant_id = tenant_id",
    "DELETE": "DELETE FROM {table}",
    "TRUNCATE": "TRUNCATE {table}",
    "LOCK": "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
    "TRIGGER": "CREATE TRIGGER t BEFORE INSERT ON {table} EXECUTE FUNCTION fx.refuse_change()",
    "POLICY": "CREATE POLICY mine ON {table} USING (true)",
    "ALTER": "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "OPEN": "ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
    "DROP": "DROP TABLE {table}",
    "OWN": "ALTER TABLE {table} OWNER TO CURRENT_USER",
}
ALLOWED = {
    (READ, "fx.audit_entries"): {"SELECT"},
    (READ, "fx.command_keys"): {"SELECT"},
    (READ, "fx.bookmarks"): {"SELECT"},
    (READ, "read"): {"SELECT"},
    (PROJECT, "fx.audit_entries"): {"SELECT"},
    (PROJECT, "read"): {"SELECT", "INSERT", "UPDATE", "DELETE", "LOCK"},
    (PROJECT, "read_rebuild"): {"SELECT", "INSERT", "UPDATE", "DELETE", "LOCK"},
    (SUPPORT, "fx.audit_entries"): {"SELECT"},
    (ANCHOR, "fx.chain_transactions"): {"SELECT", "INSERT"},
    (VAULT, "vault.subject_keys"): {"SELECT", "INSERT"},
}
"""A schema's name stands for its tables. PostgreSQL lets whoever may delete lock a table, too. The owner, fx_migrate,
is not asked: see below.
"""

FUNCTIONS = {
    "fx.append_batch": {APPEND}, "fx.append_for": set[str](), "fx.record_bypass": {SUPPORT},
    "fx.bypassed": {SUPPORT}, "fx.bypasses_undone": {READ},
    "fx.tenant": set(ROLES), "fx.refuse_change": set(ROLES),
}
FORBIDDEN = (
    "SET ROLE fx_gateway", "SET ROLE fx_migrate", "SET ROLE postgres", "SET SESSION AUTHORIZATION fx_migrate",
    "SET session_replication_role = replica", "SET row_security = on; ALTER ROLE CURRENT_USER BYPASSRLS",
    "CREATE ROLE mine", "CREATE SCHEMA mine", "CREATE TABLE fx.mine (x int)", "CREATE TABLE public.mine (x int)",
    "CREATE TABLE read.mine (x int)", "CREATE TABLE read_rebuild.mine (x int)", "CREATE VIEW read.mine AS SELECT 1",
    "CREATE FUNCTION read.mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE FUNCTION fx.tenant2() RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
    "COPY (SELECT 1) TO PROGRAM 'id'", "COPY (SELECT 1) TO '/tmp/fx'",
    "SELECT pg_read_file('/etc/passwd')", "SELECT pg_ls_dir('.')", "SELECT lo_import('/etc/passwd')",
    "ALTER FUNCTION fx.tenant() OWNER TO CURRENT_USER",
    "SELECT nextval('fx.bypass_numbers')", "SELECT setval('fx.bypass_numbers', 1)", "SELECT * FROM pg_authid",
    "UPDATE fx.alembic_version SET version_num = '0001'",
)


@pytest.fixture(scope="module")
def database(empty_database: Callable[[], str]) -> str:
    url = empty_database()
    migrations.upgrade(url)
    prepare_tables(url, PROJECTIONS.values())
    return url


@pytest.fixture(autouse=True)
def one_entry(store: Store) -> Iterator[None]:
    """There is something to forge, and it is unharmed afterwards."""
    store.execute(Note(pad="a"), context=CONTEXT, key="k")
    yield
    assert chain_of(store)[0]["tenant_id"] == "tnt_fintokenx"
    assert store.known_keys(["k"]) == {"k"}


def tables(database: str) -> list[str]:
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
                                  "WHERE schemaname IN ('fx', 'vault', 'read', 'read_rebuild') "
                                  "AND tablename <> 'alembic_version'")
        return [str(row[0]) for row in rows]


def refusal(connection: psycopg.Connection[Any], statement: str) -> type[Exception] | None:
    """What the statement is answered with; it is undone in any case."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement)  # pyright: ignore[reportArgumentType, reportCallIssue]
    except psycopg.Error as error:
        return type(error)
    return None


@pytest.mark.parametrize("role", [role for role in ROLES if role != MIGRATE])
def test_no_role_does_more_than_the_table_says(database: str, access: Access, role: str) -> None:
    tried = 0
    with access.connect(role) as connection:
        for table in tables(database):
            allowed = ALLOWED.get((role, table)) or ALLOWED.get((role, table.partition(".")[0])) or set()
            for name, statement in STATEMENTS.items():
                error = refusal(connection, statement.format(table=table))
                refused = error is psycopg.errors.InsufficientPrivilege
                assert refused is (name not in allowed), f"{role}: {name} {table}: {error}"
                tried += 1
    assert tried > 60


@pytest.mark.parametrize("role", [role for role in ROLES if role != MIGRATE])
def test_no_role_calls_more_than_it_needs(database: str, access: Access, role: str) -> None:
    with psycopg.connect(database) as connection:
        found = {str(name): bool(may) for name, may in connection.execute(
            "SELECT 'fx.' || proname, has_function_privilege(%s, oid, 'EXECUTE') FROM pg_proc "
            "WHERE pronamespace = 'fx'::regnamespace", (role,))}
    assert found == {name: role in roles for name, roles in FUNCTIONS.items()}


@pytest.mark.parametrize("role", [role for role in ROLES if role != MIGRATE])
def test_no_role_gets_out_of_itself(access: Access, role: str) -> None:
    with psycopg.connect(access.conninfo(role), autocommit=True) as connection:
        for statement in FORBIDDEN:
            error = refusal(connection, statement)
            assert error in (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue), statement


def test_the_anchor_sees_the_chain_and_no_more(access: Access) -> None:
    with access.connect(ANCHOR) as connection:
        links = "position, recorded_us, prev_hash, body_hash, hash"
        assert refusal(connection, f"SELECT {links} FROM fx.audit_entries") is None
        for column in ("body", "tenant_id", "topic", "originator_id"):
            assert refusal(connection, f"SELECT {column} FROM fx.audit_entries") is psycopg.errors.InsufficientPrivilege


def test_signed_bytes_never_change(access: Access) -> None:
    with access.connect(ANCHOR) as connection:
        for column in ("raw", "nonce", "op_id", "sender", "tx_hash"):
            error = refusal(connection, f"UPDATE fx.chain_transactions SET {column} = {column}")
            assert error is psycopg.errors.InsufficientPrivilege
        assert refusal(connection, "UPDATE fx.chain_transactions SET status = status") is None


@pytest.mark.parametrize("table", ["fx.audit_entries", "fx.command_keys"])
@pytest.mark.parametrize("change", ["UPDATE", "DELETE", "TRUNCATE"])
def test_the_triggers_stop_the_superuser_too(database: str, change: str, table: str) -> None:
    with psycopg.connect(database) as connection, pytest.raises(psycopg.Error, match="append-only"):
        connection.execute(STATEMENTS[change].format(table=table))  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_the_owner_without_a_tenant_sees_nothing(database: str) -> None:
    """FORCE: the owner's own queries go through the policies, of which none is its."""
    with psycopg.connect(database) as connection:
        connection.execute("SET ROLE fx_migrate")
        for table in ("fx.audit_entries", "fx.command_keys", "vault.subject_keys", "read.bookmarks"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # pyright: ignore


def test_the_appending_function_is_not_led_astray_by_the_callers_objects(access: Access, store: Store) -> None:
    """A SECURITY DEFINER function with a free search path would call this sha256."""
    with access.connect(APPEND) as connection:
        connection.execute("CREATE TEMP TABLE audit_entries (position bigint)")
        connection.execute("CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT ''''::bytea'")
        connection.execute(
            "SELECT fx.append_batch('{0}', ARRAY[gen_random_uuid()], '{1}', '{alarm.raised.1}', "
            "ARRAY['{}'::bytea], '{0}', '{k2}', ARRAY[''::bytea], ARRAY[NULL::bytea], '{}', '{}', '{}')")
    assert len(chain_of(store)) == store.head() > 1
