"""Where uploaded documents are kept: per subject and by content hash, sealed under the subject's own key, written so
that a crash leaves either the whole file or none.

The hash names the plain content, so it can be checked against the log without opening the file; it is bound to the
seal, so that two sealed files cannot be swapped. A document is its uploader's: whoever is erased takes it along, also
from backups of this folder, and nobody learns from the archive what another subject has stored.
"""

import hashlib
import re
import shutil
from pathlib import Path
from typing import Protocol

from eventstore.files import private_folder, write_whole
from eventstore.vault import SubjectGone
from eventstore.wrapping import SealError
from providers.errors import Final

_SUBJECT = re.compile(r"[a-z]{3}_[0-9A-Za-z_]{1,64}")
_NAME = re.compile(r"[0-9a-f]{64}")


class Sealer(Protocol):
    """The vault. Errors: SubjectGone for an erased subject, SealError for what does not open."""

    def seal_bytes(self, subject: str, content: bytes, label: str) -> bytes: ...

    def open_bytes(self, subject: str, sealed: bytes, label: str) -> bytes: ...


class Archive:
    def __init__(self, folder: Path, sealer: Sealer) -> None:
        self._folder = folder
        self._sealer = sealer

    def put(self, subject: str, content: bytes) -> str:
        """Keeps the content and returns its SHA-256 in hex. Putting it again changes nothing."""
        name = hashlib.sha256(content).hexdigest()
        path = self._path(subject, name)
        try:
            if self.get(subject, name) == content:
                return name
        except Final:
            pass  # absent or damaged: write it
        private_folder(path.parent)
        write_whole(path, self._sealer.seal_bytes(subject, content, _label(name)))
        return name

    def has(self, subject: str, sha256: str) -> bool:
        return self._path(subject, sha256).exists()

    def get(self, subject: str, sha256: str) -> bytes:
        """Raises `Final("not_found")`, `Final("erased")`, or `Final("tampered")` if the file is not what was put."""
        path = self._path(subject, sha256)
        try:
            return self._sealer.open_bytes(subject, path.read_bytes(), _label(sha256))
        except FileNotFoundError as error:
            raise Final("not_found", "no such document") from error
        except SubjectGone as error:
            raise Final("erased", "the document's subject was erased") from error
        except SealError as error:
            raise Final(
                "tampered", "the stored document is not what was put, or the key is another"
            ) from error

    def forget(self, subject: str) -> None:
        """Deletes what the subject stored; its key is what makes that final. Repeating it changes nothing."""
        shutil.rmtree(self._of(subject), ignore_errors=True)

    def _of(self, subject: str) -> Path:
        if not _SUBJECT.fullmatch(subject):
            raise Final("not_found", "not a subject")
        return self._folder / subject

    def _path(self, subject: str, sha256: str) -> Path:
        if not _NAME.fullmatch(sha256):
            raise Final("not_found", "not a SHA-256 in hex")
        return self._of(subject) / sha256[:2] / sha256


def _label(sha256: str) -> str:
    return f"document {sha256}"
