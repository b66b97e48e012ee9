"""The sandbox's clock: it stands still, and moves forward when told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from api.access import PUBLIC, Calling
from api.running import Injected, KeyedOperation, Work
from domain.base import Conflict, Forbidden, Invalid
from domain.forms import Moment
from domain.party import ADMIN
from domain.platform import AdvanceClock
from eventstore.clock import SandboxClock

FARTHEST_YEARS = 10
ANCHORED_WITHIN_S = 3.0
"""A jump of days leaves entries older than the cap; with the chain there, they are anchored in a moment."""


class NoSandboxClock(Conflict):
    code = "no_sandbox_clock"


class OutOfReach(Invalid):
    code = "out_of_reach"


class Advance(msgspec.Struct, forbid_unknown_fields=True):
    to: Moment


@get("/v1/sandbox/clock", roles=PUBLIC, sync_to_thread=True, tags=["sandbox"])
def read(running: Injected) -> dict[str, Any]:
    """The platform's present moment."""
    return {"now": running.clock.now(), "sandbox": isinstance(running.clock, SandboxClock)}


def _years_on(now: datetime) -> datetime:
    """The same day so many years on; of 29 February, the day after 28 February."""
    try:
        return now.replace(year=now.year + FARTHEST_YEARS)
    except ValueError:
        return now.replace(year=now.year + FARTHEST_YEARS, month=3, day=1)


@post("/v1/sandbox/clock/advance", roles=(ADMIN,), sync_to_thread=True, tags=["sandbox"],
      status_code=200, operation_class=KeyedOperation)
def advance(request: Request[Any, Any, Any], running: Injected, caller: Calling,
            data: JSONBody[Advance]) -> Response[Any]:
    """Move the clock forward; whatever falls due on the way happens. Answers when the log is anchored again."""
    if not running.sandbox:
        raise Forbidden("the clock is real here")
    if not isinstance(running.clock, SandboxClock):
        raise NoSandboxClock("this platform runs on the system clock; start it with FX_CLOCK=sandbox:<ISO time>")
    def build(seed: str) -> Work:
        if not running.clock.now() <= data.to <= _years_on(running.clock.now()):
            raise OutOfReach(f"the clock moves at most {FARTHEST_YEARS} years ahead, and not back", pointer="/to")
        to = data.to.astimezone(UTC)
        return Work(commands=[AdvanceClock(to=to)], answer=lambda _: {"now": to})

    outcome = running.perform(request, caller.id, caller.role, data, build)
    for entry in running.store.read(outcome.position - 1, 1):
        running.clock.observe(entry)
    running.outside.freshness.catch_up(ANCHORED_WITHIN_S)
    return running.answer(outcome, caller.role)
