"""Benches: each prints a table and writes build/bench/NAME.json, a flat map of metric name to number.

With FX_BENCH_QUICK=1 some take less of everything, and NAME-quick.json is written: the figures of a full run stay.
"""

from __future__ import annotations

import json
import operator
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from bootstrap import SetupError
from chain.anvil import free_port
from scripts.benches import chain, edge, eventstore, evidence

console = Console()
ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "build" / "bench"
ROOMS = ("domain", "eventstore", "processes", "providers", "projections", "chain", "ai", "api", "bootstrap",
         "migrations", "scripts", "tests")
STORY_RUNS = 3
REACHED = {">=": operator.ge, "<=": operator.le, "<": operator.lt}

Figures = dict[str, float]


def run_benches(name: str | None) -> None:
    if name is not None and name not in BENCHES:
        raise SetupError(f"there is no bench {name!r}; there are: {', '.join(BENCHES)}")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for chosen in [name] if name else list(BENCHES):
        with console.status(f"measuring {chosen} …"):
            figures = BENCHES[chosen]()
        console.print(_table(chosen, figures, TARGETS.get(chosen, {})))
        kept = f"{chosen}-quick.json" if os.environ.get("FX_BENCH_QUICK") else f"{chosen}.json"
        (OUTPUT / kept).write_text(json.dumps(figures, indent=2) + "\n")


def _table(name: str, figures: Figures, targets: Mapping[str, str]) -> Table:
    """Figures, and beside those that have one the target and how many times the target they are."""
    table = Table("figure", *(Column(name, justify="right") for name in ("value", "target", "ratio")), title=name)
    for metric, value in figures.items():
        row = [metric, f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"]
        if metric in targets:
            sign, limit = targets[metric].split()
            color = "green" if REACHED[sign](value, float(limit)) else "red"
            ratio = f"{value / float(limit):.2f}" if float(limit) else f"{value:,}"  # nothing is a multiple of none
            row += [targets[metric], f"[{color}]{ratio}[/]"]
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
        found = re.search(r"after ([0-9.]+) s, with ([0-9]+) entries", done.stdout)
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


def _lines(folder: Path, pattern: str) -> int:
    return sum(1 for path in folder.rglob(pattern) for line in path.read_text().splitlines() if line.strip())


def _environment(home: str) -> dict[str, str]:
    ports = {f"FX_{name}_PORT": str(free_port()) for name in ("HTTP", "CHAIN", "SIMULATOR", "SMTP")}
    return {**os.environ, **ports, "FX_HOME": home, "FX_ONESHOT": "1"}


BENCHES: dict[str, Callable[[], Figures]] = {
    "story": story, "verifier": evidence.measure_bundle, "eventstore": eventstore.eventstore,
    "chain": chain.chain, "edge": edge.edge}
TARGETS: dict[str, Mapping[str, str]] = {"verifier": evidence.TARGETS, "eventstore": eventstore.TARGETS,
                                         "chain": chain.TARGETS, "edge": edge.TARGETS}
