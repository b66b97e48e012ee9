"""Key-encryption keys in a file: JSON {"current": id, "keys": {id: 32 bytes base64}}, mode 0600, replaced as a whole.

Wrapped form: version 1, nonce, AES-256-GCM over the data key with the owner as additional data. Forty bytes without
a version are RFC 3394 key wrap, as the first release wrote them; the next rotation replaces them.

Whoever changes the ring holds a lock on the `.lock` file beside it, from reading to replacing it: of two that wrote at
once, one would lose the key the other made, and every data key wrapped under it. Readers need no lock.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from eventstore.files import private_folder, write_whole
from eventstore.wrapping import BrokenSeal, KeyMissing, Wrapped

FIRST = "local-1"
"""The key-encryption key of the first release, which lies among the home's secrets."""

_PREFIX = "local-"
_ID = re.compile(rf"{_PREFIX}([1-9][0-9]*)")
_VERSION = b"\x01"
_NONCE_BYTES, _KEY_BYTES, _UNVERSIONED_BYTES = 12, 32, 40


class Ring(msgspec.Struct, frozen=True):
    current: str
    keys: dict[str, bytes]

    def __repr__(self) -> str:
        return f"Ring(current={self.current!r}, {len(self.keys)} keys)"


class KeyRing:
    """Reads the file whenever it changed: `fx vault rotate` works beside a running platform."""

    def __init__(self, path: Path, first: bytes) -> None:
        """`first` becomes `local-1` if there is no file yet. ValueError for a key of another length."""
        if len(first) != _KEY_BYTES:
            raise ValueError("a key-encryption key has 32 bytes")
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        if not path.exists():
            with self._locked():
                if not path.exists():
                    self._write(Ring(FIRST, {FIRST: first}))
        self._ring = self._read()

    def current(self) -> str:
        return self._read().current

    def knows(self, kek: str) -> bool:
        return kek.startswith(_PREFIX)

    def wrap(self, data_key: bytes, owner: str) -> Wrapped:
        ring = self._read()
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(ring.keys[ring.current]).encrypt(nonce, data_key, owner.encode())
        return Wrapped(ring.current, _VERSION + nonce + sealed)

    def unwrap(self, key: Wrapped, owner: str) -> bytes:
        kek = self._read().keys.get(key.kek)
        if kek is None:
            raise KeyMissing(f"the key ring has no {key.kek}")
        try:
            if len(key.wrapped) == _UNVERSIONED_BYTES:
                return aes_key_unwrap(kek, key.wrapped)
            if key.wrapped[:1] != _VERSION:
                raise BrokenSeal(f"the wrapped key of {owner} has an unknown form")
            nonce, sealed = key.wrapped[1 : 1 + _NONCE_BYTES], key.wrapped[1 + _NONCE_BYTES :]
            return AESGCM(kek).decrypt(nonce, sealed, owner.encode())
        except (InvalidTag, InvalidUnwrap, ValueError) as error:
            raise BrokenSeal(f"the wrapped key of {owner} does not open under {key.kek}") from error

    def rewrap(self, key: Wrapped, owner: str) -> Wrapped:
        return self.wrap(self.unwrap(key, owner), owner)

    # ------------------------------------------------------------ the file

    def add(self, taken: Iterable[str] = ()) -> str:
        """A new key-encryption key, current from now on; its id. No id comes twice: it is above those in the ring, of
        which the highest is never dropped, and those `taken`, which a ring restored from a backup does not know.
        """
        with self._locked():
            ring = self._read()
            numbers = [int(found[1]) for name in (*ring.keys, *taken) if (found := _ID.fullmatch(name))]
            made = f"{_PREFIX}{1 + max(numbers, default=0)}"
            self._write(Ring(made, {**ring.keys, made: AESGCM.generate_key(8 * _KEY_BYTES)}))
        return made

    def drop(self, kek: str) -> None:
        """Forget a key-encryption key for good. Ask `Vault.require_unused` first; the current one is refused."""
        with self._locked():
            ring = self._read()
            if kek not in ring.keys:
                raise KeyMissing(f"the key ring has no {kek}")
            if kek == ring.current:
                raise ValueError(f"{kek} is the current key-encryption key")
            self._write(Ring(ring.current, {name: key for name, key in ring.keys.items() if name != kek}))

    def ids(self) -> tuple[str, ...]:
        return tuple(self._read().keys)

    def _read(self) -> Ring:
        found = self._path.stat()
        state = (found.st_ino, found.st_mtime_ns, found.st_size)
        if state != self._seen:
            self._ring = msgspec.json.decode(self._path.read_bytes(), type=Ring)
            self._seen = state
        return self._ring

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among processes and threads to change the ring, and with the ring as it is now.

        The lock is beside the ring, which is replaced, and stays: who waits for a lock that is deleted waits alone.
        """
        private_folder(self._path.parent)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._seen = None
            yield
        finally:
            os.close(descriptor)

    def _write(self, ring: Ring) -> None:
        """On the disk before a data key is wrapped under it. Under the lock."""
        write_whole(self._path, msgspec.json.encode(ring))
