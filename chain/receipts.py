"""Receipts: what a customer keeps to prove, against us if need be, that the log held an entry.

    fintokenx receipt/1
    <the log's origin>
    position <position>
    hash <the entry's hash in hex>
    recorded_us <microseconds since 1970>
    action <what was done>
    resource <to what>
    actor <by whom>

Signed as a note with the log's key. The first line has a space in it, so a receipt is never a checkpoint. The same
entry always gives the same receipt.
"""

import re
from dataclasses import dataclass

from chain.notes import BadSignature, Malformed, Note, Signer, Verifier, read_note

FIRST_LINE = "fintokenx receipt/1"
_FORM = re.compile(
    re.escape(FIRST_LINE) + r"\n(?P<origin>[^\n]+)\nposition (?P<position>[1-9][0-9]{0,15})"
    r"\nhash (?P<hash>[0-9a-f]{64})\nrecorded_us (?P<recorded_us>[1-9][0-9]{0,15})"
    r"\naction (?P<action>[^\n]+)\nresource (?P<resource>[^\n]+)\nactor (?P<actor>[^\n]+)\n")


@dataclass(frozen=True)
class EntryReceipt:
    """One entry, as its receipt tells it. `hash` is in hex."""

    position: int
    hash: str
    recorded_us: int
    action: str
    resource: str
    actor: str

    def signed(self, log: Signer) -> Note:
        return log.sign(
            f"{FIRST_LINE}\n{log.name}\nposition {self.position}\nhash {self.hash}\nrecorded_us {self.recorded_us}\n"
            f"action {self.action}\nresource {self.resource}\nactor {self.actor}\n")


def read_receipt(raw: str, log: Verifier) -> EntryReceipt:
    """Reads a receipt that the log's key has signed. Raises Malformed and BadSignature."""
    note = read_note(raw)
    log.check(note)
    found = _FORM.fullmatch(note.text)
    if found is None:
        raise Malformed("this is signed by the log, and is no receipt")
    if found["origin"] != log.name:
        raise BadSignature("the receipt is of another log")
    return EntryReceipt(int(found["position"]), found["hash"], int(found["recorded_us"]), found["action"],
                        found["resource"], found["actor"])
