"""hypothesis strategies for our structs, read off their types: whatever field an event gets, it is drawn here too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec.inspect as inspect
from hypothesis import strategies as st

INT_LIMIT = 2**53 - 1
texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=12)
ascii_words = st.text(st.characters(codec="ascii", exclude_characters="\x00"), max_size=8)
"""Any text but U+0000, which a body refuses (test_entry.py)."""

moments = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


def of_type(kind: type[Any]) -> st.SearchStrategy[Any]:
    return _drawn(inspect.type_info(kind))


def _drawn(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.IntType():
            return st.integers(-INT_LIMIT, INT_LIMIT)
        case inspect.StrType():
            return texts
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.DateTimeType():
            return moments
        case inspect.DateType():
            return st.dates()
        case inspect.UUIDType():
            return st.uuids()
        case inspect.VarTupleType():
            return st.lists(_drawn(kind.item_type), max_size=3).map(tuple)
        case inspect.TupleType():
            return st.tuples(*[_drawn(item) for item in kind.item_types])
        case inspect.DictType():
            return st.dictionaries(ascii_words, _drawn(kind.value_type), max_size=4)
        case inspect.UnionType():
            return st.one_of([_drawn(part) for part in kind.types])
        case inspect.StructType():
            return st.builds(kind.cls, **{field.name: _drawn(field.type) for field in kind.fields})
        case _:
            raise TypeError(f"no body holds a {kind}")
