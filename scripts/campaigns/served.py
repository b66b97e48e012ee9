"""A platform as its operators run it: `fx serve` in a process and a home of its own, its people joined over HTTP.

The process is forked from one that has imported everything (`multiprocessing`'s fork server): what is killed and
started again dozens of times begins in the time that serving takes, without three seconds of imports each time.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx

from bootstrap import Settings, settings_from
from chain.anvil import end_with_parent, free_port
from scripts.staff import enrolled
from scripts.story import BEGINS, Story

ROOT = Path(__file__).parent.parent.parent
READY_S = 90.0
STAFF = {"mlro": ("compliance_officer", "Priya Lall"), "mlro2": ("compliance_officer", "Owen Reid"),
         "admin": ("platform_admin", "Marcus Doyle")}
LAST_TO_JOIN = "Brunel joins"

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["scripts.serve", "scripts.sandbox_witness", "scripts.fx"])


def fork_serve(environ: Mapping[str, str], log: Path) -> ForkServerProcess:
    """Starts `fx serve` under that environment; what it prints goes to `log`."""
    process = _forks.Process(target=_serve, args=(dict(environ), log))
    process.start()
    return process


def _serve(environ: dict[str, str], log: Path) -> None:
    end_with_parent()
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(ROOT)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), stream.fileno())
    sys.argv = ["fx", "serve"]

    from scripts.fx import main

    main()


@dataclass
class Apart:
    """One platform in a process of its own. `start` after `kill` goes on where it was."""

    home: Path
    extra: Mapping[str, str] = field(default_factory=dict[str, str])
    process: ForkServerProcess | None = None

    def __post_init__(self) -> None:
        ports = {f"FX_{name}_PORT": str(free_port()) for name in ("HTTP", "CHAIN", "SIMULATOR", "SMTP")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FX_")}
        self.environ = {**kept, **ports, "FX_HOME": str(self.home), "FX_CLOCK": f"sandbox:{BEGINS.isoformat()}",
                        **self.extra}
        self.settings: Settings = settings_from(self.environ)
        self.log = self.home.parent / f"{self.home.name}.log"

    def start(self) -> None:
        """Serve, and wait until it is ready; AssertionError with the log's end when it does not come up."""
        self.process = fork_serve(self.environ, self.log)
        deadline = time.monotonic() + READY_S
        while not self.answers():
            assert self.process.is_alive() and time.monotonic() < deadline, self.log.read_text()[-2_000:]
            time.sleep(0.02)

    def answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.settings.http_url}/health/ready", timeout=5).status_code == 200
        return False

    def kill(self) -> None:
        """kill -9 of the platform; its child processes end with it."""
        assert self.process is not None
        self.process.kill()
        self.process.join()

    def terminate(self) -> None:
        """End serving, in order."""
        if self.process is not None and self.process.is_alive():
            self.process.terminate()
            self.process.join(timeout=60)
            assert not self.process.is_alive(), "it does not end"

    def stop(self) -> None:
        self.terminate()
        self.fx("stop")

    def fx(self, *words: str) -> str:
        """What the command line prints, run beside the platform."""
        done = subprocess.run([sys.executable, "-m", "scripts.fx", *words], cwd=ROOT, env=self.environ, text=True,
                              capture_output=True, check=True, timeout=120)
        return done.stdout.strip()

    def resident_mib(self) -> float:
        """Memory of the process that answers HTTP."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def staff(self) -> dict[str, str]:
        """Enrols two compliance officers and an administrator; their API keys."""
        return {who: enrolled(self.settings, role, name, f"{who}@fintokenx.uk") for who, (role, name) in STAFF.items()}


@contextmanager
def served_apart(**environ: str) -> Iterator[tuple[Apart, Story, dict[str, str]]]:
    """A platform in a fresh home with the story's people joined; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fx-apart-") as folder:
        apart = Apart(Path(folder) / "home", environ)
        try:
            apart.start()
            staff = apart.staff()
            story = Story(apart.settings.http_url, apart.settings.providers_url, staff["mlro"], staff["admin"])
            for title, act in story.steps():
                act()
                if LAST_TO_JOIN in title:
                    break
            yield apart, story, staff
        finally:
            apart.stop()
