"""A process full of callers, made to be killed: `python -m scripts.campaigns.load PROCESS URL ACKS BEGIN`.

Each caller runs its commands one after another, repeats one under the same key until it is answered, and writes down
every answer before it goes on. BEGIN (JSON) has each caller's next number: the first command may have landed already.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from itertools import count
from typing import Any

import msgspec

from domain.base import Event
from domain.catalogue import KINDS
from domain.platform import AlarmRaised
from eventstore.database import Unavailable
from eventstore.job import Overloaded
from eventstore.store import Contended, Outcome, Store
from eventstore.writer import Writer
from scripts.campaigns.commands import CONTEXT, PAD, PROCESSES, THREADS, access, answer, callers, key_of, notes

PAUSE_S = 0.02
AGAIN = (Unavailable, Overloaded, Contended)
"""Refusals for the moment: the same command with the same key is asked for again."""


class Acknowledgements:
    """A line for each answer, in one write each: what the kernel has taken survives the process."""

    def __init__(self, path: str):
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, key: str, outcome: Outcome, repeated: int) -> None:
        told = (outcome.response or b"").decode()
        line = f"{key} {outcome.position} {int(outcome.replayed)} {repeated} {told}\n".encode()
        assert os.write(self._file, line) == len(line)


def call(caller: str, n: int) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of `execute`."""
    key = key_of(caller, n)

    def respond(events: Sequence[Event]) -> bytes:
        return answer(key, [event.code for event in events if isinstance(event, AlarmRaised)])

    return [*notes(caller, n)], {"context": CONTEXT, "key": key, "respond": respond, "bookmark": (caller, n + 1)}


def work(store: Store, acks: Acknowledgements, caller: str, begin: int) -> None:
    for n in count(begin):
        commands, options = call(caller, n)
        for repeated in count():
            try:
                outcome = store.execute(*commands, **options)
            except AGAIN:
                time.sleep(PAUSE_S)
            else:
                acks.write(options["key"], outcome, repeated)
                break


async def awork(store: Store, acks: Acknowledgements, caller: str, begin: int) -> None:
    for n in count(begin):
        commands, options = call(caller, n)
        for repeated in count():
            try:
                outcome = await store.aexecute(*commands, **options)
            except AGAIN:
                await asyncio.sleep(PAUSE_S)
            else:
                acks.write(options["key"], outcome, repeated)
                break


async def awork_all(store: Store, acks: Acknowledgements, begin: dict[str, int]) -> None:
    await asyncio.gather(*[awork(store, acks, caller, n) for caller, n in begin.items()])


def give_up(error: BaseException) -> None:
    """An answer no caller expects ends the process, and with it the campaign."""
    traceback.print_exception(error)
    os._exit(3)


def open_store(process: str, url: str) -> Store:
    """The second process gives up on a database that is away at once, so that its callers must ride through."""
    store = Store(access(url))
    if process == PROCESSES[1]:
        store.writer.close()
        store.writer = Writer(store.access, lanes=2, give_up_after_s=0.1)
    return store


def main(process: str, url: str, path: str, begin: dict[str, int]) -> None:
    KINDS[PAD.name] = PAD
    threading.excepthook = lambda failed: give_up(failed.exc_value or SystemExit())
    store, acks = open_store(process, url), Acknowledgements(path)
    for caller in callers(process)[:THREADS]:
        threading.Thread(target=work, args=(store, acks, caller, begin.get(caller, 0)), daemon=True).start()
    try:
        asyncio.run(awork_all(store, acks, {caller: begin.get(caller, 0) for caller in callers(process)[THREADS:]}))
    except BaseException as error:  # noqa: BLE001 - told, then the process ends
        give_up(error)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], msgspec.json.decode(sys.argv[4], type=dict[str, int]))
