"""The edge under attack: every case, requests nobody would send, slow clients, guesses, malformed documents.

Each campaign runs as a process of its own, against a platform of its own; their figures are gathered here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bootstrap import SetupError
from scripts.campaigns.figures import FOLDER

ROOT = Path(__file__).parent.parent.parent
QUICK: Mapping[str, str] = {"fuzz": "500", "schemas": "500", "slow_clients": "100", "documents": "40"}
"""What a short form asks of each campaign that can be asked for less."""

TARGETS: Mapping[str, str] = {
    "cases_wrong": "<= 0", "fuzz_requests": ">= 20000", "fuzz_5xx": "<= 0", "fuzz_max_ms": "<= 1000",
    "fuzz_growth_mib": "<= 50", "schemas_5xx": "<= 0", "slow_clients_p99_ms": "< 250", "guesses_found": "<= 0",
    "pdf_health_max_ms": "< 100", "pdf_crashes": "<= 0"}


def edge() -> dict[str, float]:
    cases, fuzz, schemas = _played("cases"), _played("fuzz"), _played("schemas")
    slow, guesses, documents = _played("slow_clients"), _played("guesses"), _played("documents")
    return {
        "cases_total": cases["cases_total"], "cases_right": cases["cases_right"],
        "cases_wrong": cases["cases_total"] - cases["cases_right"],
        "fuzz_requests": fuzz["fuzz_requests"] + schemas["requests"],
        "fuzz_5xx": fuzz["fuzz_5xx"] + schemas["server_errors"], "fuzz_max_ms": fuzz["fuzz_max_ms"],
        "fuzz_growth_mib": fuzz["memory_growth_mib"], "schemas_5xx": schemas["server_errors"],
        "slow_clients": slow["slow_clients"], "slow_clients_p99_ms": slow["slow_clients_p99_ms"],
        "quiet_p99_ms": slow["quiet_p99_ms"], "guesses": guesses["guesses"], "guesses_found": guesses["found"],
        "pdf_documents": documents["documents"], "pdf_rejected": documents["rejected"],
        "pdf_crashes": documents["crashes"], "pdf_health_max_ms": documents["health_max_ms"]}


def _played(campaign: str) -> dict[str, Any]:
    """A campaign's figures, whether or not it found something wrong: that is what the figures say."""
    less = [QUICK[campaign]] if os.environ.get("FX_BENCH_QUICK") and campaign in QUICK else []
    output = FOLDER / f"{campaign}.json"
    output.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, "-m", f"scripts.campaigns.{campaign}", *less], cwd=ROOT, check=False,
                          capture_output=True, text=True)
    if not output.exists():
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise SetupError(f"the campaign {campaign} did not end: {said[-1] if said else 'it said nothing'}")
    return json.loads(output.read_text())
