"""What a regulator waits for: the bundle's verifier over a large range, offline."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from bootstrap import SetupError
from chain import anchor
from chain.bundle import AnchorFacts, BatchRow, EntryRow, write_bundle
from eventstore.entry import ZERO_HASH, body_hash, canonical, entry_hash, fresh_salt

ENTRIES = 10_000
RUNS = 5
ANCHORED_AT = 1_784_628_840
TARGETS = {"bundle_verify_per_s": ">= 90000", "proof_bytes_per_entry": "<= 1500"}


def measure_bundle(entries: int = ENTRIES) -> dict[str, float]:
    """The best of a few runs over one batch of `entries`.

    `bundle_verify_per_s` is the verifier's own figure: reading, parsing, hashing, proofs and rules of the entries.
    `bundle_verify_process_per_s` counts the whole program, from the interpreter's start to the five verdicts. Quote
    both: the first is what more entries cost, the second what a reader of this many waits for.
    """
    with tempfile.TemporaryDirectory(prefix="fx-bench-") as folder:
        target = Path(folder) / "bundle"
        write_large_bundle(target, entries)
        size = sum(file.stat().st_size for file in target.iterdir())
        runs = [_verified(target) for _ in range(RUNS)]
    return {
        "entries": entries,
        "bundle_bytes_per_entry": size / entries,
        "proof_bytes_per_entry": runs[0][0]["proof_bytes_per_entry"],
        "bundle_verify_per_s": max(report["entries_per_second"] for report, _ in runs),
        "bundle_verify_process_per_s": entries / min(wall for _, wall in runs),
    }


def _verified(target: Path) -> tuple[dict[str, float], float]:
    """The verifier's report and the seconds of its whole process."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-I", str(target / "verify.py"), str(target), "--json"],
                          capture_output=True, text=True, check=False, timeout=300)
    wall = time.monotonic() - started
    if done.returncode != 0:
        raise SetupError(f"the verifier refused the bench's bundle: {done.stdout[-400:]}")
    return json.loads(done.stdout), wall


def write_large_bundle(target: Path, entries: int) -> None:
    """Entries of a realistic size, chained as the log does it, in one batch."""
    rows = list(_rows(entries))
    hashes = [row.hash for row in rows]
    log_id = bytes(32)
    made = anchor.make_batch(1, list(enumerate(hashes, 1)), anchor.genesis_head(log_id))
    batch = BatchRow(batch_id=1, from_position=1, to_position=entries, root=made.root, prev_head=made.prev_head,
                     head=made.head, tx_hash="0x" + "00" * 32, block_number=1, anchored_at=ANCHORED_AT)
    facts = AnchorFacts(chain_id=31337, contract="0x" + "00" * 20, log_id=log_id, anchorer="0x" + "00" * 20,
                        code_sha256="00" * 32)
    write_bundle(target, facts, rows, [batch], lambda first, last: hashes[first - 1:last], "2026-07-21T10:25:00Z")


def _rows(entries: int) -> Iterator[EntryRow]:
    prev = ZERO_HASH
    for position in range(1, entries + 1):
        stream = UUID(int=position)
        body = canonical({
            "action": "NOTICE_SENT", "actor": "system:notices", "actor_role": "system", "at": "2026-07-21T10:14:00Z",
            "cause": position, "command": f"notices.send:{position}", "on_behalf_of": None,
            "data": {"notice": f"FX-INV-{position:05X}/C1", "recipient": "sub_0123456789abcdef",
                     "resource": f"FX-INV-{position:05X}", "template": "confirm_request"},
            "resource": f"FX-INV-{position:05X}/C1", "salt": fresh_salt(), "stream": stream, "tenant": "tnt_fintokenx",
            "type": "notice.sent.1", "version": 1})
        hashed = body_hash(body)
        linked = entry_hash(position, position, prev, hashed)
        yield EntryRow(position=position, tenant_id="tnt_fintokenx", originator_id=stream, originator_version=1,
                       topic="notice.sent.1", recorded_us=position, prev_hash=prev, body_hash=hashed, hash=linked,
                       body=body)
        prev = linked
