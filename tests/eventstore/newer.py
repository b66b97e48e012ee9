"""What a newer version of the program leaves in the log, for the tests of those that cannot read it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from eventsourcing.persistence import StoredEvent

from domain.base import Event
from domain.platform import FINGERPRINT, FingerprintClaimed
from eventstore import entry as entries
from eventstore.entry import Entry, encode
from eventstore.store import Store
from tests.eventstore.notes import NOW


class ClaimedInColour(Event, frozen=True, kw_only=True):
    """The next version of FINGERPRINT_CLAIMED, which today's program does not know."""

    tag = "fingerprint.claimed.2"
    action = "FINGERPRINT_CLAIMED"
    invoice: str
    colour: str


def stream_of(store: Store, name: str) -> UUID:
    return FINGERPRINT.stream(store.tenant, name)


def claimed(invoice: str) -> FingerprintClaimed:
    return FingerprintClaimed(invoice=invoice)


def in_colour(invoice: str) -> ClaimedInColour:
    return ClaimedInColour(invoice=invoice, colour="green")


def write(store: Store, name: str, *events: Event) -> list[int]:
    """Append to the fingerprint stream `name` whatever today's program thinks of it; the positions."""
    return append(store, stream_of(store, name), name, *events)


def append(store: Store, stream: UUID, name: str, *events: Event) -> list[int]:
    """The same to the stream of whatever is called `name`."""
    version = len(store.recorder.select_events(stream))
    bodies = [encode(Entry(
        originator_id=stream, originator_version=version + n, event=event, tenant=store.tenant, at=NOW,
        actor="system:newer", actor_role="system", on_behalf_of=None, resource=name, cause=None,
        command=f"newer:{name}:{version + n}")) for n, event in enumerate(events, start=1)]
    positions = store.recorder.insert_events([
        StoredEvent(stream, version + n, event.tag, body)
        for n, (event, body) in enumerate(zip(events, bodies, strict=True), start=1)], key=f"newer:{name}:{version}")
    return list(positions or ())


def upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on this program is the newer version."""
    decoder: Any = msgspec.json.Decoder(ClaimedInColour)
    monkeypatch.setitem(entries._data_decoders, ClaimedInColour.tag, decoder)
