"""Standing: the file is through and the subject active; the refresh falls due; a freeze is ordered and lifted."""

from __future__ import annotations

from datetime import datetime, timedelta

from domain.base import Conflict, Context, Event, require
from domain.party import (
    BUYER,
    CLOSED,
    COMPLIANCE,
    CUSTOMER_ROLES,
    ERASED,
    FROZEN,
    INVESTOR,
    LENDER,
    SELLER,
)
from domain.subject.review import NotTheMlro
from domain.subject.signup import FormIncomplete
from domain.subject.state import ONBOARDED, GateOutOfOrder, Said, Subject, SubjectCommand, expect
from domain.subject.wallet import REFRESH_GRACE_DAYS, refresh_at

READY = {SELLER: "RISK_PASSED", BUYER: "SCREENING_PASSED", LENDER: "WALLET_BOUND", INVESTOR: "WALLET_BOUND"}
"""The stage after which each role is active; a flagged buyer goes through RISK_PASSED instead."""

SANCTIONS_MATCH = "SANCTIONS_MATCH"
"""The reason's code of a freeze that no officer had to order."""


# ---------------------------------------------------------------- commands


class PassGates(SubjectCommand, frozen=True, kw_only=True):
    """All gates of the role are behind: move on to the register check, classification, wallet or activation."""


class MarkRefreshDue(SubjectCommand, frozen=True, kw_only=True):
    pass


class MarkRefreshLapsed(SubjectCommand, frozen=True, kw_only=True):
    """The grace after the refresh's day is over, whatever the reason: the checks are too old to rely on."""


class FreezeSubject(SubjectCommand, frozen=True, kw_only=True):
    """Stop the subject at once. The reason is a code for compliance; the subject is told nothing of it."""

    reason_code: str


class RecordMatch(SubjectCommand, frozen=True, kw_only=True):
    """A customer was screened again, outside of any file, and stands on a sanctions list."""

    lists: tuple[str, ...]
    screening: Said


class UnfreezeSubject(SubjectCommand, frozen=True, kw_only=True):
    """Lift the freeze; a second person's order."""


class ExpectReceives(SubjectCommand, frozen=True, kw_only=True):
    """What is appended with this rests on it: it decides nothing, and is refused when the standing is another."""

    receives: bool = True


# ---------------------------------------------------------------- events


class MifidClassified(Event, frozen=True, kw_only=True):
    tag = "subject.mifid_classified.1"
    action = "MIFID_CLASSIFIED"
    category: str


class SubjectActivated(Event, frozen=True, kw_only=True):
    tag = "subject.activated.1"
    action = "SUBJECT_ACTIVE"
    refreshed: bool
    refresh_due_at: datetime


class RefreshDue(Event, frozen=True, kw_only=True):
    tag = "subject.refresh_due.1"
    action = "REFRESH_DUE"


class RefreshLapsed(Event, frozen=True, kw_only=True):
    tag = "subject.refresh_lapsed.1"
    action = "REFRESH_LAPSED"


class SanctionsMatched(Event, frozen=True, kw_only=True):
    """What matched stays with the provider's payload, not in the log."""

    tag = "subject.sanctions_matched.1"
    action = "SANCTIONS_MATCHED"
    lists: tuple[str, ...]
    evidence: tuple[Said, ...]


class SubjectFrozen(Event, frozen=True, kw_only=True):
    tag = "subject.frozen.1"
    action = "SUBJECT_FROZEN"
    reason_code: str
    ordered_by: str


class SubjectUnfrozen(Event, frozen=True, kw_only=True):
    tag = "subject.unfrozen.1"
    action = "SUBJECT_UNFROZEN"
    ordered_by: str


# ---------------------------------------------------------------- refusals


class NotFreezable(Conflict):
    code = "not_freezable"


class NotFrozen(Conflict):
    code = "not_frozen"


class ChangedMeanwhile(Conflict):
    """Neutral: it may reach somebody who must not learn of another's freeze."""

    code = "changed_meanwhile"


# ---------------------------------------------------------------- decisions


def pass_gates(subject: Subject, command: PassGates, context: Context) -> list[Event]:
    if subject.role == INVESTOR and subject.stage == "RISK_PASSED":
        return [MifidClassified(category=subject.filed.mifid_category or "")]
    require(subject.role in READY, GateOutOfOrder("only customers pass gates"))
    reviewed_buyer = subject.role == BUYER and subject.stage == "RISK_PASSED"
    if not reviewed_buyer:
        expect(subject, READY[subject.role])
        require(subject.role != BUYER or not subject.flags,
                GateOutOfOrder("a flagged buyer needs the MLRO's decision first"))
    standing = subject.resumes or subject.state
    return [SubjectActivated(refreshed=standing in ONBOARDED,
                             refresh_due_at=refresh_at(subject, context.now))]


def fall_due(subject: Subject, command: MarkRefreshDue, context: Context) -> list[Event]:
    require(subject.state == "ACTIVE" and subject.stage is None and subject.refresh_due_at is not None,
            Conflict("only an active subject without an open file falls due for refresh"))
    require(_is_due(subject, context.now), Conflict("the refresh is not due yet"))
    return [RefreshDue()]


def lapse(subject: Subject, command: MarkRefreshLapsed, context: Context) -> list[Event]:
    """Under a freeze too: it is what the freeze's end returns to."""
    require((subject.resumes or subject.state) in ("ACTIVE", "REFRESH_DUE") and subject.refresh_due_at is not None,
            Conflict("only an active subject's refresh lapses"))
    require(context.now >= lapses_at(subject), Conflict("the grace is not over yet"))
    return [RefreshLapsed()]


def lapses_at(subject: Subject) -> datetime:
    """When the wallet's claims end as well."""
    assert subject.refresh_due_at is not None
    return subject.refresh_due_at + timedelta(days=REFRESH_GRACE_DAYS)


def freeze(subject: Subject, command: FreezeSubject, context: Context) -> list[Event]:
    _check_officer(subject, context)
    require(subject.role in CUSTOMER_ROLES and subject.state not in (FROZEN, CLOSED, ERASED),
            NotFreezable("only a customer whose account is not closed, and not frozen yet, can be frozen"))
    require(command.reason_code != "", FormIncomplete("give the reason's code", pointer="/reason_code"))
    return [SubjectFrozen(reason_code=command.reason_code, ordered_by=context.actor)]


def match(subject: Subject, command: RecordMatch, context: Context) -> list[Event]:
    return [SanctionsMatched(lists=command.lists, evidence=(command.screening,)), *freeze_at_once(subject, context)]


def freeze_at_once(subject: Subject, context: Context) -> list[Event]:
    """By rule: a match stops a customer before anybody has looked at it. A second match changes nothing."""
    if subject.state in (FROZEN, CLOSED, ERASED):
        return []
    return [SubjectFrozen(reason_code=SANCTIONS_MATCH, ordered_by=context.actor)]


def unfreeze(subject: Subject, command: UnfreezeSubject, context: Context) -> list[Event]:
    """Back to the standing underneath; a refresh that fell due meanwhile is said now, for its timer has gone by."""
    _check_officer(subject, context)
    require(subject.state == FROZEN, NotFrozen("this subject is not frozen"))
    require(context.actor != subject.frozen_by, NotTheMlro("whoever ordered the freeze does not lift it alone"))
    events: list[Event] = [SubjectUnfrozen(ordered_by=context.actor)]
    if subject.resumes == "ACTIVE" and subject.stage is None and _is_due(subject, context.now):
        events.append(RefreshDue())
    return events


def receives(subject: Subject) -> bool:
    """Money or a holding. A lapsed refresh or a declined file stops new business, not what is owed; whoever has left
    is still owed it. A frozen subject receives nothing, and of an erased one nobody knows where."""
    return subject.state not in (FROZEN, ERASED)


def expect_receives(subject: Subject, command: ExpectReceives, context: Context) -> list[Event]:
    require(receives(subject) == command.receives,
            ChangedMeanwhile("something this rests on has just changed; send the same request again"))
    return []


def _check_officer(subject: Subject, context: Context) -> None:
    require(context.actor_role == COMPLIANCE, NotTheMlro("only the compliance officer orders or lifts a freeze"))
    require(context.actor != subject.id, NotTheMlro("nobody decides their own case"))


def _is_due(subject: Subject, now: datetime) -> bool:
    return subject.refresh_due_at is not None and now >= subject.refresh_due_at
