"""Writing an evidence bundle: entries, proofs and anchors of a range, with the verifier beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

import bootstrap
from ai import model, policy
from bootstrap import Settings, SetupError
from chain import anchor
from chain.bundle import BatchRow, EntryRow, write_bundle
from chain.client import Chain
from eventstore.clock import Clock
from eventstore.store import Store


def write_evidence(store: Store, chain: Chain, clock: Clock, target: Path, first: int, last: int | None) -> Path:
    """Everything anchored between two positions (both included), as a zip. SetupError when nothing is anchored."""
    batches = [_batch(chain, number) for number in range(1, chain.batch_count() + 1)]
    if not batches:
        raise SetupError("nothing is anchored yet; the first anchor comes 10 minutes of platform time after the start")
    anchored = batches[-1].to_position
    last = anchored if last is None else last
    upto = min(last, anchored)
    if not 1 <= first <= upto:
        raise SetupError(f"positions {first} to {last} are not anchored; anchors end at {anchored}")
    entries = (msgspec.convert(row, EntryRow) for row in _plain(store, first, upto))
    write_bundle(target, anchor.facts(chain), entries, batches, store.links.hashes, clock.now().isoformat(),
                 {"model": model.current_version(), "policy": policy.CURRENT.version})
    return target


def _plain(store: Store, first: int, last: int) -> Iterator[dict[str, object]]:
    for row in store.rows(first, last):
        yield {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}


def _batch(chain: Chain, number: int) -> BatchRow:
    """What the chain and the journal know of a batch."""
    batch = chain.batch(number)
    receipt = chain.journal.receipt(f"anchor:{number}")
    if receipt is None:
        raise SetupError(f"batch {number} stands on the chain but not in the transaction journal: run `fx doctor`")
    prev_head = chain.batch(number - 1).head if number > 1 else anchor.genesis_head(chain.deployment().log_id)
    return BatchRow(batch_id=number, from_position=batch.from_position, to_position=batch.to_position,
                    root=batch.root, prev_head=prev_head, head=batch.head, tx_hash=receipt.tx_hash,
                    block_number=receipt.block_number, anchored_at=batch.anchored_at)


def export_bundle(settings: Settings, target: Path, first: int, last: int | None) -> Path:
    """For the command line: connects to the chain of a running platform, or starts the embedded one."""
    if last is not None and first > last:
        raise SetupError("give --from at most --to")
    if not target.absolute().parent.is_dir():
        raise SetupError(f"there is no folder {target.absolute().parent}")
    secrets = bootstrap.kept_secrets(settings.home)
    store = bootstrap.open_store(settings, secrets)
    link = bootstrap.chain_link(settings, store)
    try:
        link.start()
        return write_evidence(store, link(), bootstrap.choose_clock(settings, store), target, first, last)
    finally:
        link.stop()
        store.close()
