"""Key-encryption keys: what wraps the subjects' data keys, behind one protocol so that a KMS can take its place.

A wrapped key is bound to its owner ("<tenant>/<subject>"), so that nobody who can write the table can hand one
subject's key to another. Adapters: `providers/keys/local.py` (a key-ring file), `providers/keys/transit.py` (a KMS).

    SealError
    ├── BrokenSeal     a value or a wrapped key that does not authenticate: tampered with, moved, or another key
    └── KeyMissing     the key that is needed is not here: nobody can say what the value is, or that it is erased
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class SealError(Exception):
    """A sealed value cannot be read although it was never erased. Says where, never what."""


class BrokenSeal(SealError):
    pass


class KeyMissing(SealError):
    pass


class Wrapped(NamedTuple):
    """A data key as it is stored: under which key-encryption key, and the bytes only that one unwraps."""

    kek: str
    wrapped: bytes


class KeyWrapping(Protocol):
    """Errors: SealError, and the provider errors of an adapter that asks a KMS."""

    def current(self) -> str:
        """The id of the key-encryption key that wraps from now on."""
        ...

    def knows(self, kek: str) -> bool:
        """Whether ids like this one are this wrapping's to unwrap."""
        ...

    def wrap(self, data_key: bytes, owner: str) -> Wrapped: ...

    def unwrap(self, key: Wrapped, owner: str) -> bytes: ...

    def rewrap(self, key: Wrapped, owner: str) -> Wrapped:
        """The same data key under the current key-encryption key."""
        ...


class Several:
    """The first wraps; each unwraps what is its own. Moving from a file to a KMS is a rotation."""

    def __init__(self, first: KeyWrapping, *others: KeyWrapping):
        self._all: Sequence[KeyWrapping] = (first, *others)

    def current(self) -> str:
        return self._all[0].current()

    def knows(self, kek: str) -> bool:
        return any(wrapping.knows(kek) for wrapping in self._all)

    def wrap(self, data_key: bytes, owner: str) -> Wrapped:
        return self._all[0].wrap(data_key, owner)

    def unwrap(self, key: Wrapped, owner: str) -> bytes:
        return self._of(key.kek).unwrap(key, owner)

    def rewrap(self, key: Wrapped, owner: str) -> Wrapped:
        keeper = self._of(key.kek)
        return keeper.rewrap(key, owner) if keeper is self._all[0] else self.wrap(keeper.unwrap(key, owner), owner)

    def _of(self, kek: str) -> KeyWrapping:
        for wrapping in self._all:
            if wrapping.knows(kek):
                return wrapping
        raise KeyMissing(f"nothing here unwraps keys under {kek}")
