"""A log's side of the witness protocol, by hand: a history of batches, its checkpoints and requests; and the program
itself, run in a folder that holds nothing of the platform but its own four files."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
from aiohttp import web

from chain.anvil import free_port
from chain.checkpoint import BatchRecord, Checkpoint, Tip, genesis_of, origin_of, replay
from chain.notes import COSIGNATURE, Signer, Verifier, read_note, read_signature
from chain.witness import Witness, application, make, read_signer

ROOT = Path(__file__).parents[2]
FILES = ("chain/__init__.py", "chain/notes.py", "chain/checkpoint.py", "chain/witness.py", "scripts/__init__.py",
         "scripts/saying.py", "scripts/witness.py")
LOG = Signer(origin_of("tnt_fintokenx", hashlib.sha256(b"FinToken X audit log").digest()), b"\1" * 32)
NAME = "witness.example.com/w1"


@dataclass(frozen=True)
class History:
    """Batches of ten entries; two histories share what they begin with."""

    roots: tuple[bytes, ...] = ()
    signer: Signer = field(default=LOG)

    def grown(self, *names: str) -> History:
        return replace(self, roots=(*self.roots, *(hashlib.sha256(name.encode()).digest() for name in names)))

    @property
    def records(self) -> list[BatchRecord]:
        return [BatchRecord(n, 10 * n - 9, 10 * n, root) for n, root in enumerate(self.roots, 1)]

    def tip(self, batch_id: int | None = None) -> Tip:
        return replay(genesis_of(self.signer.name), self.records[:batch_id])

    def note(self, batch_id: int | None = None) -> str:
        return str(self.signer.sign(Checkpoint(self.signer.name, self.tip(batch_id)).text))

    def request(self, done: int = 0, upto: int | None = None, *, old: int | None = None,
                records: Sequence[BatchRecord] | None = None) -> bytes:
        lines = self.records[done:upto] if records is None else records
        size = self.tip(done).size if old is None else old
        return f"old {size}\n{''.join(record.line for record in lines)}\n{self.note(upto)}".encode()


def cosigned(line: str, note: str, verifier: Verifier) -> bool:
    """Whether a witness's line countersigns that note."""
    found = read_note(note)
    verifier.check(replace(found, signatures=(*found.signatures, read_signature(line.removesuffix("\n")))))
    return True


@dataclass
class Listening:
    """A witness that answers HTTP."""

    url: str
    key: Verifier

    def add(self, body: bytes) -> httpx.Response:
        return httpx.post(f"{self.url}/add-checkpoint", content=body, timeout=10)

    def status(self) -> httpx.Response:
        return httpx.get(f"{self.url}/status", timeout=10)


@dataclass
class Running(Listening):
    """The witness program as another firm runs it."""

    process: subprocess.Popen[str]


@contextmanager
def listening(folder: Path, *, port: int | None = None) -> Iterator[Listening]:
    """The same witness on a thread of ours, which begins at once; `folder` keeps its key and state."""
    key, state = folder / "witness.key", folder / "state"
    if not key.exists():
        make(key, state)
    signer, port = read_signer(NAME, key), port or free_port()
    witness, loop = Witness(LOG.verifier(), signer, state), asyncio.new_event_loop()
    runner = web.AppRunner(application(witness), access_log=None)

    async def begin() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield Listening(f"http://127.0.0.1:{port}", signer.verifier(COSIGNATURE))
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        witness.close()


@contextmanager
def running(folder: Path, *options: str, port: int | None = None, signer: Signer = LOG) -> Iterator[Running]:
    """Starts the program in `folder`, which keeps its key and its state between starts; ends it with SIGTERM."""
    key, state = folder / "witness.key", folder / "state"
    if not key.exists():
        make(key, state)
    for name in FILES:
        (folder / "app" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "app" / name)
    port = port or free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.witness", "run", NAME, "--listen", f"127.0.0.1:{port}", "--log",
         signer.verifier().vkey, "--key", str(key), "--state", str(state), *options],
        cwd=folder / "app", stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]})
    started = Running(f"http://127.0.0.1:{port}", read_signer(NAME, key).verifier(COSIGNATURE), process)
    try:
        _wait(started)
        yield started
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait(witness: Running) -> None:
    deadline = time.monotonic() + 20
    while True:
        assert witness.process.poll() is None, witness.process.stderr and witness.process.stderr.read()
        assert time.monotonic() < deadline, "the witness did not start"
        try:
            witness.status()
            return
        except httpx.TransportError:
            time.sleep(0.02)
