"""Values of any event, from its type alone: for properties over the whole catalogue and for golden examples."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import strategies as st

from domain.base import Event
from domain.catalogue import EVENTS

WORDS = ("", "FX-INV-23A4F", "pay_1", "trd_1", "sub_1", "HIGH", "SANCTIONS")
MOMENTS = (datetime(2026, 5, 22, 9, 42, tzinfo=UTC), datetime(2026, 7, 21, 10, 14, tzinfo=UTC))
DAYS = (date(2026, 5, 22), date(2026, 7, 21))
STREAMS = (UUID("5d0f6a52-6f8e-5a0e-9f63-0d7f0f6b9e11"), UUID("5d0f6a52-6f8e-5a0e-9f63-0d7f0f6b9e12"))

SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.sampled_from(WORDS), int: st.integers(0, 5), bool: st.booleans(), datetime: st.sampled_from(MOMENTS),
    date: st.sampled_from(DAYS), UUID: st.sampled_from(STREAMS), type(None): st.none(),
}
EXAMPLES: dict[Any, Any] = {str: "example", int: 1, bool: True, datetime: MOMENTS[0], date: DAYS[0],
                            UUID: STREAMS[0]}


def strategy_of(hint: Any) -> st.SearchStrategy[Any]:
    """A small pool of values of one type, so that ids meet each other."""
    if hint in SCALARS:
        return SCALARS[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(strategy_of, inner))
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(strategy_of(inner[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(strategy_of, inner))
    if origin is dict:
        return st.dictionaries(strategy_of(inner[0]), strategy_of(inner[1]), max_size=2)
    assert issubclass(hint, msgspec.Struct), hint
    return st.builds(hint, **{name: strategy_of(inner) for name, inner in fields_of(hint).items()})


def example_of(hint: Any) -> Any:
    """One fixed value of one type; optional fields are filled, sequences hold one."""
    if hint in EXAMPLES:
        return EXAMPLES[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return example_of(inner[0])
    if origin is tuple and inner[-1] is Ellipsis:
        return (example_of(inner[0]),)
    if origin is tuple:
        return tuple(map(example_of, inner))
    if origin is dict:
        return {example_of(inner[0]): example_of(inner[1])}
    return hint(**{name: example_of(inner) for name, inner in fields_of(hint).items()})


def fields_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """name -> type, without the class variables."""
    hints = typing.get_type_hints(struct)
    return {name: hints[name] for name in struct.__struct_fields__}


def types_in(hint: Any) -> Iterator[Any]:
    """Every type that a value of this type may hold, however deep."""
    yield hint
    inner = typing.get_args(hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        inner = tuple(fields_of(hint).values())
    for each in inner:
        if each is not Ellipsis:
            yield from types_in(each)


def events_of(*kinds: type[Event]) -> st.SearchStrategy[Event]:
    return st.sampled_from(kinds).flatmap(strategy_of)


ANY_EVENT = events_of(*EVENTS.values())
