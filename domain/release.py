"""Release: what becomes of money in suspense, or of a payout that came back, by two people.

One officer proposes an outcome for one credit, another approves the very same within four hours; then it pays what was
said, goes back to its payer, or (money that the bank says is not there) is forgotten. A payout that came back is sent
again. Source: `spec/decisions.md` rows 56, 75, 91.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from domain.base import Command, Conflict, Context, Event, Forbidden, Kind, require
from domain.party import COMPLIANCE
from domain.register_order import APPROVE_WITHIN

AGAIN = "again"
"""The outcome of a payout that came back: it is sent to its payee's present account. To hold it takes no order."""

OUTCOMES = ("invoice", "reservation", "trade", "bill", "return", "void", AGAIN)


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What is proposed, whole; `resource` is what the money pays, empty where it pays nothing, or the payout that came
    back, which has no `credit`."""

    credit: str
    subject: str
    """Whose money it is taken to be: its standing holds a payment back, and officers act on its behalf."""

    pence: int
    outcome: str
    resource: str
    attempt: int = 0
    """Of a payout: which of its attempts came back."""

    @property
    def sha256(self) -> str:
        """What the approver repeats."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


# ---------------------------------------------------------------- commands


class ReleaseCommand(Command, frozen=True, kw_only=True):
    kind = "release"
    release: str

    @property
    def key(self) -> str:
        return self.release


class ProposeRelease(ReleaseCommand, frozen=True, kw_only=True):
    content: Content


class ApproveRelease(ReleaseCommand, frozen=True, kw_only=True):
    """Goes with the commands that carry the content out: they are refused or done together."""

    content_sha256: str


class WithdrawRelease(ReleaseCommand, frozen=True, kw_only=True):
    pass


class ExpireRelease(ReleaseCommand, frozen=True, kw_only=True):
    pass


# ---------------------------------------------------------------- events


class ReleaseProposed(Event, frozen=True, kw_only=True):
    tag = "release.proposed.1"
    action = "SUSPENSE_RELEASE_PROPOSED"
    content: Content
    content_sha256: str
    proposed_by: str
    expires_at: datetime


class ReleaseApproved(Event, frozen=True, kw_only=True):
    tag = "release.approved.1"
    action = "SUSPENSE_RELEASED"
    content: Content
    content_sha256: str
    approved_by: str


class ReleaseWithdrawn(Event, frozen=True, kw_only=True):
    tag = "release.withdrawn.1"
    action = "SUSPENSE_RELEASE_WITHDRAWN"
    withdrawn_by: str


class ReleaseExpired(Event, frozen=True, kw_only=True):
    tag = "release.expired.1"
    action = "SUSPENSE_RELEASE_EXPIRED"


# ---------------------------------------------------------------- refusals


class ReleaseExists(Conflict):
    code = "release_exists"


class WrongReleaseState(Conflict):
    code = "wrong_release_state"


class ReleaseIsExpired(Conflict):
    code = "release_expired"


class OtherRelease(Conflict):
    code = "other_release"


class NotYourRelease(Forbidden):
    code = "release_needs_another_officer"


# ---------------------------------------------------------------- decide, evolve


class Release(msgspec.Struct, frozen=True, kw_only=True):
    state: str = "NEW"
    content: Content | None = None
    proposed_by: str = ""
    approved_by: str = ""
    expires_at: datetime | None = None


def decide(release: Release, command: ReleaseCommand, context: Context) -> list[Event]:
    match command:
        case ProposeRelease():
            _check_officer(context)
            require(release.state == "NEW", ReleaseExists("this release is proposed already"))
            assert command.content.outcome in OUTCOMES
            return [ReleaseProposed(content=command.content, content_sha256=command.content.sha256,
                                    proposed_by=context.actor, expires_at=context.now + APPROVE_WITHIN)]
        case ApproveRelease():
            return _approve(release, command, context)
        case WithdrawRelease():
            _check_officer(context)
            _expect_proposed(release)
            return [ReleaseWithdrawn(withdrawn_by=context.actor)]
        case ExpireRelease():
            _expect_proposed(release)
            require(_over(release, context), WrongReleaseState("there is still time to approve"))
            return [ReleaseExpired()]
        case _:
            raise TypeError(f"release cannot decide {type(command).__name__}")


def _approve(release: Release, command: ApproveRelease, context: Context) -> list[Event]:
    _check_officer(context)
    _expect_proposed(release)
    require(context.actor != release.proposed_by, NotYourRelease("whoever proposes a release does not approve it"))
    require(not _over(release, context), ReleaseIsExpired("the time to approve is over; propose it again"))
    assert release.content is not None
    require(command.content_sha256 == release.content.sha256,
            OtherRelease("this is not what was proposed; read it again", pointer="/content_sha256"))
    return [ReleaseApproved(content=release.content, content_sha256=command.content_sha256,
                            approved_by=context.actor)]


def _check_officer(context: Context) -> None:
    require(context.actor_role == COMPLIANCE, NotYourRelease("only compliance officers release money"))


def _expect_proposed(release: Release) -> None:
    require(release.state == "PROPOSED",
            WrongReleaseState(f"this step needs the release to be PROPOSED; it is {release.state}"))


def _over(release: Release, context: Context) -> bool:
    return release.expires_at is not None and context.now >= release.expires_at


def evolve(release: Release, event: Event) -> Release:
    change = msgspec.structs.replace
    match event:
        case ReleaseProposed():
            return Release(state="PROPOSED", content=event.content, proposed_by=event.proposed_by,
                           expires_at=event.expires_at)
        case ReleaseApproved():
            return change(release, state="APPROVED", approved_by=event.approved_by)
        case ReleaseWithdrawn():
            return change(release, state="WITHDRAWN")
        case ReleaseExpired():
            return change(release, state="EXPIRED")
        case _:
            return release


RELEASE: Kind[Release] = Kind("release", Release(), decide, evolve)
