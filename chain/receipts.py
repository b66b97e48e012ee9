"""Receipts: what a customer keeps to prove, against us if need be, that the log held an entry.

    fintokenx receipt/1
    <the log's origin>
    entry <the entry's hash in hex>
    place <where it stands, readable by the platform alone>
    recorded_us <microseconds since 1970>
    action <what was done>
    resource <to what>
    actor <by whom>

Signed as a note with the log's key. The first line has a space in it, so a receipt is never a checkpoint. The same
entry always gives the same receipt. It names no position, which would tell a customer how much everybody else does:
whoever holds the evidence finds the entry by its hash.
"""

import re
from dataclasses import dataclass

from chain.notes import BadSignature, Malformed, Note, Signer, Verifier, read_note

FIRST_LINE = "fintokenx receipt/1"
_FORM = re.compile(
    re.escape(FIRST_LINE) + r"\n(?P<origin>[^\n]+)\nentry (?P<hash>[0-9a-f]{64})\nplace (?P<place>[A-Za-z0-9_-]{32})"
    r"\nrecorded_us (?P<recorded_us>[1-9][0-9]{0,15})"
    r"\naction (?P<action>[^\n]+)\nresource (?P<resource>[^\n]+)\nactor (?P<actor>[^\n]+)\n")


@dataclass(frozen=True)
class EntryReceipt:
    """One entry, as its receipt tells it. `hash` is in hex; `place` is what the API takes for the entry."""

    hash: str
    place: str
    recorded_us: int
    action: str
    resource: str
    actor: str

    def signed(self, log: Signer) -> Note:
        return log.sign(
            f"{FIRST_LINE}\n{log.name}\nentry {self.hash}\nplace {self.place}\nrecorded_us {self.recorded_us}\n"
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
    return EntryReceipt(found["hash"], found["place"], int(found["recorded_us"]), found["action"], found["resource"],
                        found["actor"])
