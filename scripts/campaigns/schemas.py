"""Requests made from our own description of the API, of every persona: `python -m scripts.campaigns.schemas [COUNT]`.

schemathesis reads /docs/openapi.json of a served platform and makes, for every operation, requests that fit their
description and requests that do not. None may end in a server's error (503 is one: nothing it stands on is away), none
may hang, and the platform must outlive them all. Writes build/campaign/schemas.json; exit 1 when one does.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from rich.console import Console
from schemathesis import GenerationMode

from scripts.campaigns.figures import keep
from scripts.campaigns.served import served_apart

COUNT = 10_000
TIMEOUT_S = 10.0
SKIPPED = frozenset({"/v1/sandbox/clock/advance"})
"""Moves the platform's only clock by years, which is right and makes every other figure meaningless."""


@dataclass
class Tally:
    requests: int = 0
    errors: list[str] = field(default_factory=list)
    unmade: list[str] = field(default_factory=list)
    """Operations whose description is too narrow for the generator; the fuzz makes theirs from the types."""

    hangs: int = 0
    max_ms: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)

    def send(self, case: Any, url: str, key: str | None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        started = time.monotonic()
        self.requests += 1
        try:
            answer = case.call(base_url=url, headers=headers, timeout=TIMEOUT_S)
        except requests.Timeout:
            self.hangs += 1
            self.errors.append(f"no answer: {case.method} {case.path}")
            return
        except requests.exceptions.InvalidHeader:
            return  # never left this machine
        except requests.RequestException as error:
            self.errors.append(f"{type(error).__name__}: {case.as_curl_command()[:300]}")
            return
        self.max_ms = max(self.max_ms, (time.monotonic() - started) * 1_000)
        self.statuses[answer.status_code] += 1
        if answer.status_code >= 500:
            self.errors.append(f"{answer.status_code}: {case.as_curl_command()[:300]}")


def play(count: int, url: str, keys: dict[str, str | None]) -> Tally:
    """About `count` requests, the same number for each operation and kind, the callers in turn."""
    schemathesis.openapi.media_type("application/pdf", some.binary(max_size=2_000).map(lambda rest: b"%PDF-" + rest))
    schema = schemathesis.openapi.from_url(f"{url}/docs/openapi.json")
    found: list[Any] = list(schema.get_all_operations())
    operations = [each.ok() for each in found]  # raises what is wrong with the description
    operations = [operation for operation in operations if operation.path not in SKIPPED]
    each = max(1, count // (2 * len(operations)))
    tally, callers = Tally(), cycle(keys.values())
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            @settings(max_examples=each, deadline=None, database=None, phases=[Phase.generate], derandomize=True,
                      suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much,
                                             HealthCheck.data_too_large, HealthCheck.large_base_example])
            @given(case=operation.as_strategy(generation_mode=mode))
            def once(case: Any) -> None:
                tally.send(case, url, next(callers))

            try:
                once()
            except Exception as why:  # noqa: BLE001 - what has no parameters has no requests that do not fit
                if mode is GenerationMode.POSITIVE:
                    tally.unmade.append(f"{operation.label}: {type(why).__name__}")
    return tally


def figures_of(tally: Tally, *, alive: bool, grown_mib: float) -> dict[str, Any]:
    """What is kept; operations that nothing was sent to are named, or the other figures would speak for them."""
    return {"requests": tally.requests, "server_errors": len(tally.errors), "hangs": tally.hangs,
            "unmade": sorted(tally.unmade), "max_ms": round(tally.max_ms), "alive": int(alive),
            "grown_mib": round(grown_mib, 1)}


def main(count: int) -> int:
    console = Console()
    with console.status("starting a platform …") as status, served_apart() as (apart, story, staff):
        status.update("requests …")
        keys: dict[str, str | None] = {"nobody": None, **story.keys, **staff}
        before = apart.resident_mib()
        tally = play(count, apart.settings.http_url, keys)
        alive, grown = apart.answers(), apart.resident_mib() - before
    figures = figures_of(tally, alive=alive, grown_mib=grown)
    keep("schemas", figures)
    console.print(figures, dict(sorted(tally.statuses.items())))
    for line in tally.errors[:40]:
        console.print(line, markup=False, soft_wrap=True)
    return 0 if alive and not tally.errors else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT))
