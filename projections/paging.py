"""Lists in pages: the rows after a key, and where to go on. A list is cut here alone, and says so."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Select, literal, tuple_


class Part(msgspec.Struct, frozen=True):
    """Which part of a list is wanted: at most `limit` rows after the row with the key `after`, or the first ones."""

    limit: int = 50
    after: list[Any] | None = None


FIRST = Part()


class Rows(list[dict[str, Any]]):
    """The rows of a part; `next` is the key to go on after, None when these rows are the last."""

    def __init__(self, rows: list[dict[str, Any]], following: list[Any] | None):
        super().__init__(rows)
        self.next = following


def part_of(connection: Connection, query: Select[Any], part: Part, *key: Column[Any],
            newest_first: bool = False) -> Rows:
    """The wanted part of the rows that `query` finds, in the order of `key`, whose columns are unique together."""
    if part.after is not None:
        after = tuple_(*(literal(msgspec.convert(value, column.type.python_type), column.type)
                         for value, column in zip(part.after, key, strict=True)))
        query = query.where(tuple_(*key) < after if newest_first else tuple_(*key) > after)
    ordered = query.order_by(*(column.desc() if newest_first else column for column in key))
    found = [dict(row) for row in connection.execute(ordered.limit(part.limit + 1)).mappings()]
    shown = found[:part.limit]
    more = len(found) > part.limit
    return Rows(shown, [shown[-1][column.name] for column in key] if more else None)
