"""`fx receipt`: what a customer does with a receipt. Also `python -m scripts.receipt`, with chain/notes.py and
chain/receipts.py alone."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from chain.notes import BadSignature, Malformed, Verifier
from chain.receipts import EntryReceipt, read_receipt

receipt_app = App(name="receipt", help="Signed receipts of entries of the log.")
ANSWER_SECONDS = 20
HELD, NOT_HELD, NOTHING_TO_SAY = 0, 1, 2


class CannotSay(Exception):
    """The receipt's place in the log could not be looked up."""


class NotHeld(Exception):
    """The log does not hold what it has signed for."""


@receipt_app.command
def verify(file: Path, *, vkey: str, bundle: Path | None = None, api: str | None = None,
           api_key: Annotated[str | None, Parameter(env_var="FX_API_KEY")] = None) -> None:
    """Check a receipt, and with --bundle or --api that the log still holds the entry.

    Exit code 0: it does. 1: a wrong signature, or the log holds something else or nothing there: keep the receipt, it
    proves it. 2: nothing can be said.

    Parameters
    ----------
    file
        The receipt, or the JSON answer it came in.
    vkey
        The log's public key, as it is published.
    bundle
        An evidence bundle (zip) that reaches over the receipt's position; check the bundle itself with its verify.py.
    api
        The platform's address.
    api_key
        The key of whoever acted. On the command line every process of the machine can read it, from FX_API_KEY none of
        another user.
    """
    try:
        receipt = read_receipt(_text(file), Verifier.read(vkey))
        print(f"signed by the log: {receipt.action} on {receipt.resource} by {receipt.actor}, position "
              f"{receipt.position}, hash {receipt.hash}")
        if bundle is not None:
            _told(receipt, _in_bundle(bundle, receipt.position), str(bundle))
        if api is not None:
            _told(receipt, _at_api(api, api_key or "", receipt.position), api)
    except (BadSignature, NotHeld) as problem:
        _end(str(problem), NOT_HELD)
    except (CannotSay, Malformed, OSError, UnicodeDecodeError) as problem:
        _end(str(problem), NOTHING_TO_SAY)


def _text(file: Path) -> str:
    raw = file.read_text("utf-8")
    try:
        return json.loads(raw)["receipt"] if raw.startswith("{") else raw
    except (ValueError, KeyError):
        raise Malformed("this JSON holds no receipt") from None


def _told(receipt: EntryReceipt, found: str | None, where: str) -> None:
    if found is None:
        raise NotHeld(f"{where} holds no such entry at position {receipt.position}: it was dropped after it was signed")
    if found != receipt.hash:
        raise NotHeld(f"{where} holds another entry at position {receipt.position}: {found}")
    print(f"{where} holds it")


def _in_bundle(path: Path, position: int) -> str | None:
    """The hash a bundle has at a position; None where its range covers the position without it."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("entries.jsonl") as lines:
            last = 0
            for line in lines:
                entry: dict[str, Any] = json.loads(line)
                last = entry["position"]
                if last == position:
                    return entry["hash"]
            scope = json.loads(archive.read("manifest.json"))["scope"]
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise CannotSay(f"{path} is no evidence bundle: {error}") from None
    if scope["kind"] != "range" or not scope["from"] <= position <= scope["to"]:
        raise CannotSay(f"{path} does not reach over position {position}")
    return None


def _at_api(url: str, key: str, position: int) -> str | None:
    request = urllib.request.Request(f"{url.rstrip('/')}/v1/audit/receipts/{position}",
                                     headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return json.load(answer)["hash"]
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise CannotSay(f"{url} answers {error.code}") from None
    except (OSError, ValueError, KeyError) as error:
        raise CannotSay(f"{url} gives no answer: {error}") from None


def _end(line: str, code: int) -> None:
    print(line, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    receipt_app()
