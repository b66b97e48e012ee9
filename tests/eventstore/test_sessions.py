"""Sessions: what they set for themselves whatever the server says, and that one which was hung up on is replaced."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

import migrations
from eventstore.access import PROCESS_ROLES, READ, SUPPORT, Access, register, set_passwords
from eventstore.database import SESSION, Unavailable, connect, session_conninfo
from eventstore.store import Store
from projections.base import open_engine, prepare_tables
from projections.catalogue import PROJECTIONS
from projections.reading import reading
from tests.conftest import PASSWORDS, access_to

ROOT = Path(__file__).parents[2]
HOSTILE = {
    "timezone": "America/New_York", "datestyle": "German", "intervalstyle": "iso_8601", "bytea_output": "escape",
    "extra_float_digits": "0", "standard_conforming_strings": "off", "search_path": "public",
    "default_transaction_isolation": "serializable", "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on", "statement_timeout": "1", "lock_timeout": "1",
    "idle_session_timeout": "5000", "idle_in_transaction_session_timeout": "1", "client_encoding": "LATIN1",
    "array_nulls": "off", "transform_null_equals": "on", "row_security": "off",
}
"""An operator's settings, each of which once changed what a value means, or ended a session."""


def spoil(url: str) -> None:
    """Everybody who comes to this database from now on is met by the hostile settings."""
    with psycopg.connect(url, autocommit=True) as owner:
        name = owner.info.dbname
        for setting, value in HOSTILE.items():
            owner.execute(f"ALTER DATABASE \"{name}\" SET {setting} = '{value}'")  # pyright: ignore


def hang_up(url: str) -> int:
    """End every session on this database but our own; how many."""
    with connect(url) as owner:
        pids = [row[0] for row in owner.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                                                "AND pid <> pg_backend_pid()").fetchall()]
        owner.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", (pids,))
        until = time.monotonic() + 2
        while owner.execute("SELECT FROM pg_stat_activity WHERE pid = ANY (%s)", (pids,)).fetchone() is not None:
            assert time.monotonic() < until, "a session does not end"
            time.sleep(0.005)
        return len(pids)


def test_every_setting_that_we_set_is_tried() -> None:
    assert set(SESSION) | {"client_encoding"} == set(HOSTILE)


@pytest.mark.parametrize("role", [*PROCESS_ROLES, SUPPORT, "owner"])
def test_a_session_means_the_same_whatever_the_server_says(database: str, role: str) -> None:
    spoil(database)
    access = access_to(database)
    login = database if role == "owner" else access.conninfo(role)
    with connect(login) as session:
        for setting, value in {**SESSION, "client_encoding": "UTF8"}.items():
            shown = session.execute(f"SHOW {setting}").fetchone()  # pyright: ignore
            assert shown is not None and str(shown[0]).replace(" ", "") == value.replace(" ", ""), setting
        moment = session.execute("SELECT timestamptz '2026-07-21 10:14:00+01'").fetchone()
        assert moment == (datetime(2026, 7, 21, 9, 14, tzinfo=UTC),)


def test_a_database_set_up_under_hostile_settings_is_migrated_and_read(empty_database: Callable[[], str]) -> None:
    url = empty_database()
    spoil(url)
    migrations.upgrade(url)
    migrations.check(url)
    prepare_tables(url, PROJECTIONS.values())
    set_passwords(url, PASSWORDS)
    register(url, "tnt_fintokenx", bytes(32))
    store = Store(Access(url, "tnt_fintokenx", bytes(32), PASSWORDS))
    assert store.head() == 0 and store.links.head() == 0
    store.close()


def test_options_that_an_operator_gives_stay_and_ours_win() -> None:
    twice = session_conninfo(session_conninfo("postgresql://h/n?options=-c%20work_mem%3D8MB%20-c%20timezone%3DAsia/Tokyo"))
    options = str(conninfo_to_dict(twice)["options"])
    assert options.startswith("-c work_mem=8MB -c timezone=Asia/Tokyo -c timezone=UTC")
    assert options.count("timezone=UTC") == 1


def test_who_was_hung_up_on_notices_nothing(database: str, access: Access) -> None:
    store, engine, pool = Store(access), open_engine(access, READ), access.pool("fx_vault", 2)
    for _ in range(3):
        assert store.head() == 0 and store.links.head() == 0
        with reading(engine) as connection, reading(engine) as beside:
            assert [one.exec_driver_sql("SELECT 1").scalar_one() for one in (connection, beside)] == [1, 1]
        with pool.connection() as session:
            assert session.execute("SELECT 1").fetchone() == (1,)
        assert hang_up(database) >= 4
    pool.close()
    engine.dispose()
    store.close()


def test_a_read_that_is_hung_up_on_midway_is_asked_once_more(database: str, access: Access) -> None:
    engine = open_engine(access, READ)
    query = PROJECTIONS["invoices"].tables[0].select()
    with reading(engine) as connection:
        assert connection.execute(query).all() == []
        hang_up(database)
        assert connection.execute(query).all() == []
    engine.dispose()


def test_a_server_that_is_away_is_unavailable_and_nothing_else() -> None:
    nowhere = Access("postgresql://127.0.0.1:1/nowhere", "tnt_fintokenx", bytes(32), PASSWORDS)
    engine = open_engine(nowhere, READ)
    with pytest.raises(Unavailable), reading(engine) as connection:
        connection.exec_driver_sql("SELECT 1")


def test_a_mistake_in_a_query_is_no_outage(access: Access) -> None:
    engine = open_engine(access, READ)
    with pytest.raises(Exception, match="nothing_of_that_name"), reading(engine) as connection:
        connection.exec_driver_sql("SELECT nothing_of_that_name")
    engine.dispose()


def test_every_session_of_the_house_is_made_in_one_place() -> None:
    """`psycopg.connect` and pools elsewhere would be sessions with the server's settings."""
    makers = {"eventstore/database.py", "eventstore/access.py"}
    found = set[str]()
    for path in ROOT.glob("*/**/*.py"):
        name = str(path.relative_to(ROOT))
        if name in makers or name.split("/")[0] in ("tests", "node_modules", ".venv"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            call = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if call in ("psycopg.connect", "Connection.connect", "ConnectionPool"):
                found.add(f"{name}:{call}")
    assert found == {"eventstore/support.py:psycopg.connect"}, "support's conninfo is Access's"
