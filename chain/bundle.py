"""Evidence bundles: a range of the log that anyone can check without us.

A bundle holds the entries as they were hashed, an inclusion proof for each, every batch from the first to the
last one needed, a verifier that needs nothing but Python, and a page that says what is and is not proved.
"""

import hashlib
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from chain.merkle import Tree

FORMAT = "fintokenx-evidence/1"
ENTRIES, BATCHES, MANIFEST = "entries.jsonl", "batches.json", "manifest.json"
README, VERIFIER = "VERIFY.md", "verify.py"
SOURCES = {
    README: Path(__file__).with_name("VERIFY.md"),
    VERIFIER: Path(__file__).with_name("verifier.py"),
}
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the same bundle gives the same file

ReadHashes = Callable[[int, int], Sequence[bytes]]

_encoder = msgspec.json.Encoder(order="sorted")


class EntryRow(msgspec.Struct, frozen=True):
    """One entry of the log. `body` is exactly the hashed bytes; `recorded_us` is microseconds since 1970."""

    position: int
    tenant_id: str
    originator_id: UUID
    originator_version: int
    topic: str
    recorded_us: int
    prev_hash: bytes
    body_hash: bytes
    hash: bytes
    body: bytes


class BatchRow(msgspec.Struct, frozen=True):
    """One anchored batch; `anchored_at` is its block's time in Unix seconds."""

    batch_id: int
    from_position: int
    to_position: int
    root: bytes
    prev_head: bytes
    head: bytes
    tx_hash: str
    block_number: int
    anchored_at: int


class AnchorFacts(msgspec.Struct, frozen=True):
    """Where the anchors are, and the published sha256 of the contract's code."""

    chain_id: int
    contract: str
    log_id: bytes
    anchorer: str
    code_sha256: str


def write_bundle(
    path: Path,
    facts: AnchorFacts,
    entries: Iterable[EntryRow],
    batches: Sequence[BatchRow],
    read_hashes: ReadHashes,
    created_at: str,
    versions: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Writes a bundle and returns its manifest.

    A path that ends in .zip becomes a zip, any other a folder. `entries` are contiguous and in order;
    `batches` are all batches from number 1 to the last that covers an entry; `read_hashes(first, last)` gives
    the hashes of a whole batch, whose ends may lie outside the range. `created_at` is business time in ISO
    8601, `versions` names policies and models in force. Raises ValueError for entries that are missing or out
    of order.
    """
    if path.suffix != ".zip":
        path.mkdir(parents=True, exist_ok=True)
        return _write_folder(path, facts, entries, batches, read_hashes, created_at, versions or {})
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        manifest = _write_folder(folder, facts, entries, batches, read_hashes, created_at, versions or {})
        draft = folder / "bundle.zip"
        _zip(draft, folder, [*manifest["files"], MANIFEST])
        draft.replace(path)
    return manifest


def _write_folder(
    folder: Path,
    facts: AnchorFacts,
    entries: Iterable[EntryRow],
    batches: Sequence[BatchRow],
    read_hashes: ReadHashes,
    created_at: str,
    versions: dict[str, str],
) -> dict[str, Any]:
    proved = _ProvedEntries(batches, read_hashes)
    with (folder / ENTRIES).open("wb") as file:
        file.writelines(_encoder.encode(line) + b"\n" for line in proved.lines(entries))
    needed = [batch for batch in batches if batch.from_position <= proved.last]
    (folder / BATCHES).write_bytes(_encoder.encode([_plain(batch) for batch in needed]) + b"\n")
    for name, source in SOURCES.items():
        (folder / name).write_bytes(source.read_bytes())
    names = (ENTRIES, BATCHES, README, VERIFIER)
    manifest = {
        "format": FORMAT,
        "created_at": created_at,
        "chain": _plain(facts),
        "range": {"from": proved.first, "to": proved.last},
        "counts": {"entries": proved.count, "anchored": proved.anchored, "batches": len(needed)},
        "versions": versions,
        "files": {name: _file_sha256(folder / name) for name in names},
    }
    text = msgspec.json.format(_encoder.encode(manifest), indent=2)
    (folder / MANIFEST).write_bytes(text + b"\n")
    return manifest


class _ProvedEntries:
    """Pairs entries with their proofs, one batch's tree at a time."""

    def __init__(self, batches: Sequence[BatchRow], read_hashes: ReadHashes) -> None:
        self._batches = iter(sorted(batches, key=lambda batch: batch.from_position))
        self._batch = next(self._batches, None)
        self._tree: Tree | None = None
        self._read_hashes = read_hashes
        self.first = 0
        self.last = 0
        self.count = 0
        self.anchored = 0

    def lines(self, entries: Iterable[EntryRow]) -> Iterator[dict[str, Any]]:
        for entry in entries:
            if self.count and entry.position != self.last + 1:
                raise ValueError(f"position {entry.position} follows {self.last}")
            self.first = self.first or entry.position
            self.last = entry.position
            self.count += 1
            yield self._line(entry)
        if not self.count:
            raise ValueError("a bundle holds at least one entry")

    def _line(self, entry: EntryRow) -> dict[str, Any]:
        batch = self._batch_of(entry.position)
        line = _plain(entry) | {"body": entry.body.decode("utf-8"), "batch_id": None, "proof": None}
        if batch is None:
            return line
        if self._tree is None:
            self._tree = Tree(self._read_hashes(batch.from_position, batch.to_position))
        self.anchored += 1
        proof = self._tree.proof(entry.position - batch.from_position)
        return line | {"batch_id": batch.batch_id, "proof": [sibling.hex() for sibling in proof]}

    def _batch_of(self, position: int) -> BatchRow | None:
        while self._batch is not None and self._batch.to_position < position:
            self._batch = next(self._batches, None)
            self._tree = None
        if self._batch is None or self._batch.from_position > position:
            return None
        return self._batch


def _plain(row: msgspec.Struct) -> dict[str, Any]:
    """Returns a row's fields for JSON, with bytes in hex."""
    values = msgspec.structs.asdict(row)
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _zip(target: Path, folder: Path, names: Sequence[str]) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(names):
            info = zipfile.ZipInfo(name, ZIP_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            with (folder / name).open("rb") as source, archive.open(info, "w", force_zip64=True) as sink:
                while block := source.read(1 << 20):
                    sink.write(block)
