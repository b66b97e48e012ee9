"""Batches of the log, and anchoring them exactly once.

The next batch starts where the contract says the last one ended. Its operation id is its number, so a batch
that was signed before is sent again with the range it was signed with, even when the log has grown since.
"""

from collections.abc import Callable, Sequence

import msgspec

from chain import merkle
from chain.abi import artifact
from chain.bundle import AnchorFacts, BatchRow
from chain.checkpoint import genesis_head as genesis_head
from chain.checkpoint import head_after as head_after
from chain.client import Chain
from chain.errors import Final
from chain.journal import Receipt

MAX_BATCH_ENTRIES = 100_000

ReadHashes = Callable[[int, int], Sequence[bytes]]


class Batch(msgspec.Struct, frozen=True):
    """A range of the log, its root, and the heads before and after it."""

    batch_id: int
    from_position: int
    to_position: int
    root: bytes
    prev_head: bytes
    head: bytes


class Anchored(msgspec.Struct, frozen=True):
    """A batch and the transaction that anchored it."""

    batch: Batch
    receipt: Receipt

    def row(self) -> BatchRow:
        """Returns the record an evidence bundle keeps of the batch."""
        facts = {field: getattr(self.batch, field) for field in self.batch.__struct_fields__}
        receipt = self.receipt
        return BatchRow(
            **facts,
            tx_hash=receipt.tx_hash,
            block_number=receipt.block_number,
            anchored_at=receipt.block_time,
        )


def make_batch(batch_id: int, entries: Sequence[tuple[int, bytes]], prev_head: bytes) -> Batch:
    """Builds a batch from (position, hash) pairs. Raises ValueError when they are empty or have a gap."""
    if not entries:
        raise ValueError("a batch holds at least one entry")
    first, last = entries[0][0], entries[-1][0]
    if [position for position, _ in entries] != list(range(first, last + 1)):
        raise ValueError(f"positions {first} to {last} are not contiguous")
    root = merkle.root([entry_hash for _, entry_hash in entries])
    return Batch(batch_id, first, last, root, prev_head, head_after(prev_head, batch_id, first, last, root))


def anchor_pending(
    chain: Chain,
    read_hashes: ReadHashes,
    head_position: int,
    op_prefix: str = "anchor",
    max_entries: int = MAX_BATCH_ENTRIES,
) -> Anchored | None:
    """Anchors the next batch up to `head_position`; returns None when nothing is left to anchor.

    `read_hashes(first, last)` returns the hashes of those positions, both included. Call again until None
    when more than `max_entries` are waiting. Raises the chain's errors, and `Final` when the log no longer
    gives the root that was signed for a batch.
    """
    batch_id = chain.batch_count() + 1
    op = f"{op_prefix}:{batch_id}"
    first = chain.next_position()
    last = min(head_position, first + max_entries - 1)
    if signed := chain.signed_anchor(op):
        _, first, last = signed
    if last < first:
        return None
    hashes = read_hashes(first, last)
    if len(hashes) != last - first + 1:
        raise Final(f"the log gave {len(hashes)} hashes for positions {first} to {last}")
    batch = make_batch(batch_id, list(enumerate(hashes, first)), chain.anchor_head())
    receipt = chain.anchor(op, batch_id, first, last, batch.root, batch.prev_head)
    if chain.batch(batch_id).head != batch.head:
        raise Final(f"the log no longer gives the root that was signed for batch {batch_id}")
    return Anchored(batch, receipt)


def facts(chain: Chain) -> AnchorFacts:
    """Returns what an evidence bundle says about the anchoring contract."""
    deployment = chain.deployment()
    return AnchorFacts(
        chain_id=chain.chain_id,
        contract=deployment["FXAuditAnchor"],
        log_id=deployment.log_id,
        anchorer=chain.role_address("anchorer"),
        code_sha256=artifact("FXAuditAnchor")["deployedBytecodeSha256"],
    )
