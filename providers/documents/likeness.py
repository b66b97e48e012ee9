"""How alike two documents' texts are, as 64 bits each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from providers.documents.layout import Line

_WORD = re.compile(r"[^\W_]{1,80}")


def likeness(lines: Sequence[Line], number: str = "") -> str:
    """Simhash over three-word runs, in hex: each run votes on every bit, so a small edit moves few of them. `number`:
    the invoice's own as its seller states it, which says nothing of the work and is left out."""
    own = {word for word in _WORD.findall(number.casefold()) if any(map(str.isdecimal, word))}
    words = [word for line in lines for word in _WORD.findall(line.text.casefold()) if word not in own]
    runs = {" ".join(words[at : at + 3]) for at in range(max(1, len(words) - 2))}
    votes = [0] * 64
    for run in runs:
        bits = int.from_bytes(hashlib.sha256(run.encode()).digest()[:8], "big")
        for at in range(64):
            votes[at] += 1 if bits >> at & 1 else -1
    return f"{sum(1 << at for at in range(64) if votes[at] > 0):016x}"
