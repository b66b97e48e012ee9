"""The one way this room turns a value into bytes and a hash: sorted keys, no blanks, integers only."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

SAFE_INTEGER = 2**53
"""Beyond this a JSON reader that knows only doubles would change the number."""

_ENCODER = msgspec.json.Encoder(order="sorted")


class NotCanonical(ValueError):
    """A value that has no single byte form, a float above all."""


def canonical(value: Any) -> bytes:
    """Canonical JSON of a struct, mapping, sequence, string or integer."""
    plain = msgspec.to_builtins(value)
    _check(plain, "$")
    return _ENCODER.encode(plain)


def sha256(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def _check(value: Any, path: str) -> None:
    if value is None or isinstance(value, (str, bool)):
        return
    if isinstance(value, int):
        if not -SAFE_INTEGER < value < SAFE_INTEGER:
            raise NotCanonical(f"{path}: {value} is not a JSON-safe integer")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]")
    else:
        raise NotCanonical(f"{path}: a {type(value).__name__} is not allowed; integers and strings only")
