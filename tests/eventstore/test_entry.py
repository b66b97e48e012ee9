"""Bodies are RFC 8785 bytes, stored as hashed, and come back as the event they were."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalogue import EVENTS
from domain.platform import AlarmRaised, BatchAnchored
from eventstore.entry import Entry, NotCanonical, UnknownEvent, body_hash, canonical, decode, encode, entry_hash
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
    body = json.loads(encode(entry_of(AlarmRaised(source="s", code="c", detail="d"))))
    assert body == {
        "action": "ALARM_RAISED", "actor": "operator:test", "actor_role": "operator", "at": "2026-05-22T09:42:00Z",
        "cause": None, "command": "key-1", "data": {"code": "c", "detail": "d", "source": "s"}, "on_behalf_of": None,
        "resource": "a thing", "stream": str(STREAM), "tenant": "tnt_fintokenx", "type": "alarm.raised.1", "version": 1}


def test_tags_are_versioned_and_belong_to_one_event() -> None:
    for tag, event in EVENTS.items():
        noun, verb, version = tag.split(".")
        assert event.tag == tag and noun and verb and int(version) >= 1
        assert event.action == event.action.upper()


def test_an_unknown_event_stops_the_reader() -> None:
    body = json.loads(encode(entry_of(AlarmRaised(source="s", code="c", detail="d"))))
    with pytest.raises(UnknownEvent, match=r"entry 12: event alarm\.raised\.9"):
        decode(rfc8785({**body, "type": "alarm.raised.9"}), 12)


def test_an_event_with_a_strange_field_is_not_read() -> None:
    body = json.loads(encode(entry_of(AlarmRaised(source="s", code="c", detail="d"))))
    body["data"]["more"] = 1
    with pytest.raises(msgspec.ValidationError, match="more"):
        decode(rfc8785(body))


def test_the_hash_line_is_the_published_one() -> None:
    hashed = body_hash(b"{}")
    assert hashed == hashlib.sha256(b"{}").digest()
    line = f"fx2 3 1750000000000000 {'ab' * 32} {hashed.hex()}\n".encode()
    assert entry_hash(3, 1_750_000_000_000_000, bytes.fromhex("ab" * 32), hashed) == hashlib.sha256(line).digest()
