"""The `eventsourcing` library's own suites for recorders and factories, run against ours.

Each test has a database of its own. Where ours differs on purpose, a test of the same name says how, and its docstring
says why; docs/decisions/0012 lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    Notification,
    OperationalError,
    ProcessRecorder,
    StoredEvent,
    TrackingRecorder,
)
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    InfrastructureFactoryTestCase,
    NonInterleavingNotificationIDsBaseCase,
)
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict

from eventstore.access import READ, Access
from eventstore.job import Overloaded
from eventstore.recorder import BoundDatastore, ChainedFactory, ChainedRecorder
from eventstore.writer import Writer


@pytest.fixture
def make_recorder(access: Access) -> Iterator[Callable[[type[ChainedRecorder]], ChainedRecorder]]:
    datastore, writer = BoundDatastore(access), Writer(access)
    yield lambda kind: kind(datastore, writer=writer)
    writer.close()
    datastore.close()


class CountsFromOne(ChainedRecorder):
    """Ours, with every version moved by one: the library's cases begin streams at 0, our streams begin at 1."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        return super().insert_events([_moved(event, 1) for event in stored_events], **kwargs)

    def select_events(self, originator_id: UUID | str, *, gt: int | None = None, lte: int | None = None,
                      desc: bool = False, limit: int | None = None) -> Sequence[StoredEvent]:
        found = super().select_events(originator_id, gt=None if gt is None else gt + 1,
                                      lte=None if lte is None else lte + 1, desc=desc, limit=limit)
        return [_moved(event, -1) for event in found]


class TellsNoPosition(CountsFromOne):
    """Ours under an aggregate recorder's rule: no notification ids."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        super().insert_events(stored_events, **kwargs)
        return None


def _moved(event: StoredEvent, by: int) -> StoredEvent:
    return replace(event, originator_version=event.originator_version + by)


class OnOurLog:
    """What every suite needs: a recorder on a fresh log."""

    recorder_class: type[ChainedRecorder] = ChainedRecorder

    @pytest.fixture(autouse=True)
    def _fresh_log(self, make_recorder: Callable[[type[ChainedRecorder]], ChainedRecorder]) -> None:
        self.make_recorder = make_recorder

    def create_recorder(self) -> ChainedRecorder:
        return self.make_recorder(self.recorder_class)


class TestApplicationRecorder(OnOurLog, ApplicationRecorderTestCase[ChainedRecorder]):
    """As it stands, but for the two cases whose streams begin at 0."""

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()

    def test_concurrent_no_conflicts(self, initial_position: int = 0) -> None:
        """Begins streams at 0, which ours never do (`test_streams_begin_at_one`): run with versions moved by one."""
        self.recorder_class = CountsFromOne
        super().test_concurrent_no_conflicts(initial_position)

    def test_concurrent_throughput(self) -> None:
        """Begins streams at 0: run with versions moved by one."""
        self.recorder_class = CountsFromOne
        super().test_concurrent_throughput()


class TestAggregateRecorder(OnOurLog, AggregateRecorderTestCase):
    """Ours is an application recorder: it answers with positions (asserted below), where this suite wants None."""

    recorder_class = TellsNoPosition
    INITIAL_VERSION = 0  # the suite's other stream begins at 0 too, and CountsFromOne moves both


class TestNonInterleavingNotificationIDs(OnOurLog, NonInterleavingNotificationIDsBaseCase):
    """Two big appends at once: one is wholly before the other."""

    recorder_class = CountsFromOne


class TestWhatIsDifferent(OnOurLog):
    """Our rules where the library's suites assume others."""

    def test_streams_begin_at_one(self) -> None:
        """A version is the number of events so far, so an append proves that its writer has seen them all."""
        with pytest.raises(IntegrityError):
            self.create_recorder().insert_events(events(uuid4(), 0))

    def test_streams_have_no_gap(self) -> None:
        """The library accepts version 99 after 2; ours would lose count of what a writer has seen."""
        recorder, stream = self.create_recorder(), uuid4()
        recorder.insert_events(events(stream, 1, 2))
        for versions in ((4,), (3, 5), (3, 3, 5)):
            with pytest.raises(IntegrityError):
                recorder.insert_events(events(stream, *versions))
        assert recorder.max_notification_id() == 2

    def test_an_append_answers_with_its_positions(self) -> None:
        """They are assigned with the links of the chain, in the same call, so knowing them costs nothing."""
        recorder = self.create_recorder()
        assert recorder.insert_events(events(uuid4(), 1, 2)) == [1, 2]
        assert recorder.insert_events([]) == []
        assert recorder.max_notification_id() == 2

    def test_refused_appends_leave_no_gap_in_positions(self) -> None:
        """The library's ids come from a sequence, which a refused append advances; ours are the chain's."""
        recorder, stream = self.create_recorder(), uuid4()
        recorder.insert_events(events(stream, 1))
        with pytest.raises(IntegrityError):
            recorder.insert_events(events(stream, 1))
        assert recorder.insert_events(events(stream, 2)) == [2]

    def test_a_stream_knows_its_positions(self) -> None:
        recorder, stream = self.create_recorder(), uuid4()
        recorder.insert_events([*events(uuid4(), 1, 2), *events(stream, 1, 2)])
        assert [found.id for found in recorder.select_placed(stream)] == [3, 4]
        assert not any(isinstance(found, Notification) for found in recorder.select_events(stream))

    def test_a_writer_that_cannot_is_the_librarys_operational_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        recorder = self.create_recorder()
        assert recorder.writer is not None

        def full(job: object) -> None:
            raise Overloaded("the event store's queue is full")

        monkeypatch.setattr(recorder.writer, "put", full)
        with pytest.raises(OperationalError):
            recorder.insert_events(events(uuid4(), 1))


def events(stream: UUID, *versions: int) -> list[StoredEvent]:
    return [StoredEvent(stream, version, "topic", b"state") for version in versions]


class TestFactory(InfrastructureFactoryTestCase[ChainedFactory]):
    """As it stands for mappers and the application recorder; the other recorders are not offered."""

    @pytest.fixture(autouse=True)
    def _fresh_log(self, access: Access) -> None:
        parts = conninfo_to_dict(access.conninfo(READ))
        self.env = Environment("TestCase", {
            "PERSISTENCE_MODULE": "eventstore.recorder:ChainedFactory", "POSTGRES_SCHEMA": "fx",
            "FX_TENANT": access.tenant, "FX_TENANT_SECRET": access.secret.hex(),
            "POSTGRES_DBNAME": str(parts["dbname"]), "POSTGRES_HOST": str(parts["host"]), "POSTGRES_USER": READ,
            "POSTGRES_PORT": str(parts.get("port") or "5432"), "POSTGRES_PASSWORD": str(parts.get("password") or "x")})

    def expected_factory_class(self) -> type[ChainedFactory]:
        return ChainedFactory

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return ChainedRecorder

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        raise NotImplementedError

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        raise NotImplementedError

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        raise NotImplementedError

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        raise NotImplementedError

    def test_create_aggregate_recorder(self) -> None:
        """The library keeps snapshots in one. A snapshot would be a second truth beside the log, outside the chain."""
        with pytest.raises(NotImplementedError, match="no snapshots"):
            self.factory.aggregate_recorder(purpose="snapshots")

    def test_create_tracking_recorder(self) -> None:
        """A follower's place is a bookmark. It commits with the append, only rises, and a repeated one is no error:
        what may happen once is decided by keys, where the library relies on a refused tracking id."""
        with pytest.raises(NotImplementedError, match="bookmark"):
            self.factory.tracking_recorder()

    def test_create_process_recorder(self) -> None:
        """As for tracking: insert_events takes `bookmark` and `key` instead of `tracking`."""
        with pytest.raises(NotImplementedError, match="bookmark"):
            self.factory.process_recorder()

    def test_two_recorders_share_one_writer(self) -> None:
        assert self.factory.application_recorder().writer is self.factory.application_recorder().writer

    def test_our_mapper_takes_neither_cipher_nor_compressor(self) -> None:
        """The library's mapper does (its five cases pass above). Ours stores exactly what is hashed."""
        self.env["MAPPER_TOPIC"] = "eventstore.recorder:EntryMapper"
        self.factory.mapper(transcoder=self.transcoder)
        self.env["COMPRESSOR_TOPIC"] = "zlib"
        with pytest.raises(EnvironmentError, match="as they are hashed"):
            self.factory.mapper(transcoder=self.transcoder)


def test_the_suites_are_those_of_the_pinned_version() -> None:
    """A new version's new cases must be looked at: what our classes inherit or answer is what the library has."""
    import eventsourcing.tests.persistence as library

    run = (TestApplicationRecorder, TestAggregateRecorder, TestNonInterleavingNotificationIDs, TestFactory)
    answered = {base.__name__ for kind in run for base in kind.__mro__}
    suites = {name for name, kind in vars(library).items()
              if isinstance(kind, type) and kind.__module__ == library.__name__
              and any(case.startswith("test") for case in vars(kind))}
    assert suites - answered == {"TrackingRecorderTestCase", "ProcessRecorderTestCase", "TranscoderTestCase"}
