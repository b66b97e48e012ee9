"""Who may touch the log: nobody, but through `append_batch`; and not even the owner changes a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

import migrations
from eventstore.database import as_role
from eventstore.store import Store
from tests.eventstore.notes import CONTEXT, Note
from tests.eventstore.test_store import chain_of

CHANGES = {
    "UPDATE": "UPDATE fx.{table} SET tenant_id = 'tnt_forged'",
    "DELETE": "DELETE FROM fx.{table}",
    "TRUNCATE": "TRUNCATE fx.{table}",
    "INSERT": "INSERT INTO fx.{table} SELECT * FROM fx.{table}",
}
TABLES = ("audit_entries", "command_keys")


@pytest.fixture(scope="module")
def database(empty_database: Callable[[], str]) -> str:
    url = empty_database()
    migrations.upgrade(url)
    return url


@pytest.fixture(autouse=True)
def one_entry(store: Store) -> Iterator[None]:
    """There is something to forge, and it is unharmed afterwards."""
    store.execute(Note(pad="a"), context=CONTEXT, key="k")
    yield
    assert chain_of(store)[0]["tenant_id"] == "tnt_fintokenx"
    assert store.known_keys(["k"]) == {"k"}


def refused(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)  # pyright: ignore[reportArgumentType, reportCallIssue]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("role", ["fx_app", "fx_projector"])
def test_no_role_of_ours_changes_a_row(database: str, role: str, change: str, table: str) -> None:
    refused(as_role(database, role, "unused"), CHANGES[change].format(table=table))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", ["UPDATE", "DELETE", "TRUNCATE"])
def test_the_triggers_stop_the_owner_too(database: str, change: str, table: str) -> None:
    with psycopg.connect(database) as connection, pytest.raises(psycopg.Error, match="append-only"):
        connection.execute(CHANGES[change].format(table=table))  # pyright: ignore[reportArgumentType, reportCallIssue]


@pytest.mark.parametrize(("role", "statement"), [
    ("fx_projector", "SELECT * FROM fx.append_batch(" + ", ".join(14 * ["'{}'"]) + ")"),
    ("fx_projector", "SELECT * FROM fx.command_keys"),
    ("fx_projector", "SELECT * FROM fx.subject_keys"),
    ("fx_projector", "SELECT * FROM fx.chain_transactions"),
    ("fx_app", "DELETE FROM fx.subject_keys"),
    ("fx_app", "UPDATE fx.subject_keys SET wrapped = ''"),
    ("fx_app", "UPDATE fx.bookmarks SET position = 0"),
    ("fx_app", "INSERT INTO fx.bookmarks VALUES ('x', 1)"),
    ("fx_app", "ALTER TABLE fx.audit_entries DISABLE TRIGGER ALL"),
    ("fx_app", "SET session_replication_role = replica"),
    ("fx_app", "CREATE TABLE fx.mine (x int)"),
    ("fx_app", "CREATE TABLE public.mine (x int)"),
    ("fx_app", "CREATE TABLE read.mine (x int)"),
], ids=str)
def test_each_role_has_the_least_it_needs(database: str, role: str, statement: str) -> None:
    refused(as_role(database, role, "unused"), statement)


def test_the_appending_function_is_not_led_astray_by_the_callers_objects(app_url: str, store: Store) -> None:
    """A SECURITY DEFINER function with a free search path would call this sha256."""
    with psycopg.connect(app_url, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE audit_entries (LIKE fx.audit_entries)")
        connection.execute("CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT ''''::bytea'")
        connection.execute(
            "SELECT fx.append_batch('{0}', '{t}', ARRAY[gen_random_uuid()], '{1}', '{alarm.raised.1}', "
            "ARRAY['{}'::bytea], '{0}', '{t}', '{k2}', ARRAY[''::bytea], ARRAY[NULL::bytea], '{}', '{}', '{}')")
    assert len(chain_of(store)) == store.head() > 1
