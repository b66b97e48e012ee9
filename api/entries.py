"""Which entry of the log a request names, and whether its caller may know of it."""

from __future__ import annotations

from typing import Any

import msgspec

from api.running import Running, is_staff
from api.session import Caller
from domain.base import NotFound

MAX_DIGITS = 15


class _Told(msgspec.Struct, frozen=True):
    actor: str


def entry_named(running: Running, caller: Caller, name: str) -> dict[str, Any]:
    """The row of the log at a place (or, for staff, at a position), for staff and for whoever acted there.

    NotFound otherwise: what is absent, another tenant's or another's is one answer.
    """
    position = running.opaque.position(name)
    if position is None and is_staff(caller) and name.isascii() and name.isdigit() and len(name) <= MAX_DIGITS:
        position = int(name)
    row = next(running.store.rows(position, position), None) if position else None
    if row is None or not (is_staff(caller) or msgspec.json.decode(row["body"], type=_Told).actor == caller.id):
        raise NotFound("there is no such entry, or none of yours")
    return row
