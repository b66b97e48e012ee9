"""Commands in, entries out: once per key, whole or not at all."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.base import Conflict
from domain.platform import ALARM, RaiseAlarm
from eventstore.entry import ZERO_HASH, UnknownEvent, Unreadable, body_hash, entry_hash
from eventstore.store import KeyReused, Store, fingerprint_of
from tests.conftest import access_to
from tests.eventstore.notes import CONTEXT, NOW, PAD, REFUSED, Note


def chain_of(store: Store) -> list[dict[str, Any]]:
    """Every row, after checking positions, links and hashes with the code's own functions."""
    rows = list(store.rows(1, store.head(), page=97))
    assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
    previous, moment = ZERO_HASH, 0
    for row in rows:
        assert bytes(row["prev_hash"]) == previous
        assert bytes(row["body_hash"]) == body_hash(bytes(row["body"]))
        assert row["recorded_us"] >= moment
        previous = entry_hash(row["position"], row["recorded_us"], previous, bytes(row["body_hash"]))
        assert bytes(row["hash"]) == previous
        moment = row["recorded_us"]
    return rows


def test_a_command_appends_and_the_state_comes_back(store: Store) -> None:
    outcome = store.execute(Note(pad="a", text="one", copies=2), context=CONTEXT, key="k1")
    assert (outcome.position, outcome.last_position, outcome.replayed) == (1, 2, False)
    assert store.load(PAD, "a").texts == ("one", "one")
    assert store.load(PAD, "b").texts == ()
    assert [entry.originator_version for entry in store.history(PAD, "a")] == [1, 2]
    entries = store.read(0)
    assert tuple(entry.event for entry in entries) == outcome.events
    entry = entries[0]
    assert (entry.actor, entry.actor_role, entry.at, entry.command, entry.resource) == (
        "operator:test", "operator", NOW, "k1", "a")


def test_reading_pages_and_ends(store: Store) -> None:
    store.execute(Note(pad="a", copies=7), context=CONTEXT, key="k1")
    assert [entry.position for entry in store.read(2, limit=3)] == [3, 4, 5]
    assert [entry.position for entry in store.read(2, upto=4)] == [3, 4]
    assert store.read(7) == []
    assert store.head() == 7
    assert store.links.hashes(2, 3) == [bytes(row["hash"]) for row in store.rows(2, 3)]


def test_commands_of_one_call_see_each_other_and_land_together(store: Store) -> None:
    store.execute(Note(pad="a"), Note(pad="a", only=1), Note(pad="b"), context=CONTEXT, key="k1")
    assert len(store.load(PAD, "a").texts) == 2
    with pytest.raises(Conflict):
        store.execute(Note(pad="c"), Note(pad="b", text=REFUSED), context=CONTEXT, key="k2")
    assert store.load(PAD, "c").texts == ()
    assert store.key_row("k2") is None, "a refused command leaves its key free"


def test_a_key_answers_again_with_the_first_answer(store: Store) -> None:
    def respond(events: Any) -> bytes:
        return b"%d events" % len(events)

    first = store.execute(Note(pad="a", copies=3), context=CONTEXT, key="k", fingerprint=b"f", respond=respond)
    again = store.execute(Note(pad="a", copies=3), context=CONTEXT, key="k", fingerprint=b"f", respond=respond)
    assert (again.position, again.response, again.replayed) == (first.position, b"3 events", True)
    assert store.head() == 3


def test_a_key_is_not_lent_to_another_request(store: Store) -> None:
    store.execute(Note(pad="a"), context=CONTEXT, key="k", fingerprint=fingerprint_of(b"one"))
    with pytest.raises(KeyReused):
        store.execute(Note(pad="a"), context=CONTEXT, key="k", fingerprint=fingerprint_of(b"two"))
    assert store.head() == 1


def test_fingerprints_keep_their_parts_apart() -> None:
    assert fingerprint_of(b"ab", b"c") != fingerprint_of(b"a", b"bc") != fingerprint_of(b"abc")


def test_a_command_without_events_still_takes_its_key(store: Store) -> None:
    first = store.execute(context=CONTEXT, key="k", respond=lambda events: b"nothing")
    again = store.execute(context=CONTEXT, key="k")
    assert (first.position, first.last_position, first.events, store.head()) == (0, 0, (), 0)
    assert (again.replayed, again.response, again.position) == (True, b"nothing", 0)


def test_tenants_do_not_share_streams_or_keys(store: Store, database: str) -> None:
    neighbour = Store(access_to(database, "tnt_other"))
    try:
        store.execute(Note(pad="a"), context=CONTEXT, key="k", fingerprint=b"1")
        outcome = neighbour.execute(Note(pad="a", copies=2), context=CONTEXT, key="k", fingerprint=b"2")
        assert not outcome.replayed
        assert (len(store.load(PAD, "a").texts), len(neighbour.load(PAD, "a").texts)) == (1, 2)
        chain_of(store)
    finally:
        neighbour.close()


def test_bookmarks_only_move_forward_and_may_be_saved_twice(store: Store, other_store: Store) -> None:
    store.save_bookmark("b", 5)
    store.save_bookmark("b", 3)
    other_store.save_bookmark("b", 5)
    assert (store.bookmark("b"), store.bookmark("none")) == (5, 0)


def test_key_events_answer_and_bookmark_commit_as_one(store: Store) -> None:
    store.execute(Note(pad="a"), context=CONTEXT, key="k", respond=lambda _: b"r", bookmark=("b", 9))
    row = store.key_row("k")
    assert row is not None
    assert (row.first_position, row.response, store.bookmark("b"), store.head()) == (1, b"r", 9, 1)
    with pytest.raises(psycopg.Error):  # a NUL in a name: the database refuses the whole
        store.execute(Note(pad="a"), context=CONTEXT, key="k2", bookmark=("b\0", 10))
    assert (store.key_row("k2"), store.bookmark("b"), store.head()) == (None, 9, 1)


def test_the_database_and_the_code_compute_one_chain(store: Store) -> None:
    for n in range(60):
        store.execute(Note(pad=f"p{n % 7}", text="ü" * n, copies=1 + n % 9), context=CONTEXT, key=f"k{n}")
    rows = chain_of(store)
    assert len(rows) > 250
    assert all(row["topic"] == "alarm.raised.1" for row in rows)


def test_an_unknown_event_stops_its_stream_and_no_reader(store: Store, owner: psycopg.Connection[Any]) -> None:
    store.execute(Note(pad="a"), context=CONTEXT, key="k")
    owner.execute(
        "INSERT INTO fx.audit_entries SELECT 2, tenant_id, originator_id, 2, 'x.y.1', recorded_us, hash, body_hash, "
        "hash, convert_to(replace(convert_from(body, 'UTF8'), 'alarm.raised.1', 'alarm.raised.9'), 'UTF8') "
        "FROM fx.audit_entries")
    assert [isinstance(entry.event, Unreadable) for entry in store.read(0)] == [False, True]
    with pytest.raises(UnknownEvent):
        store.load(PAD, "a")
    assert len(store.read(0, upto=1)) == 1


def test_an_alarm_is_raised_once(store: Store) -> None:
    alarm = RaiseAlarm(alarm="a", source="s", code="c", detail="d")
    store.execute(alarm, context=CONTEXT, key="k1")
    with pytest.raises(Conflict):
        store.execute(alarm, context=CONTEXT, key="k2")
    assert store.load(ALARM, "a").standing


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.sampled_from("xyz")), max_size=12))
def test_any_sequence_of_commands_equals_its_model(store: Store, plan: list[tuple[str, int, str]]) -> None:
    """Pads and keys against two dicts; repeated keys must change nothing."""
    run = uuid4()
    pads: dict[str, list[str]] = {}
    answers: dict[str, int] = {}
    for number, (pad, copies, key) in enumerate(plan):
        outcome = store.execute(Note(pad=f"{run}{pad}", text=str(number), copies=copies), context=CONTEXT,
                                key=f"{run}{key}", respond=lambda events: b"%d" % len(events))
        assert outcome.replayed == (key in answers)
        if key not in answers:
            answers[key] = copies
            pads.setdefault(pad, []).extend([str(number)] * copies)
        assert outcome.response == b"%d" % answers[key]
    for pad, texts in pads.items():
        assert store.load(PAD, f"{run}{pad}").texts == tuple(texts)
    chain_of(store)
