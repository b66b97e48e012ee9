"""Evidence bundles: a part of the log that anyone can check without us.

A bundle holds entries as they were hashed, an inclusion proof for each, every batch from the first to the last one
needed, a verifier that needs nothing but Python, and a page that says what is and is not proved. Its entries are a
range of positions, or the streams that belong to an invoice or a subject. An entry that may not be shown (another
tenant's, or restricted to the compliance officer) stands in a range as its hash alone.
"""

import hashlib
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import msgspec

from chain.checkpoint import Checkpoint, Tip
from chain.header import Header
from chain.merkle import Tree
from chain.notes import Signer

FORMAT = "fintokenx-evidence/2"
ENTRIES, BATCHES, MANIFEST = "entries.jsonl", "batches.json", "manifest.json"
HERE = Path(__file__).parent
SOURCES = {
    "VERIFY.md": HERE / "VERIFY.md",
    "verify.py": HERE / "verifier.py",
    **{name: HERE / name for name in ("verify_chain.py", "verify_notes.py", "verify_policy.py")},
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


class Withheld(msgspec.Struct, frozen=True):
    """The place of an entry that the bundle may not show."""

    position: int
    hash: bytes


class BatchRow(msgspec.Struct, frozen=True):
    """One anchored batch; `anchored_at` is its block's time in Unix seconds, `block` its header where known."""

    batch_id: int
    from_position: int
    to_position: int
    root: bytes
    prev_head: bytes
    head: bytes
    tx_hash: str
    block_number: int
    anchored_at: int
    block: Header | None = None


class Cosignature(msgspec.Struct, frozen=True):
    """A witness's countersignature of a batch: the signature line as the witness gave it."""

    batch_id: int
    witness: str
    line: str


class AnchorFacts(msgspec.Struct, frozen=True):
    """Where the anchors are, and the published sha256 of the contract's code."""

    chain_id: int
    contract: str
    log_id: bytes
    anchorer: str
    code_sha256: str


class Scope(msgspec.Struct, frozen=True):
    """What a bundle is of. A range holds every position from `first` to `last`; an invoice's or a subject's holds
    every entry, up to `last`, of the streams that belong to `name`.
    """

    kind: Literal["range", "invoice", "subject"]
    first: int
    last: int
    name: str = ""


def write_bundle(
    path: Path,
    facts: AnchorFacts,
    entries: Iterable[EntryRow | Withheld],
    batches: Sequence[BatchRow],
    read_hashes: ReadHashes,
    created_at: str,
    versions: Mapping[str, str] | None = None,
    *,
    scope: Scope | None = None,
    keys: Mapping[str, str] | None = None,
    cosignatures: Sequence[Cosignature] = (),
    quorum: int = 0,
    log: Signer | None = None,
) -> dict[str, Any]:
    """Writes a bundle and returns its manifest.

    A path that ends in .zip becomes a zip, any other a folder. `entries` are in order, and contiguous unless `scope`
    selects streams (no scope: the range they are); `batches` are all batches from number 1 to the last one needed;
    `read_hashes(first, last)` gives the hashes of a whole batch, whose ends may lie outside the range. `created_at`
    is business time in ISO 8601, `versions` names policies and models in force, `keys` public keys by name; a batch
    with fewer than `quorum` cosignatures is provisional. `log` signs the head of the last batch, so that whoever holds
    its public key need not take the batches from us. Raises ValueError for entries that are missing or out of order.
    """
    about = {"created_at": created_at, "versions": versions or {}, "keys": keys or {}, "quorum": quorum}
    countersigned = _with_cosignatures(batches, cosignatures)
    proved = _ProvedEntries(batches, read_hashes, scope)
    if path.suffix != ".zip":
        path.mkdir(parents=True, exist_ok=True)
        return _write_folder(path, facts, entries, proved, countersigned, about, log)
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        manifest = _write_folder(folder, facts, entries, proved, countersigned, about, log)
        draft = folder / "bundle.zip"
        _zip(draft, folder, [*manifest["files"], MANIFEST])
        draft.replace(path)
    return manifest


def _write_folder(
    folder: Path,
    facts: AnchorFacts,
    entries: Iterable[EntryRow | Withheld],
    proved: "_ProvedEntries",
    batches: Sequence[dict[str, Any]],
    about: dict[str, Any],
    log: Signer | None,
) -> dict[str, Any]:
    with (folder / ENTRIES).open("wb") as file:
        file.writelines(proved.lines(entries))
    scope = proved.scope()
    needed = [batch for batch in batches if batch["from_position"] <= scope.last]
    checkpoint = _checkpoint(log, needed[-1]) if log and needed else ""
    (folder / BATCHES).write_bytes(_encoder.encode(needed) + b"\n")
    for name, source in SOURCES.items():
        (folder / name).write_bytes(source.read_bytes())
    counts = {"entries": proved.count, "withheld": proved.withheld, "anchored": proved.anchored}
    manifest = about | {
        "format": FORMAT,
        "chain": _plain(facts),
        "scope": {"kind": scope.kind, "name": scope.name, "from": scope.first, "to": scope.last},
        "checkpoint": checkpoint,
        "counts": counts | {"batches": len(needed)},
        "streams": {} if scope.kind == "range" else proved.streams,
        "files": {name: _file_sha256(folder / name) for name in (ENTRIES, BATCHES, *SOURCES)},
    }
    text = msgspec.json.format(_encoder.encode(manifest), indent=2)
    (folder / MANIFEST).write_bytes(text + b"\n")
    return manifest


class _ProvedEntries:
    """Pairs entries with their proofs, one batch's tree at a time."""

    def __init__(self, batches: Sequence[BatchRow], read_hashes: ReadHashes, scope: Scope | None) -> None:
        self._batches = iter(sorted(batches, key=lambda batch: batch.from_position))
        self._batch = next(self._batches, None)
        self._tree: Tree | None = None
        self._read_hashes = read_hashes
        self._scope = scope
        self._first = 0
        self._last = 0
        self.count = 0
        self.withheld = 0
        self.anchored = 0
        self.streams: dict[str, int] = {}

    def lines(self, entries: Iterable[EntryRow | Withheld]) -> Iterator[bytes]:
        """The bundle's lines. Their members have a fixed order, so that a reader may cut instead of parse."""
        selected = self._scope is not None and self._scope.kind != "range"
        for entry in entries:
            if self.count and (entry.position <= self._last if selected else entry.position != self._last + 1):
                raise ValueError(f"position {entry.position} follows {self._last}")
            self._first = self._first or entry.position
            self._last = entry.position
            self.count += 1
            yield self._line(entry)
        if not self.count:
            raise ValueError("a bundle holds at least one entry")
        if self._scope is not None and not selected and (self._scope.first, self._scope.last) != (
                self._first, self._last):
            raise ValueError(f"these are the positions {self._first} to {self._last}")

    def scope(self) -> Scope:
        return self._scope or Scope("range", self._first, self._last)

    def _line(self, entry: EntryRow | Withheld) -> bytes:
        proof = self._proof(entry.position)
        if isinstance(entry, Withheld):
            self.withheld += 1
            return b'{"position":%d,"hash":"%s",%s}\n' % (entry.position, _hex(entry.hash), proof)
        self.streams[str(entry.originator_id)] = entry.originator_version
        return b'{"position":%d,"recorded_us":%d,"prev_hash":"%s","hash":"%s",%s,"body":%s}\n' % (
            entry.position, entry.recorded_us, _hex(entry.prev_hash), _hex(entry.hash), proof, entry.body)

    def _proof(self, position: int) -> bytes:
        batch = self._batch_of(position)
        if batch is None:
            return b'"batch_id":null,"proof":""'
        if self._tree is None:
            self._tree = Tree(self._read_hashes(batch.from_position, batch.to_position))
        self.anchored += 1
        siblings = b"".join(self._tree.proof(position - batch.from_position))
        return b'"batch_id":%d,"proof":"%s"' % (batch.batch_id, _hex(siblings))

    def _batch_of(self, position: int) -> BatchRow | None:
        while self._batch is not None and self._batch.to_position < position:
            self._batch = next(self._batches, None)
            self._tree = None
        if self._batch is None or self._batch.from_position > position:
            return None
        return self._batch


def _with_cosignatures(batches: Sequence[BatchRow], cosignatures: Sequence[Cosignature]) -> list[dict[str, Any]]:
    given: dict[int, list[dict[str, str]]] = {}
    for cosignature in cosignatures:
        given.setdefault(cosignature.batch_id, []).append({"witness": cosignature.witness, "line": cosignature.line})
    return [_plain(batch) | {"cosignatures": given.get(batch.batch_id, [])} for batch in batches]


def _checkpoint(log: Signer, batch: Mapping[str, Any]) -> str:
    tip = Tip(batch["batch_id"], batch["to_position"], bytes.fromhex(batch["head"]))
    return str(log.sign(Checkpoint(log.name, tip).text))


def _plain(row: msgspec.Struct) -> dict[str, Any]:
    """Returns a row's fields for JSON, with bytes in hex."""
    values = msgspec.structs.asdict(row)
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}


def _hex(value: bytes) -> bytes:
    return value.hex().encode("ascii")


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
