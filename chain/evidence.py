"""Gathering what an evidence bundle holds: from the log and the chain, for a range, an invoice or a subject."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from chain import anchor
from chain.bundle import BatchRow, Cosignature, EntryRow, Scope, Withheld, write_bundle
from chain.client import Chain
from chain.notes import Signer
from eventstore.naming import RESTRICTED, Stream, rows_of_streams, streams_naming
from eventstore.store import Store

PAGE = 2_000
FOLLOWED = frozenset({"token", "trade", "payment", "credit", "account"})
"""What is named in an invoice's story is part of it with its own story. Other kinds (a subject, an alarm) are not
followed further: their stories are others'."""


class NothingToShow(Exception):
    """Nothing is anchored, the range is not, or nothing of that name is in the anchored part of the log."""


class Signatures(msgspec.Struct, frozen=True):
    """Public keys by name, and what witnesses signed. A batch with fewer than `quorum` of these is provisional; `log`
    signs the last head of a bundle."""

    keys: Mapping[str, str] = {}
    cosignatures: Sequence[Cosignature] = ()
    quorum: int = 0
    log: Signer | None = None


def write_evidence(store: Store, chain: Chain, path: Path, *, kind: str = "range", name: str = "", first: int = 1,
                   last: int | None = None, created_at: str, versions: Mapping[str, str],
                   signatures: Signatures | None = None) -> dict[str, Any]:
    """Writes a bundle (a folder, or a zip by its name) and returns its manifest.

    kind "range": positions `first` to `last`, or as far as the log is anchored. "invoice" or "subject": every anchored
    entry of the streams that belong to `name`. Raises NothingToShow.
    """
    signed = signatures or Signatures()
    batches = anchored_batches(chain)
    anchored = batches[-1].to_position
    if kind == "range":
        scope = Scope("range", first, min(anchored if last is None else last, anchored))
        if not 1 <= scope.first <= scope.last:
            raise NothingToShow(f"the positions from {first} on are not anchored; anchors end at {anchored}")
        entries = _range(store, scope.first, scope.last)
    else:
        scope = Scope("invoice" if kind == "invoice" else "subject", 1, anchored, name)
        entries = _story(store, scope)
    return write_bundle(path, anchor.facts(chain), entries, batches, store.links.hashes, created_at, versions,
                        scope=scope, keys=signed.keys, cosignatures=signed.cosignatures, quorum=signed.quorum,
                        log=signed.log)


def anchored_batches(chain: Chain) -> list[BatchRow]:
    """Every batch as the chain and the journal know it, with the header of its block. Raises NothingToShow."""
    rows: list[BatchRow] = []
    head = anchor.genesis_head(chain.deployment().log_id)
    for number in range(1, chain.batch_count() + 1):
        batch = chain.batch(number)
        receipt = chain.journal.receipt(f"anchor:{number}")
        if receipt is None:
            raise NothingToShow(f"batch {number} stands on the chain and not in the journal: run `fx doctor`")
        rows.append(BatchRow(
            batch_id=number, from_position=batch.from_position, to_position=batch.to_position, root=batch.root,
            prev_head=head, head=batch.head, tx_hash=receipt.tx_hash, block_number=receipt.block_number,
            anchored_at=batch.anchored_at, block=chain.header(receipt.block_number)))
        head = batch.head
    if not rows:
        raise NothingToShow("nothing is anchored yet; the first anchor comes 10 minutes of platform time after start")
    return rows


def _range(store: Store, first: int, last: int) -> Iterator[EntryRow | Withheld]:
    """Every position: the tenant's entries in full, another tenant's and restricted ones as hashes."""
    for start in range(first, last + 1, PAGE):
        end = min(start + PAGE - 1, last)
        own = {row["position"]: row for row in store.rows(start, end) if not row["topic"].startswith(RESTRICTED)}
        for position, entry_hash in enumerate(store.links.hashes(start, end), start):
            yield _entry(own[position]) if position in own else Withheld(position, entry_hash)


def _story(store: Store, scope: Scope) -> Iterator[EntryRow]:
    names = {scope.name}
    streams = streams_naming(store, names, scope.last) if scope.name else set[Stream]()
    if not any((stream.kind, stream.resource) == (scope.kind, scope.name) for stream in streams):
        raise NothingToShow(f"there is no {scope.kind} {scope.name!r} in the anchored part of the log")
    if scope.kind == "invoice":
        while named := {stream.resource for stream in streams if stream.kind in FOLLOWED} - names:
            names |= named
            streams |= streams_naming(store, named, scope.last)
    return _entries(rows_of_streams(store, {stream.id for stream in streams}, scope.last))


def _entries(rows: Iterable[dict[str, Any]]) -> Iterator[EntryRow]:
    return (_entry(row) for row in rows)


def _entry(row: dict[str, Any]) -> EntryRow:
    plain = {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}
    return msgspec.convert(plain, EntryRow)
