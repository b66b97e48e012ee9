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

import migrations
from eventstore.database import DatabaseUnreachable, as_role, probe, set_passwords
from eventstore.store import Store
from tests.eventstore.notes import CONTEXT, Note

CATALOGUE = """
SELECT n.nspname, c.relname, c.relkind::text, c.relacl::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('fx', 'read', 'read_rebuild') AND c.relkind IN ('r', 'i', 'S')
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


def test_a_half_migrated_database_is_behind_and_is_finished(database: str) -> None:
    with connected(database) as connection:
        connection.execute("DROP TABLE fx.chain_transactions")
        connection.execute("UPDATE fx.alembic_version SET version_num = '0001'")
    with pytest.raises(migrations.SchemaBehind, match="at 0001, this code needs") as caught:
        migrations.check(database)
    assert "\n" not in str(caught.value)
    migrations.upgrade(database)
    migrations.check(database)


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
        Store(as_role(url, "fx_app", "unused")).close()


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
    set_passwords(database, {"fx_app": "it's \"quoted\" \\ ; --", "fx_projector": "p"})
    assert probe(database).split(".")[0].isdigit()
