"""`fx support`: another tenant's entries, for whoever helps it; the reading itself is an entry of that tenant."""

from __future__ import annotations

import msgspec

import bootstrap
from bootstrap import Settings
from eventstore.support import read_as_support


def print_entries(settings: Settings, tenant: str, actor: str, reason: str, first: int, last: int) -> int:
    """One line of JSON an entry, personal values sealed as they are; how many."""
    secrets = bootstrap.kept_secrets(settings.home)
    store = bootstrap.open_store(settings, secrets)
    try:
        entries = read_as_support(store.access, tenant, actor=f"support:{actor}" if actor else "", reason=reason,
                                  now=bootstrap.choose_clock(settings, store).now(), first=first, last=last)
    finally:
        store.close()
    for entry in entries:
        told = {"position": entry.position, "at": entry.at, "action": entry.event.action, "actor": entry.actor,
                "on_behalf_of": entry.on_behalf_of, "resource": entry.resource, "data": entry.event}
        print(msgspec.json.encode(told).decode())
    return len(entries)
