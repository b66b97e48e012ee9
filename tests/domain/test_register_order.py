"""Register orders: two people over one content, four hours, one outcome; and what each leaves in the registers."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from domain import register_order as o
from domain import subject as s
from domain import token as t
from domain.base import Event
from domain.party import ADMIN, COMPLIANCE, LENDER
from tests.domain.scenario import Row, Step, at, check_order, check_path, fold, given
from tests.domain.test_claims import LENDER_ON, TOPICS
from tests.domain.test_lock import LOCKED as TOKEN_LOCKED
from tests.domain.test_lock import ORDERED as LOCK_ORDERED
from tests.domain.test_subject import FREEZE, ID
from tests.domain.test_token import HELD, INV, MINTED, PATH, PENNINE, RESERVED, SLICED, TOK, TRADED, history_of

change = msgspec.structs.replace
WHEN = "2026-05-22T13:21"
NOON, MLRO, DEPUTY = at(WHEN), at(WHEN, "sub_mlro", COMPLIANCE), at(WHEN, "sub_deputy", COMPLIANCE)
LATE = at("2026-05-22T17:21", "sub_deputy", COMPLIANCE)
ORD = "ord_1"
CONTENT = o.Content(kind=o.FORCED_TRANSFER, subject=PENNINE, tokens=(TOK,), from_wallet="0xp", to="sub_heir",
                    to_wallet="0xh", reason_code="SUCCESSION", slice_index=2, face_pence=200_000)


def recovery_of(tokens: int) -> o.Content:
    return change(CONTENT, kind=o.RECOVERY, reason_code="KEY_LOST", tokens=tuple(f"FXR-{n}" for n in range(tokens)))


SHA = CONTENT.sha256
PROPOSE = o.ProposeOrder(order=ORD, content=CONTENT)
APPROVE = o.ApproveOrder(order=ORD, content=CONTENT, content_sha256=SHA)
PROPOSED = o.OrderProposed(content=CONTENT, content_sha256=SHA, proposed_by="sub_mlro",
                           expires_at=NOON.now + timedelta(hours=4))
APPROVED = o.OrderApproved(content=CONTENT, content_sha256=SHA, approved_by="sub_deputy")
DONE = o.RecordOrderExecuted(order=ORD, tx="0x9", block=9)
ORDER_PATH = [Step(PROPOSE, MLRO, (PROPOSED,)), Step(APPROVE, DEPUTY, (APPROVED,)),
              Step(DONE, NOON, (o.OrderExecuted(tx="0x9", block=9),))]

BEGIN = t.BeginForcedMove(token=TOK, order=ORD, slice_index=2, holder=PENNINE, to="sub_heir", to_wallet="0xh")
ASKED = t.ForcedMoveRequested(order=ORD, invoice=INV, slice_index=2, face_pence=200_000, holder=PENNINE,
                              to="sub_heir", to_wallet="0xh")
MOVED = t.ForcedMoved(order=ORD, invoice=INV, slice_index=2, face_pence=200_000, holder=PENNINE, to="sub_heir",
                      to_wallet="0xh", tx="0x9", block=9)
RECORD = t.RecordForcedMove(token=TOK, order=ORD, tx="0x9", block=9)

RECOVER = s.BeginRecovery(subject=ID, order=ORD, from_wallet="0xw", to_wallet="0xn")
BEGUN = s.RecoveryBegun(order=ORD, to_wallet="0xn")
REPLACED = s.WalletReplaced(order=ORD, previous="0xw", wallet="0xn", tx="0x9")
TOLD = s.RecordWalletReplaced(subject=ID, order=ORD, wallet="0xn", tx="0x9")
TOLD_NO = s.RecordRecoveryRefused(subject=ID, order=ORD, reason="RESTRICTED")

REFUSED = [
    Row(o.NotYourOrder, (), PROPOSE, NOON),
    Row(o.NotYourOrder, (), PROPOSE, at(WHEN, "sub_admin", ADMIN)),
    Row(o.OrderReasonUnknown, (), o.ProposeOrder(order=ORD, content=change(CONTENT, reason_code="KEY_LOST")), MLRO),
    Row(o.TooManyTokens, (), o.ProposeOrder(order=ORD, content=recovery_of(o.MAX_TOKENS + 1)), MLRO),
    Row(o.OrderExists, (PROPOSED,), PROPOSE, MLRO),
    Row(o.NotYourOrder, (PROPOSED,), APPROVE, MLRO),
    Row(o.NotYourOrder, (PROPOSED,), APPROVE, NOON),
    Row(o.OtherContent, (PROPOSED,), change(APPROVE, content_sha256="0" * 64), DEPUTY),
    Row(o.OtherContent, (PROPOSED,), change(APPROVE, content=change(CONTENT, face_pence=1)), DEPUTY),
    Row(o.OrderIsExpired, (PROPOSED,), APPROVE, LATE),
    Row(o.WrongOrderState, (PROPOSED,), o.ExpireOrder(order=ORD), NOON),
    Row(o.WrongOrderState, (PROPOSED, o.OrderWithdrawn(withdrawn_by="sub_mlro")), APPROVE, DEPUTY),
    Row(o.WrongOrderState, (PROPOSED, o.OrderExpired()), APPROVE, DEPUTY),
    Row(o.WrongOrderState, (PROPOSED, APPROVED), o.WithdrawOrder(order=ORD), MLRO),
    Row(o.WrongOrderState, (PROPOSED, APPROVED, o.OrderRefused(reason="TOKEN_LOCKED")), DONE, NOON),
    Row(t.NotTheHolder, TRADED, msgspec.structs.replace(BEGIN, slice_index=1), NOON),
    Row(t.NotTheHolder, MINTED, msgspec.structs.replace(BEGIN, slice_index=None, holder=t.PLATFORM), NOON),
    Row(t.SliceNotFree, RESERVED, msgspec.structs.replace(BEGIN, slice_index=1), NOON),
    Row(t.SliceNotFree, (*SLICED, ASKED), BEGIN, NOON),
    Row(t.Locked, (*SLICED, LOCK_ORDERED, TOKEN_LOCKED), BEGIN, NOON),
    Row(t.TokenNotReady, history_of(PATH, 11), BEGIN, NOON),
    Row(t.TokenNotReady, SLICED, RECORD, NOON),
    Row(t.NotTheHolder, SLICED, t.RecordRewallet(token=TOK, order=ORD, holder="sub_heir", wallet="0xn"), NOON),
    Row(s.NotRecoverable, LENDER_ON, msgspec.structs.replace(RECOVER, from_wallet="0xother"), NOON),
    Row(s.NotRecoverable, (*LENDER_ON, s.SubjectFrozen(reason_code="x", ordered_by="y")), RECOVER, NOON),
    Row(s.NotRecoverable, (*LENDER_ON, BEGUN), RECOVER, NOON),
    Row(s.NotRecoverable, LENDER_ON, TOLD, NOON),
    Row(s.NotRecoverable, LENDER_ON, TOLD_NO, NOON),
    Row(s.NotRecoverable, (*LENDER_ON, BEGUN), msgspec.structs.replace(TOLD, order="ord_2"), NOON),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_one_proposes_another_approves_and_the_chain_decides() -> None:
    check_path(ORDER_PATH)
    check_order(ORDER_PATH, allowed=set())
    given(PROPOSED, APPROVED).when(o.RecordOrderRefused(order=ORD, reason="TOKEN_LOCKED"), NOON).then(
        o.OrderRefused(reason="TOKEN_LOCKED"))


def test_a_recovery_may_be_as_long_as_the_contract_allows() -> None:
    (event,) = given().when(o.ProposeOrder(order=ORD, content=recovery_of(o.MAX_TOKENS)), MLRO).decide()
    assert isinstance(event, o.OrderProposed)


def test_a_proposal_is_withdrawn_by_an_officer_or_expires() -> None:
    given(PROPOSED).when(o.WithdrawOrder(order=ORD), DEPUTY).then(o.OrderWithdrawn(withdrawn_by="sub_deputy"))
    given(PROPOSED).when(o.ExpireOrder(order=ORD), LATE).then(o.OrderExpired())


@pytest.mark.parametrize("field", CONTENT.__struct_fields__)
def test_the_hash_covers_every_field(field: str) -> None:
    value = getattr(CONTENT, field)
    other = value + 1 if isinstance(value, int) else (*value, "x") if isinstance(value, tuple) else value + "x"
    assert change(CONTENT, **{field: other}).sha256 != SHA


# ---------------------------------------------------------------- the token's register


@pytest.mark.parametrize("history", [SLICED, (*SLICED, t.SliceListed(
    invoice=INV, holder=PENNINE, index=2, face_pence=200_000, price_pence=199_150, listing_fee_pence=0))],
    ids=["held", "listed"])
def test_a_forced_slice_changes_hands_and_is_no_longer_offered(history: tuple[Event, ...]) -> None:
    given(*history).when(BEGIN, DEPUTY).then(ASKED)
    given(*history, ASKED).when(RECORD, NOON).then(MOVED)
    token = fold("token", (*history, ASKED, MOVED))
    assert (token.state, token.pending) == ("HELD", ())
    assert token.slice(2) == t.Slice(index=2, face_pence=200_000, holder="sub_heir", wallet="0xh")
    assert sum(token.holdings().values()) == token.face_pence


def test_a_refused_order_leaves_the_slice_with_its_holder() -> None:
    refused = t.ForcedMoveRefused(order=ORD, slice_index=2, reason="RESTRICTED")
    given(*SLICED, ASKED).when(t.RecordForcedMoveRefused(token=TOK, order=ORD, reason="RESTRICTED"), NOON).then(refused)
    assert fold("token", (*SLICED, ASKED, refused)) == fold("token", SLICED)


def test_a_whole_token_is_forced_too() -> None:
    (asked,) = given(*HELD).when(msgspec.structs.replace(BEGIN, slice_index=None), DEPUTY).decide()
    (moved,) = given(*HELD, asked).when(RECORD, NOON).decide()
    assert fold("token", (*HELD, asked, moved)).holdings() == {"sub_heir": 1_000_000}


def test_a_recovered_holding_lies_in_the_new_wallet_and_nobody_elses_does() -> None:
    (event,) = given(*TRADED).when(t.RecordRewallet(token=TOK, order=ORD, holder=PENNINE, wallet="0xn"), NOON).decide()
    before, after = fold("token", TRADED), fold("token", (*TRADED, event))
    assert {part.wallet for part in after.slices if part.holder == PENNINE} == {"0xn"}
    assert [part for part in after.slices if part.holder != PENNINE] == [
        part for part in before.slices if part.holder != PENNINE]
    assert {part.index: part.state for part in after.slices} == {part.index: part.state for part in before.slices}


# ---------------------------------------------------------------- the subject's wallet


def test_a_recovery_replaces_the_wallet_and_its_claims_follow_the_standing() -> None:
    given(*LENDER_ON).when(RECOVER, DEPUTY).then(BEGUN)
    given(*LENDER_ON, BEGUN).when(TOLD, NOON).then(REPLACED)
    after = fold("subject", (*LENDER_ON, BEGUN, REPLACED))
    assert (after.role, after.wallet, after.claims) == (LENDER, "0xn", "ISSUED")


@pytest.mark.parametrize(("told", "event", "wallet"), [
    (TOLD, REPLACED, "0xn"), (TOLD_NO, s.RecoveryRefused(order=ORD, reason="RESTRICTED"), "0xw")],
    ids=["replaced", "refused"])
def test_a_freeze_during_a_recovery_revokes_at_once_and_what_it_leaves(
    told: s.SubjectCommand, event: Event, wallet: str
) -> None:
    frozen = given(*LENDER_ON, BEGUN).when(FREEZE, MLRO).decide()
    revoke = s.RevocationRequested(wallet="0xw", topics=TOPICS, reason="frozen")
    assert frozen[1:] == [revoke], "the order may wait for hours"
    history = (*LENDER_ON, BEGUN, *frozen)
    again = [msgspec.structs.replace(revoke, wallet=wallet)] if wallet != "0xw" else []
    given(*history).when(told, NOON).then(event, *again)
    revoked = s.ClaimsRevoked(wallet="0xw", topics=TOPICS, tx=("0x1",))
    told_revoked = s.RecordClaimsRevoked(subject=ID, wallet="0xw", tx=("0x1",))
    given(*history, event, *again).when(told_revoked, NOON).then(revoked)
    assert fold("subject", (*history, event, *again, revoked)).claims == ("REVOKING" if again else "REVOKED")


def test_no_claim_is_issued_again_while_a_recovery_is_under_way() -> None:
    """It would make a wallet active that the recovery may be retiring: what is left is judged by its outcome."""
    frozen = given(*LENDER_ON, BEGUN).when(FREEZE, MLRO).decide()
    revoked = s.ClaimsRevoked(wallet="0xw", topics=TOPICS, tx=("0x1",))
    history = (*LENDER_ON, BEGUN, *frozen, revoked)
    thawed = given(*history).when(s.UnfreezeSubject(subject=ID), DEPUTY).decide()
    assert [type(event) for event in thawed] == [s.SubjectUnfrozen]
    ended = given(*history, *thawed).when(TOLD_NO, NOON).decide()
    assert [type(event) for event in ended] == [s.RecoveryRefused, s.ReissueRequested]
    given(*history, *thawed).when(TOLD, NOON).then(REPLACED)
