"""Port: is any of these names on a sanctions or PEP list? Gate 2, and daily again as Gate 4.

Lists: UKSL (the UK Sanctions List), OFAC, EU and UN; the OFSI consolidated list was retired on 28 January
2026 (decision 38). PEP hits carry the list name PEP.

Fails closed: an unreachable provider is `Retryable` and the gate stays pending; there is no default answer.
"""

from typing import Protocol

import msgspec

LISTS = ("UKSL", "OFAC", "EU", "UN")


class Hit(msgspec.Struct, frozen=True):
    """`list` is one of LISTS or PEP, or the provider's own source name. `score` is its relevance, higher is
    closer.
    """

    list: str
    name: str
    score: float


class ScreeningResult(msgspec.Struct, frozen=True):
    """`lists` says against which versions, as `UKSL@2026-01-28`; `clear` is true when there is no hit at
    all.
    """

    clear: bool
    hits: tuple[Hit, ...]
    lists: tuple[str, ...]
    provider_ref: str
    payload_sha256: str


class Screening(Protocol):
    def screen(self, key: str, names: list[str]) -> ScreeningResult:
        """Searches every name. A later re-screen is a new question and needs a new key."""
        ...

    def list_version(self) -> tuple[str, ...]:
        """The versions in force now, as in `ScreeningResult.lists`; the chain's heartbeat publishes them."""
        ...
