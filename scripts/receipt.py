"""`fx receipt`: what a customer does with a receipt. Also `python -m scripts.receipt`, with chain/notes.py,
chain/receipts.py and scripts/saying.py alone."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from chain.notes import BadSignature, Malformed, Verifier
from chain.receipts import EntryReceipt, read_receipt
from scripts.saying import fail, words

receipt_app = App(name="receipt", help="Signed receipts of entries of the log.")
ANSWER_SECONDS = 20
HELD, NOT_HELD, NOTHING_TO_SAY = 0, 1, 2


class CannotSay(Exception):
    """Whether the log holds the entry could not be looked up."""


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
        An evidence bundle (zip) that reaches over the receipt's time; check the bundle itself with its verify.py.
    api
        The platform's address.
    api_key
        The key of whoever acted. On the command line every process of the machine can read it, from FX_API_KEY none of
        another user.
    """
    try:
        receipt = read_receipt(_text(file), Verifier.read(vkey))
        print(f"signed by the log: {receipt.action} on {receipt.resource} by {receipt.actor}, hash {receipt.hash}")
        if bundle is not None:
            position = _in_bundle(bundle, receipt)
            print(f"{bundle} holds it at position {position}")
        if api is not None:
            _at_api(api, api_key or "", receipt)
            print(f"{api} holds it")
    except (BadSignature, NotHeld) as problem:
        fail(str(problem), NOT_HELD)
    except (CannotSay, Malformed, OSError, UnicodeDecodeError) as problem:
        fail(words(problem), NOTHING_TO_SAY)


def _text(file: Path) -> str:
    raw = file.read_text("utf-8")
    try:
        return json.loads(raw)["receipt"] if raw.startswith("{") else raw
    except (ValueError, KeyError):
        raise Malformed("this JSON holds no receipt") from None


def _in_bundle(path: Path, receipt: EntryReceipt) -> int:
    """The position at which a bundle has the entry. NotHeld where it reaches over the receipt's time without it: the
    log's times never go back.
    """
    first = last = None
    try:
        with zipfile.ZipFile(path) as archive, archive.open("entries.jsonl") as lines:
            for line in lines:
                entry: dict[str, Any] = json.loads(line)
                if entry["hash"] == receipt.hash:
                    return entry["position"]
                last = entry.get("recorded_us", last)
                first = last if first is None else first
            scope = json.loads(archive.read("manifest.json"))["scope"]
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise CannotSay(f"{path} is no evidence bundle: {error}") from None
    since = 0 if scope["from"] == 1 else first
    if scope["kind"] != "range" or since is None or last is None or not since < receipt.recorded_us < last:
        raise CannotSay(f"{path} does not reach over the time of the receipt")
    raise NotHeld(f"{path} reaches over the time of the receipt and holds no such entry: it was dropped after it was "
                  "signed")


def _at_api(url: str, key: str, receipt: EntryReceipt) -> None:
    """NotHeld unless the platform still has the entry where the receipt says."""
    request = urllib.request.Request(f"{url.rstrip('/')}/v1/audit/receipts/{receipt.place}",
                                     headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            found = json.load(answer)["hash"]
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise NotHeld(f"{url} holds no such entry: it was dropped after it was signed") from None
        raise CannotSay(f"{url} answers {error.code}") from None
    except (OSError, ValueError, KeyError) as error:
        raise CannotSay(f"{url} gives no answer: {words(error)}") from None
    if found != receipt.hash:
        raise NotHeld(f"{url} holds another entry there: {found}")


if __name__ == "__main__":
    receipt_app()
