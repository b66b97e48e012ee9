"""Every command fails in one line that begins with `fx:`, and names a file by its path, not by the system's number."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

import scripts.fx as command_line
from chain.notes import COSIGNATURE, Signer

ROOT = Path(__file__).resolve().parents[2]
KEY = Signer("log.example", b"\1" * 32)
LOG = KEY.verifier().vkey
VKEYS = ("--vkey", KEY.verifier(COSIGNATURE).vkey, "--log", LOG)
NOWHERE = "/proc/nowhere/file"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
         tmp_path: Path) -> Iterator[Callable[..., str]]:
    def run(*words: str, **settings: str) -> str:
        monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"], "FX_HOME": str(tmp_path / "home"), **settings})
        monkeypatch.setattr(sys, "argv", ["fx", *words])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        line = capsys.readouterr().err
        assert ended.value.code in (1, 2) and line.startswith("fx: ") and len(line.splitlines()) == 1, line
        assert "Errno" not in line and "Traceback" not in line, line
        return line

    yield run
    structlog.reset_defaults()  # the logs went to this test's stderr


@pytest.mark.parametrize("words", [
    ("receipt", "verify", NOWHERE, "--vkey", LOG),
    ("witness", "check", NOWHERE, *VKEYS),
    ("witness", "keygen", "w.example/1", "--key", NOWHERE, "--state", NOWHERE),
    ("witness", "run", "w.example/1", "--listen", "127.0.0.1:1", "--log", LOG, "--key", NOWHERE, "--state", NOWHERE),
], ids=lambda words: " ".join(words[:2]))
def test_a_file_that_is_not_there_is_named(said: Callable[..., str], words: tuple[str, ...]) -> None:
    line = said(*words)
    assert re.fullmatch(r"fx: /proc/nowhere(/file)?(: No such file or directory| is not there: make .*)\n", line)


def test_an_address_that_is_silent_is_said_in_words(said: Callable[..., str]) -> None:
    assert "Connection refused" in said("witness", "status", "http://127.0.0.1:1", *VKEYS)


def test_what_is_no_receipt_and_no_bundle_is_said(said: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "some").write_text("{}")
    assert said("receipt", "verify", str(tmp_path / "some"), "--vkey", LOG) == "fx: this JSON holds no receipt\n"
    assert str(tmp_path / "some") in said("witness", "check", str(tmp_path / "some"), *VKEYS)


@pytest.mark.parametrize("level", ["shout", "warn", "0", " ", "NOTSET"])
def test_a_log_level_that_is_none_is_refused(said: Callable[..., str], level: str) -> None:
    assert said("stop", FX_LOG_LEVEL=level) == (
        f"fx: FX_LOG_LEVEL is {level!r}; it is one of debug, info, warning, error, critical\n")


@pytest.mark.parametrize("level", ["", "WARNING", *command_line.LOG_LEVELS])
def test_log_levels(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    monkeypatch.setattr("structlog.configure", lambda **_: None)
    monkeypatch.setenv("FX_LOG_LEVEL", level)
    command_line.configure_logs()


def test_no_script_fails_in_a_way_of_its_own() -> None:
    for path in (ROOT / "scripts").glob("*.py"):
        if path.name != "saying.py":
            assert "file=sys.stderr" not in path.read_text(), path.name
