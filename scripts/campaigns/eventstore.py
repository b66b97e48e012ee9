"""`make campaign-eventstore`: kill -9 of the application, immediate stops and kill -9 of PostgreSQL, under load.

Two processes full of callers append to one chain. After every blow the log is compared with what callers were told; one
difference ends the campaign, with its seed. The seed fixes whom and when to strike, not what the machine did then.
A machine that loses power is not in it: what a killed process has written, the kernel still writes to the disk.
"""

from __future__ import annotations

import json
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import cyclopts
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

import migrations
from chain.anvil import end_with_parent
from eventstore.access import register
from scripts.campaigns.checking import Ack, Auditor
from scripts.campaigns.commands import PROCESSES, SECRET, TENANT, access, caller_of
from scripts.campaigns.figures import keep
from scripts.campaigns.server import Server

ROOT = Path(__file__).resolve().parents[2]
KILLS, STOPS = 500, 100
LINE_EVERY = 25
PATIENCE_S = 60.0
POLL_S = 0.005
LATEST_BLOW_S = 0.35
BLIND = 0.1
"""How often a process is killed without having answered anything since it was started."""

BOTH = 0.1
"""How often both processes are killed together."""

Tell = Callable[["Figures"], None]


class Figures(msgspec.Struct):
    """What was done and what came of it."""

    seed: int
    process_kills: int = 0
    immediate_stops: int = 0
    postmaster_kills: int = 0
    acknowledged: int = 0
    landed: int = 0
    entries: int = 0
    answered_from_the_key: int = 0
    told_to_repeat: int = 0
    lost: int = 0
    doubled: int = 0
    other_faults: int = 0
    seconds: float = 0.0


class CampaignFailed(Exception):
    """The log is not what callers were told, or the load does not run."""


class Load:
    """One process of callers: started, listened to, killed."""

    def __init__(self, name: str, url: str, folder: Path):
        self.name = name
        self._url, self._folder = url, folder
        self._runs = 0
        self._begin: dict[str, int] = {}
        self.start()

    def start(self) -> None:
        """Callers go on from the first command that was not acknowledged: it may have landed."""
        self._runs += 1
        self._acks, self._read = self._folder / f"{self.name}-{self._runs}.acks", 0
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scripts.campaigns.load", self.name, self._url, str(self._acks),
                 json.dumps(self._begin)], cwd=ROOT, stdout=log, stderr=log, preexec_fn=end_with_parent)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    close = kill

    def acks(self) -> list[Ack]:
        """What was written since the last time. A line cut short by the kill was told to nobody."""
        if not self._acks.exists():
            return []
        with self._acks.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        self._read += len(whole) + bool(whole)
        found = [Ack.read(line) for line in whole.decode().splitlines()]
        for ack in found:
            caller, n = caller_of(ack.key)
            self._begin[caller] = n + 1
        return found

    def await_answer(self) -> None:
        """Until a caller has written something that was not read yet."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._acks.exists() or self._acks.stat().st_size <= self._read:
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = (self._folder / f"{self.name}.log").read_text()
                raise CampaignFailed(f"process {self.name} answers nothing any more: {log[-2_000:]}")
            time.sleep(POLL_S)


class Campaign:
    """Two processes of callers on a server, and an auditor."""

    def __init__(self, server: Server, auditor: Auditor, loads: list[Load], seed: int, tell: Tell):
        self._server, self._auditor, self._loads, self._tell = server, auditor, loads, tell
        self._random = random.Random(seed)
        self._began = time.monotonic()
        self.figures = Figures(seed=seed)

    def run(self, kills: int, stops: int) -> None:
        self._auditor.expect_durable()
        while self.figures.process_kills < kills:
            self._kill_processes(kills - self.figures.process_kills)
        while self.figures.immediate_stops < stops:
            self._strike_server(self._server.stop_immediately, "immediate_stops")
            self._strike_server(self._server.kill, "postmaster_kills")
        for load in self._loads:
            load.kill()
        self._auditor.await_quiet()
        self._check(self._acks())
        self._auditor.check_all()
        self._take_stock()

    def _kill_processes(self, left: int) -> None:
        """One process or both, at any moment: while it starts, repeats, works."""
        both = left > 1 and self._random.random() < BOTH
        victims = self._loads if both else [self._random.choice(self._loads)]
        if self._random.random() >= BLIND:
            for victim in victims:
                victim.await_answer()
        time.sleep(self._random.uniform(0, LATEST_BLOW_S))
        for victim in victims:
            victim.kill()
        self.figures.process_kills += len(victims)
        acks = self._acks()  # all that the dead have told, before they begin again
        for victim in victims:
            victim.start()
        self._check(acks)

    def _strike_server(self, blow: Callable[[], None], counted: str) -> None:
        """The callers live on, and are answered when the server is back."""
        for load in self._loads:
            load.await_answer()
        time.sleep(self._random.uniform(0, LATEST_BLOW_S))
        blow()
        setattr(self.figures, counted, getattr(self.figures, counted) + 1)
        self._server.start()
        self._check(self._acks())

    def _acks(self) -> list[Ack]:
        return [ack for load in self._loads for ack in load.acks()]

    def _check(self, acks: list[Ack]) -> None:
        self._auditor.check(acks)
        self._take_stock()

    def _take_stock(self) -> None:
        figures, auditor, faults = self.figures, self._auditor, self._auditor.faults
        figures.acknowledged, figures.landed = auditor.acknowledgements, auditor.commands
        figures.entries, figures.answered_from_the_key = auditor.position, auditor.replayed
        figures.told_to_repeat = auditor.repeated
        figures.lost, figures.doubled = faults["lost"], faults["doubled"]
        figures.other_faults = faults.total() - faults["lost"] - faults["doubled"]
        figures.seconds = round(time.monotonic() - self._began, 1)
        self._tell(figures)
        if auditor.told:
            raise CampaignFailed("\n".join(auditor.told))


def run_campaign(kills: int, stops: int, seed: int, tell: Tell = lambda figures: None) -> Figures:
    """All of it in a folder of its own, which stays where it is when something was wrong."""
    folder = Path(tempfile.mkdtemp(prefix="fx-campaign-"))
    figures = Figures(seed=seed)
    try:
        with ExitStack() as stack:
            server = stack.enter_context(closing(Server(folder)))
            migrations.upgrade(server.url)
            register(server.url, TENANT, SECRET)
            auditor = stack.enter_context(closing(Auditor(access(server.url))))
            loads = [stack.enter_context(closing(Load(name, server.url, folder))) for name in PROCESSES]
            campaign = Campaign(server, auditor, loads, seed, tell)
            figures = campaign.figures
            campaign.run(kills, stops)
    except Exception as error:
        raise CampaignFailed(f"{type(error).__name__}: {error}\n{figures}\nlogs and data: {folder}\n"
                             f"again: {again(kills, stops, seed)}") from error
    shutil.rmtree(folder, ignore_errors=True)
    return figures


def again(kills: int, stops: int, seed: int) -> str:
    return f".venv/bin/python -m scripts.campaigns.eventstore --kills {kills} --stops {stops} --seed {seed}"


def main(*, kills: int = KILLS, stops: int = STOPS, seed: int | None = None) -> None:
    """Strike, count, write build/campaign/eventstore.json; exits 1 when anything was lost, doubled or out of place."""
    console = Console()
    seed = secrets.randbelow(2**32) if seed is None else seed
    console.print(f"again: {again(kills, stops, seed)}", soft_wrap=True)
    columns: list[Any] = ["{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=console) as progress:
        tasks = {"process_kills": progress.add_task("kill -9 of a process", total=kills),
                 "immediate_stops": progress.add_task("immediate stop of PostgreSQL", total=stops),
                 "postmaster_kills": progress.add_task("kill -9 of the postmaster", total=stops)}

        def tell(figures: Figures) -> None:
            for name, task in tasks.items():
                progress.update(task, completed=getattr(figures, name))
            if not console.is_terminal and (figures.process_kills + figures.immediate_stops) % LINE_EVERY == 0:
                console.print(str(figures), soft_wrap=True)

        try:
            figures = run_campaign(kills, stops, seed, tell)
        except CampaignFailed as failure:
            console.print(str(failure), markup=False, soft_wrap=True)
            sys.exit(1)
    table = Table("figure", "value", title="event store campaign")
    for name, value in msgspec.structs.asdict(figures).items():
        table.add_row(name, str(value) if name == "seed" else f"{value:,}")
    console.print(table)
    keep("eventstore", figures)


if __name__ == "__main__":
    cyclopts.run(main)
