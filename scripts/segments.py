"""`fx segments`: closed, anchored ranges of the log as Parquet files with manifests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bootstrap
from bootstrap import Settings
from chain import merkle
from chain.audit import OnChain
from eventstore.access import ANCHOR, READ
from eventstore.segments import Exporter, Folder, Manifest, SegmentBatch


def export_segments(settings: Settings, path: Path, rows: int) -> Iterator[Manifest]:
    """Export what is anchored and not in the folder yet. Needs the chain: what is anchored is what it says."""
    store = bootstrap.open_store(settings, bootstrap.kept_secrets(settings.home))
    clock = bootstrap.choose_clock(settings, store)
    link = bootstrap.chain_link(settings, store)
    try:
        link.start()
        anchored = OnChain.of(link())
        exported = len(Folder(path).batches) if path.is_dir() else 0
        batches = (anchored.batch(number) for number in range(exported + 1, anchored.count + 1))
        with store.access.connect(ANCHOR) as chain, store.access.connect(READ) as bodies:
            exporter = Exporter(chain, bodies, settings.tenant, path, root_of=merkle.root,
                                now=lambda: clock.now().isoformat())
            yield from exporter.export([
                SegmentBatch(batch.batch_id, batch.from_position, batch.to_position, batch.root.hex(), batch.head.hex())
                for batch in batches], rows)
    finally:
        link.stop()
        store.close()
