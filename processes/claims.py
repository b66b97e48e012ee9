"""Claims: what a standing asks of the chain is done there, in order, and recorded (domain/subject/claims.py).

None of it waits for fresh anchors: restricting somebody moves no money.
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.base import Command
from domain.subject import (
    SUBJECT,
    MarkRefreshLapsed,
    RecordClaimsIssued,
    RecordClaimsRevoked,
    ReissueRequested,
    RevocationRequested,
    SubjectActivated,
    lapses_at,
)
from eventstore.entry import Entry
from processes.outside import Outside
from processes.process import NotYet, Process

claims = Process("claims")


@claims.effect(RevocationRequested, port="chain")
def revoke(entry: Entry, event: RevocationRequested, outside: Outside) -> Iterable[Command]:
    """Inactive first: one transaction stops every movement, with the neutral code RESTRICTED."""
    chain = outside.chain()
    stopped = chain.set_active(f"inactive:{entry.position}", event.wallet, False)
    revoked = chain.revoke_claims(f"revoke:{entry.position}", event.wallet, event.topics)
    tx = (stopped.tx_hash, revoked.tx_hash)
    return [RecordClaimsRevoked(subject=entry.resource, wallet=event.wallet, tx=tx)]


@claims.effect(ReissueRequested, port="chain")
def reissue(entry: Entry, event: ReissueRequested, outside: Outside) -> Iterable[Command]:
    chain = outside.chain()
    issued = chain.issue_claims(f"claims:{entry.position}", event.wallet, event.topics,
                                int(event.claims_expire_at.timestamp()))
    active = chain.set_active(f"active:{entry.position}", event.wallet, True)
    return [RecordClaimsIssued(subject=entry.resource, tx=(issued.tx_hash, active.tx_hash))]


@claims.effect(SubjectActivated, port="timer")
def lapse(entry: Entry, event: SubjectActivated, outside: Outside) -> Iterable[Command]:
    """An activation since then has a timer of its own; a file still under review does not stop this one."""
    subject = outside.look(SUBJECT, entry.resource)
    if subject.refresh_due_at != event.refresh_due_at:
        return []
    if outside.clock.now() < lapses_at(subject):
        raise NotYet(lapses_at(subject))
    standing = subject.resumes or subject.state
    return [MarkRefreshLapsed(subject=entry.resource)] if standing in ("ACTIVE", "REFRESH_DUE") else []
