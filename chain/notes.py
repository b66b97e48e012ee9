"""Signed notes: a text, an empty line, and the lines of those who signed it, with Ed25519.

    — <key name> base64(key id ‖ signature)        key id = sha256(name ‖ "\\n" ‖ type ‖ public key)[:4]

Source: c2sp.org/signed-note (type 1) and c2sp.org/tlog-cosignature (type 4, whose signature begins with its time).
It imports nothing of the platform: a witness, which another firm runs, reads and writes notes with this file.
"""

import base64
import binascii
import hashlib
import unicodedata
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NOTE, COSIGNATURE = 1, 4
"""Signature types: over the text itself, and over a time and the text."""

DASH = "— "
ID_BYTES, TIME_BYTES, KEY_BYTES, SIGNATURE_BYTES = 4, 8, 32, 64
MAX_SIGNATURES = 64
LATEST_TIME = 2**63 - 1


class Malformed(ValueError):
    """The text is no signed note, or a key's text is no key."""


class BadSignature(ValueError):
    """A trusted key's signature is missing or wrong."""


@dataclass(frozen=True)
class Signature:
    """One signature line. Several keys may share a name or an id, never both."""

    name: str
    key_id: bytes
    blob: bytes

    @property
    def line(self) -> str:
        return f"{DASH}{self.name} {_base64(self.key_id + self.blob)}\n"


@dataclass(frozen=True)
class Note:
    """A note whose signatures nobody has checked yet. `text` ends in a newline."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)


def read_note(raw: str) -> Note:
    """Takes a note apart. Raises Malformed."""
    text, gap, tail = raw.rpartition("\n\n")
    if not gap or not tail.endswith("\n") or any(ord(character) < 32 and character != "\n" for character in raw):
        raise Malformed("a signed note is a text, an empty line and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise Malformed(f"a note has at most {MAX_SIGNATURES} signatures")
    return Note(text + "\n", tuple(read_signature(line) for line in lines))


def read_signature(line: str) -> Signature:
    """Takes a signature line apart, given without its newline. Raises Malformed."""
    parts = line.removeprefix(DASH).split(" ")
    if not line.startswith(DASH) or len(parts) != 2 or not _fit_for_name(parts[0]):
        raise Malformed("a signature line is an em dash, a name and base64")
    blob = _bytes(parts[1])
    if len(blob) <= ID_BYTES:
        raise Malformed("a signature is longer than its key id")
    return Signature(parts[0], blob[:ID_BYTES], blob[ID_BYTES:])


@dataclass(frozen=True)
class Verifier:
    """A public key as it is published: `vkey` text is `name+key id in hex+base64(type ‖ public key)`."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def read(cls, vkey: str) -> "Verifier":
        """Reads a published key. Raises Malformed."""
        name, *rest = vkey.strip().split("+", 2)
        if len(rest) != 2 or not _fit_for_name(name):
            raise Malformed("a published key is name+id+base64")
        key = _bytes(rest[1])
        if len(key) != 1 + KEY_BYTES or key[0] not in (NOTE, COSIGNATURE):
            raise Malformed("the key is no Ed25519 key for notes or cosignatures")
        found = cls(name, key[0], key[1:])
        if found.key_id.hex() != rest[0]:
            raise Malformed("the key's id does not fit the key: it was mistyped")
        return found

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + bytes([10, self.kind]) + self.public).digest()[:ID_BYTES]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_base64(bytes([self.kind]) + self.public)}"

    def check(self, note: Note) -> Signature:
        """Returns this key's signature of the note. Raises BadSignature when there is none, or it is wrong."""
        ours = [one for one in note.signatures if (one.name, one.key_id) == (self.name, self.key_id)]
        if not ours:
            raise BadSignature(f"{self.name} has not signed this")
        for signature in ours:
            self._check(note.text, signature.blob)
        return ours[-1]

    def _check(self, text: str, blob: bytes) -> None:
        signed = text.encode()
        if self.kind == COSIGNATURE:
            signed, blob = timed(text, int.from_bytes(blob[:TIME_BYTES], "big")), blob[TIME_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(blob, signed)
        except InvalidSignature:
            raise BadSignature(f"the signature of {self.name} is wrong") from None


def time_of(cosignature: Signature) -> int:
    """Returns when a cosignature was made, in Unix seconds."""
    return int.from_bytes(cosignature.blob[:TIME_BYTES], "big")


class Signer:
    """A name and its private key. The same text always gets the same signature: Ed25519 draws no randomness."""

    def __init__(self, name: str, seed: bytes) -> None:
        if not _fit_for_name(name):
            raise Malformed(f"{name!r} cannot name a key: no spaces, no plus sign")
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    def __repr__(self) -> str:
        return f"Signer({self.name})"

    def verifier(self, kind: int = NOTE) -> Verifier:
        return Verifier(self.name, kind, self._key.public_key().public_bytes_raw())

    def sign(self, text: str) -> Note:
        """Signs a text, which ends in a newline."""
        return Note(text, (Signature(self.name, self.verifier().key_id, self._key.sign(text.encode())),))

    def cosign(self, text: str, time: int) -> Signature:
        """Signs a checkpoint's text as a witness does, with the time in Unix seconds."""
        blob = time.to_bytes(TIME_BYTES, "big") + self._key.sign(timed(text, time))
        return Signature(self.name, self.verifier(COSIGNATURE).key_id, blob)


def timed(text: str, time: int) -> bytes:
    """Returns what a cosignature signs. Raises BadSignature for a time that no clock can show."""
    if time > LATEST_TIME:
        raise BadSignature("the cosignature's time is out of range")
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _fit_for_name(name: str) -> bool:
    return bool(name) and not any(one == "+" or one.isspace() or unicodedata.category(one) == "Cc" for one in name)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("not base64") from None
    if _base64(raw) != text:
        raise Malformed("not base64 in its only form")
    return raw
