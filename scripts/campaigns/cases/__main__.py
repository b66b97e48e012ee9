"""Serves a platform, plays every case, prints the table, writes build/campaign/cases.json; exit 1 unless all are right.

    python -m scripts.campaigns.cases [NUMBER …]
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time

from rich.console import Console
from rich.table import Table

from scripts.campaigns import cases
from scripts.campaigns.cases import CASES, Case, World, Wrong
from scripts.campaigns.figures import keep
from scripts.campaigns.served import served_apart


def main(numbers: list[str]) -> int:
    for module in pkgutil.iter_modules(cases.__path__):
        if module.name != "__main__":
            importlib.import_module(f"{cases.__name__}.{module.name}")
    chosen = sorted((case for case in CASES if not numbers or case.number in numbers), key=_order)
    console, table = Console(width=160), Table("case", "input", "seen", "", "ms")
    wrong = 0
    with console.status("starting a platform and its people …") as status, served_apart() as (apart, story, staff):
        world = World(apart, story, staff)
        for number, case in enumerate(chosen, 1):
            status.update(f"{number} of {len(chosen)}: {case.number} {case.input}")
            started = time.monotonic()
            right, seen = _played(case, world)
            wrong += not right
            table.add_row(case.number, case.input, seen, "[green]right[/]" if right else "[red]wrong[/]",
                          f"{(time.monotonic() - started) * 1000:,.0f}")
    console.print(table)
    figures = {"cases_total": len(chosen), "cases_right": len(chosen) - wrong}
    keep("cases", figures)
    console.print(figures)
    return 1 if wrong or not chosen else 0


def _order(case: Case) -> tuple[str, int]:
    return case.number[0], int(case.number[1:])


def _played(case: Case, world: World) -> tuple[bool, str]:
    try:
        seen = case.play(world)
        world.alive()
    except Wrong as why:
        return False, str(why)
    except Exception as error:  # noqa: BLE001 - a case that cannot be played is not right either
        return False, f"{type(error).__name__}: {error}"[:300]
    return True, seen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
