"""The short form of `make campaign-eventstore`, and that its auditor sees what it is there to see."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator

import msgspec
import psycopg
import pytest

from domain.catalogue import KINDS
from eventstore.access import register
from eventstore.entry import decode, encode
from eventstore.store import Store
from scripts.campaigns import eventstore
from scripts.campaigns.checking import Ack, Auditor
from scripts.campaigns.commands import PAD, TENANT, key_of
from scripts.campaigns.eventstore import CampaignFailed, run_campaign
from scripts.campaigns.load import call
from tests.conftest import access_to
from tests.eventstore import logs

pytestmark = pytest.mark.long

KILLS, STOPS = 25, 5


def test_nothing_acknowledged_is_lost_or_doubled_whatever_is_killed() -> None:
    figures = run_campaign(KILLS, STOPS, secrets.randbelow(2**32))
    assert (figures.process_kills, figures.immediate_stops, figures.postmaster_kills) == (KILLS, STOPS, STOPS)
    assert figures.acknowledged > 500
    assert figures.landed >= figures.acknowledged
    assert figures.answered_from_the_key > 0, "no kill hit a command between its COMMIT and its answer"
    assert (figures.lost, figures.doubled, figures.other_faults) == (0, 0, 0)


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A campaign that fails leaves its folder; one that is meant to must not. (tmp_path is too long for a socket.)"""
    folder = tempfile.mkdtemp(prefix="fx-")
    monkeypatch.setattr(tempfile, "tempdir", folder)
    yield
    shutil.rmtree(folder)


@pytest.mark.usefixtures("swept")
def test_a_server_that_loses_commits_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same blows on a server that acknowledges before it has written: if this passed, the campaign saw nothing."""

    def lossy(url: str, tenant: str, secret: bytes) -> None:
        register(url, tenant, secret)
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
            db.execute("SELECT pg_reload_conf()")
            db.execute("ALTER ROLE fx_append SET synchronous_commit = off")

    monkeypatch.setattr(eventstore, "register", lossy)
    with pytest.raises(CampaignFailed, match="may lose what it has committed"):
        run_campaign(0, STOPS, seed=1)
    monkeypatch.setattr(Auditor, "expect_durable", lambda self: None)
    with pytest.raises(CampaignFailed, match="was acknowledged at .* and is not in the log"):
        run_campaign(0, STOPS, seed=1)


# ---------------------------------------------------------------- the auditor


@pytest.fixture
def campaign_store(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setitem(KINDS, PAD.name, PAD)
    store = Store(access_to(database, TENANT))
    yield store
    store.close()


@pytest.fixture
def auditor(campaign_store: Store) -> Iterator[Auditor]:
    opened = Auditor(campaign_store.access)
    yield opened
    opened.close()


def run(store: Store, caller: str, n: int) -> Ack:
    commands, options = call(caller, n)
    outcome = store.execute(*commands, **options)
    return Ack(key_of(caller, n), outcome.position, outcome.replayed, 0, (outcome.response or b"").decode())


def test_the_auditor_finds_nothing_where_nothing_is_wrong(campaign_store: Store, auditor: Auditor) -> None:
    for n in range(7):
        auditor.check([run(campaign_store, caller, n) for caller in ("a01", "b02", "b03")])
    replayed = run(campaign_store, "a01", 6)
    assert replayed.replayed
    run(campaign_store, "b02", 7)  # landed, and its caller never heard of it
    auditor.check([])
    auditor.check_all()
    assert auditor.told == []
    assert (auditor.acknowledgements, auditor.commands, auditor.position) == (21, 22, campaign_store.head())


Break = Callable[[logs.Database, Auditor], list[Ack]]
"""Something that must not happen; the acknowledgements that a caller then wrote."""


def _never_landed(db: logs.Database, auditor: Auditor) -> list[Ack]:
    return [Ack("a01/2", 9, False, 0, "a01/2:0")]


def _told_something_else(db: logs.Database, auditor: Auditor) -> list[Ack]:
    return [Ack("b02/1", 1, False, 0, "b02/1:0")]


def _end_of_the_log_lost(db: logs.Database, auditor: Auditor) -> list[Ack]:
    logs.delete(db, auditor.position)
    return []


def _last_entry_rewritten(db: logs.Database, auditor: Auditor) -> list[Ack]:
    logs.set_body(db, auditor.position, b"{}")
    logs.rechain(db, auditor.position)
    return []


def _appended_again(db: logs.Database, auditor: Auditor) -> list[Ack]:
    return _one_more_entry(db, command="a01/0")


def _left_out(db: logs.Database, auditor: Auditor) -> list[Ack]:
    return _one_more_entry(db, command="a01/3")


def _stored_in_part(db: logs.Database, auditor: Auditor) -> list[Ack]:
    return _one_more_entry(db, command="b02/2")


def _one_more_entry(db: logs.Database, *, command: str) -> list[Ack]:
    """At the end of the log, with right hashes, and all there is of this command."""
    found = db.execute("SELECT body FROM fx.audit_entries WHERE position = 1").fetchone()
    assert found is not None
    logs.append(db, encode(msgspec.structs.replace(decode(found[0]), command=command, originator_version=100)))
    return []


def _bookmark_ahead(db: logs.Database, auditor: Auditor) -> list[Ack]:
    db.execute("UPDATE fx.bookmarks SET position = 3 WHERE name = 'a01'")
    return []


@pytest.mark.parametrize(("wrong", "kind"), [
    (_never_landed, "lost"), (_end_of_the_log_lost, "lost"), (_last_entry_rewritten, "lost"), (_left_out, "lost"),
    (_appended_again, "doubled"), (_stored_in_part, "half"), (_told_something_else, "answer"),
    (_bookmark_ahead, "bookmark")], ids=lambda given: getattr(given, "__name__", None))
def test_the_auditor_sees(wrong: Break, kind: str, database: str, campaign_store: Store, auditor: Auditor) -> None:
    """After two commands of a01 and two of b02, of which the last is not acknowledged yet, something goes wrong."""
    acks = [run(campaign_store, caller, n) for n in range(2) for caller in ("a01", "b02")]
    auditor.check(acks[:-1])
    assert auditor.told == []
    with logs.superuser(database) as db:
        auditor.check(wrong(db, auditor))
    assert auditor.faults[kind] > 0, auditor.told


def test_the_auditor_sees_a_key_with_another_answer(database: str, campaign_store: Store, auditor: Auditor) -> None:
    ack = run(campaign_store, "a01", 0)
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("SET session_replication_role = replica")
        db.execute("UPDATE fx.command_keys SET response = 'other'")
    auditor.check([ack])
    assert auditor.faults.keys() == {"key"}
