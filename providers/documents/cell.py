"""Runs a program over foreign input in a process of its own: fed, bounded, and killed at its deadline.

The program is Python in isolated mode with an empty environment, no inherited descriptor but its two pipes, and a
process group that is killed whole. Its further walls it puts up itself before it looks at the input (`reader.confine`).
What it answers is as foreign as what it was given: a parser taken over by a file can answer what it likes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from providers.errors import Retryable

STARVED_SHARE, START_CPU_S = 0.1, 0.2
"""A process that had less than this part of the time to its deadline, or had not yet begun, was kept from running by
the machine."""


class Ended(msgspec.Struct, frozen=True):
    """`code` as in subprocess: negative for a signal. `killed`: at its deadline, or because it answered too much."""

    answer: bytes
    code: int
    killed: bool
    cpu_s: float


def run(program: Path, arguments: Sequence[str], given: bytes, *, deadline_s: float, answer_bytes: int) -> Ended:
    """Raises `Retryable` when the program could not be started, or never came to run before its deadline."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", str(program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env={"LC_ALL": "C.UTF-8"}, cwd="/", start_new_session=True)
    except OSError as error:
        raise Retryable("unavailable", "the document reader could not be started") from error
    killed = threading.Event()

    def kill() -> None:
        killed.set()
        os.killpg(process.pid, signal.SIGKILL)  # not yet waited for, so the number is still its own

    deadline = threading.Timer(deadline_s, kill)
    deadline.start()
    try:
        answer = _talked(process, given, answer_bytes)
        if len(answer) > answer_bytes:
            kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    finally:
        deadline.cancel()
        deadline.join()
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    cpu_s = used.ru_utime + used.ru_stime
    if killed.is_set() and len(answer) <= answer_bytes and cpu_s < max(STARVED_SHARE * deadline_s, START_CPU_S):
        raise Retryable("timeout", "the document reader did not come to run")
    return Ended(answer, process.returncode, killed.is_set(), cpu_s)


def _talked(process: subprocess.Popen[bytes], given: bytes, answer_bytes: int) -> bytes:
    """Everything is given before anything is answered; whoever ends early gives both pipes back."""
    assert process.stdin and process.stdout
    with process.stdin, process.stdout:
        try:
            process.stdin.write(given)
            process.stdin.close()
        except BrokenPipeError:
            pass
        return process.stdout.read(answer_bytes + 1)
