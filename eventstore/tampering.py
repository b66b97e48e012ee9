"""What fits: from an entry that does not hold to the one sentence that says what was probably done to it.

Every kind has a stable code, a layer, and a row in docs/evidence.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from eventstore.entry import entry_hash

LAYERS: dict[str, tuple[str, ...]] = {
    "entries": ("removed", "repeated", "inserted", "swapped", "back_dated"),
    "links": ("hash_changed", "link_changed", "time_or_content_changed", "replaced", "broken"),
    "bodies": ("body_changed", "bodies_swapped", "two_faces"),
    "tags": ("column_changed", "not_canonical", "hidden"),
    "batches": ("batch_forged", "batch_differs"),
    "anchors": ("tail_cut", "rewritten", "contract_broken", "not_anchored"),
    "segments": ("segment_changed", "segment_missing", "manifest_changed"),
}
LAYER_OF = {kind: layer for layer, kinds in LAYERS.items() for kind in kinds}
SEARCH = 20_000
"""How far to either side a displaced entry's true position is looked for; 20,000 hashes take some 30 ms."""

SEARCHES = 50

ChainRow = tuple[int, int, bytes, bytes, bytes]
"""position, recorded_us, prev_hash, body_hash, hash: what the hash chain is made of."""


class Finding(msgspec.Struct, frozen=True):
    position: int
    kind: str
    fits: str
    """One sentence: which tampering leaves this trace."""

    @property
    def layer(self) -> str:
        return LAYER_OF[self.kind]


class Link(NamedTuple):
    """A `ChainRow` with names."""

    position: int
    recorded_us: int
    prev_hash: bytes
    body_hash: bytes
    hash: bytes

    def gives(self, position: int, prev_hash: bytes | None = None) -> bool:
        """Whether its hash is right for that position (and that previous hash instead of its own)."""
        try:
            return self.hash == entry_hash(position, self.recorded_us, prev_hash or self.prev_hash, self.body_hash)
        except (TypeError, AttributeError):  # a column that was NOT NULL holds nothing
            return False


class Chain:
    """Follows the chain columns in order of position, a page at a time. Each tampering is named once.

    `link` is the hash the first entry must link to; None when nobody knows it.
    """

    def __init__(self, first: int, link: bytes | None):
        self.expected = first
        self._link: bytes | None = link
        self._shift = 0
        """After a renumbering: how far the position an entry was hashed with lies from the one it has now."""
        self._time = 0
        self._searches = SEARCHES
        self._gaps: list[int] = []
        """Where entries are missing: the first position of each gap, of so many as are searched for."""

    def check(self, rows: Sequence[ChainRow], upto: int, following: ChainRow | None) -> list[Finding]:
        """The faults among `rows`, which should be all positions up to `upto`; `following` is the row after them."""
        try:
            if self._holds(rows, upto):
                return []
        except (TypeError, AttributeError, ValueError):
            pass
        return list(self._faults([Link(*row) for row in rows], upto, Link(*following) if following else None))

    def _holds(self, rows: Sequence[ChainRow], upto: int) -> bool:
        """The whole page at once; this is all that runs over a log nobody touched."""
        positions, times, links, body_hashes, hashes = zip(*rows, strict=True)
        hashed_as = range(positions[0] + self._shift, positions[-1] + self._shift + 1)
        if (len(positions) != upto + 1 - self.expected or positions != tuple(range(self.expected, upto + 1))
                or links != (links[0] if self._link is None else self._link, *hashes[:-1])
                or hashes != tuple(map(entry_hash, hashed_as, times, links, body_hashes))
                or times[0] < self._time or list(times) != sorted(times)):
            return False
        self.expected, self._link, self._time = upto + 1, hashes[-1], times[-1]
        return True

    def _faults(self, rows: Sequence[Link], upto: int, following: Link | None) -> Iterator[Finding]:
        for row, after in zip(rows, (*rows[1:], following), strict=False):
            yield from self._entry_faults(row, after)
        if self.expected <= upto:
            yield _removed(self.expected, upto)
            self.expected, self._link = upto + 1, None

    def _entry_faults(self, row: Link, after: Link | None) -> Iterator[Finding]:
        if row.position < self.expected:
            yield Finding(row.position, "repeated", f"position {row.position} is there once more than it should be")
            return
        if row.position > self.expected:
            yield _removed(self.expected, row.position - 1)
            self._gaps += [self.expected] if len(self._gaps) < SEARCHES else []
            self._link = None
        self.expected = row.position + 1
        if not row.gives(row.position + self._shift):
            yield self._misfit(row, after)
            self._link = None  # its own fault is named; the next entry's link to it would only name it again
            return
        if self._link is not None and row.prev_hash != self._link:
            yield Finding(row.position - 1, "replaced", f"entry {row.position - 1} was exchanged for another with "
                          f"hashes of its own: entry {row.position} still links to what stood there before")
        elif row.recorded_us < self._time:
            yield Finding(row.position, "back_dated", "recorded before the entry it follows, which the append never "
                          "does: it was put in from outside and chained anew")
        self._link, self._time = row.hash, max(row.recorded_us, self._time)

    def _misfit(self, row: Link, after: Link | None) -> Finding:
        """An entry whose hash is not that of its columns."""
        at = row.position
        if (gap := next(filter(row.gives, self._gaps), None)) is not None:
            return Finding(at, "swapped", f"this entry was hashed as position {gap}, which is missing: it was moved")
        if (hashed_as := self._true_position(row)) is not None:
            return self._displaced(at, hashed_as, after)
        if self._shift == 0 and after is not None and after.position == at + 1 and after.gives(at):
            self._shift = -1
            return Finding(at, "inserted", "an entry that was never chained was put in here and the rest renumbered")
        if self._link is not None and row.prev_hash != self._link and row.gives(at + self._shift, self._link):
            return Finding(at, "link_changed", "prev_hash was changed after the append; with the right one the hash "
                           "holds")
        if after is not None and after.prev_hash == row.hash:
            return Finding(at, "time_or_content_changed", "recorded_us or body_hash was changed after the append; hash "
                           "and the entries around it were left alone")
        if after is not None and row._replace(hash=after.prev_hash).gives(at + self._shift):
            return Finding(at, "hash_changed", "the hash was changed after the append; the next entry links to the "
                           "right one")
        return Finding(at, "broken", "its hash is not that of its columns, and neither neighbour knows it: "
                       "it was not made by the append")

    def _displaced(self, at: int, hashed_as: int, after: Link | None) -> Finding:
        """An entry that was hashed as another position: renumbered with all that follow, or alone."""
        shift = hashed_as - at
        if after is not None and not after.gives(after.position + shift):
            return Finding(at, "swapped", f"this entry was hashed as position {hashed_as}: entries changed places")
        added, self._shift = self._shift - shift, shift
        if added < 0:
            return _removed(at, at - added - 1, ", and the rest renumbered")
        what = f"entry {at - added} was" if added == 1 else f"entries {at - added} to {at - 1} were"
        return Finding(at - added, "inserted", f"{what} put in and the rest renumbered: entry {at} was hashed as "
                       f"{hashed_as}")

    def _true_position(self, row: Link) -> int | None:
        """The position this row was hashed as, looked for nearest first, and not for ever."""
        self._searches -= 1
        if self._searches < 0:
            return None
        for distance in range(1, SEARCH):
            for position in (row.position + distance, row.position - distance):
                if position > 0 and position != row.position + self._shift and row.gives(position):
                    return position
        return None


class Seen(Protocol):
    """Entries whose bodies were seen, in order; the three have the same length."""

    @property
    def sealed(self) -> Sequence[tuple[int, bytes]]: ...
    @property
    def streams(self) -> Sequence[str]: ...
    @property
    def versions(self) -> Sequence[int]: ...


class Streams:
    """Follows the versions of every stream, which count 1, 2, 3; `whole` when the first of each must be there.

    Keeps the last version of each stream: some 200 bytes a stream, for as long as the log is verified.
    """

    def __init__(self, *, whole: bool):
        self._last: dict[str, int] = {}
        self._whole = whole

    def check(self, seen: Seen) -> list[Finding]:
        last, found = self._last, list[Finding]()
        for at, (stream, version) in enumerate(zip(seen.streams, seen.versions, strict=True)):
            before = last.get(stream, 0 if self._whole else version - 1)
            if version != before + 1 and stream:
                found.append(_out_of_order(seen.sealed[at][0], stream, before, version))
            last[stream] = version if version > before else before
        return found


def _out_of_order(at: int, stream: str, before: int, version: int) -> Finding:
    if version <= before:
        return Finding(at, "repeated", f"version {version} of stream {stream} is there once more than it should be")
    first, upto = before + 1, version - 1
    what = f"version {first} of stream {stream} is" if first == upto else f"versions {first} to {upto} of {stream} are"
    return Finding(at, "hidden", f"{what} missing before this entry: the tenant column was changed, or its owner "
                   "is not shown it")


def _removed(first: int, last: int, more: str = "") -> Finding:
    what = f"entry {first} was" if first == last else f"entries {first} to {last} were"
    return Finding(first, "removed", f"{what} taken out after the append{more}")
