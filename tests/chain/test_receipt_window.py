"""The window no anchor covers: entries since the last batch are dropped, the log goes on, and nothing inside shows it.

Whoever keeps a receipt can show it (docs/evidence.md: "a tail no anchor holds").
"""

from __future__ import annotations

from pathlib import Path

import pytest

from chain.anchor import anchor_pending
from chain.client import Chain
from chain.evidence import write_evidence
from chain.receipts import EntryReceipt
from eventstore.store import Store
from scripts.receipt import verify
from tests.chain.test_tampering import (  # noqa: F401  # pyright: ignore[reportUnusedImport] - fixtures
    EVIDENCE,
    RECORD_OF_2,
    Scene,
    databases,
    hashes_of,
    original,
    record,
    scene,
)
from tests.chain.witnesses import LOG
from tests.conftest import access_to
from tests.eventstore import logs
from tests.eventstore.logs import START_US, append, body_of

VKEY = LOG.verifier().vkey


def receipt_of(scene: Scene, position: int) -> EntryReceipt:  # noqa: F811
    with scene.superuser as db:
        row = db.execute("SELECT hash, recorded_us FROM fx.audit_entries WHERE position = %s", (position,)).fetchone()
    return EntryReceipt(row[0].hex(), "A" * 32, row[1], "ALARM_RAISED", f"note {position}", "operator:test")


def ended(capsys: pytest.CaptureFixture[str], file: Path, bundle: Path) -> tuple[int, str]:
    code = 0
    try:
        verify(file, vkey=VKEY, bundle=bundle)
    except SystemExit as end:
        code = int(str(end.code))
    said = capsys.readouterr()
    return code, said.out + said.err


def bundle_of(scene: Scene, chain: Chain, path: Path) -> Path:  # noqa: F811
    store = Store(access_to(scene.url))
    try:
        write_evidence(store, chain, path, created_at="2026-05-22T10:00:00Z", versions={})
    finally:
        store.close()
    return path


def test_a_dropped_tail_passes_every_check_but_the_customer_s(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]  # noqa: F811
) -> None:
    """A2 cuts what batch 2 does not hold, writes something else there, and the platform anchors it in good faith."""
    files = {position: tmp_path / f"receipt-{position}" for position in (25, 34)}
    for position, file in files.items():
        file.write_text(str(receipt_of(scene, position).signed(LOG)))
    with scene.superuser as db:
        logs.delete(db, RECORD_OF_2 + 1, 36)
    assert scene.verified().exit_code == 0 and "undetectable: a tail no anchor holds" in EVIDENCE
    with scene.superuser as db:
        append(db, *(body_of(position, detail="other") for position in range(32, 40)), recorded_us=START_US + 50_000)
        assert anchor_pending(scene.world.chain, hashes_of(db), 39) is not None
        append(db, record(scene.world, 3, 40), recorded_us=START_US + 60_000)
    assert scene.verified().exit_code == 0
    bundle = bundle_of(scene, scene.world.chain, tmp_path / "bundle.zip")
    code, said = ended(capsys, files[25], bundle)
    assert code == 0 and "holds it at position 25" in said
    code, said = ended(capsys, files[34], bundle)
    assert code == 1 and "it was dropped after it was signed" in said
