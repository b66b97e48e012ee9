"""Which streams a follower leaves out, as the log tells it. The rules are in `domain/quarantine.py`, the reasons in
docs/decisions/0010-quarantine.md.
"""

from __future__ import annotations

from uuid import UUID, uuid4

from domain.base import Context
from domain.party import SYSTEM
from domain.quarantine import (
    QuarantineStream,
    ReleaseStream,
    StreamQuarantined,
    StreamReleased,
    StreamReleaseRequested,
)
from eventstore.clock import Clock
from eventstore.entry import Entry, Unreadable
from eventstore.store import Store

TOPICS = (StreamQuarantined.tag, StreamReleaseRequested.tag, StreamReleased.tag)


class Held:
    """The streams one follower leaves out, with the position of the first entry it could not handle."""

    def __init__(self, store: Store, clock: Clock, follower: str):
        self._store, self._clock, self._follower = store, clock, follower
        self.streams: dict[UUID, int] = {}

    def __contains__(self, stream: UUID) -> bool:
        return stream in self.streams

    def load(self) -> None:
        """As the log has it. Needed whenever this process becomes the one that follows."""
        self.streams = {stream: fact.position for (follower, stream), fact in held_streams(self._store).items()
                        if follower == self._follower}

    def add(self, entry: Entry, reason: str, bookmark: tuple[str, int] | None = None) -> None:
        """From this entry on, its stream is left out; recorded once, together with the bookmark if one is given.

        `reason` is a code, and gives way to the problem of an entry that cannot be read. Any key will do: a stream that
        is held is not held again.
        """
        event = entry.event
        type, reason = (event.type, event.problem) if isinstance(event, Unreadable) else (event.tag, reason)
        self._store.execute(
            QuarantineStream(follower=self._follower, stream=entry.originator_id, position=entry.position, type=type,
                             reason=reason, resource=entry.resource),
            context=self._context(entry.position), key=_key(self._follower, "quarantine", entry.position),
            bookmark=bookmark)
        self.streams[entry.originator_id] = entry.position

    def release(self, stream: UUID) -> None:
        """All that was left out is handled. Does nothing for a stream that is not held."""
        position = self.streams.get(stream, 0)
        self._store.execute(ReleaseStream(follower=self._follower, stream=stream), context=self._context(position),
                            key=_key(self._follower, "release", position))
        self.streams.pop(stream, None)

    def _context(self, cause: int) -> Context:
        return Context(actor=f"system:{self._follower}", actor_role=SYSTEM, tenant=self._store.tenant,
                       now=self._clock.now(), cause=cause)


def _key(follower: str, act: str, position: int) -> str:
    return f"{follower}.{act}:{position}:{uuid4().hex}"


def held_streams(store: Store) -> dict[tuple[str, UUID], StreamQuarantined]:
    """(follower, stream) -> the entry that says so, for every stream that some follower leaves out."""
    found: dict[tuple[str, UUID], StreamQuarantined] = {}
    for entry in store.entries_of_topics(TOPICS):
        match entry.event:
            case StreamQuarantined(follower=follower, stream=stream):
                found[follower, stream] = entry.event
            case StreamReleased(follower=follower, stream=stream):
                found.pop((follower, stream), None)
            case _:
                pass
    return found
