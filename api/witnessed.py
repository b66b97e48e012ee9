"""How far the witnesses are with the anchored batches, as the read model knows it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from api.running import Running
from projections import audit_trail


def with_cosignatures(running: Running, connection: Connection, batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The batches, each with its countersignatures; `provisional` as long as it has not enough of them."""
    if not batches:
        return []
    covered = _covered(running, connection)
    lines: dict[int, list[dict[str, Any]]] = {batch["batch_id"]: [] for batch in batches}
    for row in audit_trail.cosignatures(connection, batches[0]["batch_id"], batches[-1]["batch_id"]):
        lines[row["batch_id"]].append({name: row[name] for name in ("witness", "cosignature", "signed_at")})
    return [{**batch, "provisional": batch["batch_id"] > covered, "cosignatures": lines[batch["batch_id"]]}
            for batch in batches]


def lag_seconds(running: Running, connection: Connection) -> int | None:
    """Age of the oldest batch that the witnesses have not countersigned; 0 when none waits, None without witnesses."""
    if not (running.witnesses.quorum and running.witnesses.listed):
        return None
    since = audit_trail.anchored_after(connection, _covered(running, connection))
    return int((running.clock.now() - since).total_seconds()) if since else 0


def _covered(running: Running, connection: Connection) -> int:
    return running.witnesses.covered(audit_trail.witnessed(connection))
