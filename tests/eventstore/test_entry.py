"""Bodies are RFC 8785 bytes, stored as hashed, and come back as the event they were."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import re
import threading
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.base import Conflict
from domain.catalogue import EVENTS
from domain.platform import AlarmRaised, BatchAnchored
from eventstore.entry import (
    Entry,
    NotCanonical,
    UnknownEvent,
    Unreadable,
    body_hash,
    canonical,
    decode,
    decode_or_unreadable,
    encode,
    entry_hash,
    fresh_salt,
    header,
)
from tests.eventstore.notes import NOW
from tests.eventstore.strategies import INT_LIMIT, ascii_words, moments, of_type, texts

STREAM = UUID("5d0f6a52-6f8e-5a0e-9f63-0d7f0f6b9e11")

values = st.recursive(
    st.none() | st.booleans() | st.integers(-INT_LIMIT, INT_LIMIT) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ascii_words, inner, max_size=4), max_leaves=12)


def rfc8785(value: Any) -> bytes:
    """JSON Canonicalization Scheme for our profile: ASCII keys sort alike everywhere, and no number is a float."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def entry_of(event: Any, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "originator_id": STREAM, "originator_version": 1, "event": event, "tenant": "tnt_fintokenx", "at": NOW,
        "actor": "operator:test", "actor_role": "operator", "on_behalf_of": None, "resource": "a thing",
        "cause": None, "command": "key-1"}
    return Entry(**{**fields, **changes})


@settings(max_examples=300, deadline=None)
@given(values)
def test_canonical_bytes_are_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785(value)


@settings(max_examples=8, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())
def test_every_event_comes_back_as_it_was(event: type[Any], data: st.DataObject) -> None:
    entry = entry_of(
        data.draw(of_type(event)), originator_version=data.draw(st.integers(1, INT_LIMIT)), tenant=data.draw(texts),
        at=data.draw(moments), actor=data.draw(texts), actor_role=data.draw(texts), resource=data.draw(texts),
        on_behalf_of=data.draw(st.none() | texts), cause=data.draw(st.none() | st.integers(1, INT_LIMIT)),
        command=data.draw(texts), position=7)
    body = encode(entry)
    assert decode(body, 7) == entry
    assert body == rfc8785(json.loads(body)), "the whole body is canonical, not only its outer keys"


@pytest.mark.parametrize(("detail", "position"), [("a\x00b", 1), ("fine", 2**53), ("fine", -2**53)])
def test_what_other_readers_would_stumble_on_is_refused(detail: str, position: int) -> None:
    """U+0000 stops PostgreSQL's text, and so every read model; larger integers are other numbers in JavaScript."""
    event = (AlarmRaised(source="s", code="c", detail=detail) if detail != "fine"
             else BatchAnchored(batch_id=position, from_position=1, to_position=1, root="", head="", tx="", block=1))
    with pytest.raises(NotCanonical):
        encode(entry_of(event))


def test_a_body_names_its_event_and_hides_nothing() -> None:
    body = json.loads(encode(entry_of(AlarmRaised(source="s", code="c", detail="d")), salt="5a" * 16))
    assert body == {
        "action": "ALARM_RAISED", "actor": "operator:test", "actor_role": "operator", "at": "2026-05-22T09:42:00Z",
        "cause": None, "command": "key-1", "data": {"code": "c", "detail": "d", "source": "s"}, "on_behalf_of": None,
        "resource": "a thing", "salt": "5a" * 16, "stream": str(STREAM),
        "tenant": "tnt_fintokenx", "type": "alarm.raised.1", "version": 1}


def test_what_says_the_same_hashes_to_something_else() -> None:
    bodies = [encode(PLAIN) for _ in range(1_000)]
    assert len({body_hash(body) for body in bodies}) == 1_000
    assert all(decode(body) == PLAIN for body in bodies)


def test_no_two_threads_and_no_two_processes_draw_the_same_salt() -> None:
    drawn: list[str] = [fresh_salt()]  # so that there are some to inherit
    threads = [threading.Thread(target=lambda: drawn.extend([fresh_salt() for _ in range(300)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        drawn += [salt for salts in pool.map(_some_salts, range(8), chunksize=1) for salt in salts]
    drawn += _some_salts(0)
    assert len(set(drawn)) == len(drawn) == 1 + 4 * 300 + 9 * 20
    assert all(re.fullmatch("[0-9a-f]{32}", salt) for salt in drawn)


def _some_salts(_: int) -> list[str]:
    return [fresh_salt() for _ in range(20)]


def test_tags_are_versioned_and_belong_to_one_event() -> None:
    for tag, event in EVENTS.items():
        noun, verb, version = tag.split(".")
        assert event.tag == tag and noun and verb and int(version) >= 1
        assert event.action == event.action.upper()


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "a \\ and \\u0000"])
def test_the_text_of_an_escape_is_text(text: str) -> None:
    entry = entry_of(AlarmRaised(source="s", code="c", detail=text))
    assert decode(encode(entry)) == entry
    with pytest.raises(NotCanonical):
        encode(entry_of(AlarmRaised(source="s", code="c", detail=f"{text}\\\x00")))


@pytest.mark.parametrize("value", [1.5, float("nan"), float("inf"), 2**53, True + 2**60])
def test_no_number_hides_deep_inside(value: Any) -> None:
    deep: Any = {"a": [({"b": value},)]}
    with pytest.raises(NotCanonical):
        encode(entry_of(AlarmRaised(source="s", code="c", detail=deep)))


# ---------------------------------------------------------------- what cannot be read

PLAIN = entry_of(AlarmRaised(source="s", code="c", detail="d"))


def altered(**changes: Any) -> bytes:
    return rfc8785({**json.loads(encode(PLAIN)), **changes})


def followed(body: bytes, **columns: Any) -> Entry:
    """As a follower reads a row whose columns say what the plain entry says."""
    row: dict[str, Any] = {"stream": STREAM, "version": 1, "topic": "alarm.raised.1", "tenant": "tnt_fintokenx"}
    return decode_or_unreadable(body, position=12, **{**row, **columns})


UNREADABLE: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "a newer version": (altered(type="alarm.raised.9"), {"topic": "alarm.raised.9"}, "unknown_event"),
    "a strange field": (altered(data={"source": "s", "code": "c", "detail": "d", "more": 1}), {}, "unfit_data"),
    "a missing field": (altered(data={"source": "s"}), {}, "unfit_data"),
    "a wrong type": (altered(data={"source": 1, "code": "c", "detail": "d"}), {}, "unfit_data"),
    "no object": (altered(data=[]), {}, "unfit_data"),
    "no JSON": (b"{", {}, "broken_body"),
    "no text": (b"\xff\xfe", {}, "broken_body"),
    "nothing": (b"", {}, "broken_body"),
    "a list": (b"[]", {}, "broken_body"),
    "too deep": (b"[" * 100_000, {}, "broken_body"),
    "a missing key": (rfc8785({"type": "alarm.raised.1"}), {}, "broken_body"),
    "no salt": (rfc8785({name: value for name, value in json.loads(encode(PLAIN)).items() if name != "salt"}), {},
                "broken_body"),
    "another stream's": (encode(PLAIN), {"stream": UUID(int=1)}, "wrong_row"),
    "another version's": (encode(PLAIN), {"version": 2}, "wrong_row"),
    "another topic's": (encode(PLAIN), {"topic": "clock.advanced.1"}, "wrong_row"),
    "another tenant's": (encode(PLAIN), {"tenant": "tnt_other"}, "wrong_row"),
}


@pytest.mark.parametrize(("body", "columns", "problem"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_follower_gets_something_that_stands_for_it(body: bytes, columns: dict[str, Any], problem: str) -> None:
    entry = followed(body, **columns)
    assert isinstance(entry.event, Unreadable) and entry.event.problem == problem
    assert entry.position == 12 and entry.event.type == columns.get("topic", "alarm.raised.1")
    assert entry.originator_id == columns.get("stream", STREAM), "where the row stands, whatever its body says"
    assert entry.originator_version == columns.get("version", 1)


@pytest.mark.parametrize("body", [body for body, _, problem in UNREADABLE.values() if problem != "wrong_row"],
                         ids=[name for name, row in UNREADABLE.items() if row[2] != "wrong_row"])
def test_nothing_is_decided_on_what_cannot_be_read(body: bytes) -> None:
    with pytest.raises(UnknownEvent, match=r"entry 12: .* newer version is needed") as raised:
        decode(body, 12)
    assert isinstance(raised.value, Conflict) and raised.value.code == "stream_quarantined"


def test_what_is_known_of_an_unknown_event_is_kept() -> None:
    entry = followed(altered(type="alarm.raised.9"), topic="alarm.raised.9")
    assert entry == msgspec.structs.replace(
        PLAIN, position=12, event=Unreadable(type="alarm.raised.9", problem="unknown_event"))


def test_a_readable_entry_is_the_same_for_all() -> None:
    assert followed(encode(PLAIN)) == decode(encode(PLAIN), 12)


def test_the_placeholder_is_no_released_event() -> None:
    assert Unreadable.tag not in EVENTS


def test_a_body_can_be_read_without_its_event() -> None:
    known = header(altered(type="alarm.raised.9"))
    assert (known.type, known.stream, known.version, known.tenant) == ("alarm.raised.9", STREAM, 1, "tnt_fintokenx")


def test_the_hash_line_is_the_published_one() -> None:
    hashed = body_hash(b"{}")
    assert hashed == hashlib.sha256(b"{}").digest()
    line = f"fx2 3 1750000000000000 {'ab' * 32} {hashed.hex()}\n".encode()
    assert entry_hash(3, 1_750_000_000_000_000, bytes.fromhex("ab" * 32), hashed) == hashlib.sha256(line).digest()
