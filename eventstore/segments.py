"""Segments: closed, anchored ranges of the log as Parquet files, each with a manifest that names the one before.

    000000000001-000000100000.parquet    position, recorded_us, hash, body_hash, tenant, stream, version, topic, body
    000000000001-000000100000.json       what must be true of the file; chained by sha256 of the manifest before

prev_hash is the hash of the row before, body_hash is sha256(body): both are stored only where they cannot be computed
(the first prev_hash in the manifest, body_hash of an entry whose body is another tenant's). Why: docs/decisions/0009.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import msgspec
from psycopg import Connection

from eventstore.contents import BodyRow, check_bodies
from eventstore.entry import ZERO_HASH, Entry, UnknownEvent, body_hash, decode, decode_or_unreadable, header
from eventstore.files import settle, write_whole
from eventstore.tampering import Chain, ChainRow, Finding
from eventstore.verify import CHAIN_ROWS, PAGE, Page
from eventstore.workers import BODY_ROWS, CannotVerify, select

FORMAT = "fintokenx-segment/1"
ROWS = 100_000
FOR_OTHERS = 0o644
"""Mode of a manifest: segments are made to be handed on."""

CONFIG: dict[str, Any] = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}

TABLE = ("CREATE TABLE segment (position BIGINT, recorded_us BIGINT, hash BLOB, body_hash BLOB, tenant VARCHAR, "
         "stream UUID, version BIGINT, topic VARCHAR, body BLOB)")
INSERT = ("INSERT INTO segment SELECT unnest($1::BIGINT[]), unnest($2::BIGINT[]), unnest($3::BLOB[]), "
          "unnest($4::BLOB[]), unnest($5::VARCHAR[]), unnest($6::VARCHAR[])::UUID, unnest($7::BIGINT[]), "
          "unnest($8::VARCHAR[]), unnest($9::BLOB[])")
WRITE = "COPY (SELECT * FROM segment ORDER BY position) TO '{}' (FORMAT parquet, COMPRESSION zstd)"
ALL_COLUMNS = ("SELECT position, recorded_us, hash, body_hash, tenant, stream::VARCHAR, version, topic, body "
               "FROM read_parquet(?) WHERE position BETWEEN ? AND ? ORDER BY position")
BODIES = "SELECT position, body FROM read_parquet(?) WHERE position > ? AND body IS NOT NULL ORDER BY position"
SEGMENT_HASHES = "SELECT hash FROM read_parquet(?) WHERE position BETWEEN ? AND ? ORDER BY position"


class NotExported(CannotVerify):
    """The range does not hold, or is not what was anchored: a segment of it would be evidence of nothing."""


class SegmentBatch(msgspec.Struct, frozen=True):
    """An anchored batch; `root` and `head` in hex."""

    batch_id: int
    from_position: int
    to_position: int
    root: str
    head: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What must be true of one segment. Hashes in hex; a segment holds whole batches."""

    format: str = FORMAT
    tenant: str
    first: int
    last: int
    entries: int
    bodies: int
    """How many entries come with their body; the others are another tenant's."""

    prev_hash: str
    last_hash: str
    file: str
    file_sha256: str
    file_bytes: int
    batches: tuple[SegmentBatch, ...]
    created_at: str
    prev_manifest: str
    """sha256 of the manifest file before; zeros for the first."""


class Folder:
    """A folder of segments: a `verify.Source`, and a `verify.Watcher` over its own files."""

    bodies = True
    layers = ("segments",)

    def __init__(self, path: Path):
        self.path = path
        self.unchecked: list[str] = []
        self.manifests: list[Manifest] = []
        self.digest = ZERO_HASH.hex()
        """sha256 of the last manifest file."""

        self.findings: list[Finding] = []
        """What does not hold between the manifests; whoever can compare them with more adds to it."""
        for name in sorted(file.name for file in path.glob("*.json")):
            self._take(name, (path / name).read_bytes())

    def _take(self, name: str, raw: bytes) -> None:
        try:
            manifest = msgspec.json.decode(raw, type=Manifest)
        except msgspec.MsgspecError as error:
            raise CannotVerify(f"{name} is no manifest: {error}") from error
        if manifest.format != FORMAT:
            raise CannotVerify(f"{name} has the format {manifest.format!r}, this program reads {FORMAT!r}")
        before = self.manifests[-1] if self.manifests else None
        if before and manifest.first > before.last + 1:
            self.findings.append(Finding(before.last + 1, "segment_missing", f"no segment has the entries before "
                                         f"{name}"))
        elif before and (manifest.first, manifest.prev_hash) != (before.last + 1, before.last_hash):
            self.findings.append(Finding(manifest.first, "manifest_changed", f"{name} does not go on where the segment "
                                          "before it ends"))
        elif before and manifest.prev_manifest != self.digest:
            self.findings.append(Finding(before.first, "manifest_changed", f"{name} names another manifest before it: "
                                         "one of the two was changed"))
        self.manifests.append(manifest)
        self.digest = hashlib.sha256(raw).hexdigest()

    @property
    def batches(self) -> list[SegmentBatch]:
        return [batch for manifest in self.manifests for batch in manifest.batches]

    def files_after(self, after: int) -> list[str]:
        return [str(self.path / manifest.file) for manifest in self.manifests if manifest.last > after]

    # ------------------------------------------------------------ as a source

    def bounds(self) -> tuple[int, int]:
        return (self.manifests[0].first, self.manifests[-1].last) if self.manifests else (1, 0)

    def hashes(self, first: int, last: int) -> list[bytes]:
        """Those that can be read: whoever needs all of them counts them."""
        if self.manifests and first == last == self.manifests[0].first - 1:
            return [bytes.fromhex(self.manifests[0].prev_hash)]
        found: list[bytes] = []
        with duckdb.connect(config=CONFIG) as duck:
            for manifest in self._within(first, last):
                with suppress(duckdb.Error):
                    found += [row[0] for row in duck.execute(
                        SEGMENT_HASHES, [str(self.path / manifest.file), first, last]).fetchall()]
        return found

    def pages(self, first: int, last: int) -> Iterator[Page]:
        for manifest in self._within(first, last):
            yield from self._pages_of(manifest, max(first, manifest.first), min(last, manifest.last))

    def _within(self, first: int, last: int) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest.first <= last and first <= manifest.last]

    def _pages_of(self, manifest: Manifest, first: int, last: int) -> Iterator[Page]:
        """A file that cannot be read gives an empty page: its entries are missing, and `end` says why."""
        link = bytes.fromhex(manifest.prev_hash) if first == manifest.first else None
        with duckdb.connect(config=CONFIG) as duck, suppress(duckdb.Error):
            rows = duck.execute(ALL_COLUMNS, [str(self.path / manifest.file), first, last])
            while page := rows.fetchmany(PAGE):
                upto = min(page[-1][0], last) if len(page) == PAGE else last
                chain, bodies = _rebuilt(page, link)
                link = chain[-1][4]
                yield Page(first, upto, chain, check_bodies(bodies))
                first = upto + 1
        if first <= last:
            yield Page(first, last, ())

    # ------------------------------------------------------------ as a watcher

    def page(self, page: Page) -> list[Finding]:
        return []

    def end(self) -> list[Finding]:
        return [*self.findings, *(finding for manifest in self.manifests for finding in self._file_faults(manifest))]

    def _file_faults(self, manifest: Manifest) -> Iterator[Finding]:
        try:
            with (self.path / manifest.file).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            yield Finding(manifest.first, "segment_missing", f"the file {manifest.file} is not there")
            return
        if found != manifest.file_sha256:
            yield Finding(manifest.first, "segment_changed", f"{manifest.file} is not the file that was exported")
        elif self.hashes(manifest.last, manifest.last) != [bytes.fromhex(manifest.last_hash)]:
            yield Finding(manifest.last, "manifest_changed", f"{manifest.file} does not end with the hash its manifest "
                          "names")


def _rebuilt(rows: Sequence[tuple[Any, ...]], link: bytes | None) -> tuple[list[ChainRow], list[BodyRow]]:
    """The rows as the database holds them, with what a segment leaves out computed."""
    chain: list[ChainRow] = []
    bodies: list[BodyRow] = []
    for position, recorded_us, hashed, sealed, tenant, stream, version, topic, body in rows:
        if body is not None:
            sealed = body_hash(body)
            bodies.append((position, sealed, tenant, stream, version, topic, body))
        chain.append((position, recorded_us, link or b"", sealed or b"", hashed))
        link = hashed
    return chain, bodies


def read_segments(path: Path, after: int = 0) -> Iterator[Entry]:
    """The tenant's entries after a position, in order, decoded: the log as rebuilds and replays read it at scale."""
    with duckdb.connect(config=CONFIG) as duck:
        for file in Folder(path).files_after(after):
            rows = duck.execute(BODIES, [file, after])
            while page := rows.fetchmany(PAGE):
                yield from (_told(body, position) for position, body in page)


def _told(body: bytes, position: int) -> Entry:
    try:
        return decode(body, position)
    except UnknownEvent:  # as followers see it: its own stream is left out, and no other
        raw = header(body)
        return decode_or_unreadable(body, position=position, stream=raw.stream, version=raw.version, topic=raw.type,
                                    tenant=raw.tenant)


# ------------------------------------------------------------ exporting

class Exporter:
    """Writes segments after those a folder holds. Whatever stops it, the folder holds whole segments only.

    `root_of` computes a batch's root from its entries' hashes (`chain.merkle.root`).
    """

    def __init__(self, chain: Connection[Any], bodies: Connection[Any], tenant: str, path: Path, *,
                 root_of: Callable[[Sequence[bytes]], bytes], now: Callable[[], str]):
        self._chain, self._bodies, self._tenant = chain, bodies, tenant
        self._root_of, self._now, self._path = root_of, now, path

    def export(self, batches: Sequence[SegmentBatch], rows: int = ROWS) -> Iterator[Manifest]:
        """Export what is anchored and not exported yet; yields each segment when it is safe on disk.

        A segment is closed at the first batch that fills `rows`; the rest waits for more batches. NotExported when the
        range does not hold.
        """
        self._path.mkdir(parents=True, exist_ok=True)
        folder = Folder(self._path)
        if folder.manifests and folder.manifests[-1].tenant != self._tenant:
            raise NotExported(f"{self._path} holds segments of {folder.manifests[-1].tenant}")
        done, link, digest = folder.bounds()[1], ZERO_HASH, folder.digest
        if folder.manifests:
            link = bytes.fromhex(folder.manifests[-1].last_hash)
        waiting: list[SegmentBatch] = []
        for batch in batches:
            if batch.to_position <= done:
                continue
            waiting.append(batch)
            if batch.to_position - waiting[0].from_position + 1 < rows:
                continue
            manifest, raw = self._segment(waiting, done + 1, link, digest)
            yield manifest
            done, link, digest = manifest.last, bytes.fromhex(manifest.last_hash), hashlib.sha256(raw).hexdigest()
            waiting = []

    def _segment(self, batches: Sequence[SegmentBatch], first: int, link: bytes, digest: str) -> tuple[Manifest, bytes]:
        last = batches[-1].to_position
        name = f"{first:012d}-{last:012d}"
        if batches[0].from_position != first:
            raise NotExported(f"batch {batches[0].batch_id} begins at {batches[0].from_position}, not at {first}")
        with duckdb.connect(config=CONFIG) as duck:
            duck.execute(TABLE)
            hashes, bodies = self._load(duck, first, last, link)
            for batch in batches:
                part = hashes[batch.from_position - first:batch.to_position - first + 1]
                if self._root_of(part).hex() != batch.root:
                    raise NotExported(f"the log no longer gives the root of batch {batch.batch_id}: run `fx verify`")
            part_file = self._path / f".{name}.part"
            duck.execute(WRITE.format(str(part_file).replace("'", "''")))
        with part_file.open("rb") as file:
            digested = hashlib.file_digest(file, "sha256").hexdigest()
        manifest = Manifest(
            tenant=self._tenant, first=first, last=last, entries=len(hashes), bodies=bodies, prev_hash=link.hex(),
            last_hash=hashes[-1].hex(), file=f"{name}.parquet", file_sha256=digested,
            file_bytes=part_file.stat().st_size, batches=tuple(batches), created_at=self._now(), prev_manifest=digest)
        raw = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
        settle(part_file, self._path / manifest.file)
        write_whole(self._path / f"{name}.json", raw, FOR_OTHERS)  # the segment is there from here on
        return manifest, raw

    def _load(self, duck: duckdb.DuckDBPyConnection, first: int, last: int, link: bytes) -> tuple[list[bytes], int]:
        """Fill the table, checking everything on the way; returns the hashes and how many bodies there were."""
        check, hashes, bodies = Chain(first, link), list[bytes](), 0
        for start in range(first, last + 1, PAGE):
            bounds = (start, min(last, start + PAGE - 1))
            chain: list[ChainRow] = select(self._chain, CHAIN_ROWS, bounds)
            seen: list[BodyRow] = select(self._bodies, BODY_ROWS, bounds)
            if found := [*check.check(chain, bounds[1], None), *check_bodies(seen).findings]:
                raise NotExported(f"entry {found[0].position}: {found[0].fits}")
            whole = {row[0]: row for row in seen}
            rows = [_segment_row(row, whole.get(row[0])) for row in chain]
            duck.execute(INSERT, [list(column) for column in zip(*rows, strict=True)])
            hashes += [row[4] for row in chain]
            bodies += len(seen)
        return hashes, bodies


def _segment_row(chain: ChainRow, whole: BodyRow | None) -> tuple[object, ...]:
    position, recorded_us, _, sealed, hashed = chain
    if whole is None:
        return position, recorded_us, hashed, sealed, None, None, None, None, None
    return position, recorded_us, hashed, None, *whole[2:]
