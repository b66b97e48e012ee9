"""Fuzzes a served platform: every route, persona and field, then bodies at random; build/campaign/fuzz.json.

    python -m scripts.campaigns.fuzz [RANDOM_BODIES]

Exit 1 for a server error, an answer over a second, or memory that grew by more than 50 MiB after the warm-up.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from itertools import chain, islice

import httpx

from domain.party import ADMIN, BUYER, COMPLIANCE, INVESTOR, LENDER, SELLER
from scripts.campaigns.figures import keep
from scripts.campaigns.fuzzing import Maker, Seen, Shot, fire
from scripts.campaigns.served import Apart, served_apart
from scripts.story import REFERENCE, Story

RANDOM_BODIES = 15_000
WARM_UP = 2_000
THREADS = 3
MAX_GROWTH_MIB = 50.0
PERSONAS = {"coppergate": SELLER, "northwind": BUYER, "pennine": LENDER, "brunel": INVESTOR, "mlro": COMPLIANCE,
            "admin": ADMIN, "nobody": ""}


def main(random_bodies: int) -> int:
    with served_apart() as (apart, story, staff):
        keys = {**story.keys, **staff}
        maker = Maker(2026, PERSONAS, known(story))
        shots = chain(maker.noise(random_bodies), maker.every_field())
        seen = Seen()
        _volley(apart, keys, islice(shots, WARM_UP), seen)
        before = apart.resident_mib()
        _volley(apart, keys, shots, seen)
        growth = apart.resident_mib() - before
        alive = apart.answers()
    figures = {"fuzz_requests": seen.requests, "fuzz_5xx": len(seen.failed), "fuzz_slow": len(seen.slow),
               "fuzz_max_ms": round(seen.max_ms), "memory_growth_mib": round(growth, 1), "alive": alive,
               "statuses": dict(sorted(seen.statuses.items()))}
    keep("fuzz", {**figures, "failed": seen.failed[:50], "slow": seen.slow[:50]})
    print(json.dumps(figures, indent=2))
    return 0 if alive and not seen.failed and not seen.slow and growth <= MAX_GROWTH_MIB else 1


def known(story: Story) -> dict[str, list[str]]:
    """What stands in paths now and then, so that the requests get past the look-up."""
    subjects = [key.split("_")[2] + "_" + key.split("_")[3] for key in story.keys.values()]
    return {"reference": [REFERENCE, REFERENCE.replace("FX-", "FXR-")], "subject": subjects,
            "position": [str(n) for n in range(1, 60)]}


def _volley(apart: Apart, keys: dict[str, str], shots: Iterator[Shot], seen: Seen) -> None:
    """Several callers at once, each with connections of its own; they share the requests."""
    lock, parts = threading.Lock(), [Seen() for _ in range(THREADS)]

    def mine() -> Iterator[Shot]:
        while True:
            with lock:
                shot = next(shots, None)
            if shot is None:
                return
            yield shot

    def work(part: Seen) -> None:
        clients = {who: httpx.Client(base_url=apart.settings.http_url, timeout=30, headers={
            "Authorization": f"Bearer {keys[who]}"} if who in keys else {}) for who in PERSONAS}
        fire(mine(), clients, part)

    threads = [threading.Thread(target=work, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for part in parts:
        seen.requests += part.requests
        seen.failed += part.failed
        seen.slow += part.slow
        seen.max_ms = max(seen.max_ms, part.max_ms)
        for status, times in part.statuses.items():
            seen.statuses[status] = seen.statuses.get(status, 0) + times


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else RANDOM_BODIES))
