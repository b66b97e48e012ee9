"""The checks of single rows and bodies, without a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.contents import check_bodies
from eventstore.entry import ZERO_HASH, body_hash, canonical, entry_hash
from eventstore.tampering import Chain, ChainRow
from tests.eventstore import logs
from tests.eventstore.logs import body_of


def rows_of(count: int) -> list[ChainRow]:
    rows: list[ChainRow] = []
    link = ZERO_HASH
    for position in range(1, count + 1):
        hashed = body_hash(b"%d" % position)
        linked = entry_hash(position, position, link, hashed)
        rows.append((position, position, link, hashed, linked))
        link = linked
    return rows


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_change_of_any_chain_column_goes_unnoticed(data: st.DataObject) -> None:
    rows = rows_of(12)
    at, column = data.draw(st.integers(0, 11)), data.draw(st.integers(0, 4))
    value = data.draw(st.integers(1, 12) if column < 2 else st.binary(min_size=32, max_size=32))
    changed = [*rows[at]]
    changed[column] = value
    tampered = [*rows[:at], tuple(changed), *rows[at + 1:]]
    page = data.draw(st.integers(1, 12))
    chain, found = Chain(1, ZERO_HASH), []
    for start in range(0, 12, page):
        found += chain.check(tampered[start:start + page], min(12, start + page),  # pyright: ignore[reportArgumentType]
                             next(iter(tampered[start + page:]), None))  # pyright: ignore[reportArgumentType]
    assert bool(found) == (tampered != rows)
    assert all(1 <= finding.position <= 12 for finding in found)


@pytest.mark.parametrize(("change", "why"), [
    (lambda body: body | {"extra": 1}, "unknown field"),
    (lambda body: {name: value for name, value in body.items() if name != "salt"}, "salt"),
    (lambda body: body | {"salt": "5a" * 15}, "salt"),
    (lambda body: body | {"salt": "5A" * 16}, "salt"),
    (lambda body: body | {"salt": "5a" * 16 + "\n"}, "salt"),
    (lambda body: body | {"version": 2**53}, "Expected `int`"),
    (lambda body: body | {"data": {"deep": [2**53]}}, "Expected"),
    (lambda body: body | {"data": {"text": "a\0b"}}, "written otherwise"),
    (lambda body: body | {"data": {"naïve": 1}}, "written otherwise"),
    (lambda body: body | {"at": "22 May 2026"}, "Invalid RFC3339"),
])
def test_bodies_we_never_write_are_not_canonical(change: Callable[[dict[str, Any]], dict[str, Any]], why: str) -> None:
    import msgspec

    body = canonical(change(msgspec.json.decode(body_of(1))))
    told = msgspec.json.decode(body)
    row = (1, body_hash(body), told["tenant"], told["stream"], told["version"], told["type"], body)
    [found] = check_bodies([row]).findings
    assert found.kind == "not_canonical" and why in found.fits


@pytest.mark.parametrize("text", ["Zoë", "\\u0000", "\\\\u0000", "\\u0000 beside Zoë"])
def test_text_that_the_append_takes_is_canonical(text: str) -> None:
    body = body_of(1, actor=f"user:{text}", detail=text)
    row = (1, body_hash(body), logs.TENANT, str(logs.decode(body).originator_id), 1, "alarm.raised.1", body)
    assert check_bodies([row]).findings == []
