"""Old versions are read as the newest one, step by step; a table of steps that leads nowhere is refused at start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.base import Event
from domain.upcasts import UPCASTS, Data, Step
from eventstore import entry as entries
from eventstore.entry import UnknownEvent, Unreadable, decode, decode_or_unreadable, encode
from eventstore.upcasting import Upcaster
from tests.eventstore.notes import NOW
from tests.eventstore.test_entry import STREAM, entry_of, rfc8785
from tests.golden.make import FOLDER


class PriceSet(Event, frozen=True, kw_only=True):
    """Made up for these tests. Version 1 held pounds, version 2 pence, version 3 names the currency."""

    tag = "price.set.3"
    action = "PRICE_SET"
    pence: int
    currency: str


def to_pence(data: Data) -> Data:
    return {"pence": data["pounds"] * 100}


def with_currency(data: Data) -> Data:
    return {**data, "currency": "GBP"}


SALT = "5a" * 16
STEPS: Mapping[str, Step] = {"price.set.1": Step("price.set.2", to_pence),
                             "price.set.2": Step("price.set.3", with_currency)}
OLD: dict[str, Data] = {"price.set.1": {"pounds": 7}, "price.set.2": {"pence": 700},
                        "price.set.3": {"pence": 700, "currency": "GBP"}}


@pytest.fixture
def prices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program as it would be after two changes to one event."""
    monkeypatch.setitem(entries._data_decoders, PriceSet.tag, msgspec.json.Decoder(PriceSet))
    monkeypatch.setattr(entries, "_upcaster", Upcaster(STEPS, {PriceSet.tag}))


def body_of(tag: str, data: Any) -> bytes:
    plain = json.loads(encode(entry_of(PriceSet(pence=1, currency="GBP")), salt=SALT))
    return rfc8785({**plain, "type": tag, "data": data})


@pytest.mark.usefixtures("prices")
@pytest.mark.parametrize(("tag", "data"), OLD.items(), ids=OLD.keys())
def test_every_version_is_read_as_the_newest(tag: str, data: Data) -> None:
    entry = decode(body_of(tag, data), 3)
    assert entry == entry_of(PriceSet(pence=700, currency="GBP"), position=3)
    assert encode(entry, salt=SALT) == body_of(PriceSet.tag, OLD[PriceSet.tag]), "written again, it is the newest"
    assert decode(encode(entry), 3) == entry


@pytest.mark.usefixtures("prices")
@pytest.mark.parametrize(("tag", "data"), OLD.items(), ids=OLD.keys())
def test_followers_read_old_rows_under_their_old_topic(tag: str, data: Data) -> None:
    row = {"position": 3, "stream": STREAM, "version": 1, "tenant": "tnt_fintokenx"}
    assert decode_or_unreadable(body_of(tag, data), topic=tag, **row).event == PriceSet(pence=700, currency="GBP")
    assert isinstance(decode_or_unreadable(body_of(tag, data), topic="price.set.4", **row).event, Unreadable)


@pytest.mark.usefixtures("prices")
@pytest.mark.parametrize(("tag", "data"), [("price.set.1", {"pence": 7}), ("price.set.1", {"pounds": None}),
                                           ("price.set.1", []), ("price.set.2", {"pence": "7"}),
                                           ("price.set.4", {"pence": 7})])
def test_what_a_step_cannot_lift_is_unreadable(tag: str, data: Any) -> None:
    with pytest.raises(UnknownEvent):
        decode(body_of(tag, data))


@given(st.integers(0, 2**40))
def test_a_chain_is_its_steps_one_after_the_other(pounds: int) -> None:
    tag, data = Upcaster(STEPS, {PriceSet.tag}).lift("price.set.1", json.dumps({"pounds": pounds}).encode())
    assert (tag, json.loads(data)) == ("price.set.3", with_currency(to_pence({"pounds": pounds})))


@pytest.mark.parametrize(("steps", "said"), [
    ({"a.b.1": Step("a.b.2", dict)}, "which no event has"),
    ({"a.b.1": Step("a.b.2", dict), "a.b.2": Step("a.b.1", dict)}, "go round"),
    ({"price.set.3": Step("a.b.2", dict)}, "an event still has this tag"),
])
def test_a_table_that_leads_nowhere_is_refused(steps: Mapping[str, Step], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Upcaster(steps, {"price.set.3"})


def test_each_step_leads_one_version_on() -> None:
    for tag, step in UPCASTS.items():
        noun, verb, version = tag.split(".")
        assert step.to == f"{noun}.{verb}.{int(version) + 1}"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_every_golden_body_replays_to_the_same_bytes(path: Any) -> None:
    """However old: read, written as the newest version, read again; and byte-equal where it is the newest."""
    written = body_of(path.stem, json.loads(path.read_bytes()))
    entry = decode(written)
    assert entry.at == NOW and decode(encode(entry)) == entry
    again = json.loads(encode(entry))
    assert again["type"] == entry.event.tag
    if path.stem not in UPCASTS:
        assert again["data"] == json.loads(path.read_bytes()) and canonical_data(encode(entry)) == path.read_bytes()


def canonical_data(body: bytes) -> bytes:
    """The bytes of the data inside a body."""
    return bytes(entries.header(body).data)
