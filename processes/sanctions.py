"""Sanctions: what a hit on a customer leads to, and the lists on the chain, whose rule refuses every movement on lists
older than a day.

Severity: a sanctions list freezes the customer and calls compliance in the same append; a politically exposed person is
for compliance to know, and stops nothing (docs/decisions/0022-holds.md).
"""

from __future__ import annotations

import hashlib

from chain.client import Chain
from domain.base import Command
from domain.calendar import london_date
from domain.platform import ALARM, RaiseAlarm
from domain.subject import Said
from processes.outside import Outside
from processes.process import Look
from providers.screening import ScreeningResult

SCREENING = "complyadvantage"
"""The source, as evidence names it."""

PEP = "PEP"
MATCH, EXPOSED = "sanctions_match", "pep_match"


def listed(found: ScreeningResult) -> bool:
    """Whether a sanctions list names somebody. A hit of any other kind than PEP counts as one: failing closed."""
    return not found.clear and (not found.hits or any(hit.list != PEP for hit in found.hits))


def said_of(found: ScreeningResult) -> Said:
    return Said(SCREENING, found.provider_ref, found.payload_sha256)


def match_alarm(subject: str, position: int, found: ScreeningResult) -> RaiseAlarm:
    """One per screening: after a freeze was lifted, another match is another alarm."""
    return RaiseAlarm(alarm=f"{MATCH}:{subject}:{position}", source=SCREENING, code=MATCH,
                      detail=f"{subject} is frozen: search {found.provider_ref} names a sanctions list")


def exposed_alarm(look: Look, subject: str, found: ScreeningResult) -> list[Command]:
    """Once, until a person has closed it."""
    name = f"{EXPOSED}:{subject}"
    if found.clear or look(ALARM, name).standing:
        return []
    return [RaiseAlarm(alarm=name, source=SCREENING, code=EXPOSED,
                       detail=f"search {found.provider_ref} says that {subject} is politically exposed")]


def publish_lists(outside: Outside, chain: Chain) -> None:
    """Each day's first movement brings that day's list versions on chain, once (the key is the day).

    An unreachable list provider raises, and the movement waits: fail closed.
    """
    lists = "\n".join(outside.screening.list_version())
    digest = hashlib.sha256(lists.encode()).digest()
    today = london_date(outside.clock.now())
    chain.sanctions_heartbeat(f"lists:{today}:{digest.hex()[:16]}", digest)
