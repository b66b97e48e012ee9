"""One entry of the log, and the only place where entries are encoded, decoded and hashed.

body      = RFC 8785 profile JSON: sorted ASCII keys, UTF-8, no floats, |int| < 2**53, stored verbatim
salt      = 128 random bits in every body: nobody who guesses what an entry says can try the guess against its hash
body_hash = sha256(body)
hash      = sha256("fx2 <position> <recorded_us> <hex prev_hash> <hex body_hash>\\n")
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from domain.base import Conflict, Event
from domain.catalogue import EVENTS
from domain.upcasts import UPCASTS
from eventstore.upcasting import Upcaster

ZERO_HASH = bytes(32)
MAX_SAFE_INTEGER = 2**53 - 1
SALT_BYTES = 16

Problem = Literal["unknown_event", "unfit_data", "broken_body", "wrong_row"]
"""Why an entry cannot be read: its tag is of a newer version; its data does not fit its tag's event; its body is no
body at all; its columns name another entry than its body does."""


class UnknownEvent(Conflict):
    """The log holds an entry this code cannot read; most likely a newer version wrote it. Nothing may be decided on
    its stream: what the entry says is part of the state."""

    code = "stream_quarantined"

    def __init__(self, position: int, type: str, problem: Problem):
        super().__init__(f"entry {position}: event {type} cannot be read by this version of the program "
                         f"({problem}); a newer version is needed")
        self.problem: Problem = problem


class Unreadable(Event, frozen=True, kw_only=True):
    """Stands where followers meet an entry they cannot read. It is never stored, and not in the catalogue."""

    tag = "entry.unreadable.0"
    action = "ENTRY_UNREADABLE"
    type: str
    """The tag the log has for it."""

    problem: Problem


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A decoded entry. `at` is business time (UTC); `position` is 0 until the log has assigned it."""

    originator_id: UUID
    originator_version: int
    event: Event
    tenant: str
    at: datetime
    actor: str
    actor_role: str
    on_behalf_of: str | None
    resource: str
    cause: int | None
    command: str
    position: int = 0


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored and hashed."""

    action: str
    actor: str
    actor_role: str
    at: datetime
    cause: int | None
    command: str
    data: Any
    on_behalf_of: str | None
    resource: str
    salt: str
    """`fresh_salt()`: two entries that say the same have different hashes (decision 0021)."""

    stream: UUID
    tenant: str
    type: str
    version: int


class _RawBody(Body, frozen=True, kw_only=True):
    data: msgspec.Raw


class _Told(msgspec.Struct, frozen=True):
    """The part of a body that tells what happened; the rest is skipped unread."""

    type: str
    data: msgspec.Raw


_encoder = msgspec.json.Encoder(order="sorted", uuid_format="canonical")
_body_decoder = msgspec.json.Decoder(_RawBody)
_told_decoder = msgspec.json.Decoder(_Told)
_data_decoders: dict[str, msgspec.json.Decoder[Event]] = {
    tag: msgspec.json.Decoder(event) for tag, event in EVENTS.items()
}
_upcaster = Upcaster(UPCASTS, EVENTS)


class NotCanonical(ValueError):
    """A value that a body must not hold: it would read differently elsewhere, or not at all."""


def canonical(value: Any) -> bytes:
    return _encoder.encode(value)


class _Salts(threading.local):
    """Salts drawn ahead: os.urandom lets other threads run, which costs an append more than the drawing itself."""

    def __init__(self) -> None:
        self.drawn: list[str] = []

    def draw(self) -> str:
        if not self.drawn:
            digits = os.urandom(256 * SALT_BYTES).hex()
            self.drawn = [digits[at:at + 2 * SALT_BYTES] for at in range(0, len(digits), 2 * SALT_BYTES)]
        return self.drawn.pop()


_salts = _Salts()
os.register_at_fork(after_in_child=lambda: _salts.drawn.clear())  # or parent and child would hand out the same ones


def fresh_salt() -> str:
    """128 random bits as 32 lowercase hex digits."""
    return _salts.draw()


def encode(entry: Entry, *, salt: str = "") -> bytes:
    """The body of a decoded entry, with a salt of its own unless one is given.

    Raises NotCanonical for what a body must not hold.
    """
    event = entry.event
    return encode_body(Body(
        action=event.action, actor=entry.actor, actor_role=entry.actor_role, at=entry.at, cause=entry.cause,
        command=entry.command, data=event, on_behalf_of=entry.on_behalf_of, resource=entry.resource,
        salt=salt or fresh_salt(), stream=entry.originator_id, tenant=entry.tenant, type=event.tag,
        version=entry.originator_version))


def encode_body(body: Body) -> bytes:
    """The bytes to store; `data` is the event. Raises NotCanonical for what a body must not hold."""
    encoded = canonical(body)
    if has_nul(encoded):
        raise NotCanonical(f"{body.type}: text with U+0000, which no read model can hold")
    _check_numbers(msgspec.structs.astuple(body.data), body.type)
    return encoded


_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The escape itself, not the text of one: an even number of backslashes stands before it."""


def has_nul(body: bytes) -> bool:
    """Whether a text in it holds U+0000, which no read model can hold."""
    return b"\\u0000" in body and _NUL.search(body) is not None


_NO_NUMBERS = frozenset({str, bool, type(None), datetime, date, UUID})


def _check_numbers(values: Iterable[Any], where: str) -> None:
    """Integers beyond 2**53 are different numbers to other readers of JSON; floats have no place here.

    Runs for every append, hence by exact type, the common ones first: 0.36 us per event. (Searching the encoded bytes
    for suspicious numbers takes ten times as long, and cannot see NaN, which is written as null.)
    """
    for value in values:
        kind = type(value)  # pyright: ignore[reportUnknownVariableType]
        if kind in _NO_NUMBERS:
            continue
        if kind is int:
            if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
                raise NotCanonical(f"{where}: {value} is not an integer of at most 53 bits")
        elif isinstance(value, (tuple, list)):
            _check_numbers(value, where)  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(value, dict):
            _check_numbers(value.values(), where)  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(value, msgspec.Struct):
            _check_numbers(msgspec.structs.astuple(value), where)
        elif isinstance(value, (int, float)):  # no int, or one of a subclass, which JSON writes in its own way
            raise NotCanonical(f"{where}: {value} is not a plain integer")


def header(body: bytes) -> Body:
    """The body with its data left as it stands (msgspec.Raw): for who needs no event. Raises what msgspec raises."""
    return _body_decoder.decode(body)


def decode(body: bytes, position: int = 0) -> Entry:
    """The entry of a stored body, its event in the newest version. Raises UnknownEvent when it cannot be read."""
    raw = _read(body, position)
    return _entry(raw, _event(raw, position), position)


def decode_event(body: bytes) -> Event:
    """The event alone, in half the time: what folding needs. Raises UnknownEvent when it cannot be read."""
    try:
        told = _told_decoder.decode(body)
    except Exception as error:  # as in `_read`
        raise UnknownEvent(0, "of no known kind", "broken_body") from error
    return _event(told, 0)


def decode_or_unreadable(body: bytes, *, position: int, stream: UUID, version: int, topic: str, tenant: str) -> Entry:
    """For followers, who must not stop for one entry: as `decode`, but what cannot be read becomes an Unreadable.

    The other arguments are the row's columns. They place the entry whatever its body says: a body that names another
    stream would hide from the one it stands in.
    """
    raw: Body | None = None
    problem: Problem = "wrong_row"
    try:
        raw = _read(body, position)
        if (raw.stream, raw.version, raw.type, raw.tenant) == (stream, version, topic, tenant):
            return _entry(raw, _event(raw, position), position)
    except UnknownEvent as unknown:
        problem = unknown.problem
    event = Unreadable(type=topic, problem=problem)
    if raw is not None and problem != "wrong_row":
        return _entry(raw, event, position)
    return Entry(
        originator_id=stream, originator_version=version, event=event, tenant=tenant, position=position,
        at=datetime.fromtimestamp(0, UTC), actor="", actor_role="", on_behalf_of=None, resource="", cause=None,
        command="")


def _read(body: bytes, position: int) -> Body:
    try:
        return _body_decoder.decode(body)
    except Exception as error:  # whatever the bytes are, the reader learns that they are no body
        raise UnknownEvent(position, "of no known kind", "broken_body") from error


def _event(raw: Body | _Told, position: int) -> Event:
    tag, data = raw.type, raw.data
    decoder = _data_decoders.get(tag)
    try:
        if decoder is None and tag in _upcaster:
            tag, data = _upcaster.lift(tag, bytes(data))
            decoder = _data_decoders.get(tag)
        if decoder is None:
            raise UnknownEvent(position, raw.type, "unknown_event")
        return decoder.decode(data)
    except UnknownEvent:
        raise
    except Exception as error:  # a step, or the event's type, does not take this data
        raise UnknownEvent(position, raw.type, "unfit_data") from error


def _entry(raw: Body, event: Event, position: int) -> Entry:
    return Entry(
        originator_id=raw.stream, originator_version=raw.version, event=event, tenant=raw.tenant, at=raw.at,
        actor=raw.actor, actor_role=raw.actor_role, on_behalf_of=raw.on_behalf_of, resource=raw.resource,
        cause=raw.cause, command=raw.command, position=position)


def body_hash(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def entry_hash(position: int, recorded_us: int, prev_hash: bytes, hashed_body: bytes) -> bytes:
    line = b"fx2 %d %d %s %s\n" % (position, recorded_us, prev_hash.hex().encode(), hashed_body.hex().encode())
    return hashlib.sha256(line).digest()
