"""Register orders: approved by two people, carried out with two keys; the rules of the chain have the last word.

A refusal is an outcome: the proposal is taken back on the chain and the register is left as it was. A holder who is
frozen while a recovery waits ends it: its lost wallet is inactive then, and nothing is signed for it any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from chain.client import Chain, token_id
from chain.errors import Refused
from chain.journal import Receipt
from chain.orders import OrderReason
from domain.base import Command
from domain.register_order import (
    ORDER,
    RECOVERY,
    Content,
    ExpireOrder,
    OrderApproved,
    OrderProposed,
    RecordOrderExecuted,
    RecordOrderRefused,
)
from domain.subject import SUBJECT, RecordRecoveryRefused, RecordWalletReplaced, Subject
from domain.subject.claims import MOVING
from domain.token import RecordForcedMove, RecordForcedMoveRefused, RecordRewallet
from eventstore.entry import Entry
from processes.onboarding import subject_commitment, wallet_role
from processes.outside import Outside
from processes.process import NotYet, Process
from processes.sanctions import publish_lists

register_orders = Process("register_orders")


@register_orders.effect(OrderProposed, port="timer")
def expire(entry: Entry, event: OrderProposed, outside: Outside) -> Iterable[Command]:
    if outside.clock.now() < event.expires_at:
        raise NotYet(event.expires_at)
    waiting = outside.look(ORDER, entry.resource).state == "PROPOSED"
    return [ExpireOrder(order=entry.resource)] if waiting else []


@register_orders.effect(OrderApproved, port="chain", moves_money=True)
def carry_out(entry: Entry, event: OrderApproved, outside: Outside) -> Iterable[Command]:
    chain = outside.chain()
    publish_lists(outside, chain)
    if event.content.kind == RECOVERY:
        return _recover(entry, event.content, outside, chain)
    return _force(entry, event.content, chain)


def _force(entry: Entry, content: Content, chain: Chain) -> list[Command]:
    order, (token,), op = entry.resource, content.tokens, f"order:{entry.position}"
    move = (content.from_wallet, content.to_wallet, token_id(token), content.face_pence, _on_chain(content.reason_code))
    try:
        chain.propose_forced_transfer(op, *move)
        done = chain.approve_forced_transfer(f"approve:{entry.position}", op, *move)
    except Refused as refused:
        _take_back(chain, entry, op)
        return [RecordOrderRefused(order=order, reason=refused.code),
                RecordForcedMoveRefused(token=token, order=order, reason=refused.code)]
    return [RecordOrderExecuted(order=order, tx=done.tx_hash, block=done.block_number),
            RecordForcedMove(token=token, order=order, tx=done.tx_hash, block=done.block_number)]


def _recover(entry: Entry, content: Content, outside: Outside, chain: Chain) -> list[Command]:
    order, op = entry.resource, f"order:{entry.position}"
    subject, new = outside.look(SUBJECT, content.subject), content.to_wallet
    try:
        _require_standing(chain, entry, subject)
        _prepare(chain, entry, outside, subject, new)
        done = _replace(chain, entry, op, content)
    except Refused as refused:
        _take_back(chain, entry, op)
        with suppress(Refused):  # it was never registered
            chain.set_active(f"inactive:{entry.position}", new, False)
        return [RecordOrderRefused(order=order, reason=refused.code),
                RecordRecoveryRefused(subject=subject.id, order=order, reason=refused.code)]
    return [RecordOrderExecuted(order=order, tx=done.tx_hash, block=done.block_number),
            RecordWalletReplaced(subject=subject.id, order=order, wallet=new, tx=done.tx_hash),
            *(RecordRewallet(token=token, order=order, holder=subject.id, wallet=new) for token in content.tokens)]


def _require_standing(chain: Chain, entry: Entry, subject: Subject) -> None:
    """Raises Refused, in the chain's own word, when the subject was barred since the approval. What the second key has
    signed already is not taken back: the chain says what became of it."""
    if subject.claims != MOVING and chain.journal.signed_data(f"approve:{entry.position}") is None:
        raise Refused("RESTRICTED")


def _prepare(chain: Chain, entry: Entry, outside: Outside, subject: Subject, new: str) -> None:
    """The new wallet gets the subject's claims first: the rules judge it as they would anybody's."""
    assert subject.claims_expire_at is not None
    chain.register_wallet(f"wallet:{entry.position}", new, wallet_role(subject.role),
                          subject_commitment(outside, subject.id))
    chain.issue_claims(f"claims:{entry.position}", new, subject.claim_topics, int(subject.claims_expire_at.timestamp()))


def _replace(chain: Chain, entry: Entry, op: str, content: Content) -> Receipt:
    tokens: Sequence[int] = [token_id(token) for token in content.tokens]
    chain.propose_recovery(op, content.from_wallet, content.to_wallet, tokens)
    return chain.approve_recovery(f"approve:{entry.position}", op, content.from_wallet, content.to_wallet, tokens)


def _take_back(chain: Chain, entry: Entry, op: str) -> None:
    """Nobody may approve later, on the chain alone, what the log says was refused."""
    with suppress(Refused):  # nothing waits there when the proposal itself was refused
        chain.withdraw_proposal(f"withdraw:{entry.position}", op)


def _on_chain(reason_code: str) -> OrderReason:
    return "REGISTER_CORRECTION" if reason_code == "CORRECTION" else "REGISTER_ORDER"
