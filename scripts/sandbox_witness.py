"""A witness beside a sandbox platform, so that countersigning can be watched. It is not independent: whoever runs the
platform runs it, too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

import bootstrap
from bootstrap import Settings
from chain.anvil import end_with_parent, free_port
from chain.notes import COSIGNATURE
from chain.witness import make, read_signer
from eventstore.files import private_log, write_whole

NAME = "sandbox.fintokenx.example/witness"
SHORT = "sandbox"
NAMED = "named"
"""The file with the setting that names it."""


@contextmanager
def witnessed(settings: Settings) -> Iterator[Settings]:
    """The settings with a witness in them: those that are named, or in a sandbox one that is started here."""
    if settings.witnesses or not settings.sandbox:
        yield settings
        return
    folder = settings.home / "witness"
    key, state = folder / "witness.key", folder / "state"
    log = bootstrap.log_signer(settings, bootstrap.load_secrets(settings.home)).verifier()
    if not key.exists():
        make(key, state)
    port = free_port()
    vkey = read_signer(NAME, key).verifier(COSIGNATURE).vkey
    with os.fdopen(private_log(folder / "witness.log"), "ab") as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "scripts.witness", "run", NAME, "--listen", f"127.0.0.1:{port}", "--log", log.vkey,
             "--key", str(key), "--state", str(state)],
            stdout=said, stderr=said, preexec_fn=end_with_parent, umask=0o077, cwd=Path(__file__).parent.parent)
    try:
        write_whole(folder / NAMED, f"{SHORT}=http://127.0.0.1:{port} {vkey}".encode())
        yield known(settings)
    finally:
        child.terminate()
        child.wait(timeout=10)


def known(settings: Settings) -> Settings:
    """For tools beside a platform: the settings, with the sandbox's witness if there was one and none is named."""
    named = settings.home / "witness" / NAMED
    if settings.witnesses or not settings.sandbox or not named.exists():
        return settings
    return msgspec.structs.replace(settings, witnesses=named.read_text())
