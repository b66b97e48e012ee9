"""What witnesses countersigned, as the log records it: for evidence bundles, and checked anew by `fx verify`."""

from __future__ import annotations

from collections.abc import Sequence

from chain.bundle import Cosignature
from chain.checkpoint import Checkpoint, Tip
from chain.cosigning import Witnesses
from chain.evidence import Signatures
from chain.notes import BadSignature, Malformed, Note, Signer, Verifier, read_signature
from domain.platform import BatchAnchored, BatchCosigned
from eventstore.entry import Entry
from eventstore.store import Store
from eventstore.tampering import Finding
from eventstore.verify import Page


def entries_about_batches(store: Store) -> list[Entry]:
    """Every record of a batch and every countersignature, in order."""
    return store.entries_of_topics([BatchAnchored.tag, BatchCosigned.tag])


def signatures_of(entries: Sequence[Entry], log: Signer, witnesses: Witnesses) -> Signatures:
    """What a bundle says of keys and countersignatures, and who signs its last head; lines of witnesses no longer
    configured are left out."""
    lines = [Cosignature(event.batch_id, event.witness, event.cosignature) for entry in entries
             if isinstance(event := entry.event, BatchCosigned) and event.witness in witnesses.names]
    keys = {"log": log.verifier().vkey, **{witness.name: witness.key.vkey for witness in witnesses.listed}}
    return Signatures(keys, lines, witnesses.quorum, log)


class Countersigned:
    """A `Watcher`: every recorded line must be the pinned witness's, over the head that the batch's record names.

    `notes` says which batches are provisional. Whether the recorded heads are the contract's is for `chain/audit.py`.
    """

    layers: Sequence[str] = ()

    def __init__(self, entries: Sequence[Entry], log: Verifier, witnesses: Witnesses):
        self.unchecked: list[str] = []
        self.notes: list[str] = []
        self._entries, self._log, self._witnesses = entries, log, witnesses
        self._keys = {witness.name: witness.key for witness in witnesses.listed}
        self._first = self._last = 0

    def page(self, page: Page) -> list[Finding]:
        self._first, self._last = self._first or max(page.first, 1), page.last
        return []

    def end(self) -> list[Finding]:
        heads: dict[int, Tip] = {}
        covered: dict[str, int] = {}
        found: list[Finding] = []
        for entry in self._entries:
            match entry.event:
                case BatchAnchored(batch_id=number, to_position=last, head=head):
                    heads[number] = Tip(number, last, _bytes(head))
                case BatchCosigned(witness=witness, batch_id=number) as event if witness in self._keys:
                    if (why := self._problem(event, heads.get(number))) is None:
                        covered[witness] = max(number, covered.get(witness, 0))
                    elif self._first <= entry.position <= self._last:
                        found.append(Finding(entry.position, "batch_forged", why))
        final, newest = self._witnesses.covered(covered), max(heads, default=0)
        if final < newest:
            names = ", ".join(self._witnesses.names) or "nobody (FX_WITNESSES)"
            self.notes.append(f"witnesses: batches {final + 1} to {newest} are provisional, not countersigned by "
                              f"{self._witnesses.quorum} of {names}")
        return found

    def _problem(self, event: BatchCosigned, tip: Tip | None) -> str | None:
        """Why a recorded line is not what the witness signs; None when it is."""
        if tip is None:
            return f"a countersignature of batch {event.batch_id}, of which there is no record"
        try:
            text = Checkpoint(self._log.name, tip).text
            self._keys[event.witness].check(Note(text, (read_signature(event.cosignature),)))
        except (Malformed, BadSignature):
            return (f"the countersignature of batch {event.batch_id} is not {event.witness}'s: it was forged, or the "
                    "record of the batch was")
        return None


def _bytes(text: str) -> bytes:
    """A record is anybody's word: what is no hex is no head, and nobody has signed it."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
