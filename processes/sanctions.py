"""The sanctions lists on the chain: the rule there refuses every movement on lists older than a day."""

from __future__ import annotations

import hashlib

from chain.client import Chain
from domain.calendar import london_date
from processes.outside import Outside


def publish_lists(outside: Outside, chain: Chain) -> None:
    """Each day's first movement brings that day's list versions on chain, once (the key is the day).

    An unreachable list provider raises, and the movement waits: fail closed.
    """
    lists = "\n".join(outside.screening.list_version())
    digest = hashlib.sha256(lists.encode()).digest()
    today = london_date(outside.clock.now())
    chain.sanctions_heartbeat(f"lists:{today}:{digest.hex()[:16]}", digest)
