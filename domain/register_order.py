"""Register orders: a change of the token register that the holder did not ask for, by two people and then two keys.

A forced transfer moves one slice, or a whole token, to another holder; a recovery moves everything a holder has to a
new wallet of its own. One officer proposes, another approves the very same content within four hours; then the chain
runs its rules as for any transfer, and its refusal is the outcome: nothing is tried again without a new proposal.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import msgspec

from domain.base import Command, Conflict, Context, Event, Forbidden, Invalid, Kind, require
from domain.party import COMPLIANCE

FORCED_TRANSFER, RECOVERY = "forced_transfer", "wallet_recovery"
REASONS = {
    FORCED_TRANSFER: ("COURT_ORDER", "SUCCESSION", "CORRECTION"),
    RECOVERY: ("KEY_LOST", "KEY_COMPROMISED"),
}
MAX_TOKENS = 64
"""What one transaction moves: the contract takes no longer list (chain/contracts/FXRecovery.sol)."""

APPROVE_WITHIN = timedelta(hours=4)
"""As for a payment with two approvals (decisions row 31)."""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What is ordered, whole. A recovery names every token of the holder; a forced transfer one, and its part."""

    kind: str
    subject: str
    """Whose holding it is."""

    tokens: tuple[str, ...]
    from_wallet: str
    to: str
    to_wallet: str
    reason_code: str
    slice_index: int | None = None
    face_pence: int = 0

    @property
    def sha256(self) -> str:
        """What the approver repeats: changing anything voids the approval."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


# ---------------------------------------------------------------- commands


class OrderCommand(Command, frozen=True, kw_only=True):
    kind = "order"
    order: str

    @property
    def key(self) -> str:
        return self.order


class ContentCommand(OrderCommand, frozen=True, kw_only=True):
    content: Content

    @property
    def about(self) -> str:
        return self.content.subject


class ProposeOrder(ContentCommand, frozen=True, kw_only=True):
    pass


class ApproveOrder(ContentCommand, frozen=True, kw_only=True):
    """`content` is what would be ordered now; `content_sha256` what the approver has read."""

    content_sha256: str


class WithdrawOrder(OrderCommand, frozen=True, kw_only=True):
    pass


class ExpireOrder(OrderCommand, frozen=True, kw_only=True):
    pass


class RecordOrderExecuted(OrderCommand, frozen=True, kw_only=True):
    tx: str
    block: int


class RecordOrderRefused(OrderCommand, frozen=True, kw_only=True):
    reason: str


# ---------------------------------------------------------------- events


class OrderProposed(Event, frozen=True, kw_only=True):
    tag = "order.proposed.1"
    action = "ORDER_PROPOSED"
    content: Content
    content_sha256: str
    proposed_by: str
    expires_at: datetime


class OrderApproved(Event, frozen=True, kw_only=True):
    """The intent: the chain is asked next, with one key and then with another."""

    tag = "order.approved.1"
    action = "ORDER_APPROVED"
    content: Content
    content_sha256: str
    approved_by: str


class OrderWithdrawn(Event, frozen=True, kw_only=True):
    tag = "order.withdrawn.1"
    action = "ORDER_WITHDRAWN"
    withdrawn_by: str


class OrderExpired(Event, frozen=True, kw_only=True):
    tag = "order.expired.1"
    action = "ORDER_EXPIRED"


class OrderExecuted(Event, frozen=True, kw_only=True):
    tag = "order.executed.1"
    action = "ORDER_EXECUTED"
    tx: str
    block: int


class OrderRefused(Event, frozen=True, kw_only=True):
    """The chain's rules said no, with its own neutral code."""

    tag = "order.refused.1"
    action = "ORDER_REFUSED"
    reason: str


# ---------------------------------------------------------------- refusals


class OrderExists(Conflict):
    code = "order_exists"


class WrongOrderState(Conflict):
    code = "wrong_order_state"


class OrderIsExpired(Conflict):
    code = "order_expired"


class OtherContent(Conflict):
    code = "other_content"


class TooManyTokens(Conflict):
    """A recovery moves everything at once, then retires the wallet."""

    code = "too_many_tokens"


class NotYourOrder(Forbidden):
    code = "order_needs_another_officer"


class OrderReasonUnknown(Invalid):
    code = "order_reason_unknown"


# ---------------------------------------------------------------- decide, evolve


class Order(msgspec.Struct, frozen=True, kw_only=True):
    state: str = "NEW"
    content: Content | None = None
    proposed_by: str = ""
    approved_by: str = ""
    expires_at: datetime | None = None
    reason: str = ""


def decide(order: Order, command: OrderCommand, context: Context) -> list[Event]:
    match command:
        case ProposeOrder():
            return _propose(order, command.content, context)
        case ApproveOrder():
            return _approve(order, command, context)
        case WithdrawOrder():
            _check_officer(context)
            _expect(order, "PROPOSED")
            return [OrderWithdrawn(withdrawn_by=context.actor)]
        case ExpireOrder():
            _expect(order, "PROPOSED")
            require(_over(order, context), WrongOrderState("there is still time to approve"))
            return [OrderExpired()]
        case RecordOrderExecuted():
            _expect(order, "APPROVED")
            return [OrderExecuted(tx=command.tx, block=command.block)]
        case RecordOrderRefused():
            _expect(order, "APPROVED")
            return [OrderRefused(reason=command.reason)]
        case _:
            raise TypeError(f"order cannot decide {type(command).__name__}")


def _propose(order: Order, content: Content, context: Context) -> list[Event]:
    _check_officer(context)
    require(order.state == "NEW", OrderExists("this order is proposed already"))
    reasons = REASONS[content.kind]
    require(content.reason_code in reasons,
            OrderReasonUnknown(f"the reason is one of {', '.join(reasons)}", pointer="/reason_code"))
    require(len(content.tokens) <= MAX_TOKENS,
            TooManyTokens(f"one order moves at most {MAX_TOKENS} receivables, and this holder has "
                          f"{len(content.tokens)}: move some by forced transfers first", pointer="/subject"))
    return [OrderProposed(content=content, content_sha256=content.sha256, proposed_by=context.actor,
                          expires_at=context.now + APPROVE_WITHIN)]


def _approve(order: Order, command: ApproveOrder, context: Context) -> list[Event]:
    _check_officer(context)
    _expect(order, "PROPOSED")
    require(context.actor != order.proposed_by, NotYourOrder("whoever proposes an order does not approve it"))
    require(not _over(order, context), OrderIsExpired("the time to approve is over; propose it again"))
    assert order.content is not None
    require(command.content_sha256 == order.content.sha256,
            OtherContent("this is not the content that was proposed; read it again", pointer="/content_sha256"))
    require(command.content == order.content,
            OtherContent("the holding has changed since the proposal; propose it again"))
    return [OrderApproved(content=order.content, content_sha256=order.content.sha256, approved_by=context.actor)]


def _check_officer(context: Context) -> None:
    require(context.actor_role == COMPLIANCE, NotYourOrder("only compliance officers give register orders"))


def _expect(order: Order, state: str) -> None:
    require(order.state == state, WrongOrderState(f"this step needs the order to be {state}; it is {order.state}"))


def _over(order: Order, context: Context) -> bool:
    return order.expires_at is not None and context.now >= order.expires_at


def evolve(order: Order, event: Event) -> Order:
    change = msgspec.structs.replace
    match event:
        case OrderProposed():
            return Order(state="PROPOSED", content=event.content, proposed_by=event.proposed_by,
                         expires_at=event.expires_at)
        case OrderApproved():
            return change(order, state="APPROVED", approved_by=event.approved_by)
        case OrderWithdrawn():
            return change(order, state="WITHDRAWN")
        case OrderExpired():
            return change(order, state="EXPIRED")
        case OrderExecuted():
            return change(order, state="EXECUTED")
        case OrderRefused():
            return change(order, state="REFUSED", reason=event.reason)
        case _:
            return order


ORDER: Kind[Order] = Kind("order", Order(), decide, evolve)
