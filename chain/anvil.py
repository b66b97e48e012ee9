"""Anvil as the embedded chain: a child process with a data directory, saved states and the platform's time.

The npm package brings the real binary, so no Node process stands in between. Fees are zero. Blocks carry the
time `set_time` gave last, and the genesis block a fixed one, so the same transactions give the same blocks.
"""

import ctypes
import gzip
import itertools
import json
import os
import platform
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from chain.errors import ChainError, Final, Retryable
from eventstore.files import private_folder, private_log, write_whole

DEFAULT_PORT = 8545
DEFAULT_CHAIN_ID = 31337
GENESIS_TIME = 1_577_836_800  # 2020-01-01: before any business time, for replays
BLOCK_GAS = 10**9  # what does not fit into a block waits for the next transaction, not for the next block
START_SECONDS = 10.0
STOP_SECONDS = 10.0
RPC_SECONDS = 30.0
POLL_SECONDS = 0.01
STATE_FILE = "anvil-state.json"
PR_SET_PDEATHSIG = 1
_places = itertools.count(secrets.randbelow(22_000))

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = {
    ("Linux", "x86_64"): "anvil-linux-amd64",
    ("Linux", "aarch64"): "anvil-linux-arm64",
    ("Darwin", "x86_64"): "anvil-darwin-amd64",
    ("Darwin", "arm64"): "anvil-darwin-arm64",
}

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def find_binary() -> Path:
    """Returns FX_ANVIL_BIN, or the binary npm installed. Raises `Final` when there is none."""
    if given := os.environ.get("FX_ANVIL_BIN"):
        path = Path(given)
        missing = "FX_ANVIL_BIN names no file"
    else:
        package = PACKAGES.get((platform.system(), platform.machine()), "anvil")
        path = REPOSITORY / "node_modules" / "@foundry-rs" / package / "bin" / "anvil"
        missing = "Anvil is not installed: run `make setup`"
    if not path.is_file():
        raise Final(missing)
    return path


class Anvil:
    """One Anvil process over one data directory.

    Start it from a thread that lives as long as the process should: the kernel ends a child when the thread
    that made it ends. `prune=False` keeps old states, which only tests that reorganise the chain need. With
    `block_seconds` it makes a block so often, dated by the machine's clock, instead of one per transaction.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = DEFAULT_PORT,
        chain_id: int = DEFAULT_CHAIN_ID,
        genesis_time: int = GENESIS_TIME,
        prune: bool = True,
        block_seconds: int | None = None,
    ) -> None:
        self.port = port
        self.chain_id = chain_id
        self.url = f"http://127.0.0.1:{port}"
        self._data_dir = data_dir
        self._genesis_time = genesis_time
        self._prune = prune
        self._block_seconds = block_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Anvil":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def state_path(self) -> Path:
        """Where `save` puts the state and `start` finds it."""
        return self._data_dir / STATE_FILE

    @property
    def pid(self) -> int | None:
        """Process id while running."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Starts from the saved state, if there is one, and waits for an answer.

        Raises `Final` when the binary is missing, the port is in use or Anvil gives up.
        """
        binary = find_binary()
        private_folder(self._data_dir)
        if why_not_free(self.port) is not None:
            raise Final(f"port {self.port} is in use: stop the other program or choose another port")
        log_path = self._data_dir / "anvil.log"
        log_path.unlink(missing_ok=True)
        with os.fdopen(private_log(log_path), "wb") as log:
            self._process = subprocess.Popen(
                self._command(binary),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent,
                umask=0o077,
            )
        try:
            self._wait_until_it_answers(log_path)
            if self._block_seconds is None:
                self._rpc("anvil_setBlockTimestampInterval", 0)
        except BaseException:
            self.stop()
            raise

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends the process. Blocks since the last `save` are lost here; the journal brings them back."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def save(self) -> None:
        """Writes the whole state next to the old one and swaps them, so that a crash leaves one or the other.

        Anvil's own --state-interval writes in place, and a kill in the middle of it leaves a broken file.
        """
        dump = bytes.fromhex(self._rpc("anvil_dumpState").removeprefix("0x"))
        write_whole(self.state_path, gzip.decompress(dump))

    def set_time(self, unix: int) -> None:
        """Gives the coming blocks this time in Unix seconds, or the last block's when that is later."""
        try:
            self._rpc("evm_setNextBlockTimestamp", unix)
        except ChainError:
            latest = self._rpc("eth_getBlockByNumber", "latest", False)["timestamp"]
            self._rpc("evm_setNextBlockTimestamp", latest)

    def call(self, method: str, *params: Any) -> Any:
        """Makes one JSON-RPC call, Anvil's own among them: what tests and campaigns hurt the chain with.

        Raises `Retryable` when the node is away, `ChainError` when it refuses.
        """
        return self._rpc(method, *params)

    def _command(self, binary: Path) -> list[str]:
        command = [
            *(str(binary), "--host", "127.0.0.1", "--port", str(self.port), "--chain-id", str(self.chain_id)),
            *("--block-base-fee-per-gas", "0", "--gas-price", "0", "--disable-min-priority-fee"),
            *("--accounts", "1", "--timestamp", str(self._genesis_time), "--quiet"),
            *("--gas-limit", str(BLOCK_GAS), "--no-cors"),  # no page in a browser is to reach this node
            *("--cache-path", str(self._data_dir / "anvil-cache")),
        ]
        if self._block_seconds is not None:
            command += ["--block-time", str(self._block_seconds)]
        if self._prune:
            command.append("--prune-history")
        if self.state_path.exists():
            command += ["--load-state", str(self.state_path)]
        return command

    def _wait_until_it_answers(self, log_path: Path) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self._process.poll() is not None:
                lines = log_path.read_text("utf-8", "replace").strip().splitlines()
                raise Final(f"Anvil stopped at once: {lines[-1] if lines else 'no message'}")
            try:
                self._rpc("eth_chainId")
                return
            except Retryable:
                if time.monotonic() > deadline:
                    raise Final(f"Anvil gave no answer within {START_SECONDS:.0f} seconds") from None
                time.sleep(POLL_SECONDS)

    def _rpc(self, method: str, *params: Any) -> Any:
        """One JSON-RPC call. Raises `Retryable` when the node is away, `ChainError` when it refuses."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=RPC_SECONDS) as response:
                answer = json.load(response)
        except OSError as error:
            raise Retryable(f"Anvil does not answer {method}") from error
        if "error" in answer:
            raise ChainError(f"Anvil refused {method}: {answer['error'].get('message')}")
        return answer["result"]


def free_port() -> int:
    """Returns a port that nobody listens on now, from below those that outgoing connections take for themselves.

    Each process goes on from a place of its own, so that two do not choose the same one before either listens.
    """
    for place in _places:
        port = 10_000 + place % 22_000
        if why_not_free(port) is None:
            return port
    raise AssertionError("places do not end")


def why_not_free(port: int, host: str = "127.0.0.1") -> str | None:
    """Returns why nothing can listen on a port; None when it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror
    return None


def end_with_parent() -> None:
    """Runs in a child before its program: a parent that is killed leaves no child behind.

    Linux only; elsewhere nothing happens. The signal comes when the thread that made the child ends.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
