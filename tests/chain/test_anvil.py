"""The embedded chain starts, saves, comes back and says clearly why it cannot."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chain import anvil as module
from chain.anvil import GENESIS_TIME, Anvil, free_port
from chain.errors import Final

REPOSITORY = Path(__file__).resolve().parents[2]
NOON = 1_779_451_200

ORPHAN = """
import os, signal, sys
from pathlib import Path
from chain.anvil import Anvil
anvil = Anvil(Path(sys.argv[1]), port=int(sys.argv[2]))
anvil.start()
print(anvil.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def block_time(anvil: Anvil) -> int:
    return int(anvil._rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)


def test_time_and_state_survive_a_restart_and_time_never_goes_back(tmp_path):
    anvil = Anvil(tmp_path / "chain", port=free_port())
    with anvil:
        assert block_time(anvil) == GENESIS_TIME
        for given, expected in ((NOON, NOON), (NOON, NOON), (NOON - 60, NOON), (NOON + 1, NOON + 1)):
            anvil.set_time(given)
            anvil._rpc("evm_mine")
            assert block_time(anvil) == expected
        anvil._rpc("evm_mine")
        assert block_time(anvil) == NOON + 1
        anvil.save()
        before = anvil._rpc("eth_getBlockByNumber", "latest", False)["hash"]
    with anvil:
        assert anvil._rpc("eth_getBlockByNumber", "latest", False)["hash"] == before
    assert {path.name for path in anvil.state_path.parent.iterdir()} >= {"anvil-state.json", "anvil.log"}
    assert not anvil.state_path.with_suffix(".tmp").exists()


def test_a_save_that_breaks_leaves_the_old_state(tmp_path, monkeypatch):
    with Anvil(tmp_path / "chain", port=free_port()) as anvil:
        anvil.save()
        before = anvil.state_path.read_bytes()
        anvil._rpc("evm_mine")

        def break_off(_descriptor):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(module.os, "fsync", break_off)
            with pytest.raises(KeyboardInterrupt):
                anvil.save()
        assert anvil.state_path.read_bytes() == before


def test_a_port_in_use_is_said_in_one_line(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Final, match=f"^port {port} is in use: .*$"):
            Anvil(tmp_path, port=port).start()


def test_a_missing_binary_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.delenv("FX_ANVIL_BIN", raising=False)
    monkeypatch.setattr(module, "REPOSITORY", tmp_path)
    with pytest.raises(Final, match="make setup"):
        Anvil(tmp_path, port=free_port()).start()
    monkeypatch.setenv("FX_ANVIL_BIN", str(tmp_path / "nothing"))
    with pytest.raises(Final, match="FX_ANVIL_BIN names no file"):
        Anvil(tmp_path, port=free_port()).start()


def test_a_broken_state_file_is_said(tmp_path):
    anvil = Anvil(tmp_path, port=free_port())
    anvil.state_path.write_text("{")
    with pytest.raises(Final, match="Anvil stopped at once"):
        anvil.start()
    assert anvil.pid is None


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_anvil_ends_with_its_parent(tmp_path):
    command = [sys.executable, "-c", ORPHAN, str(tmp_path / "chain"), str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    pid = int(done.stdout)
    deadline = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return stat[0] != "Z"
