"""Claims: what the chain says for a wallet, in step with the subject's standing (seeds 002 "Chain & ERC-3643").

A standing that bars the subject revokes its claims and makes the wallet inactive; the end of the bar issues them again.
One operation on a wallet is under way at a time, and what it leaves is judged when it is recorded: a freeze that comes
while claims are being issued ends with revoked claims, whatever order the chain works in. A recovery may wait for
hours, so while it is under way a bar revokes at once; its outcome is judged all the same. The chain learns no reason.
"""

from __future__ import annotations

from datetime import datetime

from domain.base import Conflict, Context, Event, require
from domain.party import CLOSED, ERASED, FROZEN, RESTRICTED
from domain.subject.state import ONBOARDED, Subject, SubjectCommand

ISSUING, ISSUED, REVOKING, REVOKED, MOVING = "ISSUING", "ISSUED", "REVOKING", "REVOKED", "MOVING"
UNDER_WAY = (ISSUING, REVOKING, MOVING)
"""MOVING: to another wallet of the subject (domain/subject/recovery.py)."""


# ---------------------------------------------------------------- commands


class RecordClaimsRevoked(SubjectCommand, frozen=True, kw_only=True):
    wallet: str
    tx: tuple[str, ...]


class RecordClaimsIssued(SubjectCommand, frozen=True, kw_only=True):
    tx: tuple[str, ...]


# ---------------------------------------------------------------- events


class RevocationRequested(Event, frozen=True, kw_only=True):
    """The intent. `reason` is for the log's readers alone."""

    tag = "subject.revocation_requested.1"
    action = "CLAIM_REVOCATION_REQUESTED"
    wallet: str
    topics: tuple[str, ...]
    reason: str


class ClaimsRevoked(Event, frozen=True, kw_only=True):
    tag = "subject.claims_revoked.1"
    action = "CLAIM_REVOKED"
    wallet: str
    topics: tuple[str, ...]
    tx: tuple[str, ...]


class ReissueRequested(Event, frozen=True, kw_only=True):
    tag = "subject.reissue_requested.1"
    action = "CLAIM_REISSUE_REQUESTED"
    wallet: str
    topics: tuple[str, ...]
    claims_expire_at: datetime


class ClaimsReissued(Event, frozen=True, kw_only=True):
    tag = "subject.claims_reissued.1"
    action = "CLAIM_ISSUED"
    wallet: str
    topics: tuple[str, ...]
    claims_expire_at: datetime
    tx: tuple[str, ...]


# ---------------------------------------------------------------- refusals


class ClaimsNotUnderWay(Conflict):
    code = "claims_not_under_way"


# ---------------------------------------------------------------- decisions


def revoked(subject: Subject, command: RecordClaimsRevoked, context: Context) -> list[Event]:
    """A recovery may have replaced the wallet meanwhile: then it is the lost one's claims that are revoked."""
    require(subject.claims == REVOKING or command.wallet != subject.wallet,
            ClaimsNotUnderWay("no revocation is under way"))
    return [ClaimsRevoked(wallet=command.wallet, topics=subject.claim_topics, tx=command.tx)]


def reissued(subject: Subject, command: RecordClaimsIssued, context: Context) -> list[Event]:
    require(subject.claims == ISSUING and subject.stage != "WALLET_PENDING",
            ClaimsNotUnderWay("no claims are being issued again"))
    assert subject.claims_expire_at is not None
    return [ClaimsReissued(wallet=subject.wallet or "", topics=subject.claim_topics,
                           claims_expire_at=subject.claims_expire_at, tx=command.tx)]


def follow(subject: Subject, context: Context) -> list[Event]:
    """What the chain must be asked for after a decision that left the subject like this."""
    if subject.wallet is None or subject.claims_expire_at is None:
        return []
    why = barred(subject)
    if subject.claims in (ISSUED, MOVING) and why is not None:
        return [RevocationRequested(wallet=subject.wallet, topics=subject.claim_topics, reason=why)]
    reissues = subject.claims == REVOKED and why is None and subject.recovery is None
    if reissues and subject.claims_expire_at > context.now:
        return [ReissueRequested(wallet=subject.wallet, topics=subject.claim_topics,
                                 claims_expire_at=subject.claims_expire_at)]
    return []


def barred(subject: Subject) -> str | None:
    """Why no claim may stand; None when they may. A file that has reached the wallet cures a lapse and a decline."""
    standing = subject.resumes or subject.state
    if subject.state in (CLOSED, ERASED):
        return "closed"
    if subject.state == FROZEN:
        return "frozen"
    if standing not in (*ONBOARDED, "WALLET_BOUND"):
        return "declined"
    if standing == RESTRICTED and subject.stage != "WALLET_BOUND":
        return "refresh_lapsed"
    return None
