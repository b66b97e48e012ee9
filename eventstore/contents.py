"""Checking bodies: that they are what was hashed, that the columns beside them agree, that the bytes are canonical.

A body does not depend on its neighbours, so pages of them can be checked by several processes at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Annotated, Any
from uuid import UUID

import msgspec

from eventstore.entry import MAX_SAFE_INTEGER, Body, body_hash, canonical, has_nul
from eventstore.tampering import Finding

BodyRow = tuple[int, bytes, str, str, int, str, bytes | None]
"""position, body_hash, tenant, stream (a UUID's text), version, topic, body. A column that was NOT NULL may be NULL."""

COLUMNS = ("tenant_id", "originator_id", "originator_version", "topic")
BATCH_TOPIC = "audit.batch_anchored.1"
DEPTH = 8
AT_ONCE = 100
"""What was decoded of so many bodies stays in the processor's cache until it is encoded again: a quarter faster."""

SafeInteger = Annotated[int, msgspec.Meta(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER)]
Salt = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]


class Contents(msgspec.Struct, frozen=True):
    """What checking a page's bodies gave."""

    sealed: list[tuple[int, bytes]]
    """(position, body_hash) of each entry whose body was seen."""

    streams: list[str]
    """Each one's stream, in the same order: what the hashed body says, or the column where that cannot be read."""

    versions: list[int]
    findings: list[Finding]
    topics: set[str]
    records: list[tuple[int, bytes]]
    """(position, body) of the entries that record an anchored batch."""


def check_bodies(rows: Sequence[BodyRow]) -> Contents:
    found: list[Finding] = []
    streams, versions = [row[3] for row in rows], [row[4] for row in rows]
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start:start + AT_ONCE]
        if not _hold(some):
            found += _faults(some, rows)
            streams[start:start + AT_ONCE], versions[start:start + AT_ONCE] = zip(*map(_place, some), strict=True)
    return Contents(sealed=[row[:2] for row in rows], streams=streams, versions=versions, findings=found,
                    topics={row[5] for row in rows if row[5]},
                    records=[(row[0], row[6]) for row in rows if row[5] == BATCH_TOPIC and row[6] is not None])


def _hold(rows: Sequence[BodyRow]) -> bool:
    """All of some rows at once; this is all that runs over a log nobody touched."""
    try:
        return _all_hold(rows)
    except (ValueError, TypeError):  # a body that does not even decode: msgspec's errors, bad UTF-8, a float, NULL
        return False


def _all_hold(rows: Sequence[BodyRow]) -> bool:
    _, hashes, tenants, streams, versions, topics, bodies = zip(*rows, strict=True)
    if tuple(map(body_hash, bodies)) != hashes:
        return False
    told = list(map(_decode, bodies))
    everything = b"".join(bodies)
    return (list(map(_named, told)) == list(zip(tenants, streams, versions, topics, strict=True))
            and tuple(map(canonical, told)) == bodies
            and everything.isascii() and not has_nul(everything))


def _faults(rows: Sequence[BodyRow], page: Sequence[BodyRow]) -> Iterator[Finding]:
    hashed_as = {row[1]: row[0] for row in page}
    for row in rows:
        position, hashed, tenant, stream, version, topic, body = row
        if body is None:
            yield _other_body(position, None)
            continue
        if body_hash(body) != hashed:
            yield _other_body(position, hashed_as.get(body_hash(body)))
            continue
        try:
            told = _decode(body)
        except ValueError as error:
            yield _not_canonical(position, str(error))
            continue
        if _named(told) != (tenant, stream, version, topic):
            yield _other_columns(row, _named(told))
        elif canonical(told) != body or has_nul(body) or not _ascii_names(told.data):
            yield _not_canonical(position, "it reads the same and is written otherwise")


def _place(row: BodyRow) -> tuple[str, int]:
    """Where an entry stands that does not hold; ("", 0) where nobody can say."""
    _, hashed, _, stream, version, _, body = row
    try:
        if body is not None and body_hash(body) == hashed:
            told = _decode(body)
            return str(UUID(told.stream)), told.version
    except ValueError:
        pass
    return (stream, version) if stream and version else ("", 0)


def _json_of(depth: int) -> Any:
    """The type of a JSON value that nests at most `depth` deep, with no number that reads differently elsewhere."""
    value: Any = None | bool | str | SafeInteger
    for _ in range(depth):
        value = None | bool | str | SafeInteger | list[value] | dict[str, value]
    return value


def _no_float(text: str) -> float:
    raise ValueError(f"{text} is not an integer")


# A body as we write it, and nothing else: decoding is strict about names, numbers and types, and what was decoded must
# encode to the very same bytes. Streams stay text: a million UUID objects would take a second to make.
_Told: Any = msgspec.defstruct("_Told", [
    ("salt", Salt), ("stream", str), ("version", SafeInteger), ("cause", SafeInteger | None),
    ("data", dict[str, _json_of(DEPTH)])],
    bases=(Body,), frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False)
_named = attrgetter("tenant", "stream", "version", "type")
_decode = msgspec.json.Decoder(_Told, float_hook=_no_float).decode


def _ascii_names(value: Any) -> bool:
    """Names beyond ASCII would sort differently elsewhere."""
    if isinstance(value, dict):
        return all(name.isascii() and _ascii_names(item) for name, item in value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]
    return all(map(_ascii_names, value)) if isinstance(value, list) else True  # pyright: ignore[reportUnknownArgumentType]


def _other_body(position: int, hashed_as: int | None) -> Finding:
    if hashed_as is not None:
        return Finding(position, "bodies_swapped", f"it holds the body that was hashed as entry {hashed_as}'s")
    return Finding(position, "body_changed", "its body was changed after the append; the chain still holds the hash of "
                   "the one that was appended")


def _other_columns(row: BodyRow, told: tuple[object, ...]) -> Finding:
    names = [name for name, column, value in zip(COLUMNS, row[2:6], told, strict=True) if column != value]
    return Finding(row[0], "column_changed", f"{', '.join(names)} was changed after the append: the hashed body says "
                   "otherwise")


def _not_canonical(position: int, why: str) -> Finding:
    return Finding(position, "not_canonical", "hashed as it stands, but not in the canonical form our code writes "
                   f"({why}): it was appended around the application")
