"""`fx verify`: recompute the whole log and say where it breaks."""

from __future__ import annotations

from rich.console import Console

import bootstrap
from bootstrap import Settings
from eventstore.entry import ZERO_HASH, body_hash, decode, entry_hash
from eventstore.store import Store

console = Console()


def first_fault(store: Store) -> tuple[int, str] | None:
    """(position, what is wrong) of the first bad entry, or None."""
    prev, expected = ZERO_HASH, 1
    for row in store.rows(1, store.head()):
        position, body = row["position"], bytes(row["body"])
        if position != expected:
            return expected, "missing"
        if bytes(row["prev_hash"]) != prev:
            return position, "does not link to the entry before it"
        if body_hash(body) != bytes(row["body_hash"]):
            return position, "its body was changed"
        if entry_hash(position, row["recorded_us"], prev, bytes(row["body_hash"])) != bytes(row["hash"]):
            return position, "its hash is wrong"
        entry = decode(body, position)
        named = (entry.tenant, entry.originator_id, entry.originator_version, entry.event.tag)
        if named != (row["tenant_id"], row["originator_id"], row["originator_version"], row["topic"]):
            return position, "its columns disagree with its body"
        prev, expected = bytes(row["hash"]), position + 1
    return None


def verify_log(settings: Settings) -> int:
    """0: the chain holds. 1: the first bad position is named."""
    store = bootstrap.open_store(settings, bootstrap.kept_secrets(settings.home))
    try:
        with console.status("verifying …"):
            fault = first_fault(store)
        if fault is not None:
            console.print(f"[red]entry {fault[0]}: {fault[1]}[/red]")
            return 1
        console.print(f"{store.head()} entries: every hash, link and column holds")
        return 0
    finally:
        store.close()
