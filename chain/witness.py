"""The witness: countersigns a log's checkpoints, each only if it continues the one countersigned before.

It speaks c2sp.org/tlog-witness (POST /add-checkpoint), with the records of the batches between as the proof. Of one log
it never countersigns two heads that do not follow each other, nor a smaller size after a larger one, also across
restarts, as long as its state file survives. Another firm runs it: of the platform it imports notes.py and
checkpoint.py, nothing else.
"""

import asyncio
import base64
import fcntl
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from chain.checkpoint import (
    MAX_RECORDS,
    BatchRecord,
    Checkpoint,
    Inconsistent,
    Tip,
    genesis_of,
    read_checkpoint,
    replay,
)
from chain.notes import COSIGNATURE, BadSignature, Malformed, Note, Signer, Verifier, read_note

MAX_BODY_BYTES = 32_768
BODY_SECONDS = 10
RPC_SECONDS = 10
SIZE_TYPE = "text/x.tlog.size"
HEAD_HEADER = "FX-Witness-Head"
"""With a 409 or 422: the head it holds, in base64. A 409's body is the size alone, as the protocol has it."""

GET_BATCH = "0x888775d9"  # getBatch(uint64): root, head, from, to, time; the contract's code is published
REVERTED = 3  # the code of a call that the contract itself refused
OTHERS_MASK = 0o077
FRESH = "nothing countersigned yet\n"
"""The state of a witness that has seen nothing. An empty file is none: somebody emptied it."""

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")

Confirm = Callable[[Checkpoint], None]


class StateLost(Exception):
    """The state or the key cannot be used; a witness that forgot what it signed must not sign."""


class NodeSilent(Exception):
    """The node gave no usable answer: nothing is known about the contract."""


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int
    text: str
    kind: str = "text/plain"
    headers: dict[str, str] = field(default_factory=dict)


class Witness:
    """One log's witness. Calls must not overlap; `confirm` may raise Inconsistent or NodeSilent before it signs."""

    def __init__(self, log: Verifier, signer: Signer, state: Path, *, confirm: Confirm | None = None,
                 now: Callable[[], float] = time.time, patience_s: float = 0) -> None:
        self._log, self._signer, self._state, self._confirm, self._now = log, signer, state, confirm, now
        self._lock = _hold(state, patience_s)
        self._note = self._remembered()
        self._tip = read_checkpoint(self._note.text).tip if self._note else genesis_of(log.name)

    def close(self) -> None:
        os.close(self._lock)

    def add_checkpoint(self, body: bytes) -> Answer:
        """Checks a request and countersigns it, or says why not. What it signs is on the disk before it answers."""
        try:
            old, records, note = read_request(body)
            origin = note.text.partition("\n")[0]
            if origin != self._log.name:
                return Answer(404, "this witness does not know that log\n")
            self._log.check(note)
            given = read_checkpoint(note.text)
            if old > given.tip.size:
                return Answer(400, "the old size is larger than the checkpoint's\n")
            if old != self._tip.size or (old == given.tip.size and given.tip != self._tip):
                return self._conflict()
            if replay(self._tip, records) != given.tip:
                raise Inconsistent("the batches do not give this head")
            if self._confirm is not None:
                self._confirm(given)
        except Malformed as error:
            return Answer(400, f"{error}\n")
        except BadSignature as error:
            return Answer(403, f"{error}\n")
        except Inconsistent as error:
            return Answer(422, f"{error}\n", headers=self._held())
        except NodeSilent as error:
            return Answer(503, f"{error}\n")
        return self._countersign(note, given.tip)

    def status(self) -> Answer:
        """The last checkpoint, with the log's signature and our own, to compare with what one was shown."""
        return Answer(200, str(self._note)) if self._note else Answer(404, FRESH)

    def _countersign(self, note: Note, tip: Tip) -> Answer:
        signature = self._signer.cosign(note.text, int(self._now()))
        seen = Note(note.text, (self._log.check(note), signature))
        _write(self._state, str(seen))
        self._note, self._tip = seen, tip
        return Answer(200, signature.line)

    def _conflict(self) -> Answer:
        return Answer(409, f"{self._tip.size}\n", SIZE_TYPE, self._held())

    def _held(self) -> dict[str, str]:
        return {HEAD_HEADER: base64.b64encode(self._tip.head).decode("ascii")}

    def _remembered(self) -> Note | None:
        """The note of the state file; None while it is fresh. StateLost unless both signatures hold."""
        try:
            raw = self._state.read_text("utf-8")
            if raw == FRESH:
                return None
            note = read_note(raw)
            self._log.check(note)
            self._signer.verifier(COSIGNATURE).check(note)
            return note
        except FileNotFoundError:
            raise StateLost(f"{self._state} is not there: restore it, or begin anew with a new key") from None
        except (OSError, ValueError) as error:
            raise StateLost(f"{self._state} cannot be read: {error}") from None


def read_request(body: bytes) -> tuple[int, list[BatchRecord], Note]:
    """Takes the body of add-checkpoint apart. Raises Malformed."""
    try:
        head, gap, note = body.decode("utf-8").partition("\n\n")
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    lines = head.split("\n")
    old = _OLD.fullmatch(lines[0])
    if not gap or old is None:
        raise Malformed("a request is `old <size>`, proof lines, an empty line and a checkpoint")
    if len(lines) > 1 + MAX_RECORDS:
        raise Malformed(f"a proof has at most {MAX_RECORDS} lines")
    return int(old[1]), [BatchRecord.read(line) for line in lines[1:]], read_note(note)


# The contract, asked by the witness itself


class Contract:
    """The anchoring contract on a node the witness trusts."""

    def __init__(self, url: str, address: str, chain_id: int) -> None:
        self._url, self._address, self._chain_id = url, address, chain_id

    def confirm(self, checkpoint: Checkpoint) -> None:
        """Raises Inconsistent when the contract has another head for the batch, NodeSilent when nobody can say."""
        if _number(self._ask("eth_chainId")) != self._chain_id:
            raise Inconsistent("the node serves another chain")
        call = {"to": self._address, "data": GET_BATCH + f"{checkpoint.tip.batch_id:064x}"}
        words = self._ask("eth_call", call, "latest").removeprefix("0x")
        head, size = words[64:128], words[192:256]
        if head != checkpoint.tip.head.hex() or _number(size) != checkpoint.tip.size:
            raise Inconsistent(f"the contract has another head for batch {checkpoint.tip.batch_id}")

    def _ask(self, method: str, *params: object) -> str:
        asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self._url, asked, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=RPC_SECONDS) as answer:
                told = json.load(answer)
        except (OSError, ValueError) as error:
            raise NodeSilent(f"the node does not answer: {error}") from None
        match told:
            case {"error": {"code": code}} if code == REVERTED:
                raise Inconsistent("the contract does not know that batch")
            case {"error": dict(error)}:
                raise NodeSilent(f"the node gave no answer: {error.get('message')}")
            case {"result": str(result)}:
                return result
            case _:
                raise NodeSilent("the node gave no answer that can be read")


def _number(digits: str) -> int:
    try:
        return int(digits, 16)
    except ValueError:
        raise NodeSilent("the node gave no answer that can be read") from None


# Files


def make(key: Path, state: Path) -> None:
    """Makes a key (mode 0600) and a fresh state. Raises StateLost when either is there already."""
    for path, content in ((key, os.urandom(32).hex() + "\n"), (state, FRESH)):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise StateLost(f"{path} is there already, and is not replaced") from None
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _sync(path.parent)


def read_signer(name: str, key: Path) -> Signer:
    """The witness's signer. Raises StateLost when the key is missing, broken, or can be read by others."""
    try:
        if key.stat().st_mode & OTHERS_MASK:
            raise StateLost(f"{key} can be read by others: chmod 600 it")
        return Signer(name, bytes.fromhex(key.read_text("ascii").strip()))
    except FileNotFoundError:
        raise StateLost(f"{key} is not there: make one with keygen") from None
    except (OSError, ValueError) as error:
        raise StateLost(f"{key} is no key: {error}") from None


def _hold(state: Path, patience_s: float) -> int:
    """Two processes on one state would countersign past each other. One that was just stopped may take a moment."""
    descriptor = os.open(state.with_name(state.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except OSError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise StateLost(f"another witness runs on {state}") from None
            time.sleep(0.05)


def _write(path: Path, text: str) -> None:
    """The whole text or the old one, and durable before it returns."""
    draft = path.with_name(path.name + ".draft")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Without it a new name can be gone after a power cut. (eventstore/files.py, which the witness does not have.)"""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# HTTP


def application(witness: Witness) -> web.Application:
    """The witness's two calls. Requests that come together are taken one after another."""
    turn = asyncio.Lock()

    async def add_checkpoint(request: web.Request) -> web.Response:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
        async with turn:
            return _response(await asyncio.to_thread(witness.add_checkpoint, body))

    async def status(_: web.Request) -> web.Response:
        async with turn:
            return _response(witness.status())

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.add_routes([web.post("/add-checkpoint", add_checkpoint), web.get("/status", status)])
    return app


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, text=answer.text, content_type=answer.kind, headers=answer.headers)


def serve(witness: Witness, host: str, port: int) -> None:
    """Answers until SIGINT or SIGTERM."""
    with suppress(KeyboardInterrupt):
        web.run_app(application(witness), host=host, port=port, print=None, access_log=None, shutdown_timeout=2)
