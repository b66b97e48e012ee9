"""One owner at a time: locks on files of a home, which vanish with the process that holds them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bootstrap.settings import SetupError, home_errors
from eventstore.files import private_folder

SERVE_LOCK, DEMO_LOCK = "serve.lock", "demo.lock"


def try_lock(home: Path, name: str) -> int | None:
    """The descriptor that holds the lock until it is closed; None when another holds it."""
    with home_errors(home):
        private_folder(home)
        descriptor = os.open(home / name, os.O_RDWR | os.O_CREAT, 0o600)  # Python's are closed in children
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def locked(home: Path, name: str, otherwise: str) -> Iterator[None]:
    """Holds a lock of a home; SetupError with `otherwise` when another process has it."""
    descriptor = try_lock(home, name)
    if descriptor is None:
        raise SetupError(otherwise)
    try:
        yield
    finally:
        os.close(descriptor)


def require_idle(home: Path) -> None:
    """SetupError when a platform runs on this home. Creates nothing."""
    if (home / SERVE_LOCK).exists():
        with locked(home, SERVE_LOCK, another(home)):
            pass


def another(home: Path) -> str:
    return f"another FinToken X runs on {home}"
