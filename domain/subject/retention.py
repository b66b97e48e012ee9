"""Retention: the relationship ends, the records are kept as long as the law asks, and then the person is erased.

Source: Money Laundering Regulations 2017, reg. 40(3): five years from the end of the business relationship, for due
diligence and for transactions alike; reg. 40(5): then delete, unless legal proceedings or another enactment need the
records (a hold). Seeds 000 §9: six years where a report to the authority was made, counted here from whichever is
later. A relationship ends only when nothing is outstanding, so its end is never before the last transaction.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec

from domain.base import Conflict, Context, Event, Forbidden, Invalid, require
from domain.calendar import london_date
from domain.party import CLOSED, COMPLIANCE, CUSTOMER_ROLES, ERASED, FROZEN, PAUSED
from domain.subject.review import NotTheMlro
from domain.subject.state import ENDINGS, FORM_RETURNED, Hold, Subject, SubjectCommand

KEEP_YEARS = 5
HOLD_YEARS = 30
"""The longest that a hold's last day may lie ahead."""

KEEP_YEARS_REPORTED = 6

CUSTOMER_REQUEST, PLATFORM = "customer_request", "platform"
CLOSING_REASONS = (CUSTOMER_REQUEST, PLATFORM)
HOLD_REASONS = ("legal_proceedings", "court_order", "authority_request", "complaint", "other_enactment")
ERASURE_GROUNDS = ("retention_expired", "subject_request")
ENDED_STAGES = (None, FORM_RETURNED, *ENDINGS)
"""Where no gate is waiting for an answer."""


# ---------------------------------------------------------------- commands


class CloseRelationship(SubjectCommand, frozen=True, kw_only=True):
    """End the relationship. `outstanding` names what is still open; the sender looks it up, a subject cannot know."""

    reason: str
    outstanding: tuple[str, ...]


class PlaceHold(SubjectCommand, frozen=True, kw_only=True):
    """Nothing is erased while the hold stands: up to and including `until`, or until it is lifted."""

    hold: str
    reason: str
    until: date | None = None


class LiftHold(SubjectCommand, frozen=True, kw_only=True):
    hold: str


class EraseSubject(SubjectCommand, frozen=True, kw_only=True):
    """Destroy the subject's key. `reported_on`: the day of the last report to the authority about it, which the sender
    knows and no event may tell."""

    ground: str
    reported_on: date | None = None


class RecordKeyDestroyed(SubjectCommand, frozen=True, kw_only=True):
    pass


# ---------------------------------------------------------------- events


class SubjectClosed(Event, frozen=True, kw_only=True):
    tag = "subject.closed.1"
    action = "SUBJECT_CLOSED"
    reason: str
    ended_at: datetime


class HoldPlaced(Event, frozen=True, kw_only=True):
    tag = "subject.hold_placed.1"
    action = "HOLD_PLACED"
    hold: str
    reason: str
    until: date | None
    ordered_by: str


class HoldLifted(Event, frozen=True, kw_only=True):
    tag = "subject.hold_lifted.1"
    action = "HOLD_LIFTED"
    hold: str
    ordered_by: str


class SubjectErased(Event, frozen=True, kw_only=True):
    """Decided; read models purge on it, and the key is destroyed next. How long it was kept is not said: six years
    instead of five would tell of a report."""

    tag = "subject.erased.1"
    action = "SUBJECT_ERASED"
    ground: str
    ordered_by: str


class SubjectKeyDestroyed(Event, frozen=True, kw_only=True):
    tag = "subject.key_destroyed.1"
    action = "KEY_DESTROYED"


# ---------------------------------------------------------------- refusals


class NotClosable(Conflict):
    code = "not_closable"


class StillOutstanding(Conflict):
    code = "still_outstanding"


class NotYours(Forbidden):
    code = "not_your_account"


class ReasonUnknown(Invalid):
    code = "reason_unknown"


class HoldKnown(Conflict):
    code = "hold_known"


class NoSuchHold(Conflict):
    code = "no_such_hold"


class HoldTooLong(Invalid):
    code = "hold_too_long"


class HoldIsOver(Invalid):
    code = "hold_is_over"


class RelationshipOpen(Conflict):
    code = "relationship_open"


class RetentionHold(Conflict):
    code = "retention_hold"


class AlreadyErased(Conflict):
    code = "already_erased"


class NotErased(Conflict):
    code = "not_erased"


# ---------------------------------------------------------------- the periods


class Retention(msgspec.Struct, frozen=True):
    """`until` is the first London day on which the subject may be erased; None while a hold has no end."""

    until: date | None
    why: str


def retention_of(subject: Subject, reported_on: date | None) -> Retention:
    """The longest of the lawful period and the holds that stand. Asked of a closed subject only."""
    assert subject.ended_at is not None
    ended = london_date(subject.ended_at)
    longest = Retention(years_after(ended, KEEP_YEARS), f"{KEEP_YEARS} years from the end of the relationship "
                                                        f"on {ended} (MLR 2017 reg. 40)")
    if reported_on is not None:
        since = max(ended, reported_on)
        longest = Retention(years_after(since, KEEP_YEARS_REPORTED),
                            f"{KEEP_YEARS_REPORTED} years from {since}, since a report to the authority was made")
    for hold in subject.holds:
        if hold.until is None or hold.until == date.max:
            return Retention(None, f"hold {hold.id} ({hold.reason}) stands until it is lifted")
        over = hold.until + timedelta(days=1)
        if longest.until is None or over > longest.until:
            longest = Retention(over, f"hold {hold.id} ({hold.reason})")
    return longest


def years_after(day: date, years: int) -> date:
    """The same day of a later year; 1 March for 29 February in a year without one."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


# ---------------------------------------------------------------- decisions


def close(subject: Subject, command: CloseRelationship, context: Context) -> list[Event]:
    """By the customer, or by compliance for the platform. A frozen customer is told no more than usual."""
    require(subject.role in CUSTOMER_ROLES, NotClosable("only a customer's account is closed"))
    own = context.actor == subject.id
    require(own or context.actor_role == COMPLIANCE, NotYours("only its owner or compliance closes an account"))
    require(command.reason in CLOSING_REASONS and (command.reason == CUSTOMER_REQUEST or not own),
            ReasonUnknown(f"the reason is one of {', '.join(CLOSING_REASONS)}", pointer="/reason"))
    require(subject.state not in (CLOSED, ERASED), NotClosable("this account is closed"))
    require(subject.state != FROZEN, NotClosable(PAUSED if own else "lift the freeze first"))
    require(subject.stage in ENDED_STAGES, NotClosable("wait until the application under way is decided"))
    require(not command.outstanding, StillOutstanding(
        f"settle what is outstanding first: {', '.join(command.outstanding[:5])}"))
    return [SubjectClosed(reason=command.reason, ended_at=context.now)]


def place_hold(subject: Subject, command: PlaceHold, context: Context) -> list[Event]:
    _check_officer(subject, context)
    require(subject.role in CUSTOMER_ROLES and subject.state != ERASED, AlreadyErased("there is nothing to hold"))
    require(command.reason in HOLD_REASONS,
            ReasonUnknown(f"the reason is one of {', '.join(HOLD_REASONS)}", pointer="/reason"))
    _check_end(command.until, london_date(context.now))
    require(all(hold.id != command.hold for hold in subject.holds), HoldKnown("this hold is placed already"))
    return [HoldPlaced(hold=command.hold, reason=command.reason, until=command.until, ordered_by=context.actor)]


def _check_end(until: date | None, today: date) -> None:
    require(until is None or until >= today, HoldIsOver("a hold ends today or later", pointer="/until"))
    require(until is None or until <= years_after(today, HOLD_YEARS), HoldTooLong(
        f"a hold ends within {HOLD_YEARS} years; leave the day out for one that stands until it is lifted",
        pointer="/until"))


def lift_hold(subject: Subject, command: LiftHold, context: Context) -> list[Event]:
    _check_officer(subject, context)
    require(any(hold.id == command.hold for hold in subject.holds), NoSuchHold("there is no such hold"))
    return [HoldLifted(hold=command.hold, ordered_by=context.actor)]


def erase(subject: Subject, command: EraseSubject, context: Context) -> list[Event]:
    _check_officer(subject, context)
    require(subject.state != ERASED, AlreadyErased("this subject is erased"))
    require(command.ground in ERASURE_GROUNDS,
            ReasonUnknown(f"the ground is one of {', '.join(ERASURE_GROUNDS)}", pointer="/ground"))
    require(subject.state == CLOSED, RelationshipOpen("the relationship is open; close it first"))
    kept = retention_of(subject, command.reported_on)
    require(kept.until is not None and london_date(context.now) >= kept.until, RetentionHold(
        f"kept until {kept.until or 'further notice'}: {kept.why}"))
    return [SubjectErased(ground=command.ground, ordered_by=context.actor)]


def key_destroyed(subject: Subject, command: RecordKeyDestroyed, context: Context) -> list[Event]:
    require(subject.state == ERASED, NotErased("nobody decided to erase this subject"))
    return [SubjectKeyDestroyed()]


def _check_officer(subject: Subject, context: Context) -> None:
    require(context.actor_role == COMPLIANCE, NotTheMlro("only the compliance officer holds or erases records"))
    require(context.actor != subject.id, NotTheMlro("nobody decides their own case"))


# ---------------------------------------------------------------- evolve


def retain(subject: Subject, event: Event) -> Subject | None:
    """The state after an event of this file; None for any other event."""
    change = msgspec.structs.replace
    match event:
        case SubjectClosed():
            return change(subject, state=CLOSED, resumes=None, ended_at=event.ended_at)
        case HoldPlaced():
            return change(subject, holds=(*subject.holds, Hold(event.hold, event.reason, event.until)))
        case HoldLifted():
            return change(subject, holds=tuple(hold for hold in subject.holds if hold.id != event.hold))
        case SubjectErased():
            return change(subject, state=ERASED, representative=None, email=None,
                          filed=change(subject.filed, bank_account=None),
                          accepted=change(subject.accepted, bank_account=None), holds=())
        case SubjectKeyDestroyed():
            return change(subject, key_destroyed=True)
        case _:
            return None
