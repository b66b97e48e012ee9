"""Checks who signed the heads of an evidence bundle of FinToken X: the log's key, and its witnesses' keys.

verify.py runs this with --log. Needs Python 3.8 or later and nothing else. Ed25519 is RFC 8032, section 5.1.7, without
the cofactor; keys of small order and numbers spelt in a second way are refused. The formats are c2sp.org/signed-note
(type 1) and c2sp.org/tlog-cosignature (type 4); the text that is signed is in docs/witness.md of the platform.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    Point = tuple[int, int, int, int]  # extended coordinates X, Y, Z, T: x = X/Z, y = Y/Z, x*y = T/Z

NOTE, COSIGNATURE = 1, 4
LATEST_TIME = 2**63 - 1

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493  # the order of the base point
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)

NEUTRAL: Point = (0, 1, 1, 0)


class BadNote(ValueError):
    """A key's text is no key, or a signature is missing, malformed or wrong."""


class Key(NamedTuple):
    """A public key as it is published: `name+key id in hex+base64(type, 32 bytes)`."""

    name: str
    key_id: bytes
    kind: int
    public: bytes


class Countersigned(NamedTuple):
    """How far enough witnesses signed: the last such batch, and a time (Unix seconds) when it was the newest."""

    batch_id: int
    time: int


def read_keys(log: str, witnesses: Sequence[str]) -> tuple[Key, list[Key]]:
    """Reads the log's published key and the witnesses'. Raises BadNote."""
    return read_key(log, NOTE), [read_key(vkey, COSIGNATURE) for vkey in witnesses]


def check(
    manifest: dict[str, Any], batches: Sequence[dict[str, Any]], log: Key, witnesses: Sequence[Key], quorum: int | None
) -> tuple[str, int | None]:
    """Returns what was found, and when enough witnesses still saw the last batch as the newest (Unix seconds).

    `quorum` None asks for every witness. Raises BadNote for a signature that is wrong or of something else.
    """
    if log.name.rpartition("/")[2] != manifest["chain"]["log_id"]:
        raise BadNote(f"the key {log.name} is of another log")
    if not batches:
        return "", None
    words = "; " + log_words(log, manifest.get("checkpoint", ""), batches[-1])
    if not witnesses:
        return words, None
    needed, last = quorum or len(witnesses), batches[-1]["batch_id"]
    signed = countersigned(log.name, batches, witnesses, needed)
    if signed is None or signed.batch_id < last:
        first = signed.batch_id + 1 if signed else 1
        return f"{words}; provisional: batches {first} to {last} have fewer than {needed} countersignatures", None
    return f"{words}; countersigned by {needed} of the witnesses given", signed.time


def read_key(vkey: str, kind: int) -> Key:
    """Reads a published key. Raises BadNote."""
    name, _, rest = vkey.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = unbase64(encoded)
    if not name or len(raw) != 33 or raw[0] != kind:
        raise BadNote(f"{vkey!r} is no Ed25519 key of type {kind}")
    found = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if found.hex() != key_id:
        raise BadNote(f"the key's id does not fit the key {name}: it was mistyped")
    return Key(name, found, kind, raw[1:])


def log_words(log: Key, checkpoint: str, batch: dict[str, Any]) -> str:
    """Says whether the log signed the head of the last batch. Raises BadNote when it signed another, or did not."""
    if not checkpoint:
        return "the bundle has no checkpoint of the log's"
    text, gap, lines = checkpoint.rpartition("\n\n")
    if not gap or text + "\n" != text_of(log.name, batch):
        raise BadNote("the bundle's checkpoint is of another head than its last batch")
    blobs = (signature_by(log, line) for line in lines.splitlines())
    if not any(blob is not None and verified(log.public, blob, (text + "\n").encode()) for blob in blobs):
        raise BadNote(f"{log.name} has not signed the bundle's checkpoint")
    return f"the log signed the head of batch {batch['batch_id']}"


def countersigned(
    origin: str, batches: Sequence[dict[str, Any]], witnesses: Sequence[Key], quorum: int
) -> Countersigned | None:
    """Returns how far `quorum` of the witnesses signed, None for nothing. Raises BadNote for a wrong signature."""
    newest = [newest_of(witness, origin, batches) for witness in set(witnesses)]
    signed = sorted((one for one in newest if one is not None), reverse=True)[:quorum]
    return Countersigned(signed[-1].batch_id, min(one.time for one in signed)) if len(signed) == quorum else None


def newest_of(witness: Key, origin: str, batches: Sequence[dict[str, Any]]) -> Countersigned | None:
    """Returns the newest batch a witness signed: who signs a batch's head signs all batches before it."""
    for batch in reversed(batches):
        blobs = (signature_by(witness, given["line"]) for given in batch["cosignatures"])
        times_signed = [time_signed(witness, blob, text_of(origin, batch)) for blob in blobs if blob is not None]
        if times_signed:
            return Countersigned(batch["batch_id"], max(times_signed))
    return None


def time_signed(witness: Key, blob: bytes, text: str) -> int:
    """Returns when a witness signed a checkpoint's text. Raises BadNote when it did not."""
    time = int.from_bytes(blob[:8], "big")
    signed = f"cosignature/v1\ntime {time}\n{text}".encode()
    if time > LATEST_TIME or not verified(witness.public, blob[8:], signed):
        number = text.rpartition("batch ")[2].strip()
        raise BadNote(f"the countersignature of batch {number} is not {witness.name}'s")
    return time


def text_of(origin: str, batch: dict[str, Any]) -> str:
    """Returns a batch's checkpoint as the log and the witnesses sign it."""
    head = b64encode(bytes.fromhex(batch["head"])).decode()
    return "{}\n{}\n{}\nbatch {}\n".format(origin, batch["to_position"], head, batch["batch_id"])


def signature_by(key: Key, line: str) -> bytes | None:
    """Returns what stands behind the key's id in its signature line; None when the line is another's."""
    dash, name, encoded = (line.rstrip("\n").split(" ") + ["", ""])[:3]
    if dash != "\u2014" or name != key.name:
        return None
    blob = unbase64(encoded)
    return blob[4:] if blob[:4] == key.key_id else None


def unbase64(text: str) -> bytes:
    raw = b64decode(text, validate=True)
    if b64encode(raw).decode() != text:
        raise BadNote("base64 in a second spelling")
    return raw


# Ed25519


def verified(public: bytes, signature: bytes, message: bytes) -> bool:
    """Says whether a signature is the key's over the message."""
    key, number = point_of(public), int.from_bytes(signature[32:], "little")
    if key is None or len(signature) != 64 or number >= L or is_neutral(times(8, key)):
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    x, y, z, t = times(int.from_bytes(digest, "little") % L, key)
    return bytes_of(add(times(number, BASE), (-x, y, z, -t))) == signature[:32]


def point_of(encoded: bytes) -> Point | None:
    """Returns the point of 32 bytes; None when there is none, or when they are not its only spelling."""
    if len(encoded) != 32:
        return None
    y = int.from_bytes(encoded, "little")
    is_odd, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (x * x - square) % P or (not x and is_odd):
        return None
    x = P - x if x & 1 != is_odd else x
    return x, y, 1, x * y % P


def bytes_of(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, "little")


def add(one: Point, two: Point) -> Point:
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = two
    a, b, c, d = (y1 - x1) * (y2 - x2), (y1 + x1) * (y2 + x2), 2 * t1 * t2 * D, 2 * z1 * z2
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: Point) -> Point:
    found = NEUTRAL
    for digit in bin(number)[2:]:
        found = add(found, found)
        if digit == "1":
            found = add(found, point)
    return found


def is_neutral(point: Point) -> bool:
    x, y, z, _ = point
    return x % P == 0 and (y - z) % P == 0


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")) or NEUTRAL
