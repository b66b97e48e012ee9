"""Benches: each prints a table and writes build/bench/NAME.json, a flat map of metric name to number."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.table import Column, Table

from bootstrap import SetupError
from chain import anchor
from chain.anvil import free_port
from chain.bundle import AnchorFacts, BatchRow, EntryRow, write_bundle
from eventstore.entry import ZERO_HASH, body_hash, canonical, entry_hash
from scripts.benches import eventstore

console = Console()
ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "build" / "bench"
ROOMS = ("domain", "eventstore", "processes", "providers", "projections", "chain", "ai", "api", "bootstrap",
         "migrations", "scripts", "tests")
STORY_RUNS = 3
BUNDLE_ENTRIES = 50_000
BATCH_ENTRIES = 5_000

Figures = dict[str, float]


def run_benches(name: str | None) -> None:
    if name is not None and name not in BENCHES:
        raise SetupError(f"there is no bench {name!r}; there are: {', '.join(BENCHES)}")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for chosen in [name] if name else list(BENCHES):
        with console.status(f"measuring {chosen} …"):
            figures = BENCHES[chosen]()
        console.print(_table(chosen, figures, TARGETS.get(chosen, {})))
        (OUTPUT / f"{chosen}.json").write_text(json.dumps(figures, indent=2) + "\n")


def _table(name: str, figures: Figures, targets: Mapping[str, str]) -> Table:
    """Figures, and beside those that have one the target and how many times the target they are."""
    table = Table("figure", *(Column(name, justify="right") for name in ("value", "target", "ratio")), title=name)
    for metric, value in figures.items():
        row = [metric, f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"]
        if metric in targets:
            sign, limit = targets[metric].split()
            reached = value >= float(limit) if sign == ">=" else value <= float(limit)
            row += [targets[metric], f"[{'green' if reached else 'red'}]{value / float(limit):.2f}[/]"]
        table.add_row(*row)
    return table


def story() -> Figures:
    """The one-shot demonstration as a whole process: wall time, entries; and the size of the code."""
    walls: list[float] = []
    inside: list[float] = []
    entries = 0
    for _ in range(STORY_RUNS):
        with tempfile.TemporaryDirectory(prefix="fx-bench-") as home:
            started = time.monotonic()
            done = subprocess.run([sys.executable, "-m", "scripts.fx", "demo"], cwd=ROOT, env=_environment(home),
                                  capture_output=True, text=True, check=False, timeout=300)
            walls.append(time.monotonic() - started)
        if done.returncode != 0:
            raise SetupError(f"the demonstration failed: {done.stderr.strip().splitlines()[-1:]}")
        found = re.search(r"after ([\d.]+) s, with (\d+) entries", done.stdout)
        assert found is not None
        inside.append(float(found[1]))
        entries = int(found[2])
    figures: Figures = {
        "demo_wall_s_median": statistics.median(walls), "demo_wall_s_max": max(walls),
        "demo_story_s_median": statistics.median(inside), "entries": entries}
    for room in ROOMS:
        figures[f"lines_{room}"] = _lines(ROOT / room, "*.py")
    figures["lines_contracts"] = _lines(ROOT / "chain" / "contracts", "*.sol")
    return figures


def verifier() -> Figures:
    """The regulator's verifier over a large bundle, offline, as a whole process."""
    with tempfile.TemporaryDirectory(prefix="fx-bench-") as folder:
        target = Path(folder) / "bundle"
        size = _write_large_bundle(target)
        started = time.monotonic()
        done = subprocess.run([sys.executable, "-I", str(target / "verify.py"), str(target), "--json"],
                              capture_output=True, text=True, check=False, timeout=300)
        wall = time.monotonic() - started
        if done.returncode != 0:
            raise SetupError(f"the verifier refused the bench's bundle: {done.stdout[-400:]}")
    return {"entries": BUNDLE_ENTRIES, "bundle_bytes_per_entry": size / BUNDLE_ENTRIES,
            "verify_entries_per_s": BUNDLE_ENTRIES / wall}


def _write_large_bundle(target: Path) -> int:
    """Entries of a realistic size, chained and batched as the log does it; the bundle's size in bytes."""
    rows: list[EntryRow] = []
    prev = ZERO_HASH
    for position in range(1, BUNDLE_ENTRIES + 1):
        stream = UUID(int=position)
        body = canonical({
            "action": "NOTICE_SENT", "actor": "system:notices", "actor_role": "system", "at": "2026-07-21T10:14:00Z",
            "cause": position, "command": f"notices.send:{position}", "on_behalf_of": None,
            "data": {"notice": f"FX-INV-{position:05X}/C1", "recipient": "sub_0123456789abcdef",
                     "resource": f"FX-INV-{position:05X}", "template": "confirm_request"},
            "resource": f"FX-INV-{position:05X}/C1", "stream": stream, "tenant": "tnt_fintokenx",
            "type": "notice.sent.1", "version": 1})
        hashed = body_hash(body)
        linked = entry_hash(position, position, prev, hashed)
        rows.append(EntryRow(position=position, tenant_id="tnt_fintokenx", originator_id=stream, originator_version=1,
                             topic="notice.sent.1", recorded_us=position, prev_hash=prev, body_hash=hashed,
                             hash=linked, body=body))
        prev = linked
    hashes = [row.hash for row in rows]
    log_id = bytes(32)
    batches: list[BatchRow] = []
    head = anchor.genesis_head(log_id)
    for number, first in enumerate(range(1, BUNDLE_ENTRIES + 1, BATCH_ENTRIES), start=1):
        last = min(first + BATCH_ENTRIES - 1, BUNDLE_ENTRIES)
        made = anchor.make_batch(number, list(enumerate(hashes[first - 1:last], first)), head)
        batches.append(BatchRow(batch_id=number, from_position=first, to_position=last, root=made.root,
                                prev_head=head, head=made.head, tx_hash="0x" + "00" * 32, block_number=number,
                                anchored_at=1_784_628_840))
        head = made.head
    facts = AnchorFacts(chain_id=31337, contract="0x" + "00" * 20, log_id=log_id, anchorer="0x" + "00" * 20,
                        code_sha256="00" * 32)
    write_bundle(target, facts, rows, batches, lambda first, last: hashes[first - 1:last], "2026-07-21T10:25:00Z")
    return sum(file.stat().st_size for file in target.iterdir())


def _lines(folder: Path, pattern: str) -> int:
    return sum(1 for path in folder.rglob(pattern) for line in path.read_text().splitlines() if line.strip())


def _environment(home: str) -> dict[str, str]:
    ports = {f"FX_{name}_PORT": str(free_port()) for name in ("HTTP", "CHAIN", "SIMULATOR", "SMTP")}
    return {**os.environ, **ports, "FX_HOME": home, "FX_ONESHOT": "1"}


BENCHES: dict[str, Callable[[], Figures]] = {"story": story, "verifier": verifier, "eventstore": eventstore.eventstore}
TARGETS: dict[str, Mapping[str, str]] = {"eventstore": eventstore.TARGETS}
