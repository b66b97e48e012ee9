"""Whatever is done to the log: the first bad position is named, and what fits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

import migrations
from eventstore.tampering import LAYERS
from eventstore.verify import CannotVerify, Log, Report, verify
from tests.eventstore import logs
from tests.eventstore.logs import OTHER, START_US, Database, append, body_of, fill, superuser

ENTRIES = 30
PAGE = 7
FAR = 9 * 10**18
EVIDENCE = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text()


@pytest.fixture(scope="module")
def template(empty_database: Callable[[], str]) -> str:
    """A database with a log of 30 entries, to be copied."""
    url = empty_database()
    migrations.upgrade(url)
    with superuser(url) as db:
        fill(db, ENTRIES)
    return url


@pytest.fixture
def log(template: str, postgres: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A copy of the log, as its superuser."""
    name = template.partition("?")[0].rpartition("/")[2]
    copy = f"{name}_{abs(hash(request.node.nodeid)):x}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{name}"'.encode())
        yield template.replace(f"/{name}", f"/{copy}")
        connection.execute(f'DROP DATABASE "{copy}" WITH (FORCE)'.encode())


def checked(url: str, *, bodies: bool = True, **bounds: Any) -> Report:
    connect = partial(psycopg.connect, url, autocommit=True)
    with connect() as chain:
        return verify(Log(chain, connect if bodies else None, page=PAGE), **bounds)


def body_with(position: int, **changes: Any) -> bytes:
    return body_of(position, detail="changed", **changes)


# What is done, what it is called, and the first bad position: mostly 12, inside a page, or 14 and 15, a joint.
def flip_a_byte(db: Database) -> None:
    db.execute("UPDATE fx.audit_entries SET body = set_byte(body, 40, get_byte(body, 40) # 1) WHERE position = 12")


def swap_bodies(db: Database) -> None:
    logs.set_body(db, 12, body_of(13))
    logs.set_body(db, 13, body_of(12))


def exchange_whole(db: Database) -> None:
    logs.set_body(db, 14, body_with(14))
    logs.rechain(db, 14, 14)


def remove_and_renumber(db: Database) -> None:
    logs.delete(db, 12)
    logs.renumber(db, 13, -1)


def insert_unchained(db: Database) -> None:
    logs.insert_before(db, 12, body_with(99))
    logs.set_column(db, 12, "hash", bytes(32))


def insert_two(db: Database) -> None:
    logs.insert_before(db, 12, body_with(98))
    logs.insert_before(db, 12, body_with(99))
    logs.rechain(db, 12, 13)


def back_date_and_rechain(db: Database) -> None:
    logs.insert_before(db, 12, body_with(99), START_US)
    logs.rechain(db, 12)


def forget_not_null(db: Database) -> None:
    db.execute("ALTER TABLE fx.audit_entries ALTER hash DROP NOT NULL")
    db.execute("UPDATE fx.audit_entries SET hash = NULL WHERE position = 12")


def move_far_away(db: Database) -> None:
    logs.set_column(db, 12, "position", FAR)


def put_the_last_far_away(db: Database) -> None:
    logs.set_column(db, ENTRIES, "position", FAR)


def forget_a_body(db: Database) -> None:
    db.execute("ALTER TABLE fx.audit_entries ALTER body DROP NOT NULL")
    db.execute("UPDATE fx.audit_entries SET body = NULL WHERE position = 12")


def forget_every_column(db: Database) -> None:
    db.execute("ALTER TABLE fx.audit_entries DROP CONSTRAINT audit_entries_pkey, "
               "DROP CONSTRAINT IF EXISTS audit_entries_stream")
    for column in ("tenant_id", "originator_id", "originator_version", "topic", "body"):
        db.execute(f"ALTER TABLE fx.audit_entries ALTER {column} DROP NOT NULL".encode())
        logs.set_column(db, 12, column, None)


def write_badly(body: bytes) -> Callable[[Database], None]:
    def do(db: Database) -> None:
        logs.set_body(db, 12, body)
        logs.rechain(db, 12)
    return do


TAMPERINGS: dict[str, tuple[Callable[[Database], None], str, int]] = {
    "flip a byte of a body": (flip_a_byte, "body_changed", 12),
    "another body": (lambda db: logs.set_body(db, 15, body_with(15)), "body_changed", 15),
    "swap two bodies": (swap_bodies, "bodies_swapped", 12),
    "another tenant in the column": (lambda db: logs.set_column(db, 12, "tenant_id", OTHER), "column_changed", 12),
    "another stream in the column": (
        lambda db: logs.set_column(db, 12, "originator_id", "0" * 32), "column_changed", 12),
    "another version in the column": (
        lambda db: logs.set_column(db, 12, "originator_version", 2), "column_changed", 12),
    "no body at all": (forget_a_body, "body_changed", 12),
    "nothing but hashes": (forget_every_column, "body_changed", 12),
    "the last entry moved far away": (put_the_last_far_away, "removed", ENTRIES),
    "another topic in the column": (
        lambda db: logs.set_column(db, 12, "topic", "clock.advanced.1"), "column_changed", 12),
    "another time": (
        lambda db: logs.set_column(db, 12, "recorded_us", START_US + 12_001), "time_or_content_changed", 12),
    "another body hash": (lambda db: logs.set_column(db, 14, "body_hash", bytes(32)), "time_or_content_changed", 14),
    "another hash": (lambda db: logs.set_column(db, 14, "hash", bytes(32)), "hash_changed", 14),
    "another link": (lambda db: logs.set_column(db, 15, "prev_hash", bytes(32)), "link_changed", 15),
    "another last hash": (lambda db: logs.set_column(db, ENTRIES, "hash", bytes(32)), "broken", ENTRIES),
    "no hash at all": (forget_not_null, "hash_changed", 12),
    "exchange an entry for another": (exchange_whole, "replaced", 14),
    "remove an entry": (lambda db: logs.delete(db, 12), "removed", 12),
    "remove the first entries": (lambda db: logs.delete(db, 1, 3), "removed", 1),
    "remove a whole page": (lambda db: logs.delete(db, 8, 14), "removed", 8),
    "remove the end of a page": (lambda db: logs.delete(db, 13, 15), "removed", 13),
    "remove and renumber": (remove_and_renumber, "removed", 12),
    "insert": (lambda db: logs.insert_before(db, 12, body_with(99)), "inserted", 12),
    "insert unchained": (insert_unchained, "inserted", 12),
    "insert two": (insert_two, "inserted", 12),
    "insert an old entry and chain anew": (back_date_and_rechain, "back_dated", 12),
    "swap neighbours": (lambda db: logs.swap(db, 12, 13), "swapped", 12),
    "swap far apart": (lambda db: logs.swap(db, 5, 25), "swapped", 5),
    "a body with spaces": (write_badly(body_of(12).replace(b":", b": ")), "not_canonical", 12),
    "a body with a float": (write_badly(body_of(12).replace(b'"code":"12"', b'"code":1.5')), "not_canonical", 12),
}


def test_an_untouched_log_holds(log: str) -> None:
    report = checked(log)
    assert (report.exit_code, report.entries, report.bodies, report.withheld) == (0, ENTRIES, ENTRIES, 0)
    assert report.first_bad is None and report.unknown_topics == []
    assert {report.layers[layer] for layer in ("entries", "links", "bodies", "tags")} == {"good"}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_named(log: str, name: str) -> None:
    do, kind, position = TAMPERINGS[name]
    with superuser(log) as db:
        do(db)
    report = checked(log)
    bad = report.first_bad
    assert bad is not None and (bad.kind, bad.position) == (kind, position), report.findings
    assert report.exit_code == 1 and report.layers[bad.layer] == "bad"
    assert sum(report.faults.values()) <= 2, "one tampering is not reported for every entry after it"


def test_a_position_twice(log: str) -> None:
    with superuser(log) as db:
        db.execute("ALTER TABLE fx.audit_entries DROP CONSTRAINT audit_entries_position, DROP CONSTRAINT "
                   "audit_entries_pkey, DROP CONSTRAINT audit_entries_stream")
        db.execute("INSERT INTO fx.audit_entries SELECT * FROM fx.audit_entries WHERE position = 12")
    report = checked(log)
    assert [(found.position, found.kind) for found in report.findings] == [(12, "repeated")]


def test_a_position_many_times_over_the_end_of_a_page(log: str) -> None:
    with superuser(log) as db:
        db.execute("ALTER TABLE fx.audit_entries DROP CONSTRAINT audit_entries_position, DROP CONSTRAINT "
                   "audit_entries_pkey, DROP CONSTRAINT audit_entries_stream")
        for _ in range(4):
            db.execute("INSERT INTO fx.audit_entries SELECT DISTINCT * FROM fx.audit_entries WHERE position = 6")
    report = checked(log)
    assert [(found.position, found.kind) for found in report.findings] == 4 * [(6, "repeated")]
    assert report.entries == ENTRIES + 4


def test_a_gap_is_one_finding_and_no_work(log: str) -> None:
    """Who owns the database can make the log look as long as a bigint: the work is that of the rows there are."""
    with superuser(log) as db:
        move_far_away(db)
    told: list[int] = []
    report = checked(log, progress=told.append)
    assert [(found.position, found.kind) for found in report.findings] == [(12, "removed"), (31, "removed"),
                                                                           (FAR, "swapped")]
    assert "position 12" in report.findings[-1].fits
    assert report.entries == ENTRIES and told[-1] == FAR and len(told) == 5
    with psycopg.connect(log, autocommit=True) as chain:
        assert Log(chain).count(1, FAR, 200) == ENTRIES and Log(chain).count(1, FAR, 10) == 10


def test_every_kind_is_explained() -> None:
    for kind in (kind for kinds in LAYERS.values() for kind in kinds):
        assert f"`{kind}`" in EVIDENCE, f"docs/evidence.md does not say what {kind} means"


def test_two_tamperings_are_two_findings_in_order(log: str) -> None:
    with superuser(log) as db:
        logs.delete(db, 20)
        logs.set_body(db, 4, body_with(4))
    report = checked(log)
    assert [(found.position, found.kind) for found in report.findings] == [(4, "body_changed"), (20, "removed")]
    assert report.faults == {"bodies": 1, "entries": 1}


def test_many_faults_are_counted_and_few_kept(log: str) -> None:
    with superuser(log) as db:
        db.execute("UPDATE fx.audit_entries SET topic = 'x'")
    report = checked(log)
    assert report.faults == {"tags": ENTRIES} and len(report.findings) == 20
    assert report.first_bad is not None and report.first_bad.position == 1


def test_bodies_can_be_left_out(log: str) -> None:
    with superuser(log) as db:
        logs.set_body(db, 12, b"{}")
    report = checked(log, bodies=False)
    assert report.exit_code == 0 and report.layers["bodies"] == "not checked"


def test_a_part_of_the_log(log: str) -> None:
    with superuser(log) as db:
        logs.set_body(db, 5, body_with(5))
    assert checked(log, first=6, last=20).exit_code == 0
    assert checked(log, first=5, last=5).exit_code == 1
    assert checked(log, first=1, last=4).entries == 4
    with superuser(log) as db:
        logs.set_column(db, 10, "hash", bytes(32))
    bad = checked(log, first=11).first_bad
    assert bad is not None and (bad.position, bad.kind) == (10, "replaced"), "the first link of a part is checked"


def test_positions_begin_at_one(log: str) -> None:
    with pytest.raises(CannotVerify, match="positions begin at 1"):
        checked(log, first=0)


@pytest.mark.parametrize("bounds", [{"first": 31}, {"last": 31}, {"first": 9, "last": 8}])
def test_a_range_that_is_not_there_cannot_be_verified(log: str, bounds: dict[str, Any]) -> None:
    with pytest.raises(CannotVerify, match="ends at 30"):
        checked(log, **bounds)


def test_a_log_that_cannot_be_read_cannot_be_verified(postgres: str) -> None:
    with pytest.raises(CannotVerify, match="cannot be read"):
        checked(postgres)


def test_an_empty_log_holds(log: str) -> None:
    with superuser(log) as db:
        db.execute("TRUNCATE fx.audit_entries CASCADE")
    assert checked(log).exit_code == 0


def test_progress_is_told(log: str) -> None:
    told: list[int] = []
    checked(log, progress=told.append)
    assert told == [7, 14, 21, 28, 30]


def test_bodies_can_be_checked_by_other_processes(log: str) -> None:
    with superuser(log) as db:
        logs.set_body(db, 12, body_with(12))
    connect = partial(psycopg.connect, log, autocommit=True)
    with connect() as chain:
        report = verify(Log(chain, connect, workers=2, page=PAGE))
    assert [(found.position, found.kind) for found in report.findings] == [(12, "body_changed")]


def test_a_worker_that_is_killed_or_gets_no_session(log: str) -> None:
    with psycopg.connect(log, autocommit=True) as chain:
        with pytest.raises(CannotVerify, match="no session could be opened"):
            verify(Log(chain, partial(psycopg.connect, log, user="nobody"), workers=2, page=PAGE))
        with pytest.raises(CannotVerify, match="has ended"):
            verify(Log(chain, partial(os._exit, 3), workers=2, page=PAGE))


WORK = """
import signal, sys, time
from functools import partial
import psycopg
from eventstore.verify import Log
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the shell of the tests ignores
connect = partial(psycopg.connect, sys.argv[1], autocommit=True)
with connect() as chain:
    for page in Log(chain, connect, workers=2, page=7).pages(1, 30):
        print("verifying", flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_who_started_them(log: str, how: signal.Signals) -> None:
    started = subprocess.Popen([sys.executable, "-c", WORK, log], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               cwd=Path(__file__).parents[2])
    assert started.stdout is not None
    with started.stdout:
        assert started.stdout.readline()
        workers = children(started.pid)
        assert len(workers) == 2
        started.send_signal(how)
        started.wait(10)
    deadline = time.monotonic() + 10
    while any(map(runs, workers)):
        assert time.monotonic() < deadline, "a worker outlives the process that started it"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()]


def runs(pid: int) -> bool:
    """A process that ended and that nobody asked about is none any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# ------------------------------------------------------------ tenants

def restricted(url: str) -> Callable[[], Database]:
    """A session that sees our tenant's rows only, as row-level security would have it."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DO $$ BEGIN CREATE ROLE test_reader; EXCEPTION WHEN duplicate_object THEN END $$")
        db.execute("GRANT USAGE ON SCHEMA fx TO test_reader")
        db.execute("GRANT SELECT ON fx.audit_entries TO test_reader")
        db.execute("ALTER TABLE fx.audit_entries ENABLE ROW LEVEL SECURITY")
        db.execute("DROP POLICY IF EXISTS test ON fx.audit_entries")
        db.execute("CREATE POLICY test ON fx.audit_entries FOR SELECT TO test_reader "
                   "USING (tenant_id = 'tnt_fintokenx')")
    return partial(psycopg.connect, url, autocommit=True, options="-c role=test_reader")


def test_another_tenants_bodies_are_withheld_and_its_chain_is_checked(log: str) -> None:
    with superuser(log) as db:
        fill(db, 10, tenant=OTHER)
        fill(db, 3)
    reader = restricted(log)
    with psycopg.connect(log, autocommit=True) as chain:
        report = verify(Log(chain, reader, page=PAGE))
        assert (report.exit_code, report.entries, report.withheld) == (0, ENTRIES + 13, 10)
        with superuser(log) as db:
            logs.set_column(db, 33, "recorded_us", 1)
        assert verify(Log(chain, reader, page=PAGE)).findings[0].position == 33


def with_a_stream(url: str, *, versions: int = 4) -> None:
    """Append versions 1, 2, ... of one stream, with an entry of another after each: 31, 33, 35, 37."""
    with superuser(url) as db:
        for version in range(1, versions + 1):
            append(db, body_of(1000, version=version, detail=f"version {version}"))
            fill(db, 1)


def seen_by_us(url: str, **bounds: Any) -> Report:
    with psycopg.connect(url, autocommit=True) as chain:
        return verify(Log(chain, restricted(url), page=PAGE), **bounds)


@pytest.mark.parametrize(("hidden", "where", "what"), [
    ((31,), 33, "version 1 of"), ((33,), 35, "version 2 of"), ((31, 33), 35, "versions 1 to 2"),
    ((35,), 37, "version 3 of")])
def test_an_entry_hidden_from_its_tenant_is_missing_from_its_stream(log: str, hidden: tuple[int, ...], where: int,
                                                                    what: str) -> None:
    with_a_stream(log)
    assert seen_by_us(log).exit_code == 0
    with superuser(log) as db:
        for position in hidden:
            logs.set_column(db, position, "tenant_id", OTHER)
    report = seen_by_us(log)
    [found] = report.findings
    assert (found.position, found.kind, report.exit_code) == (where, "hidden", 1) and what in found.fits
    assert report.layers["tags"] == "bad" and report.withheld == len(hidden)


@pytest.mark.parametrize("hidden", [(37,), (35, 37), (31, 33, 35, 37)])
def test_the_last_entries_of_a_stream_can_be_hidden(log: str, hidden: tuple[int, ...]) -> None:
    """A cell that the tenant's own verification cannot detect: the documentation says so."""
    with_a_stream(log)
    with superuser(log) as db:
        for position in hidden:
            logs.set_column(db, position, "tenant_id", OTHER)
    report = seen_by_us(log)
    assert (report.exit_code, report.withheld) == (0, len(hidden))
    with psycopg.connect(log, autocommit=True) as chain:
        whole = verify(Log(chain, partial(psycopg.connect, log, autocommit=True)))
        assert {found.kind for found in whole.findings} == {"column_changed"}
    assert "undetectable: the last entries of a stream given to another tenant" in EVIDENCE


def test_streams_of_a_part_are_followed_from_where_they_are_first_seen(log: str) -> None:
    with_a_stream(log)
    assert seen_by_us(log, first=34).exit_code == 0
    with superuser(log) as db:
        logs.set_column(db, 35, "tenant_id", OTHER)
    assert [found.kind for found in seen_by_us(log, first=32).findings] == ["hidden"]
    assert seen_by_us(log, first=34).exit_code == 0, "its first version of the part may be any"


def test_an_entry_taken_out_of_a_stream_is_one_finding(log: str) -> None:
    with_a_stream(log)
    with superuser(log) as db:
        logs.delete(db, 33)
    assert [(found.position, found.kind) for found in checked(log).findings] == [(33, "removed")]


def test_an_entry_taken_out_of_a_stream_is_missed_though_all_is_chained_anew(log: str) -> None:
    with_a_stream(log)
    with superuser(log) as db:
        logs.delete(db, 33)
        logs.renumber(db, 34, -1)
        logs.rechain(db, 33)
    assert [(found.position, found.kind) for found in checked(log).findings] == [(34, "hidden")]


def test_a_version_twice(log: str) -> None:
    with_a_stream(log)
    with superuser(log) as db:
        db.execute("ALTER TABLE fx.audit_entries DROP CONSTRAINT audit_entries_stream")
        append(db, body_of(1000, version=2, detail="another second version"))
    assert [(found.position, found.kind) for found in checked(log).findings] == [(39, "repeated")]


def test_a_server_with_two_faces_is_caught(log: str, template: str) -> None:
    with superuser(log) as db:
        logs.set_body(db, 12, body_with(12))
        logs.rechain(db, 12)
    with psycopg.connect(template, autocommit=True) as chain:
        report = verify(Log(chain, partial(psycopg.connect, log, autocommit=True)))
    assert report.first_bad is not None and (report.first_bad.position, report.first_bad.kind) == (12, "two_faces")



def test_the_last_entry_can_be_appended_again(log: str) -> None:
    """What nothing inside can tell from an honest log: a tail that was cut and grown again."""
    with superuser(log) as db:
        logs.delete(db, 28, ENTRIES)
        append(db, *(body_with(position) for position in (28, 29, 30)))
    assert checked(log).exit_code == 0
    assert "undetectable: a tail no anchor holds" in EVIDENCE
