"""The schema moves forward only, once, whoever else is migrating."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import migrations
from domain.platform import AlarmRaised
from eventstore.access import ANCHOR, PROCESS_ROLES, ROLES, VAULT, set_passwords
from eventstore.database import DatabaseUnreachable, probe
from eventstore.entry import encode
from eventstore.store import Store
from projections.base import prepare_tables
from projections.catalogue import PROJECTIONS
from tests.conftest import PASSWORDS, access_to
from tests.eventstore.notes import CONTEXT, PAD, Note
from tests.eventstore.test_entry import entry_of
from tests.eventstore.test_store import chain_of

CATALOGUE = """
SELECT n.nspname, c.relname, c.relkind::text, c.relacl::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('fx', 'vault', 'read', 'read_rebuild') AND c.relkind IN ('r', 'i', 'S')
UNION ALL
SELECT 'fx', proname, 'f', md5(prosrc) FROM pg_proc WHERE pronamespace = 'fx'::regnamespace ORDER BY 1, 2
"""


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def schema(url: str) -> list[Any]:
    with connected(url) as connection:
        return connection.execute(CATALOGUE).fetchall()


def test_migrating_again_changes_nothing(database: str, store: Store) -> None:
    store.execute(Note(pad="a"), context=CONTEXT, key="k")
    before = schema(database)
    migrations.upgrade(database)
    migrations.check(database)
    assert schema(database) == before and len(before) > 8
    assert store.head() == 1


def test_an_empty_database_is_behind(empty_database: Callable[[], str]) -> None:
    url = empty_database()
    with pytest.raises(migrations.SchemaBehind) as caught:
        migrations.check(url)
    assert str(caught.value).splitlines() == [str(caught.value)]
    assert "at nothing" in str(caught.value) and "fx migrate" in str(caught.value)


def test_a_database_of_the_first_release_is_behind_and_loses_nothing(empty_database: Callable[[], str]) -> None:
    """Filled as 0002 knew it, one tenant and no policies; afterwards the same log, read and continued by a Store."""
    url = empty_database()
    migrations.upgrade(url, "0002")
    stream = PAD.stream("tnt_fintokenx", "a")
    body = encode(entry_of(AlarmRaised(source="s", code="0", detail="old"), originator_id=stream))
    with connected(url) as connection:
        connection.execute(
            "SELECT fx.append_batch('{0}', '{tnt_fintokenx}', ARRAY[%s::uuid], '{1}', '{alarm.raised.1}', "
            "ARRAY[%s::bytea], '{0}', '{tnt_fintokenx}', '{k}', ARRAY['f'::bytea], ARRAY['answer'::bytea], "
            "'{0}', '{mark}', '{1}')",
            (stream, body))
        connection.execute("INSERT INTO fx.subject_keys VALUES ('tnt_fintokenx', 'sub_1', 'wrapped')")
        connection.execute("INSERT INTO fx.chain_transactions (op_id, chain_id, sender, nonce, raw, tx_hash) "
                           "VALUES ('mint:1', 1, 's', 0, 'raw', sha256('raw'))")
    with pytest.raises(migrations.SchemaBehind, match="at 0002, this code needs") as caught:
        migrations.check(url)
    assert "\n" not in str(caught.value)
    migrations.upgrade(url)
    migrations.check(url)
    access = access_to(url)
    store = Store(access)
    assert (store.head(), store.bookmark("mark"), store.load(PAD, "a").texts) == (1, 1, ("old",))
    assert store.execute(Note(pad="a"), context=CONTEXT, key="k", fingerprint=b"f").response == b"answer"
    store.execute(Note(pad="a"), context=CONTEXT, key="k2")
    assert len(chain_of(store)) == 2
    store.close()
    for role, query, kept in ((ANCHOR, "SELECT op_id FROM fx.chain_transactions", "mint:1"),
                              (VAULT, "SELECT kek FROM vault.subject_keys", "local-1")):
        with access.connect(role) as connection:
            assert connection.execute(query).fetchall() == [(kept,)]  # pyright: ignore[reportCallIssue, reportArgumentType]


def test_a_migration_that_fails_leaves_nothing(empty_database: Callable[[], str]) -> None:
    url = empty_database()
    with connected(url) as connection:
        connection.execute("CREATE SCHEMA read")  # in the way of 0001's last block
    with pytest.raises(Exception, match="read"):
        migrations.upgrade(url)
    with connected(url) as connection:
        assert connection.execute("SELECT to_regnamespace('fx')").fetchone() == (None,)
        connection.execute("DROP SCHEMA read")
    migrations.upgrade(url)
    migrations.check(url)


def test_migrators_of_several_databases_at_once(empty_database: Callable[[], str]) -> None:
    urls = [empty_database(), empty_database()]
    migrators = [subprocess.Popen([sys.executable, "-c", f"import migrations; migrations.upgrade({url!r})"])
                 for url in (*urls, urls[0])]
    assert [migrator.wait(timeout=60) for migrator in migrators] == [0, 0, 0]
    for url in urls:
        migrations.check(url)
        Store(access_to(url)).close()


def test_the_roles_may_be_made_by_another_migrator_meanwhile(empty_database: Callable[[], str]) -> None:
    """The roles of this server exist by now, so 0001's own block runs with names that do not."""
    block = importlib.import_module("migrations.versions.0001_audit_log").ROLES
    race = block.replace("fx_app", "fx_race_a").replace("fx_projector", "fx_race_b")
    urls = [empty_database(), empty_database()]
    try:
        with connected(urls[0]) as first, connected(urls[1]) as second, ThreadPoolExecutor(1) as threads:
            first.autocommit = False
            first.execute(race)
            waiting = threads.submit(second.execute, race)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
            first.commit()
            waiting.result(timeout=10)
            made = second.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'fx_race_%'").fetchone()
            assert made == (2,)
    finally:
        with connected(urls[0]) as connection:
            connection.execute("DROP ROLE IF EXISTS fx_race_a, fx_race_b")


def test_a_server_that_is_not_there_is_named_in_one_line() -> None:
    with pytest.raises(DatabaseUnreachable, match="no PostgreSQL answers at") as caught:
        probe("postgresql://postgres@127.0.0.1:1/nowhere")
    assert "\n" not in str(caught.value)


def test_roles_get_their_passwords_whatever_is_in_them(database: str) -> None:
    odd = {"fx_read": "it's \"quoted\" \\ ; --", "fx_vault": "p"}
    set_passwords(database, odd, given=odd)
    assert probe(database).split(".")[0].isdigit()


def test_a_second_homes_passwords_lock_nobody_out(database: str) -> None:
    """Roles belong to the server: what the first home or the operator set stays."""
    def stored() -> Any:
        with connected(database) as connection:
            return connection.execute("SELECT rolname, rolpassword FROM pg_authid WHERE rolname ^@ 'fx_'").fetchall()

    before = stored()
    set_passwords(database, {role: "another home's" for role in PROCESS_ROLES})
    assert stored() == before
    set_passwords(database, PASSWORDS, given=PASSWORDS)
    assert stored() != before


def test_an_owner_that_is_no_superuser_migrates(empty_database: Callable[[], str]) -> None:
    """It may make roles, was given ours where they are already there, and is not the gateway afterwards."""
    url = empty_database()
    name = str(conninfo_to_dict(url)["dbname"])
    with connected(url) as connection:
        connection.execute("DO $$ BEGIN CREATE ROLE migrating_owner LOGIN CREATEROLE PASSWORD 'o'; "
                           "EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        connection.execute(f'ALTER DATABASE "{name}" OWNER TO migrating_owner')  # pyright: ignore
        connection.execute(f"GRANT {', '.join((*ROLES, 'fx_app', 'fx_projector', 'fx_gateway'))} TO migrating_owner "  # pyright: ignore
                           "WITH ADMIN TRUE, INHERIT FALSE")
    owner = make_conninfo(url, user="migrating_owner", password="o")
    login = f"postgresql://migrating_owner:o@/{name}?host={conninfo_to_dict(url).get('host', '')}"
    if conninfo_to_dict(url).get("port"):
        login += f"&port={conninfo_to_dict(url)['port']}"
    migrations.upgrade(login)
    prepare_tables(login, PROJECTIONS.values())
    migrations.check(login)
    with connected(owner) as connection:
        assert connection.execute("SELECT pg_has_role('fx_gateway', 'USAGE')").fetchone() == (False,)
        assert connection.execute("SELECT count(*) FROM fx.tenants").fetchone() == (0,)
