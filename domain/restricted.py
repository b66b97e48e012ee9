"""Restricted: what the MLRO reported to the authority, without saying about whom.

Telling a customer that a report was made is an offence (POCA 2002 s. 333A), and staff outside compliance do not know
either (decisions rows 27, 40). So the record has a stream of its own, named by a keyed hash of the subject, shown to
people as "restricted"; the content is sealed under a key of its own, and the log keeps a keyed commitment to it.

A report lengthens what an erasure ends, and neither may miss the other. They are different streams, and an event on the
subject's, or one of the erasure's on the record's, would tell of the report. So both also take a turn at one register
for all subjects, with the same event: whoever read the facts before another's turn reads them again.
"""

from __future__ import annotations

from datetime import date

import msgspec

from domain.base import Command, Conflict, Context, Event, Forbidden, Invalid, Kind, require
from domain.calendar import london_date
from domain.party import COMPLIANCE, Personal

REGISTER = "register"
"""The key of the one record at which reports and erasures take turns."""

REPORTS_SINCE = date(2003, 2, 24)
"""Part 7 of POCA 2002, under which reports are made, came into force (SI 2003/120)."""

# ---------------------------------------------------------------- commands


class RecordRestricted(Command, frozen=True, kw_only=True):
    """`record` is the keyed hash of the subject; `content` is sealed for it; `commitment` is an HMAC of the content.

    `made_on` is in the content too; it comes along to be judged, and no event tells it.
    """

    kind = "restricted"
    record: str
    content: Personal
    commitment: str
    made_on: date

    @property
    def key(self) -> str:
        return self.record


class TakeTurn(Command, frozen=True, kw_only=True):
    """Goes with every report and every erasure. `turns` had been taken before the sender read its facts."""

    kind = "restricted"
    turns: int

    @property
    def key(self) -> str:
        return REGISTER


# ---------------------------------------------------------------- events


class RestrictedEntry(Event, frozen=True, kw_only=True):
    tag = "restricted.recorded.1"
    action = "RESTRICTED_ENTRY"
    content: Personal
    commitment: str


class TurnTaken(Event, frozen=True, kw_only=True):
    """The same for a report and for an erasure, whoever they are about."""

    tag = "restricted.turn_taken.1"
    action = "RESTRICTED_TURN"


# ---------------------------------------------------------------- refusals


class MlroOnly(Forbidden):
    code = "mlro_only"


class ReportDateWrong(Invalid):
    code = "report_date_wrong"


class TurnMissed(Conflict):
    """The sender reads its facts again and sends anew."""

    code = "turn_missed"


# ---------------------------------------------------------------- decide, evolve


class Restricted(msgspec.Struct, frozen=True):
    contents: tuple[Personal, ...] = ()
    turns: int = 0


def decide(restricted: Restricted, command: Command, context: Context) -> list[Event]:
    require(context.actor_role == COMPLIANCE, MlroOnly("this is the compliance officer's"))
    match command:
        case RecordRestricted():
            require(REPORTS_SINCE <= command.made_on <= london_date(context.now), ReportDateWrong(
                f"a report was made today or before, and not before {REPORTS_SINCE}", pointer="/made_on"))
            return [RestrictedEntry(content=command.content, commitment=command.commitment)]
        case TakeTurn():
            require(command.turns == restricted.turns, TurnMissed(
                "another of compliance's decisions came in between; try again"))
            return [TurnTaken()]
        case _:
            raise TypeError(f"restricted cannot decide {type(command).__name__}")


def evolve(restricted: Restricted, event: Event) -> Restricted:
    match event:
        case RestrictedEntry():
            return msgspec.structs.replace(restricted, contents=(*restricted.contents, event.content))
        case TurnTaken():
            return msgspec.structs.replace(restricted, turns=restricted.turns + 1)
        case _:
            return restricted


RESTRICTED: Kind[Restricted] = Kind("restricted", Restricted(), decide, evolve, resource=lambda _: "restricted")
