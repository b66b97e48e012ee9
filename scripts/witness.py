"""`fx witness`: the independent witness of a log. Also `python -m scripts.witness`, for the firm that runs it.

It needs this file, scripts/saying.py, chain/notes.py, chain/checkpoint.py and chain/witness.py, and the packages
cryptography, aiohttp and cyclopts: nothing else of the platform (docs/witness.md).
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from cyclopts import App

from chain.checkpoint import Checkpoint, Tip, read_checkpoint
from chain.notes import COSIGNATURE, BadSignature, Malformed, Note, Verifier, read_note, read_signature, time_of
from chain.witness import Contract, StateLost, Witness, make, read_signer, serve
from scripts.saying import fail, words

witness_app = App(name="witness", help="An independent witness that countersigns the log's checkpoints.")
STATUS_SECONDS = 10
PATIENCE_SECONDS = 5
T = TypeVar("T")


@witness_app.command
def keygen(name: str, *, key: Path, state: Path) -> None:
    """Make the witness's key and its fresh state, and print the public key to hand to the log.

    Parameters
    ----------
    name
        How cosignatures name the witness: a domain name and path of the firm's own, such as witness.example.com/w1.
    """
    _said(lambda: make(key, state))
    print(_said(lambda: read_signer(name, key)).verifier(COSIGNATURE).vkey)


@witness_app.command
def run(name: str, *, listen: str, log: str, key: Path, state: Path, rpc: str | None = None,
        contract: str | None = None, chain_id: int | None = None) -> None:
    """Answer POST /add-checkpoint and GET /status until SIGTERM.

    Parameters
    ----------
    listen
        host:port.
    log
        The log's public key, taken from where it is published.
    rpc
        A node the witness trusts: with --contract and --chain-id, a head that the contract does not have is refused.
    """
    host, _, port = listen.rpartition(":")
    given = [rpc is not None, contract is not None, chain_id is not None]
    if not host or not (port.isascii() and port.isdigit()) or any(given) != all(given):
        fail("give --listen host:port, and --rpc, --contract and --chain-id together or not at all")
    confirm = Contract(rpc, contract, chain_id).confirm if rpc and contract and chain_id is not None else None
    witness = _said(lambda: Witness(Verifier.read(log), read_signer(name, key), state, confirm=confirm,
                                    patience_s=PATIENCE_SECONDS))
    try:
        serve(witness, host, int(port))
    except OSError as error:
        fail(f"cannot listen on {listen}: {words(error)}")
    finally:
        witness.close()


@witness_app.command
def status(url: str, *, vkey: str, log: str) -> None:
    """Ask a witness for the last checkpoint it countersigned, and check both signatures with keys of your own.

    Parameters
    ----------
    vkey
        The witness's public key.
    log
        The log's public key.
    """
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/status", timeout=STATUS_SECONDS) as answer:
            note = read_note(answer.read().decode("utf-8"))
        Verifier.read(log).check(note)
        signature = Verifier.read(vkey).check(note)
        tip = read_checkpoint(note.text).tip
    except urllib.error.HTTPError as error:
        fail(f"{error.code} {error.read(200).decode('utf-8', 'replace').strip()}")
    except (OSError, Malformed, BadSignature, UnicodeDecodeError) as error:
        fail(words(error))
    print(f"batch {tip.batch_id}, positions up to {tip.size}, head {tip.head.hex()}, "
          f"countersigned at Unix time {time_of(signature)}")


@witness_app.command
def check(bundle: Path, *, vkey: str, log: str) -> None:
    """Check a witness's countersignatures in an evidence bundle (a zip), over the heads that the bundle names.

    Exit code 0: the witness has countersigned the last batch, and so all before it. 1: it has not, or a line is wrong.
    2: this is no bundle, or no key. Whether the bundle keeps to those heads is for its verify.py.

    Parameters
    ----------
    vkey
        The witness's public key.
    log
        The log's public key.
    """
    try:
        origin, witness = Verifier.read(log).name, Verifier.read(vkey)
        with zipfile.ZipFile(bundle) as archive:
            batches = json.loads(archive.read("batches.json"))
        covered = last_countersigned(batches, origin, witness)
        newest = batches[-1]["batch_id"]
    except BadSignature as problem:
        fail(str(problem))
    except OSError as problem:
        fail(words(problem), 2)
    except (zipfile.BadZipFile, ValueError, KeyError, IndexError, TypeError) as problem:
        fail(f"{bundle}: {problem}", 2)
    if covered < newest:
        fail(f"{witness.name} countersigned up to batch {covered} of {newest}: the rest is provisional")
    print(f"{witness.name} countersigned batch {newest}, and with it all before")


def last_countersigned(batches: list[dict[str, Any]], origin: str, witness: Verifier) -> int:
    """The last batch that a witness countersigned; 0 for none. Raises BadSignature when a line of its is wrong."""
    last = 0
    for batch in batches:
        tip = Tip(batch["batch_id"], batch["to_position"], bytes.fromhex(batch["head"]))
        text = Checkpoint(origin, tip).text
        for given in batch["cosignatures"]:
            signature = read_signature(given["line"])
            if (signature.name, signature.key_id) == (witness.name, witness.key_id):
                witness.check(Note(text, (signature,)))
                last = tip.batch_id
    return last


def _said(do: Callable[[], T]) -> T:
    """What it returns; or one line and exit code 1."""
    try:
        return do()
    except (StateLost, Malformed, OSError) as error:
        fail(words(error))


if __name__ == "__main__":
    witness_app()
