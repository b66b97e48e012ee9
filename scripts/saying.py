"""How every command fails: one line on stderr and a code. It needs the standard library alone, as the commands do that
others run without the platform.
"""

from __future__ import annotations

import sys
from typing import NoReturn


def words(error: BaseException) -> str:
    """What is wrong. Of a file or an address that cannot be used: its name and the system's word, not its number."""
    if isinstance(inner := getattr(error, "reason", None), OSError):  # urllib wraps what it meets
        return words(inner)
    if isinstance(error, OSError):
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part) or str(error)
    return str(error)


def fail(line: str, code: int = 1) -> NoReturn:
    print(f"fx: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(code)
