"""The interpreter's own limits, which libraries change when they are imported.

py_ecc (below eth_account) raises the recursion limit to 100,000: a text nested 30,000 deep then overflows the stack of
whichever parser meets it, and the process is gone without a word.
"""

from __future__ import annotations

import sys

from bootstrap.settings import SetupError

RECURSION = 1_000
"""Python's own default, and what its parsers and msgspec are safe with."""

HIGHEST = 5_000
"""A debugger or a test's tool may ask for a little more."""


def restore_limits() -> None:
    """To be called once everything is imported."""
    sys.setrecursionlimit(RECURSION)


def require_limits() -> None:
    """SetupError where something raised them again."""
    if sys.getrecursionlimit() > HIGHEST:
        raise SetupError(f"something raised Python's recursion limit to {sys.getrecursionlimit()}: a nested text could "
                         "end the process; nothing is served")
