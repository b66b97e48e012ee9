"""Files that must not be lost or half there: written beside their name, synced, put in place, and the folder synced.

A file that is synced and whose folder is not can be gone after a power cut; a secret that was used meanwhile is then
lost with everything sealed under it. So this is the one way in which the platform writes what it must keep.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
WALK_THROUGH = 0o010
"""What a folder's group may keep: run by root, PostgreSQL is a user of its own who has to reach its data."""


def write_whole(path: Path, data: bytes, mode: int = PRIVATE_FILE, *, replace: bool = True) -> None:
    """Have `data` under this name, with this mode whatever the umask, and on the disk before it returns.

    A crash leaves what was there before, or the whole. Without `replace` a file that is there stays, and
    FileExistsError says so: of several that write at once the first wins.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
        settle(draft, path, replace=replace)
    finally:
        draft.unlink(missing_ok=True)


def settle(draft: Path, path: Path, *, replace: bool = True) -> None:
    """Give a written file its name for good; `draft` lies in the same folder. FileExistsError as in `write_whole`."""
    sync(draft)
    if replace:
        draft.replace(path)
    else:
        os.link(draft, path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Have a file's content, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(path: Path) -> Path:
    """Have this folder, for its owner alone whatever the umask, and on the disk. One that is there is closed to others.

    The folder above it is left as it is. Returns `path`.
    """
    for missing in reversed([folder for folder in (path, *path.parents) if not folder.exists()]):
        with suppress(FileExistsError):  # made by somebody else meanwhile
            missing.mkdir(PRIVATE_FOLDER)
        sync(missing.parent)
    found = path.stat()
    open_to_others = found.st_mode & 0o077 & ~WALK_THROUGH
    if open_to_others and found.st_uid == os.geteuid():  # a volume of somebody else's is not ours to close
        path.chmod(PRIVATE_FOLDER)
    return path


def private_log(path: Path) -> int:
    """A descriptor that appends to a log only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, PRIVATE_FILE)
    os.fchmod(descriptor, PRIVATE_FILE)
    return descriptor
