"""JSON that others wrote: decoding it can fail in more ways than the decoder's own error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import msgspec

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError)
"""What msgspec raises for JSON that is none: its own error, and what its parts raise (invalid UTF-8, brackets without
end, numbers without end)."""

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
"""A whole string, also one without an end; else a bracket. It never goes back, so that a text of any kind takes time in
proportion to its length."""


def deeper_than(levels: int, text: bytes) -> bool:
    """Whether arrays and objects are nested deeper, brackets inside strings aside. A scan: nothing is built."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    depth = 0
    for token in _TOKEN.finditer(text):
        match token[0]:
            case b"[" | b"{":
                depth += 1
                if depth > levels:
                    return True
            case b"]" | b"}":
                depth -= 1
            case _:
                pass
    return False


def doubled_name(text: bytes, decoded: Any) -> tuple[str, ...] | None:
    """Where a name stands twice in one object, of which decoders keep the last; None where none does. `text` is JSON
    and `decoded` what it says. Who loses a name loses a text: only where what was decoded has fewer texts, written out
    again, is the first one read once more.
    """
    if _quotes(text) == _quotes(msgspec.json.encode(decoded)):
        return None
    pairs = json.loads(text, object_pairs_hook=tuple, parse_int=str, parse_float=str)
    return next(_doubled(pairs, ()))


def _quotes(text: bytes) -> int:
    """Those that begin and end JSON's texts."""
    unpaired = text.replace(rb"\\", b"")
    return unpaired.count(b'"') - unpaired.count(rb'\"')


def _doubled(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Objects are tuples of pairs here, so that nothing of them is lost."""
    match value:
        case tuple():
            seen: set[str] = set()
            for name, inner in cast("tuple[tuple[str, Any], ...]", value):
                if name in seen:
                    yield (*path, name)
                seen.add(name)
                yield from _doubled(inner, (*path, name))
        case list():
            for index, inner in enumerate(cast("list[Any]", value)):
                yield from _doubled(inner, (*path, str(index)))
        case _:
            pass
