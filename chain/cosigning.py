"""Asking witnesses: one that is configured, the request it is sent, and what its answer means."""

import base64
import binascii
import time
from collections.abc import Mapping, Sequence

import httpx
import msgspec

from chain.checkpoint import BatchRecord, Tip, read_checkpoint
from chain.errors import ChainError, Retryable
from chain.notes import (
    COSIGNATURE,
    BadSignature,
    Malformed,
    Note,
    Signature,
    Verifier,
    read_note,
    read_signature,
    time_of,
)
from chain.witness import HEAD_HEADER
from eventstore.deadline import timed_client, within

TIMEOUT_S, TOTAL_S = 5.0, 15.0
"""For each wait of a call, and for all of it."""

AHEAD_S = 3_600
MAX_ANSWER_BYTES = 8_192
MAX_BATCH = 2**63 - 1


class WitnessAhead(ChainError):
    """The witness countersigned another size last (409). `head` is empty when it did not say."""

    def __init__(self, size: int, head: bytes) -> None:
        super().__init__(f"the witness holds size {size}, head {head.hex() or 'unknown'}")
        self.size, self.head = size, head

    def holds(self, tip: Tip) -> bool:
        return (self.size, self.head) == (tip.size, tip.head)


class WitnessRefused(ChainError):
    """The witness will not countersign this checkpoint, or its answer is not its own."""


class WitnessAt(msgspec.Struct, frozen=True):
    """A configured witness: what we call it, where it listens, and the key it was pinned with."""

    name: str
    url: str
    key: Verifier

    def ask(self, old: int, records: Sequence[BatchRecord], checkpoint: Note) -> Signature:
        """Returns its cosignature, checked against the pinned key.

        `old` is the size it countersigned last, `records` are the batches since. Raises WitnessAhead,
        WitnessRefused, and Retryable when it is away.
        """
        body = f"old {old}\n{''.join(record.line for record in records)}\n{checkpoint}"
        try:
            answer = _asked("POST", f"{self.url}/add-checkpoint", body.encode())
        except httpx.HTTPError as error:
            raise Retryable(f"witness {self.name}: {type(error).__name__}") from error
        if answer.status_code == 200:
            return self._checked(answer.text, checkpoint)
        if answer.status_code == 409:
            raise _ahead(answer)
        said = f"witness {self.name}: {answer.status_code} {answer.text[:200].strip()}"
        if HEAD_HEADER in answer.headers:
            said += f"; it holds head {answer.headers[HEAD_HEADER][:64]}"
        raise Retryable(said) if answer.status_code in (408, 429) or answer.status_code >= 500 else WitnessRefused(said)

    def last_seen(self, log: Verifier) -> Tip | None:
        """Returns the last checkpoint it countersigned, both signatures checked; None when it has seen nothing.

        Raises Retryable when it is away, and WitnessRefused when what it shows is not signed.
        """
        try:
            answer = _asked("GET", f"{self.url}/status")
            if answer.status_code == 404:
                return None
            note = read_note(answer.raise_for_status().text)
            log.check(note)
            self.key.check(note)
            return read_checkpoint(note.text).tip
        except httpx.HTTPError as error:
            raise Retryable(f"witness {self.name}: {type(error).__name__}") from error
        except (Malformed, BadSignature) as error:
            raise WitnessRefused(f"witness {self.name}: {error}") from None

    def _checked(self, text: str, checkpoint: Note) -> Signature:
        try:
            if len(text) > MAX_ANSWER_BYTES:
                raise Malformed("the answer is too long")
            lines = tuple(read_signature(line) for line in text.removesuffix("\n").split("\n"))
            signature = self.key.check(Note(checkpoint.text, lines))
            if time_of(signature) > time.time() + AHEAD_S:
                raise BadSignature("its clock is ahead of ours")
            return signature
        except (Malformed, BadSignature) as error:
            raise WitnessRefused(f"witness {self.name}: {error}") from None


class Witnesses(msgspec.Struct, frozen=True):
    """Who countersigns, and how many of them a batch needs before it is more than provisional."""

    listed: tuple[WitnessAt, ...] = ()
    quorum: int = 1
    """At 1 and with nobody listed, every batch is provisional; 0 asks for no witness."""

    @property
    def names(self) -> list[str]:
        return [witness.name for witness in self.listed]

    def covered(self, last: Mapping[str, int]) -> int:
        """The last batch with enough signatures, given the last batch each witness countersigned.

        A head binds every batch before it, so a witness that countersigned batch 9 has countersigned 1 to 8 as well.
        """
        if not self.quorum:
            return MAX_BATCH
        reached = sorted((last.get(name, 0) for name in self.names), reverse=True)
        return reached[self.quorum - 1] if self.quorum <= len(reached) else 0


def read_witnesses(text: str) -> list[WitnessAt]:
    """Reads `name=url vkey; name=url vkey`. Raises Malformed, which names the witness."""
    found: list[WitnessAt] = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, rest = part.partition("=")
        url, _, vkey = rest.strip().partition(" ")
        try:
            if not name.strip() or not url.startswith(("http://", "https://")):
                raise Malformed("write name=url vkey")
            key = Verifier.read(vkey)
            if key.kind != COSIGNATURE:
                raise Malformed("its key is no key for cosignatures")
            found.append(WitnessAt(name.strip(), url.rstrip("/"), key))
        except Malformed as error:
            raise Malformed(f"witness {name.strip()!r}: {error}") from None
    if len({witness.name for witness in found}) != len(found) or len({one.key.public for one in found}) != len(found):
        raise Malformed("two witnesses share a name or a key")
    return found


def _asked(method: str, url: str, body: bytes | None = None) -> httpx.Response:
    """A witness's answer. One that is endless or never done is cut off: others wait for their turn."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "Accept-Encoding": "identity"}
    taken = bytearray()
    with (within(TOTAL_S), timed_client(timeout=TIMEOUT_S) as client,
          client.stream(method, url, content=body, headers=headers) as answer):
        for chunk in answer.iter_bytes():
            taken += chunk
            if len(taken) > MAX_ANSWER_BYTES:
                raise httpx.DecodingError("the answer is too long", request=answer.request)
    return httpx.Response(answer.status_code, headers=answer.headers, content=bytes(taken), request=answer.request)


def _ahead(answer: httpx.Response) -> ChainError:
    try:
        size = int(answer.text.strip())
        return WitnessAhead(size, base64.b64decode(answer.headers.get(HEAD_HEADER, ""), validate=True))
    except (ValueError, binascii.Error):
        return WitnessRefused(f"its answer 409 names no size: {answer.text[:100].strip()}")
