"""Where uploaded documents are kept: by content hash, sealed with AES-256-GCM, written so that a crash
leaves either the whole file or none.

The hash names the plain content, so it can be checked against the log without opening the file; it is bound
to the seal, so that two sealed files cannot be swapped.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from providers.errors import Final

_VERSION = b"\x01"
_NONCE_BYTES = 12
_NAME = re.compile(r"[0-9a-f]{64}")


class Archive:
    def __init__(self, folder: Path, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError("the archive key has 32 bytes")
        self._folder = folder
        self._seal = AESGCM(key)

    def put(self, content: bytes) -> str:
        """Keeps the content for good and returns its SHA-256 in hex. Putting it again changes nothing."""
        name = hashlib.sha256(content).hexdigest()
        path = self._path(name)
        try:
            if self.get(name) == content:
                return name
        except Final:
            pass  # absent or damaged: write it
        nonce = os.urandom(_NONCE_BYTES)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, _VERSION + nonce + self._seal.encrypt(nonce, content, _VERSION + name.encode()))
        return name

    def has(self, sha256: str) -> bool:
        return self._path(sha256).exists()

    def get(self, sha256: str) -> bytes:
        """Raises `Final("not_found")`, or `Final("tampered")` if the file is not what was put."""
        path = self._path(sha256)
        try:
            sealed = path.read_bytes()
        except FileNotFoundError as error:
            raise Final("not_found", "no such document") from error
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._seal.decrypt(nonce, ciphertext, sealed[:1] + sha256.encode())
        except (InvalidTag, ValueError) as error:
            raise Final(
                "tampered", "the stored document is not what was put, or the key is another"
            ) from error

    def _path(self, sha256: str) -> Path:
        if not _NAME.fullmatch(sha256):
            raise Final("not_found", "not a SHA-256 in hex")
        return self._folder / sha256[:2] / sha256


def _write(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    for folder in (path.parent, path.parent.parent):  # the new name, and the folder that may be new too
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
