"""A small audit log, chained as the event store chains it, for tests of anchors and bundles."""

import hashlib
import json
from uuid import NAMESPACE_URL, uuid5

from chain.bundle import EntryRow

START_US = 1_779_444_000_000_000
ZERO_HASH = bytes(32)


def chained(position: int, recorded_us: int, prev_hash: bytes, body: bytes) -> tuple[bytes, bytes]:
    """Returns body hash and hash of an entry."""
    body_hash = hashlib.sha256(body).digest()
    line = b"fx2 %d %d %s %s\n" % (position, recorded_us, prev_hash.hex().encode(), body_hash.hex().encode())
    return body_hash, hashlib.sha256(line).digest()


class Logbook:
    """Appends entries; versions count up for each resource."""

    def __init__(self) -> None:
        self.entries: list[EntryRow] = []
        self._versions: dict[str, int] = {}

    def append(self, topic: str, resource: str, *, at: str = "2026-05-22T10:00:00Z", **context) -> EntryRow:
        """Adds one entry; `context` overrides fields of the body."""
        version = self._versions[resource] = self._versions.get(resource, 0) + 1
        stream = uuid5(NAMESPACE_URL, resource)
        body = {
            "action": "NOTE",
            "actor": "usr_1",
            "actor_role": "sme_seller",
            "at": at,
            "cause": None,
            "command": f"cmd-{len(self.entries) + 1}",
            "data": {},
            "on_behalf_of": None,
            "resource": resource,
            "salt": f"{len(self.entries) + 1:032x}",
            "stream": str(stream),
            "tenant": "ten_main",
            "type": topic,
            "version": version,
        } | context
        return self.append_body(topic, version, stream, json.dumps(body, sort_keys=True).encode())

    def append_body(self, topic: str, version: int, stream, body: bytes) -> EntryRow:
        position = len(self.entries) + 1
        prev_hash = self.entries[-1].hash if self.entries else ZERO_HASH
        recorded_us = START_US + position * 1_000
        body_hash, entry_hash = chained(position, recorded_us, prev_hash, body)
        entry = EntryRow(
            *(position, "ten_main", stream, version, topic, recorded_us),
            *(prev_hash, body_hash, entry_hash, body),
        )
        self.entries.append(entry)
        return entry

    def hashes(self, first: int, last: int) -> list[bytes]:
        """Reads hashes the way the anchorer and the bundle do."""
        return [entry.hash for entry in self.entries[first - 1 : last]]

    def invoice_story(self, number: int) -> None:
        """An invoice from submission to burn: eight entries."""
        invoice, token = f"invoice:INV-{number}", f"token:TOK-{number}"
        about = {"invoice": f"INV-{number}"}
        self.append("invoice.submitted.1", invoice, action="SUBMIT_INVOICE")
        self.append("invoice.confirmed.1", invoice, action="CONFIRM_INVOICE", actor_role="buyer")
        self.append("token.mint_requested.1", token, data=about)
        self.append("token.minted.1", token, data=about)
        self.append("invoice.funded.1", invoice, action="FUND_INVOICE", actor_role="lender")
        self.append("invoice.payout_requested.1", invoice, data={"payout": f"pay-{number}"})
        self.append("invoice.payout_confirmed.1", invoice, data={"payout": f"pay-{number}"})
        self.append("token.burned.1", token, data=about)
