"""Notice: one e-mail to one person, asked for once and sent once.

`facts` are what the template prints; nothing else reaches the mail. The address stays sealed in the log.
"""

from __future__ import annotations

import msgspec

from domain.base import Command, Conflict, Context, Event, Kind, require
from domain.party import Personal


class NoticeCommand(Command, frozen=True, kw_only=True):
    kind = "notice"
    notice: str

    @property
    def key(self) -> str:
        return self.notice


class RequestNotice(NoticeCommand, frozen=True, kw_only=True):
    template: str
    recipient: str
    address: Personal
    resource: str
    facts: dict[str, str]


class RecordNoticeSent(NoticeCommand, frozen=True, kw_only=True):
    pass


class RecordNoticeFailed(NoticeCommand, frozen=True, kw_only=True):
    """It can never be delivered as it is: `reason` is the mail port's code."""

    reason: str


class NoticeRequested(Event, frozen=True, kw_only=True):
    tag = "notice.requested.1"
    action = "NOTICE_REQUESTED"
    notice: str
    template: str
    recipient: str
    address: Personal
    resource: str
    facts: dict[str, str]


class NoticeSent(Event, frozen=True, kw_only=True):
    tag = "notice.sent.1"
    action = "NOTICE_SENT"
    notice: str
    template: str
    recipient: str
    resource: str


class NoticeFailed(Event, frozen=True, kw_only=True):
    tag = "notice.failed.1"
    action = "NOTICE_FAILED"
    notice: str
    template: str
    recipient: str
    resource: str
    reason: str


class NoticeState(Conflict):
    code = "notice_state"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""
    state: str = "NEW"
    template: str = ""
    recipient: str = ""
    resource: str = ""


def decide(notice: Notice, command: NoticeCommand, context: Context) -> list[Event]:
    match command:
        case RequestNotice():
            require(notice.state == "NEW", NoticeState("this notice is already asked for"))
            return [NoticeRequested(notice=command.notice, template=command.template, recipient=command.recipient,
                                    address=command.address, resource=command.resource, facts=command.facts)]
        case RecordNoticeSent():
            require(notice.state == "REQUESTED", NoticeState(f"this notice is {notice.state}"))
            return [NoticeSent(notice=notice.id, template=notice.template, recipient=notice.recipient,
                               resource=notice.resource)]
        case RecordNoticeFailed():
            require(notice.state == "REQUESTED", NoticeState(f"this notice is {notice.state}"))
            return [NoticeFailed(notice=notice.id, template=notice.template, recipient=notice.recipient,
                                 resource=notice.resource, reason=command.reason)]
        case _:
            raise TypeError(f"notice cannot decide {type(command).__name__}")


def evolve(notice: Notice, event: Event) -> Notice:
    match event:
        case NoticeRequested():
            return Notice(id=event.notice, state="REQUESTED", template=event.template, recipient=event.recipient,
                          resource=event.resource)
        case NoticeSent():
            return msgspec.structs.replace(notice, state="SENT")
        case NoticeFailed():
            return msgspec.structs.replace(notice, state="FAILED")
        case _:
            return notice


NOTICE: Kind[Notice] = Kind("notice", Notice(), decide, evolve)
