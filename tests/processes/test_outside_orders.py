"""What compliance orders is done on the chain, each operation under its entry's key; what waits too long is told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chain.client import token_id
from chain.errors import Refused
from domain.base import Command
from domain.invoice import ReleaseReservation
from domain.party import COMPLIANCE
from domain.payment import RequestPayment
from domain.platform import AlarmRaised, ClearAlarm, RaiseAlarm
from domain.register_order import (
    FORCED_TRANSFER,
    RECOVERY,
    ApproveOrder,
    Content,
    ExpireOrder,
    OrderApproved,
    OrderProposed,
    ProposeOrder,
    RecordOrderExecuted,
    RecordOrderRefused,
    WithdrawOrder,
)
from domain.subject import (
    SUBJECT,
    BeginRecovery,
    FreezeSubject,
    MarkRefreshLapsed,
    MifidClassified,
    RecordClaimsIssued,
    RecordClaimsRevoked,
    RecordRecoveryRefused,
    ReissueRequested,
    RevocationRequested,
    StartGate,
    SubjectActivated,
    SubjectUnfrozen,
    UnfreezeSubject,
    WalletRequested,
    lapses_at,
)
from domain.token import (
    TOKEN,
    BeginForcedMove,
    LockRequested,
    LockToken,
    MintRequested,
    RecordForcedMove,
    RecordForcedMoveRefused,
    RecordLocked,
    RecordMinted,
    RecordUnlocked,
    ReleaseSlice,
    TokenMinted,
    UnlockRequested,
    UnlockToken,
)
from domain.trade import RecordChainRefusal, TradeCashMatched
from processes.process import NotYet
from providers.errors import Retryable
from tests.processes.outside import RECEIPT, Outside, asked, perform
from tests.processes.world import World, world_at
from tests.projections.story import INVESTOR, LENDER, NOW, PAYMENT, REFERENCE, TOKEN_REF, TRADE_ID

MLRO, DEPUTY = ("stf_mlro", COMPLIANCE), ("stf_deputy", COMPLIANCE)


def frozen(world: World, who: str = LENDER) -> World:
    world.do(FreezeSubject(subject=who, reason_code="LIST_HIT"), by=MLRO)
    return world


def test_a_revocation_stops_the_wallet_first() -> None:
    world = frozen(world_at("sub_lender active"))
    outside = Outside(world)
    commands = perform(world, "claims", "revoke", RevocationRequested, outside)
    position = world.last(RevocationRequested).position
    topics = world.look(SUBJECT, LENDER).claim_topics
    assert asked(outside) == [("chain.set_active", f"inactive:{position}", "0xLENDER", False),
                              ("chain.revoke_claims", f"revoke:{position}", "0xLENDER", topics)]
    assert commands == [RecordClaimsRevoked(subject=LENDER, wallet="0xLENDER", tx=("0xTX", "0xTX"))]
    world.do(*commands)
    assert world.look(SUBJECT, LENDER).claims == "REVOKED"


def test_claims_are_issued_again_before_the_wallet_is_active() -> None:
    world = frozen(world_at("sub_lender active"))
    world.do(RecordClaimsRevoked(subject=LENDER, wallet="0xLENDER", tx=("0x1",)))
    world.do(UnfreezeSubject(subject=LENDER), by=DEPUTY)
    outside = Outside(world)
    commands = perform(world, "claims", "reissue", ReissueRequested, outside)
    entry, subject = world.last(ReissueRequested), world.look(SUBJECT, LENDER)
    assert subject.claims_expire_at is not None
    assert asked(outside) == [
        ("chain.issue_claims", f"claims:{entry.position}", "0xLENDER", subject.claim_topics,
         int(subject.claims_expire_at.timestamp())),
        ("chain.set_active", f"active:{entry.position}", "0xLENDER", True)]
    assert commands == [RecordClaimsIssued(subject=LENDER, tx=("0xTX", "0xTX"))]


def test_a_refresh_lapses_when_its_grace_is_over() -> None:
    world = world_at("sub_lender active")
    over = lapses_at(world.look(SUBJECT, LENDER))
    with pytest.raises(NotYet) as wait:
        perform(world, "claims", "lapse", SubjectActivated, Outside(world, over - timedelta(seconds=1)))
    assert wait.value.due == over
    assert perform(world, "claims", "lapse", SubjectActivated, Outside(world, over)) == [
        MarkRefreshLapsed(subject=LENDER)]
    world.do(MarkRefreshLapsed(subject=LENDER), at=over)
    assert perform(world, "claims", "lapse", SubjectActivated, Outside(world, over)) == []


def test_a_file_at_its_last_gate_waits_for_the_end_of_a_freeze() -> None:
    world = world_at("sub_investor active")
    history = [entry for entry in world.entries if entry.resource == INVESTOR]
    world.states[SUBJECT.name, INVESTOR] = SUBJECT.initial
    for entry in history:
        if isinstance(entry.event, WalletRequested):
            break
        world.states[SUBJECT.name, INVESTOR] = SUBJECT.evolve(world.look(SUBJECT, INVESTOR), entry.event)
    assert world.look(SUBJECT, INVESTOR).stage == "MIFID_CLASSIFIED"
    frozen(world, INVESTOR)
    assert perform(world, "onboarding", "choose_wallet", MifidClassified, Outside(world)) == []
    world.do(UnfreezeSubject(subject=INVESTOR), by=DEPUTY)
    gate = StartGate(subject=INVESTOR, gate="wallet", wallet=f"0x{INVESTOR}")
    assert perform(world, "onboarding", "resume", SubjectUnfrozen, Outside(world)) == [gate]
    world.do(gate)
    assert perform(world, "onboarding", "resume", SubjectUnfrozen, Outside(world)) == []


def test_a_wallet_waits_for_what_is_under_way_on_it() -> None:
    world = frozen(world_at("sub_investor active"), INVESTOR)
    world.states[SUBJECT.name, INVESTOR] = SUBJECT.evolve(world.look(SUBJECT, INVESTOR),
                                                          SubjectUnfrozen(ordered_by="stf_deputy"))
    with pytest.raises(Retryable):
        perform(world, "onboarding", "choose_wallet", MifidClassified, Outside(world))


# ---------------------------------------------------------------- locks


def locked(world: World) -> World:
    world.do(LockToken(token=TOKEN_REF, reason_code="COURT_ORDER"), by=MLRO)
    return world


def test_a_lock_and_its_end_are_told_to_the_chain_neutrally() -> None:
    world = locked(world_at("listed"))
    outside = Outside(world)
    commands = perform(world, "locks", "lock", LockRequested, outside)
    assert commands == [RecordLocked(token=TOKEN_REF, tx="0xTX", block=7)]
    world.do(*commands)
    world.do(UnlockToken(token=TOKEN_REF, reason_code="RESOLVED"), by=DEPUTY)
    commands = perform(world, "locks", "unlock", UnlockRequested, outside)
    assert commands == [RecordUnlocked(token=TOKEN_REF, tx="0xTX", block=7)]
    first, last = world.last(LockRequested).position, world.last(UnlockRequested).position
    assert asked(outside) == [("chain.lock", f"lock:{first}", [77], "RESTRICTED"),
                              ("chain.unlock", f"unlock:{last}", [77], "RESTRICTED")]


def test_cash_for_a_locked_token_goes_back_without_asking_the_chain() -> None:
    world = locked(world_at("cash matched"))
    answers = world.reacts(next(entry for entry in world.entries if entry.event.tag == "invoice.cash_matched.1"))
    refund, released = answers["funding"]
    assert isinstance(refund, RequestPayment) and (refund.purpose, refund.payee) == ("refund", LENDER)
    assert released == ReleaseReservation(reference=REFERENCE, payment=PAYMENT, reason="withdrawn")
    world.do(released)


def test_cash_for_a_slice_of_a_locked_token_goes_back_and_the_slice_is_released() -> None:
    world = locked(world_at("trade cash matched"))
    expected: list[Command] = [RecordChainRefusal(trade=TRADE_ID, reason="TOKEN_LOCKED"),
                               ReleaseSlice(token=TOKEN_REF, index=2, trade=TRADE_ID)]
    assert world.reacts(world.last(TradeCashMatched)) == {"trading": expected}
    world.do(*expected)
    assert world.look(TOKEN, TOKEN_REF).slice(2).state == "LISTED"


# ---------------------------------------------------------------- a mint that waits


ALARM = f"mint_delayed:{TOKEN_REF}"


def test_a_mint_that_waits_longer_than_five_minutes_is_an_incident_until_it_is_done() -> None:
    world = world_at("mint ordered")
    late = NOW + timedelta(minutes=5, seconds=1)
    with pytest.raises(NotYet):
        perform(world, "issuance", "watch", MintRequested, Outside(world, NOW + timedelta(minutes=5)))
    raised = RaiseAlarm(alarm=ALARM, source="issuance", code="mint_delayed",
                        detail=f"{REFERENCE} waits for its token since {NOW}")
    assert perform(world, "issuance", "watch", MintRequested, Outside(world, late)) == [raised]
    entry, = world.do(raised)
    assert world.reacts(entry) == {}
    minted, = world.do(RecordMinted(token=TOKEN_REF, tx="0x1", block=1, contract="0xTOKEN"))
    clear = ClearAlarm(alarm=ALARM)
    assert world.reacts(minted)["issuance"][1:] == world.reacts(entry)["issuance"] == [clear]
    world.do(clear)
    assert len(world.reacts(minted)["issuance"]) == 1 and world.reacts(entry) == {}


def test_a_mint_that_was_done_in_time_is_no_incident() -> None:
    world = world_at("listed")
    assert perform(world, "issuance", "watch", MintRequested, Outside(world, NOW + timedelta(hours=1))) == []
    assert len(world.reacts(world.last(TokenMinted))["issuance"]) == 1
    other = world.do(RaiseAlarm(alarm="x", source="funding", code="wrong_state", detail="y"))[0]
    assert isinstance(other.event, AlarmRaised) and world.reacts(other) == {}


# ---------------------------------------------------------------- register orders

KEYS = ("propose_forced_transfer", "approve_forced_transfer", "propose_recovery", "approve_recovery",
        "withdraw_proposal")
ORD = "ord_1"


def ordered(world: World, content: Content, begin: Command) -> Outside:
    """Proposed and approved; what the chain answers is scripted by the test."""
    world.do(ProposeOrder(order=ORD, content=content), by=MLRO)
    world.do(ApproveOrder(order=ORD, content=content, content_sha256=content.sha256), begin, by=DEPUTY)
    return Outside(world).answers("_chain", **dict.fromkeys(KEYS, RECEIPT)).signed()


def forced(world: World) -> Outside:
    content = Content(kind=FORCED_TRANSFER, subject=LENDER, tokens=(TOKEN_REF,), from_wallet="0xLENDER", to=INVESTOR,
                      to_wallet="0xINVESTOR", reason_code="CORRECTION", face_pence=1_000_000)
    return ordered(world, content, BeginForcedMove(token=TOKEN_REF, order=ORD, slice_index=None, holder=LENDER,
                                                   to=INVESTOR, to_wallet="0xINVESTOR"))


def recovered(world: World) -> Outside:
    content = Content(kind=RECOVERY, subject=LENDER, tokens=(TOKEN_REF,), from_wallet="0xLENDER", to=LENDER,
                      to_wallet="0xNEW", reason_code="KEY_LOST")
    return ordered(world, content, BeginRecovery(subject=LENDER, order=ORD, from_wallet="0xLENDER", to_wallet="0xNEW"))


def test_a_forced_transfer_takes_one_key_and_then_another() -> None:
    world = world_at("disbursed")
    outside = forced(world)
    commands = perform(world, "register_orders", "carry_out", OrderApproved, outside)
    position = world.last(OrderApproved).position
    move = ("0xLENDER", "0xINVESTOR", token_id(TOKEN_REF), 1_000_000, "REGISTER_CORRECTION")
    assert asked(outside) == [
        ("chain.propose_forced_transfer", f"order:{position}", *move),
        ("chain.approve_forced_transfer", f"approve:{position}", f"order:{position}", *move)]
    assert commands == [RecordOrderExecuted(order=ORD, tx="0xTX", block=7),
                        RecordForcedMove(token=TOKEN_REF, order=ORD, tx="0xTX", block=7)]
    world.do(*commands)
    assert world.look(TOKEN, TOKEN_REF).holdings() == {INVESTOR: 1_000_000}


@pytest.mark.parametrize("refused_at", ["propose_forced_transfer", "approve_forced_transfer"])
def test_a_refused_forced_transfer_is_taken_back(refused_at: str) -> None:
    world = world_at("disbursed")
    outside = forced(world).answers("_chain", **{refused_at: Refused("RESTRICTED")})
    if refused_at.startswith("propose"):
        outside.answers("_chain", withdraw_proposal=Refused("NotProposed"))
    commands = perform(world, "register_orders", "carry_out", OrderApproved, outside)
    assert asked(outside)[-1][0] == "chain.withdraw_proposal"
    assert commands == [RecordOrderRefused(order=ORD, reason="RESTRICTED"),
                        RecordForcedMoveRefused(token=TOKEN_REF, order=ORD, reason="RESTRICTED")]
    world.do(*commands)
    assert world.look(TOKEN, TOKEN_REF).holdings() == {LENDER: 1_000_000}


def test_a_recovery_prepares_the_new_wallet_and_retires_the_old() -> None:
    world = world_at("disbursed")
    outside = recovered(world)
    commands = perform(world, "register_orders", "carry_out", OrderApproved, outside)
    assert [question[0] for question in asked(outside)] == [
        "chain.register_wallet", "chain.issue_claims", "chain.propose_recovery", "chain.approve_recovery"]
    world.do(*commands)
    assert world.look(SUBJECT, LENDER).wallet == "0xNEW"
    assert world.look(TOKEN, TOKEN_REF).slice(0).wallet == "0xNEW"


def test_a_refused_recovery_leaves_the_old_wallet_and_disables_the_new() -> None:
    world = world_at("disbursed")
    outside = recovered(world).answers("_chain", approve_recovery=Refused("TOKEN_LOCKED"))
    commands = perform(world, "register_orders", "carry_out", OrderApproved, outside)
    position = world.last(OrderApproved).position
    assert asked(outside)[-2:] == [("chain.withdraw_proposal", f"withdraw:{position}", f"order:{position}"),
                                   ("chain.set_active", f"inactive:{position}", "0xNEW", False)]
    world.do(*commands)
    assert (world.look(SUBJECT, LENDER).wallet, world.look(SUBJECT, LENDER).claims) == ("0xLENDER", "ISSUED")


def wallets(world: World, event: type[RevocationRequested | ReissueRequested]) -> list[str]:
    return [entry.event.wallet for entry in world.entries if isinstance(entry.event, event)]


def test_a_refused_preparation_ends_a_recovery_too() -> None:
    world = world_at("disbursed")
    outside = recovered(world).answers("_chain", issue_claims=Refused("INVALID_CLAIM"))
    commands = perform(world, "register_orders", "carry_out", OrderApproved, outside)
    assert commands == [RecordOrderRefused(order=ORD, reason="INVALID_CLAIM"),
                        RecordRecoveryRefused(subject=LENDER, order=ORD, reason="INVALID_CLAIM")]


def test_a_freeze_stops_the_lost_wallet_and_ends_the_recovery_that_waits() -> None:
    world = world_at("disbursed")
    outside = recovered(world).answers("_chain", withdraw_proposal=Refused("NOT_PROPOSED"),
                                       set_active=Refused("UNKNOWN_WALLET"))
    frozen(world)
    assert wallets(world, RevocationRequested) == ["0xLENDER"]
    commands = perform(world, "register_orders", "carry_out", OrderApproved, outside)
    assert "chain.register_wallet" not in [question[0] for question in asked(outside)]
    assert commands == [RecordOrderRefused(order=ORD, reason="RESTRICTED"),
                        RecordRecoveryRefused(subject=LENDER, order=ORD, reason="RESTRICTED")]
    world.do(*commands)
    world.do(*perform(world, "claims", "revoke", RevocationRequested, Outside(world)))
    world.do(UnfreezeSubject(subject=LENDER), by=DEPUTY)
    assert wallets(world, ReissueRequested) == ["0xLENDER"]


def test_what_the_second_key_has_signed_is_recorded_under_a_freeze_too() -> None:
    """Killed between the chain and the record: the chain has moved the tokens, so the log says so."""
    world = world_at("disbursed")
    outside = recovered(world)
    frozen(world)
    outside.signed(f"approve:{world.last(OrderApproved).position}")
    world.do(*perform(world, "register_orders", "carry_out", OrderApproved, outside))
    assert world.look(TOKEN, TOKEN_REF).slice(0).wallet == "0xNEW"
    assert wallets(world, RevocationRequested) == ["0xLENDER", "0xNEW"]
    world.do(RecordClaimsRevoked(subject=LENDER, wallet="0xLENDER", tx=("0x1",)))
    assert world.look(SUBJECT, LENDER).claims == "REVOKING", "the new wallet's are on their way"


def test_a_proposal_nobody_approves_expires() -> None:
    world = world_at("disbursed")
    content = Content(kind=RECOVERY, subject=LENDER, tokens=(TOKEN_REF,), from_wallet="0xLENDER", to=LENDER,
                      to_wallet="0xNEW", reason_code="KEY_LOST")
    world.do(ProposeOrder(order=ORD, content=content), by=MLRO)
    with pytest.raises(NotYet):
        perform(world, "register_orders", "expire", OrderProposed, Outside(world))
    over = Outside(world, NOW + timedelta(hours=4))
    assert perform(world, "register_orders", "expire", OrderProposed, over) == [ExpireOrder(order=ORD)]
    world.do(WithdrawOrder(order=ORD), by=MLRO)
    assert perform(world, "register_orders", "expire", OrderProposed, over) == []
