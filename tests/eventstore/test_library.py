"""Our seams in the `eventsourcing` library: whoever knows it can use our log through its own classes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.application import Application
from eventsourcing.persistence import EventStore, IntegrityError, StoredEvent
from psycopg.conninfo import conninfo_to_dict

from domain.platform import AlarmRaised, BatchAnchored
from eventstore.access import Access
from eventstore.entry import Entry, decode
from eventstore.recorder import ChainedFactory, ChainedRecorder, EntryMapper, NoTranscoder
from eventstore.store import Store
from tests.eventstore.notes import CONTEXT, PAD, Note
from tests.eventstore.test_entry import entry_of
from tests.eventstore.test_store import chain_of


@pytest.fixture
def env(app_url: str, access: Access) -> dict[str, str]:
    parts = conninfo_to_dict(app_url)
    return {"PERSISTENCE_MODULE": "eventstore.recorder:ChainedFactory",
            "MAPPER_TOPIC": "eventstore.recorder:EntryMapper", "TRANSCODER_TOPIC": "eventstore.recorder:NoTranscoder",
            "POSTGRES_SCHEMA": "fx", "FX_TENANT": access.tenant, "FX_TENANT_SECRET": access.secret.hex(),
            **{f"POSTGRES_{ours}": str(parts.get(theirs) or "x") for ours, theirs in (
                ("DBNAME", "dbname"), ("HOST", "host"), ("PORT", "port"), ("USER", "user"), ("PASSWORD", "password"))},
            "POSTGRES_PORT": str(parts.get("port") or "5432")}


@pytest.fixture
def recorder(env: dict[str, str]) -> Iterator[ChainedRecorder]:
    factory = ChainedFactory(env)  # pyright: ignore[reportArgumentType]
    yield factory.application_recorder()
    factory.close()


def entries(stream: UUID, *versions: int, event: Any = None) -> list[Entry]:
    return [entry_of(event or AlarmRaised(source="s", code=str(version), detail="d"), originator_id=stream,
                     originator_version=version) for version in versions]


def stored(*given: Entry) -> list[StoredEvent]:
    return [EntryMapper(NoTranscoder()).to_stored_event(entry) for entry in given]  # pyright: ignore


def test_the_librarys_event_store_puts_and_gets(recorder: ChainedRecorder, store: Store) -> None:
    stream = uuid4()
    library: EventStore[UUID] = EventStore(EntryMapper(NoTranscoder()), recorder)
    given = entries(stream, 1, 2, 3)
    library.put(given)  # pyright: ignore[reportArgumentType]
    assert [entry.event for entry in library.get(stream)] == [entry.event for entry in given]  # pyright: ignore
    assert [decode(bytes(row["body"])) for row in chain_of(store)] == given


def test_select_events_slices_a_stream(recorder: ChainedRecorder) -> None:
    stream = uuid4()
    recorder.insert_events(stored(*entries(stream, *range(1, 8)), *entries(uuid4(), 1)))

    def versions(**bounds: Any) -> list[int]:
        return [event.originator_version for event in recorder.select_events(stream, **bounds)]

    assert versions() == [1, 2, 3, 4, 5, 6, 7]
    assert versions(gt=2, lte=5) == [3, 4, 5]
    assert versions(desc=True, limit=2) == [7, 6]
    assert versions(lte=4, desc=True, limit=1) == [4]
    assert versions(gt=7) == []


def test_select_notifications_pages_the_log(recorder: ChainedRecorder) -> None:
    anchored = BatchAnchored(batch_id=1, from_position=1, to_position=2, root="r", head="h", tx="t", block=1)
    assert recorder.max_notification_id() is None
    recorder.insert_events(stored(*entries(uuid4(), 1, 2, 3), *entries(uuid4(), 1, event=anchored),
                                  *entries(uuid4(), 1)))

    def ids(start: int | None, limit: int = 10, **more: Any) -> list[int]:
        return [notification.id for notification in recorder.select_notifications(start, limit, **more)]

    assert ids(None) == ids(0) == ids(1) == [1, 2, 3, 4, 5]
    assert ids(2, inclusive_of_start=False) == [3, 4, 5]
    assert ids(2, stop=4) == [2, 3, 4]
    assert ids(1, limit=2) == [1, 2]
    assert ids(1, topics=["audit.batch_anchored.1"]) == [4]
    assert ids(1, topics=["audit.batch_anchored.1", "alarm.raised.1"], limit=4) == [1, 2, 3, 4]
    assert recorder.max_notification_id() == 5


def test_a_lost_race_is_the_librarys_integrity_error(recorder: ChainedRecorder) -> None:
    stream = uuid4()
    assert recorder.insert_events(stored(*entries(stream, 1))) == [1]
    for versions in ((1,), (3,)):
        with pytest.raises(IntegrityError):
            recorder.insert_events(stored(*entries(stream, *versions)))
    assert recorder.insert_events(stored(*entries(stream, 2)), key="k") == [2]
    with pytest.raises(IntegrityError):
        recorder.insert_events(stored(*entries(stream, 3)), key="k")


def test_a_subscription_delivers_what_was_and_what_comes(recorder: ChainedRecorder, store: Store) -> None:
    store.execute(Note(pad="a", copies=3), context=CONTEXT, key="k1")
    got: list[int] = []
    with recorder.subscribe(gt=1) as subscription:
        later = threading.Timer(0.2, lambda: store.execute(Note(pad="a"), context=CONTEXT, key="k2"))
        later.start()
        for notification in subscription:
            got.append(notification.id)
            if notification.id == 4:
                break
    assert got == [2, 3, 4]


def test_a_subscription_by_topic_skips_the_rest(recorder: ChainedRecorder) -> None:
    anchored = BatchAnchored(batch_id=1, from_position=1, to_position=2, root="r", head="h", tx="t", block=1)
    recorder.insert_events(stored(*entries(uuid4(), 1, 2), *entries(uuid4(), 1, event=anchored)))
    with recorder.subscribe(topics=["audit.batch_anchored.1"]) as subscription:
        assert next(subscription).id == 3


def test_an_application_of_the_library_reads_our_log(env: dict[str, str], store: Store) -> None:
    store.execute(Note(pad="a", text="hello", copies=2), context=CONTEXT, key="k")
    application: Application[UUID] = Application(env)  # pyright: ignore[reportArgumentType]
    try:
        assert isinstance(application.recorder, ChainedRecorder)
        found = list(application.events.get(PAD.stream("tnt_fintokenx", "a")))
        assert [entry.event.detail for entry in found] == ["hello", "hello"]  # pyright: ignore
        section = application.notification_log.select(start=1, limit=10)
        assert [notification.id for notification in section] == [1, 2]
        application.events.put(entries(uuid4(), 1))  # pyright: ignore[reportArgumentType]
        deadline = time.monotonic() + 5
        while store.head() < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(chain_of(store)) == 3
    finally:
        application.close()


def test_the_librarys_transcoder_is_never_asked() -> None:
    with pytest.raises(TypeError):
        NoTranscoder().encode(1)
    with pytest.raises(TypeError):
        NoTranscoder().decode(b"1")
