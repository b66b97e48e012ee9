"""Foreign files are read in a cell: whatever a file does, it ends in time, with a verdict or a reason, and apart."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from providers.documents import UNREADABLE, cell, reader
from providers.documents.pdf_text import ANSWER_BYTES, PDFText
from providers.errors import Final, Retryable
from scripts.campaigns.malformed import FIELDS, KINDS, VALID, deflated, malformed, page_of

DEADLINE_S = 20.0
SLOW = {"reference_loop", "brackets", "cross_reference_stream", "many_lines", "too_much_text"}
"""Kinds that use all of their time: one of each is enough here, the campaign plays more."""


def ended(pdf: bytes, documents: PDFText) -> str:
    """PASS, FAIL or the code of the refusal."""
    try:
        checks = documents.examine("k", pdf, FIELDS).checks
    except Final as refused:
        assert refused.code in UNREADABLE
        return refused.code
    return "PASS" if all(check.verdict != "FAIL" for check in checks) else "FAIL"


@pytest.mark.parametrize("kind", KINDS)
def test_every_malformed_file_ends_in_time_with_a_reason(kind: str) -> None:
    documents = PDFText(cpu_s=2, deadline_s=DEADLINE_S)
    for seed in range(1 if kind in SLOW else 2):
        started = time.monotonic()
        assert ended(malformed(kind, seed), documents)
        assert time.monotonic() - started < DEADLINE_S + 5


def test_a_bomb_of_memory_hits_the_limit() -> None:
    bomb = page_of(deflated(b"0 0 m 9 9 l S\n", 500 * 1024**2), entries=b"/Filter/FlateDecode")
    assert ended(bomb, PDFText(memory_bytes=300 * 1024**2)) == "too_costly"


def test_a_bomb_of_time_hits_the_limit() -> None:
    bomb = page_of(deflated(b"0 0 m 9 9 l S\n", 30 * 1024**2), entries=b"/Filter/FlateDecode")
    assert ended(bomb, PDFText(cpu_s=1)) == "too_costly"


def test_a_machine_that_has_no_time_for_it_is_no_fault_of_the_file() -> None:
    with pytest.raises(Retryable, match="timeout"):
        PDFText(deadline_s=0.01).examine("k", VALID, FIELDS)


# ---------------------------------------------------------------- the cell itself


def run(folder: Path, program: str, *, deadline_s: float = 10.0, given: bytes = b"") -> cell.Ended:
    path = folder / "program.py"
    path.write_text(program)
    return cell.run(path, ["a"], given, deadline_s=deadline_s, answer_bytes=ANSWER_BYTES)


def test_it_is_killed_at_its_deadline_with_all_it_started(tmp_path: Path) -> None:
    ended = run(tmp_path, "import os\nos.fork()\nwhile True: pass", deadline_s=4.0)
    assert (ended.killed, ended.code) == (True, -9)


def test_what_answers_too_much_is_killed(tmp_path: Path) -> None:
    ended = run(tmp_path, "while True: print('x' * 10_000)")
    assert ended.killed and len(ended.answer) == ANSWER_BYTES + 1


def test_what_does_not_listen_is_not_waited_for(tmp_path: Path) -> None:
    assert run(tmp_path, "print('hello')", given=b"x" * 10**7).answer == b"hello\n"


def test_what_ends_with_a_signal_says_so(tmp_path: Path) -> None:
    assert run(tmp_path, "import os; os.kill(os.getpid(), 11)").code == -11


def test_it_inherits_neither_environment_nor_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FX_SECRET", "s3cret")
    with (tmp_path / "open").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        told = run(tmp_path, "import os; print(sorted(os.environ), sorted(map(int, os.listdir('/proc/self/fd')))[:4])")
    assert told.answer == b"['LC_ALL'] [0, 1, 2, 3]\n"


CONFINED = f"""
import sys; sys.path.insert(0, {str(Path(reader.__file__).parents[2])!r})
from providers.documents.reader import confine
confine(1, 300 * 1024**2)
"""


@pytest.mark.parametrize(("attempt", "ends"), [
    ("while True: pass", -24), ("x = b'x' * 400 * 1024**2", 1),
    ("import os; os.write(os.open('/tmp/written-from-a-cell', os.O_WRONLY | os.O_CREAT), b'x')", 1),
    ("import os; fds = [os.open('/dev/null', 0) for _ in range(40)]", 1),
])
def test_its_walls_stand(tmp_path: Path, attempt: str, ends: int) -> None:
    assert run(tmp_path, CONFINED + attempt).code in (ends, -9)


def test_it_has_no_network_where_the_kernel_grants_that(tmp_path: Path) -> None:
    asking = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x50000000) != 0)"
    can = subprocess.run([sys.executable, "-c", asking], check=False).returncode == 0
    told = run(tmp_path, CONFINED + "import socket; print([name for _, name in socket.if_nameindex()])").answer
    assert told == b"['lo']\n" or not can


def test_the_platform_goes_on_while_documents_are_read() -> None:
    """The work is elsewhere: this process keeps its lock to itself."""
    bomb = malformed("long_number", 0)
    reading = [threading.Thread(target=ended, args=(bomb, PDFText(cpu_s=2))) for _ in range(2)]
    started, cpu = time.monotonic(), time.process_time()
    for each in reading:
        each.start()
    for each in reading:
        each.join()
    assert time.process_time() - cpu < 0.1 * (time.monotonic() - started) + 0.2
