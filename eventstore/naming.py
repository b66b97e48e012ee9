"""In which streams a thing's story is told: those with an entry that names it, and all entries of such streams.

Restricted streams (domain/restricted.py) are never among them, whatever they name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import msgspec

from eventstore.database import select
from eventstore.entry import header
from eventstore.store import EVERY_COLUMN, Store

RESTRICTED = "restricted."
"""How the topics of restricted entries begin."""

_NAMING = """
SELECT originator_id, topic, body FROM fx.audit_entries
WHERE position <= %s AND NOT starts_with(topic, %s)
  AND EXISTS (SELECT FROM unnest(%s::bytea[]) AS name WHERE position(name IN body) > 0)
ORDER BY position
"""

_OF_STREAMS = f"""
SELECT {EVERY_COLUMN}
FROM fx.audit_entries WHERE originator_id = ANY(%s) AND position <= %s AND NOT starts_with(topic, %s)
ORDER BY position
"""


class Stream(msgspec.Struct, frozen=True):
    """`kind` is the noun of its events (invoice, payment, …), `resource` what it is called in the log."""

    id: UUID
    kind: str
    resource: str


def streams_naming(store: Store, names: Iterable[str], upto: int) -> set[Stream]:
    """The tenant's streams with an entry, up to a position, that holds one of these names as a word of its own.

    Reads every body of the log once (a million entries in some seconds): for evidence, not for pages.
    """
    wanted = sorted(names)
    word = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, wanted))})(?![\w-])")
    rows = select(store.datastore, _NAMING, (upto, RESTRICTED, [name.encode() for name in wanted]))
    return {Stream(row["originator_id"], row["topic"].partition(".")[0], header(bytes(row["body"])).resource)
            for row in rows if word.search(bytes(row["body"]).decode())}


def rows_of_streams(store: Store, streams: Iterable[UUID], upto: int) -> Iterator[dict[str, Any]]:
    """Every entry of these streams up to a position, in order, as the log stores it."""
    yield from select(store.datastore, _OF_STREAMS, (list(streams), upto, RESTRICTED))
