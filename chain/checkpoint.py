"""Checkpoints of the log: one for each anchored batch, in the text form of c2sp.org/tlog-checkpoint.

    fintokenx/<tenant>/<log id, 64 hex digits>        origin, and the name of the log's key
    <last position of the batch>                      size
    <base64 of the head after the batch>              where the C2SP form has the root of one RFC 6962 tree
    batch <number>                                    extension line

The log is a chain of batches, not one tree: each batch has a tree of its own, and the head after it binds its root to
the head before. So a proof that one checkpoint continues another is the records of the batches between, replayed with
the contract's own rule. It imports nothing of the platform (see notes.py).
"""

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from chain.notes import Malformed

HEAD_PREFIX = b"FXA1"
GENESIS_PREFIX = b"FXA1-genesis"
HASH_BYTES = 32
RECORD = struct.Struct(">QQQ32s")
MAX_RECORDS = 63
"""The most lines of a proof that c2sp.org/tlog-witness allows in one request."""

_ORIGIN = re.compile(r"fintokenx/[^\s+/]+/([0-9a-f]{64})")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class Inconsistent(ValueError):
    """The batches do not lead from the one state of the log to the other."""


def genesis_head(log_id: bytes) -> bytes:
    """Returns the head before the first batch."""
    return hashlib.sha256(GENESIS_PREFIX + log_id).digest()


def head_after(prev_head: bytes, batch_id: int, from_position: int, to_position: int, root: bytes) -> bytes:
    """Returns the head after a batch; the contract computes the same."""
    record = RECORD.pack(batch_id, from_position, to_position, root)
    return hashlib.sha256(HEAD_PREFIX + prev_head + record).digest()


def origin_of(tenant: str, log_id: bytes) -> str:
    """Names a log: every tenant anchors for itself, in contracts of its own."""
    return f"fintokenx/{tenant}/{log_id.hex()}"


class Tip(NamedTuple):
    """How far a log is known: the last batch, its last position, and the head after it."""

    batch_id: int
    size: int
    head: bytes


class BatchRecord(NamedTuple):
    """What the head rule needs of a batch; on the wire the base64 of three big-endian numbers and the root."""

    batch_id: int
    from_position: int
    to_position: int
    root: bytes

    @property
    def line(self) -> str:
        return base64.b64encode(RECORD.pack(*self)).decode("ascii") + "\n"

    @classmethod
    def read(cls, line: str) -> "BatchRecord":
        """Reads a line without its newline. Raises Malformed."""
        return cls(*RECORD.unpack(_base64(line, RECORD.size)))


@dataclass(frozen=True)
class Checkpoint:
    """The log after one batch."""

    origin: str
    tip: Tip

    @property
    def text(self) -> str:
        head = base64.b64encode(self.tip.head).decode("ascii")
        return f"{self.origin}\n{self.tip.size}\n{head}\nbatch {self.tip.batch_id}\n"


def read_checkpoint(text: str) -> Checkpoint:
    """Reads a checkpoint's text. Raises Malformed; further extension lines than ours are malformed, too."""
    lines = text.split("\n")
    if len(lines) != 5 or not lines[0] or not lines[3].startswith("batch ") or lines[4]:
        raise Malformed("a checkpoint is origin, size, head and batch number, a line each")
    tip = Tip(_number(lines[3][6:]), _number(lines[1]), _base64(lines[2], HASH_BYTES))
    if not tip.batch_id or tip.size < tip.batch_id:
        raise Malformed("every batch holds at least one entry")
    return Checkpoint(lines[0], tip)


def genesis_of(origin: str) -> Tip:
    """Returns the state before the first batch of the log that an origin names. Raises Malformed."""
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        raise Malformed("an origin is fintokenx/<tenant>/<log id in hex>")
    return Tip(0, 0, genesis_head(bytes.fromhex(found[1])))


def replay(tip: Tip, records: Iterable[BatchRecord]) -> Tip:
    """Returns the state after further batches. Raises Inconsistent when one does not follow the one before."""
    for record in records:
        batch_id, first, last, root = record
        if batch_id != tip.batch_id + 1 or first != tip.size + 1 or last < first:
            raise Inconsistent(f"batch {batch_id} ({first} to {last}) does not follow batch {tip.batch_id}")
        tip = Tip(batch_id, last, head_after(tip.head, batch_id, first, last, root))
    return tip


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) >= 2**63:
        raise Malformed("a number is decimal, without leading zeroes, below 2^63")
    return int(text)


def _base64(text: str, length: int) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != length or base64.b64encode(raw).decode("ascii") != text:
        raise Malformed(f"not the base64 of {length} bytes")
    return raw
