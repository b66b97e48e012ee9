"""Comparing the log with its anchors: what `fx verify` does with a batch, on the chain or recorded in the log.

An anchor holds the Merkle root of a range of entries outside the database. Who rewrites history and computes every hash
anew gets a log that holds in itself and gives another root.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Protocol

import msgspec
from eth_utils.address import is_address, to_checksum_address

from chain.abi import artifact
from chain.anchor import genesis_head, head_after
from chain.client import AnchoredBatch, Chain
from chain.deployment import DEFAULT_LOG_ID
from chain.errors import ChainError, Final
from chain.merkle import root
from chain.rpc import DEFAULT_TIMEOUT_SECONDS, connect, node_errors
from domain.platform import BatchAnchored
from eventstore.entry import UnknownEvent, decode
from eventstore.tampering import Finding
from eventstore.verify import Page, Source

KEPT_HASHES = 2_000_000
"""Without a chain the end of a batch is known only when its record comes by; no batch is nearly as long as this."""


class Batches(Protocol):
    """Batches 1 to `count` without gaps, from a witness outside the log."""

    count: int
    genesis: bytes
    on_chain: bool

    def batch(self, number: int) -> AnchoredBatch: ...


class OnChain:
    """The contract's batches, as many as there are now; each is asked for once. Raises the chain's errors."""

    on_chain = True

    def __init__(self, count: int, genesis: bytes, read: Callable[[int], AnchoredBatch]):
        self.count, self.genesis = count, genesis
        self.batch = cache(read)

    @classmethod
    def of(cls, chain: Chain) -> OnChain:
        """The contract the platform's own journal names. Who owns the database can make it name another."""
        return cls(chain.batch_count(), genesis_head(chain.deployment().log_id), chain.batch)

    @classmethod
    def at(cls, url: str, chain_id: int, contract: str, log_id: bytes = DEFAULT_LOG_ID) -> OnChain:
        """The contract at a published address: nothing of the database is asked. Final when the address is none."""
        if not is_address(contract):
            raise Final(f"{contract} is no address of a contract")
        w3, _ = connect(url, chain_id, DEFAULT_TIMEOUT_SECONDS)
        deployed = w3.eth.contract(address=to_checksum_address(contract), abi=artifact("FXAuditAnchor")["abi"])

        def read(number: int) -> AnchoredBatch:
            with node_errors():
                told, head, first, last, anchored_at = deployed.functions["getBatch"](number).call()
            return AnchoredBatch(number, first, last, told, head, anchored_at)

        with node_errors():
            count, genesis = deployed.functions["batchCount"]().call(), deployed.functions["genesisHead"]().call()
        if genesis != genesis_head(log_id):
            raise Final(f"the contract at {contract} belongs to another log")
        return cls(count, genesis, read)


class Listed:
    """Batches that somebody wrote down (the manifests of segments): they must fit, and prove nothing by themselves."""

    on_chain = False

    def __init__(self, batches: Sequence[AnchoredBatch], log_id: bytes = DEFAULT_LOG_ID):
        self._batches, self.genesis, self.count = batches, genesis_head(log_id), len(batches)

    def batch(self, number: int) -> AnchoredBatch:
        return self._batches[number - 1]


class Audit:
    """A `Watcher`: recomputes the root of every batch that reaches into the range, and compares what the log records.

    Make it before the log's end is read, so that the log holds at least what was anchored then. `due_us`: entries
    recorded before this moment (microseconds since 1970) must be anchored; None where nobody can say. `whole`: the
    source should hold all that was anchored (segments need not).
    """

    def __init__(self, source: Source, batches: Batches | None, *, why_not: str = "", due_us: int | None = None,
                 whole: bool = True):
        self._source, self._batches, self._due_us, self._whole = source, batches, due_us, whole
        self.unchecked = [] if batches and batches.on_chain else [f"anchors: {why_not or 'no chain was asked'}"]
        self._first = self._start = 0
        """The first position of the range, and the first whose hash is kept; 0 before the first page."""
        self._end = 0
        self._positions: list[int] = []
        self._hashes: list[bytes] = []
        """The entries from `_start` to `_end` that are there: positions may leave gaps of any width."""
        self._next = 1
        self._record: BatchAnchored | None = None
        self._oldest: tuple[int, int] | None = None
        """(position, recorded_us) of the first entry that is not anchored."""

    @property
    def layers(self) -> Sequence[str]:
        recorded = ["batches"] if self._source.bodies or self._batches else []
        return [*recorded, "anchors"] if self._anchored() else recorded

    def page(self, page: Page) -> list[Finding]:
        first = max(page.first, 1)
        self._first, self._start, self._end = self._first or first, self._start or first, page.last
        self._positions += [row[0] for row in page.chain]
        self._hashes += [row[4] for row in page.chain]
        try:
            found = list(self._reached(page.last))
            for position, body in page.contents.records if page.contents else ():
                found += self._recorded(position, body)
        except ChainError as error:
            self._give_up(error)
            return []
        self._note_oldest(page)
        if len(self._hashes) > KEPT_HASHES or (self._batches is not None and self._next > self._batches.count):
            self._forget(page.last)
        return found

    def end(self) -> list[Finding]:
        if self._batches is None or not self._batches.on_chain:
            return []
        try:
            return list(self._ending(self._batches))
        except ChainError as error:
            self._give_up(error)
            return []

    def _anchored(self) -> bool:
        """Whether any entry of the range is in a batch on the chain."""
        if self._batches is None or not self._batches.on_chain or not self._batches.count:
            return False
        return 0 < self._first <= self._batches.batch(self._batches.count).to_position

    def _give_up(self, error: ChainError) -> None:
        self._batches = None
        self.unchecked.append(f"anchors: the chain stopped answering ({error})")

    # ------------------------------------------------------------ against the witness

    def _reached(self, upto: int) -> Iterator[Finding]:
        """Compare the batches that end at or before `upto`."""
        if self._batches is None:
            return
        if self._next == 1:  # skip the batches before the range
            known = self._batches
            self._next += bisect_left(range(1, known.count + 1), self._start,
                                      key=lambda number: known.batch(number).to_position)
        while self._next <= self._batches.count and self._batches.batch(self._next).to_position <= upto:
            yield from self._compare(self._batches, self._batches.batch(self._next))
            self._next += 1

    def _compare(self, batches: Batches, batch: AnchoredBatch) -> Iterator[Finding]:
        before = batches.batch(batch.batch_id - 1) if batch.batch_id > 1 else None
        head, first = (before.head, before.to_position + 1) if before else (batches.genesis, 1)
        numbers = (batch.batch_id, batch.from_position, batch.to_position, batch.root)
        if batch.from_position != first or batch.head != head_after(head, *numbers):
            yield Finding(batch.from_position, "contract_broken" if batches.on_chain else "manifest_changed",
                          f"batch {batch.batch_id} does not continue batch {batch.batch_id - 1}, which our contract "
                          "would have refused: another contract, or a node that lies")
        elif self._root(batch.from_position, batch.to_position) != batch.root:
            what = f"entries {batch.from_position} to {batch.to_position} give another root than batch {batch.batch_id}"
            if batches.on_chain:
                yield Finding(batch.from_position, "rewritten", f"{what} on the chain: history was rewritten and "
                              "chained anew, or an older table was restored")
            else:
                yield Finding(batch.from_position, "batch_differs", f"{what}, as it was written down")
        self._forget(batch.to_position)

    def _ending(self, batches: Batches) -> Iterator[Finding]:
        """What is left when the range is done: a batch across its end, a log that is too short, entries too old."""
        _, head = self._source.bounds()
        last = batches.batch(batches.count) if batches.count else None
        pending = batches.batch(self._next) if self._next <= batches.count else None
        if self._whole and last is not None and last.to_position > head:
            yield Finding(head + 1, "tail_cut", f"the chain knows entries up to {last.to_position} (batch "
                          f"{last.batch_id}), the log ends at {head}: its tail was cut, or an older table was restored")
        elif pending and pending.from_position <= self._end and pending.to_position <= head:
            yield from self._compare(batches, pending)
        if not self._anchored():
            self.unchecked.append("anchors: no entry of this range is in a batch on the chain")
        if self._oldest and self._due_us is not None and self._oldest[1] < self._due_us:
            yield Finding(self._oldest[0], "not_anchored", "this entry and those after it should be anchored by now: "
                          "anchoring stands still (does the platform run?), or anchors are withheld")

    def _note_oldest(self, page: Page) -> None:
        if self._oldest is None and self._batches is not None and page.chain:
            count = self._batches.count
            anchored = self._batches.batch(count).to_position if count else 0
            self._oldest = next(((row[0], row[1]) for row in page.chain if row[0] > anchored), None) \
                if page.last > anchored else None

    # ------------------------------------------------------------ against the log's own records

    def _recorded(self, position: int, body: bytes) -> Iterator[Finding]:
        """An entry that says a batch was anchored."""
        try:
            record = decode(body, position).event
        except (UnknownEvent, msgspec.MsgspecError, ValueError):  # its body was changed, which is already found
            return
        if not isinstance(record, BatchAnchored):
            return
        told = f"the record of batch {record.batch_id}"
        before, self._record = self._record, record
        if self._batches is not None and self._batches.on_chain:
            if not 1 <= record.batch_id <= self._batches.count:
                yield Finding(position, "batch_forged", f"{told} speaks of a batch the contract does not have")
            elif facts(record) != facts(self._batches.batch(record.batch_id)):
                yield Finding(position, "batch_forged", f"{told} is not what the contract holds: it did not come from "
                              "anchoring")
        elif not 1 <= record.from_position <= record.to_position < position:
            yield Finding(position, "batch_forged", f"{told} covers entries that were not there yet")
        elif before and before.batch_id + 1 == record.batch_id and _bytes(record.head) != head_after(
                _bytes(before.head), *_numbers(record)):
            yield Finding(position, "batch_forged", f"{told} does not continue the record before it")
        elif (self._batches is None and record.from_position >= self._start
              and self._root(record.from_position, record.to_position) != _bytes(record.root)):
            yield Finding(position, "batch_differs", f"entries {record.from_position} to {record.to_position} do not "
                          f"give the root in {told}: they were rewritten, or the record is forged")
        if self._batches is None:
            self._forget(record.to_position)

    def _root(self, first: int, last: int) -> bytes | None:
        """The root over entries, of which the ends may lie outside the range; None where one is missing."""
        kept = self._hashes[bisect_left(self._positions, first):bisect_right(self._positions, last)]
        hashes = [*(self._source.hashes(first, min(last, self._start - 1)) if first < self._start else ()), *kept,
                  *(self._source.hashes(max(first, self._end + 1), last) if last > self._end else ())]
        return root(hashes) if len(hashes) == last - first + 1 and all(hashes) else None

    def _forget(self, upto: int) -> None:
        if upto >= self._start:
            forgotten = bisect_right(self._positions, upto)
            del self._positions[:forgotten], self._hashes[:forgotten]
            self._start = upto + 1


def facts(batch: AnchoredBatch | BatchAnchored) -> tuple[int, int, int, str, str]:
    """What a record and its batch have in common."""
    plain = (value.hex() if isinstance(value, bytes) else value for value in (batch.root, batch.head))
    return (batch.batch_id, batch.from_position, batch.to_position, *plain)  # pyright: ignore[reportReturnType]


def _numbers(record: BatchAnchored) -> tuple[int, int, int, bytes]:
    return record.batch_id, record.from_position, record.to_position, _bytes(record.root)


def _bytes(text: str) -> bytes:
    """A record is anybody's word: what is no hex is no hash."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
