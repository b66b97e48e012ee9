"""Loops: threads that go on for as long as the process does. One that ends in an error is begun again, and it is said.

Each of the platform's loops looks after the errors it expects. What ends it all the same is a mistake of ours or a
number from outside that nobody bounded; without its loop a port, a read model or the anchoring would stand still while
everything else looked well. So every such thread is one of these, and health asks whether it is `well`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import structlog

log = structlog.get_logger("loops")

AGAIN_S = 1.0
"""The rest before a loop that ended is begun again."""

WELL_AFTER_S = 60.0
"""How long a loop that ended is still called unwell: one that ends again and again never looks well in between."""

Died = Callable[[str, BaseException], None]
"""Told the loop's name and what ended it."""


def unheard(_name: str, _error: BaseException) -> None:
    """For loops below the room that can raise alarms: the log has it."""


class Loop:
    """One thread that runs `run` until `stop` is set, begun again whenever `run` ends before that."""

    def __init__(self, name: str, run: Callable[[], None], stop: threading.Event, died: Died = unheard):
        self.name = name
        self._run, self._stop, self._died = run, stop, died
        self._ended_at: float | None = None
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_s: float = 10.0) -> None:
        """Wait for its end; nothing when it was never started."""
        if self._thread.is_alive():
            self._thread.join(timeout=timeout_s)

    @property
    def well(self) -> bool:
        """Whether it runs, and has not ended within the last minute. One that was never started is not missed."""
        ended = self._ended_at
        if self._thread.ident is None:
            return True
        return self._thread.is_alive() and (ended is None or time.monotonic() - ended > WELL_AFTER_S)

    def _keep(self) -> None:
        while not self._stop.is_set():
            try:
                self._run()
                if self._stop.is_set():
                    return
                raise RuntimeError("the loop came to its end")
            except BaseException as error:
                self._ended_at = time.monotonic()
                log.error("loop.ended", loop=self.name, exc_info=error)
                self._tell(error)
            self._stop.wait(AGAIN_S)

    def _tell(self, error: BaseException) -> None:
        try:
            self._died(self.name, error)
        except Exception:  # noqa: BLE001 - the database may be what is away; the loop goes on
            log.warning("loop.alarm_not_recorded", loop=self.name)


def unwell(loops: Iterable[Loop]) -> list[str]:
    """The names of the loops that do not run, or ended lately."""
    return sorted({loop.name for loop in loops if not loop.well})
