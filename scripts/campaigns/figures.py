"""What a campaign found, kept where the next reader looks: build/campaign/NAME.json."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent.parent.parent / "build" / "campaign"


def keep(name: str, figures: object) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(msgspec.to_builtins(figures), indent=2) + "\n")
