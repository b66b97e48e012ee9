"""JSON that others wrote: decoding it can fail in more ways than the decoder's own error."""

from __future__ import annotations

import re

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
