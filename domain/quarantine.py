"""Quarantine: one follower of the log leaves one stream out, from one entry on, until it can handle that entry.

A follower is a name: `processes`, `effects`, `read-models`. Whatever else is in the log flows on.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from domain.base import Command, Conflict, Context, Event, Kind, require


class QuarantineCommand(Command, frozen=True, kw_only=True):
    kind = "quarantine"
    follower: str
    stream: UUID

    @property
    def key(self) -> str:
        return quarantine_key(self.follower, self.stream)


class QuarantineStream(QuarantineCommand, frozen=True, kw_only=True):
    """The follower cannot handle the entry at `position`; `reason` is a code, `type` the entry's tag."""

    position: int
    type: str
    reason: str
    resource: str


class RequestRelease(QuarantineCommand, frozen=True, kw_only=True):
    """A person says: try again."""


class ReleaseStream(QuarantineCommand, frozen=True, kw_only=True):
    """The follower has handled all it had left out."""


class StreamQuarantined(Event, frozen=True, kw_only=True):
    tag = "stream.quarantined.1"
    action = "STREAM_QUARANTINED"
    follower: str
    stream: UUID
    position: int
    type: str
    reason: str
    resource: str


class StreamReleaseRequested(Event, frozen=True, kw_only=True):
    tag = "stream.release_requested.1"
    action = "STREAM_RELEASE_REQUESTED"
    follower: str
    stream: UUID


class StreamReleased(Event, frozen=True, kw_only=True):
    tag = "stream.released.1"
    action = "STREAM_RELEASED"
    follower: str
    stream: UUID


class StreamNotQuarantined(Conflict):
    code = "stream_not_quarantined"


class Quarantine(msgspec.Struct, frozen=True):
    position: int | None = None
    """Of the first entry left out; None while the stream flows."""


def quarantine_key(follower: str, stream: UUID) -> str:
    return f"{follower}/{stream}"


def _decide(quarantine: Quarantine, command: QuarantineCommand, context: Context) -> list[Event]:
    held = quarantine.position is not None
    match command:
        case QuarantineStream():
            return [] if held else [StreamQuarantined(
                follower=command.follower, stream=command.stream, position=command.position, type=command.type,
                reason=command.reason, resource=command.resource)]
        case RequestRelease():
            require(held, StreamNotQuarantined(f"{command.follower} leaves nothing of this stream out"))
            return [StreamReleaseRequested(follower=command.follower, stream=command.stream)]
        case ReleaseStream():
            return [StreamReleased(follower=command.follower, stream=command.stream)] if held else []
        case _:
            raise TypeError(f"quarantine does not decide {type(command).__name__}")


def _evolve(quarantine: Quarantine, event: Event) -> Quarantine:
    match event:
        case StreamQuarantined():
            return Quarantine(event.position)
        case StreamReleased():
            return Quarantine()
        case _:
            return quarantine


QUARANTINE: Kind[Quarantine] = Kind("quarantine", Quarantine(), _decide, _evolve)
