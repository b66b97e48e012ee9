"""Is it up, is it ready; says nothing about versions or contents."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.openapi import ResponseSpec

from api.access import PUBLIC
from api.running import Injected
from api.witnessed import lag_seconds
from chain.errors import ChainError
from eventstore.loops import unwell


@get("/health/live", roles=PUBLIC, sync_to_thread=False, tags=["health"])
def live() -> dict[str, str]:
    return {"status": "live"}


@get("/health/ready", roles=PUBLIC, sync_to_thread=True, tags=["health"],
     responses={503: ResponseSpec(dict[str, str], description="The database is away", generate_examples=False)})
def ready(running: Injected) -> Response[Any]:
    """503 while the database is away. A chain that is down degrades: reads and recording go on, tokens queue; past an
    hour without an anchor no money moves (`anchoring`: stale). `loops_unwell` names the platform's
    threads that ended by a fault within the last minute and were begun again.
    """
    try:
        head = running.store.head()
        behind = head - running.projector.lowest()
        lag = running.outside.freshness.lag()
        with running.rows() as connection:
            witness_lag = lag_seconds(running, connection)
    except Exception:  # noqa: BLE001 - whatever it is, we are not ready
        return Response({"status": "unavailable", "database": "down"}, status_code=503)
    try:
        running.outside.chain().block_time()
        chain = "up"
    except ChainError:
        chain = "down"
    oldest = running.effects.oldest_open()
    stuck = sorted(running.projector.stuck)
    incomplete = running.projector.incomplete()
    unwell_loops = unwell(running.loops)
    well = not unwell_loops and chain == "up" and not stuck and not incomplete and not lag.stale
    return Response({"status": "ready" if well else "degraded", "database": "up", "chain": chain,
                     "anchoring": "stale" if lag.stale else "fresh",
                     "anchor_lag_seconds": int(lag.age.total_seconds()), "witness_lag_seconds": witness_lag,
                     "projection_lag": behind, "stuck_read_models": stuck, "streams_left_out": incomplete,
                     "oldest_effect": oldest[0] if oldest else None, "loops_unwell": unwell_loops})
