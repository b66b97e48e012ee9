"""Segments: whole, verified ranges in files that can be checked and read without the database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import psycopg
import pytest

import migrations
from eventstore.segments import Exporter, Folder, Manifest, NotExported, SegmentBatch, read_segments
from eventstore.tampering import Finding
from eventstore.verify import CannotVerify, Log, Report, verify
from tests.eventstore import logs
from tests.eventstore.logs import OTHER, TENANT, Database, body_of, fill, superuser

BATCHES = ((1, 10), (11, 25), (26, 27), (28, 45))


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Stands for the Merkle root, which this room does not know."""
    return hashlib.sha256(b"".join(hashes)).digest()


@pytest.fixture
def db(empty_database: Callable[[], str]) -> Iterator[Database]:
    """A log of 50 entries, the superuser's session on it; 16 to 20 are another tenant's."""
    url = empty_database()
    migrations.upgrade(url)
    with superuser(url) as session:
        fill(session, 15)
        fill(session, 5, tenant=OTHER)
        fill(session, 30)
        yield session


def batches(db: Database, *ranges: tuple[int, int]) -> list[SegmentBatch]:
    return [SegmentBatch(number, first, last, root_of(Log(db).hashes(first, last)).hex(), "00" * 32)
            for number, (first, last) in enumerate(ranges or BATCHES, start=1)]


def exporter(db: Database, path: Path) -> Exporter:
    """What our tenant exports: the second session sees its rows only."""
    db.execute("DO $$ BEGIN CREATE ROLE test_reader; EXCEPTION WHEN duplicate_object THEN END $$")
    db.execute("GRANT USAGE ON SCHEMA fx TO test_reader; GRANT SELECT ON fx.audit_entries TO test_reader")
    db.execute("ALTER TABLE fx.audit_entries ENABLE ROW LEVEL SECURITY; "
               "DROP POLICY IF EXISTS test ON fx.audit_entries; "
               "CREATE POLICY test ON fx.audit_entries FOR SELECT TO test_reader USING (tenant_id = 'tnt_fintokenx')")
    reader = psycopg.connect(db.info.dsn, autocommit=True, options="-c role=test_reader")
    return Exporter(db, reader, TENANT, path, root_of=root_of, now=lambda: "2026-05-22T10:00:00+00:00")


@pytest.fixture
def segments(db: Database, tmp_path: Path) -> Path:
    """Two segments: 1 to 25 and 26 to 45."""
    made = list(exporter(db, tmp_path / "segments").export(batches(db), rows=20))
    assert [(manifest.first, manifest.last) for manifest in made] == [(1, 25), (26, 45)]
    return tmp_path / "segments"


def checked(path: Path) -> Report:
    folder = Folder(path)
    low, head = folder.bounds()
    return verify(folder, first=low, last=head, watchers=[folder])


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


def rewrite(path: Path, number: int, sql: str) -> None:
    """Change a segment's rows the way somebody with the files would."""
    file = path / Folder(path).manifests[number].file
    with duckdb.connect() as duck:
        duck.execute(f"CREATE TABLE s AS SELECT * FROM '{file}'")
        duck.execute(sql)
        duck.execute(f"COPY (SELECT * FROM s ORDER BY position) TO '{file}' (FORMAT parquet)")


def edit(path: Path, number: int, **changes: Any) -> None:
    file = path / Folder(path).manifests[number].file.replace(".parquet", ".json")
    manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
    file.write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **changes)))


def kinds(report: Report) -> list[tuple[int, str]]:
    return sorted((found.position, found.kind) for found in report.findings)


def test_segments_verify_without_the_database(segments: Path) -> None:
    report = checked(segments)
    assert (report.exit_code, report.entries, report.bodies, report.withheld) == (0, 45, 40, 5)
    assert set(report.layers.values()) == {"good", "not checked"} and report.layers["segments"] == "good"
    assert files(segments) == ["000000000001-000000000025.json", "000000000001-000000000025.parquet",
                               "000000000026-000000000045.json", "000000000026-000000000045.parquet"]


def test_a_manifest_says_what_must_be_true(segments: Path, db: Database) -> None:
    first, second = Folder(segments).manifests
    assert (first.tenant, first.entries, first.bodies, second.entries) == (TENANT, 25, 20, 20)
    assert [batch.batch_id for batch in (*first.batches, *second.batches)] == [1, 2, 3, 4]
    assert first.prev_hash == "00" * 32 and second.prev_hash == first.last_hash == logs.hash_of(db, 25).hex()
    assert first.prev_manifest == "00" * 32
    raw = (segments / "000000000001-000000000025.json").read_bytes()
    assert second.prev_manifest == hashlib.sha256(raw).hexdigest()
    assert second.file_sha256 == hashlib.sha256((segments / second.file).read_bytes()).hexdigest()


def test_reading_gives_the_tenants_entries(segments: Path) -> None:
    entries = list(read_segments(segments))
    assert [entry.position for entry in entries] == [*range(1, 16), *range(21, 46)]
    assert {entry.tenant for entry in entries} == {TENANT}
    assert entries[3].originator_id == logs.decode(body_of(4)).originator_id
    assert [entry.position for entry in read_segments(segments, after=40)] == [41, 42, 43, 44, 45]
    assert list(read_segments(segments, after=45)) == []


def test_other_tenants_leave_nothing_but_hashes(segments: Path) -> None:
    file = segments / "000000000001-000000000025.parquet"
    with duckdb.connect() as duck:
        rows = duck.execute("SELECT tenant, stream, version, topic, body, octet_length(body_hash) "
                            f"FROM '{file}' WHERE position BETWEEN 16 AND 20").fetchall()
    assert rows == [(None, None, None, None, None, 32)] * 5


def test_an_export_goes_on_where_the_last_one_ended(db: Database, tmp_path: Path) -> None:
    target = tmp_path / "segments"
    assert [m.last for m in exporter(db, target).export(batches(db)[:2], rows=20)] == [25]
    assert list(exporter(db, target).export(batches(db)[:3], rows=20)) == [], "two entries do not fill a segment"
    assert [m.first for m in exporter(db, target).export(batches(db), rows=20)] == [26]
    assert list(exporter(db, target).export(batches(db), rows=20)) == []
    assert checked(target).exit_code == 0


def test_a_stopped_export_leaves_whole_segments(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is written and the manifest is not: the segment is not there, and is written again."""
    target = tmp_path / "segments"
    replace, count = Path.replace, iter(range(100))

    def stop(self: Path, to: Path) -> Path:
        if next(count) == 3:
            raise KeyboardInterrupt
        return replace(self, to)

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        list(exporter(db, target).export(batches(db), rows=20))
    assert Folder(target).bounds() == (1, 25) and checked(target).exit_code == 0
    monkeypatch.undo()
    assert [m.first for m in exporter(db, target).export(batches(db), rows=20)] == [26]
    assert checked(target).exit_code == 0


@pytest.mark.parametrize(("tamper", "why"), [
    (lambda db: logs.set_body(db, 12, body_of(12, detail="changed")), "entry 12: its body was changed"),
    (lambda db: logs.delete(db, 12), "entry 12: entry 12 was taken out"),
    (lambda db: (logs.set_body(db, 3, body_of(3, detail="changed")), logs.rechain(db, 3)), "root of batch 1"),
])
def test_what_does_not_hold_is_not_exported(db: Database, tmp_path: Path, tamper: Callable[[Database], object],
                                           why: str) -> None:
    anchored = batches(db)
    tamper(db)
    with pytest.raises(NotExported, match=why):
        list(exporter(db, tmp_path).export(anchored, rows=5))
    assert not [name for name in files(tmp_path) if name.endswith(".json") and int(name[13:25]) >= 12]


def test_batches_with_a_gap_and_other_tenants_folders_are_refused(db: Database, segments: Path, tmp_path: Path) -> None:
    with pytest.raises(NotExported, match="begins at 11, not at 1"):
        list(exporter(db, tmp_path / "new").export(batches(db)[1:], rows=5))
    edit(segments, 1, tenant=OTHER)
    with pytest.raises(NotExported, match=f"segments of {OTHER}"):
        list(exporter(db, segments).export(batches(db)))


# ------------------------------------------------------------ tampering with the files

def test_a_changed_body_is_found_at_its_entry(segments: Path) -> None:
    rewrite(segments, 0, "UPDATE s SET body = encode(replace(decode(body), 'a note', 'b note')) WHERE position = 12")
    assert (12, "time_or_content_changed") in kinds(checked(segments))
    assert (1, "segment_changed") in kinds(checked(segments))


@pytest.mark.parametrize(("sql", "expected"), [
    ("DELETE FROM s WHERE position = 12", (12, "removed")),
    ("UPDATE s SET topic = 'x' WHERE position = 12", (12, "column_changed")),
    ("UPDATE s SET recorded_us = recorded_us + 1 WHERE position = 12", (12, "time_or_content_changed")),
    ("UPDATE s SET hash = body_hash WHERE position = 17", (17, "time_or_content_changed")),
    ("DELETE FROM s", (1, "removed")),
])
def test_changed_rows_are_found(segments: Path, sql: str, expected: tuple[int, str]) -> None:
    rewrite(segments, 0, sql)
    assert expected in kinds(checked(segments))


def test_a_file_that_is_gone_or_broken(segments: Path) -> None:
    file = segments / "000000000026-000000000045.parquet"
    raw = file.read_bytes()
    file.write_bytes(raw[:-100])
    assert {(26, "removed"), (26, "segment_changed")} <= set(kinds(checked(segments)))
    file.unlink()
    assert kinds(checked(segments)) == [(26, "removed"), (26, "segment_missing")]


def test_a_segment_that_is_gone(segments: Path, db: Database) -> None:
    list(exporter(db, segments).export([*batches(db, *BATCHES, (46, 50))], rows=5))
    (segments / "000000000026-000000000045.json").unlink()
    assert (26, "segment_missing") in kinds(checked(segments))


@pytest.mark.parametrize(("number", "changes", "expected"), [
    (0, {"created_at": "2020-01-01"}, (1, "manifest_changed")),
    (1, {"prev_hash": "11" * 32}, (26, "manifest_changed")),
    (1, {"last_hash": "11" * 32}, (45, "manifest_changed")),
    (1, {"file_sha256": "11" * 32}, (26, "segment_changed")),
])
def test_a_changed_manifest(segments: Path, number: int, changes: dict[str, str], expected: tuple[int, str]) -> None:
    edit(segments, number, **changes)
    assert expected in kinds(checked(segments))


def test_the_oldest_segments_may_lie_elsewhere(segments: Path) -> None:
    for name in ("000000000001-000000000025.json", "000000000001-000000000025.parquet"):
        (segments / name).unlink()
    report = checked(segments)
    assert (report.exit_code, report.first, report.entries) == (0, 26, 20)


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"format": "another/1"}'])
def test_what_is_no_manifest_cannot_be_verified(segments: Path, raw: bytes) -> None:
    (segments / "000000000026-000000000045.json").write_bytes(raw)
    with pytest.raises(CannotVerify, match="000000000026"):
        Folder(segments)


def test_another_format_is_refused(segments: Path) -> None:
    edit(segments, 0, format="fintokenx-segment/9")
    with pytest.raises(CannotVerify, match="segment/9"):
        Folder(segments)


def test_a_folder_takes_findings_of_others(segments: Path) -> None:
    folder = Folder(segments)
    folder.findings.append(Finding(1, "manifest_changed", "said so"))
    assert verify(folder, last=45, watchers=[folder]).exit_code == 1


def test_an_empty_folder_has_no_entries(tmp_path: Path) -> None:
    assert Folder(tmp_path).bounds() == (1, 0) and list(read_segments(tmp_path)) == []


