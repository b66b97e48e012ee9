"""One entry of the log, and the only place where entries are encoded, decoded and hashed.

body      = RFC 8785 profile JSON: sorted ASCII keys, UTF-8, no floats, |int| < 2**53, stored verbatim
body_hash = sha256(body)
hash      = sha256("fx2 <position> <recorded_us> <hex prev_hash> <hex body_hash>\\n")
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.base import Event
from domain.catalogue import EVENTS

ZERO_HASH = bytes(32)
MAX_SAFE_INTEGER = 2**53 - 1


class UnknownEvent(Exception):
    """The log holds an event this code does not know: it was written by a newer version."""


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
    stream: UUID
    tenant: str
    type: str
    version: int


class _RawBody(Body, frozen=True, kw_only=True):
    data: msgspec.Raw


_encoder = msgspec.json.Encoder(order="sorted", uuid_format="canonical")
_body_decoder = msgspec.json.Decoder(_RawBody)
_data_decoders: dict[str, msgspec.json.Decoder[Event]] = {
    tag: msgspec.json.Decoder(event) for tag, event in EVENTS.items()
}


class NotCanonical(ValueError):
    """A value that a body must not hold: it would read differently elsewhere, or not at all."""


def canonical(value: Any) -> bytes:
    return _encoder.encode(value)


def encode(entry: Entry) -> bytes:
    event = entry.event
    body = canonical(Body(
        action=event.action, actor=entry.actor, actor_role=entry.actor_role, at=entry.at, cause=entry.cause,
        command=entry.command, data=event, on_behalf_of=entry.on_behalf_of, resource=entry.resource,
        stream=entry.originator_id, tenant=entry.tenant, type=event.tag, version=entry.originator_version))
    if b"\\u0000" in body:
        raise NotCanonical(f"{event.tag}: text with U+0000, which no read model can hold")
    _check_numbers(event, event.tag)
    return body


def _check_numbers(value: Any, where: str) -> None:
    """Integers beyond 2**53 are different numbers to other readers of JSON; floats have no place here."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _check_numbers(getattr(value, name), where)
    elif isinstance(value, (tuple, list)):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            _check_numbers(item, where)
    elif isinstance(value, dict):
        for item in value.values():  # pyright: ignore[reportUnknownVariableType]
            _check_numbers(item, where)
    elif isinstance(value, float) or (isinstance(value, int) and abs(value) > MAX_SAFE_INTEGER):
        raise NotCanonical(f"{where}: {value} is not an integer of at most 53 bits")


def decode(body: bytes, position: int = 0) -> Entry:
    raw = _body_decoder.decode(body)
    decoder = _data_decoders.get(raw.type)
    if decoder is None:
        raise UnknownEvent(f"entry {position}: event {raw.type} is unknown to this version")
    return Entry(
        originator_id=raw.stream, originator_version=raw.version, event=decoder.decode(raw.data),
        tenant=raw.tenant, at=raw.at, actor=raw.actor, actor_role=raw.actor_role, on_behalf_of=raw.on_behalf_of,
        resource=raw.resource, cause=raw.cause, command=raw.command, position=position)


def body_hash(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def entry_hash(position: int, recorded_us: int, prev_hash: bytes, hashed_body: bytes) -> bytes:
    line = b"fx2 %d %d %s %s\n" % (position, recorded_us, prev_hash.hex().encode(), hashed_body.hex().encode())
    return hashlib.sha256(line).digest()
