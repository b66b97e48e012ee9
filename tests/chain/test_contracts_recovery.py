"""Forced transfers and lost wallets: two keys, the very same content, and the rules run."""

import hashlib

import pytest
from eth_utils.crypto import keccak

from chain import orders
from chain.client import WalletRole, operation_ref, token_id
from chain.errors import Refused
from tests.chain.conftest import BASE_TOPICS, YEAR_SECONDS, World
from tests.chain.refusals import block_at_the_clocks_time, events, refusal

FACE = 1_000_000
WEEK_SECONDS = 7 * 86400
LIMIT = 64
REASON = "REGISTER_ORDER"
MOST_GAS_OF_A_TRANSACTION = 2**24  # EIP-7825


def wallet_of(world: World, subject: str, role: WalletRole = "lender", topics=BASE_TOPICS) -> str:
    """Registers another wallet of a subject."""
    op = world.op("wallet")
    wallet = world.keys.custody_address(op)
    world.chain.register_wallet(op, wallet, role, hashlib.sha256(subject.encode()).digest())
    if topics:
        world.chain.issue_claims(f"{op}:claims", wallet, topics, world.clock.now + YEAR_SECONDS)
    return wallet


def held_by(world: World, wallet: str) -> int:
    """A whole receivable in a wallet."""
    token = world.token(FACE)
    world.chain.transfer(world.op("fund"), world.chain.platform_wallet, wallet, token, FACE)
    return token


@pytest.fixture
def holder(world) -> str:
    return world.wallet()


@pytest.fixture
def other(world) -> str:
    return world.wallet()


@pytest.fixture
def token(world, holder) -> int:
    return held_by(world, holder)


@pytest.fixture
def proposed(world, holder, other, token) -> str:
    op = world.op("proposal")
    world.chain.propose_forced_transfer(op, holder, other, token, FACE, REASON)
    return op


def test_a_forced_transfer_takes_two_keys(world, holder, other, token):
    proposal = world.op("proposal")
    content = (holder, other, token, FACE, REASON)
    receipt = world.chain.propose_forced_transfer(proposal, *content)
    [said] = events(world, "FXRecovery", "OrderProposed", receipt)
    assert said["ref"] == operation_ref(proposal) and said["proposer"] == world.keys.address("recovery_proposer")
    assert said["expiresAt"] == world.clock.now + WEEK_SECONDS
    assert world.chain.holders(token) == {holder: FACE}

    receipt = world.chain.approve_forced_transfer(world.op("approval"), proposal, *content)
    assert world.chain.holders(token) == {other: FACE}
    [said] = events(world, "FXRecovery", "OrderExecuted", receipt)
    assert said["approver"] == world.keys.address("recovery_approver")
    again = refusal(world.chain.approve_forced_transfer, world.op("again"), proposal, *content)
    assert again == "NOT_PROPOSED" and world.chain.holders(token) == {other: FACE}


def test_the_second_key_approves_the_very_same_content(world, holder, other, token, proposed):
    third, another = world.wallet(), held_by(world, holder)
    for content in (
        (holder, third, token, FACE, REASON),
        (third, other, token, FACE, REASON),
        (holder, other, another, FACE, REASON),
        (holder, other, token, FACE - 1, REASON),
        (holder, other, token, FACE, "REGISTER_CORRECTION"),
    ):
        code = refusal(world.chain.approve_forced_transfer, world.op("approval"), proposed, *content)
        assert code == "OTHER_CONTENT"
    code = refusal(world.chain.approve_recovery, world.op("approval"), proposed, holder, other, [token])
    assert code == "OTHER_CONTENT"
    assert world.chain.holders(token) == {holder: FACE}


def test_a_proposal_expires(world, holder, other, token, proposed):
    world.clock.forward(WEEK_SECONDS - 1)
    world.chain.sanctions_heartbeat(world.op("heartbeat"), bytes(32))
    late = (proposed, holder, other, token, FACE, REASON)
    in_time = world.op("proposal in time")
    world.chain.propose_forced_transfer(in_time, holder, other, token, FACE, REASON)
    world.clock.forward(1)
    assert refusal(world.chain.approve_forced_transfer, world.op("late"), *late) == "PROPOSAL_EXPIRED"
    world.clock.forward(WEEK_SECONDS - 2)
    world.chain.sanctions_heartbeat(world.op("heartbeat"), bytes(32))
    world.chain.approve_forced_transfer(world.op("in time"), in_time, holder, other, token, FACE, REASON)
    assert world.chain.holders(token) == {other: FACE}


def test_the_proposer_takes_a_proposal_back(world, holder, other, token, proposed):
    world.chain.withdraw_proposal(world.op("withdraw"), proposed)
    late = (proposed, holder, other, token, FACE, REASON)
    assert refusal(world.chain.approve_forced_transfer, world.op("late"), *late) == "NOT_PROPOSED"
    assert refusal(world.chain.withdraw_proposal, world.op("withdraw"), proposed) == "NOT_PROPOSED"
    assert refusal(world.chain.withdraw_proposal, world.op("withdraw"), "never proposed") == "NOT_PROPOSED"


def send(world: World, op: str, role, method: str, *arguments) -> None:
    data = world.chain._encode("FXRecovery", method, arguments)
    world.chain.journal.run(op, role, world.chain.deployment()["FXRecovery"], data, 1_000_000)


def test_a_reference_is_proposed_once(world, holder, other, token, proposed):
    order = orders.forced_transfer(holder, other, token, FACE, REASON, operation_ref(proposed))
    assert refusal(send, world, world.op(), "recovery_proposer", "propose", order) == "DUPLICATE_REF"
    world.chain.withdraw_proposal(world.op("withdraw"), proposed)
    assert refusal(send, world, world.op(), "recovery_proposer", "propose", order) == "DUPLICATE_REF"
    nameless = order._replace(ref=bytes(32))
    assert refusal(send, world, world.op(), "recovery_proposer", "propose", nameless) == "DUPLICATE_REF"


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": b"SANCTIONS_HIT".ljust(32, b"\0")},
        {"reason": bytes(32)},
        {"reason": b"WALLET_REPLACED".ljust(32, b"\0")},
        {"amount_pence": 0},
        {"token_ids": ()},
        {"token_ids": (1, 2)},
        {"kind": 1},
        {"kind": 1, "amount_pence": 0},
        {"kind": 1, "amount_pence": 0, "reason": b"WALLET_REPLACED".ljust(32, b"\0"), "token_ids": ()},
        {"kind": 1, "amount_pence": 0, "reason": b"WALLET_REPLACED".ljust(32, b"\0"), "token_ids": (1,) * 65},
    ],
)
def test_an_order_fits_its_kind_and_gives_a_neutral_reason(world, holder, other, changes):
    order = orders.forced_transfer(holder, other, 1, FACE, REASON, operation_ref(world.op()))._replace(**changes)
    assert refusal(send, world, world.op(), "recovery_proposer", "propose", order) == "BAD_ORDER"


def test_no_key_ever_holds_both_roles(fresh_world):
    chain, keys = fresh_world.chain, fresh_world.keys
    chain.deploy()
    for number, (role, key) in enumerate(
        (("RECOVERY_PROPOSER_ROLE", "recovery_approver"), ("RECOVERY_APPROVER_ROLE", "recovery_proposer"))
    ):
        grant = (keccak(text=role), keys.address(key))
        assert refusal(send, fresh_world, f"grant {number}", "admin", "grantRole", *grant) == "SAME_KEY"


def test_a_proposer_that_became_an_approver_cannot_approve_its_own_proposal(fresh_world):
    world, chain = fresh_world, fresh_world.chain
    chain.deploy()
    holder, other = world.wallet(), world.wallet()
    token = held_by(world, holder)
    proposer = world.keys.address("recovery_proposer")
    chain.propose_forced_transfer("proposal", holder, other, token, FACE, REASON)
    send(world, "take", "admin", "revokeRole", keccak(text="RECOVERY_PROPOSER_ROLE"), proposer)
    send(world, "grant", "admin", "grantRole", keccak(text="RECOVERY_APPROVER_ROLE"), proposer)
    order = orders.forced_transfer(holder, other, token, FACE, REASON, operation_ref("proposal"))
    assert refusal(send, world, "approve", "recovery_proposer", "approve", order) == "SAME_KEY"
    assert chain.holders(token) == {holder: FACE}


def test_the_rules_refuse_and_the_proposal_is_approved_when_the_cause_is_gone(world, holder, other, token, proposed):
    chain, content = world.chain, (proposed, holder, other, token, FACE, REASON)
    year = world.clock.now + YEAR_SECONDS
    hindrances = (
        ("TOKEN_LOCKED", chain.lock, ([token], "OBLIGOR_INSOLVENT"), chain.unlock, ([token], "OBLIGOR_SOLVENT")),
        ("RESTRICTED", chain.set_sanctioned, (other, True), chain.set_sanctioned, (other, False)),
        ("RESTRICTED", chain.set_sanctioned, (holder, True), chain.set_sanctioned, (holder, False)),
        ("RESTRICTED", chain.set_active, (holder, False), chain.set_active, (holder, True)),
        ("PAUSED", chain.set_paused, (True,), chain.set_paused, (False,)),
        ("AML_CLEARED_MISSING", chain.revoke_claims, (other, ["AML_CLEARED"]),
         chain.issue_claims, (other, ["AML_CLEARED"], year)),
    )
    for code, begin, how, end, back in hindrances:
        begin(world.op("begin"), *how)
        assert refusal(chain.approve_forced_transfer, world.op("refused"), *content) == code
        assert chain.holders(token) == {holder: FACE}
        end(world.op("end"), *back)
    chain.approve_forced_transfer(world.op("approval"), *content)
    assert chain.holders(token) == {other: FACE}


def test_a_part_moves_only_when_the_receivable_was_split(world, holder, other, token):
    for split, code in ((False, "NOT_FRACTIONALISED"), (True, "")):
        if split:
            world.chain.fractionalise(world.op("split"), token, [FACE // 2, FACE // 2])
        proposal, content = world.op("proposal"), (holder, other, token, FACE // 2, REASON)
        world.chain.propose_forced_transfer(proposal, *content)
        approve = (world.op("approval"), proposal, *content)
        if code:
            assert refusal(world.chain.approve_forced_transfer, *approve) == code
        else:
            world.chain.approve_forced_transfer(*approve)
            assert world.chain.holders(token) == {holder: FACE // 2, other: FACE // 2}


def test_a_lost_wallet_is_replaced_whole(world):
    chain = world.chain
    lost, new, buyer = wallet_of(world, "ada"), wallet_of(world, "ada"), world.wallet()
    whole, sliced, kept = held_by(world, lost), held_by(world, lost), held_by(world, buyer)
    chain.fractionalise(world.op("split"), sliced, [FACE // 4, FACE - FACE // 4])
    chain.transfer(world.op("slice"), lost, buyer, sliced, FACE // 4)

    proposal = world.op("recovery")
    chain.propose_recovery(proposal, lost, new, [whole, sliced])
    receipt = chain.approve_recovery(world.op("approval"), proposal, lost, new, [whole, sliced])
    assert chain.holders(whole) == {new: FACE}
    assert chain.holders(sliced) == {buyer: FACE // 4, new: FACE - FACE // 4}
    assert chain.holders(kept) == {buyer: FACE}
    [said] = events(world, "FXIdentityRegistry", "IdentityStatus", receipt)
    assert said == {"wallet": lost, "active": False}
    block_at_the_clocks_time(world)
    assert chain.can_transfer(buyer, lost, kept, FACE) == (False, "RESTRICTED")
    chain.transfer(world.op("trade"), new, buyer, whole, FACE)


@pytest.mark.parametrize(
    ("subject", "role", "topics", "code"),
    [
        ("somebody else", "lender", BASE_TOPICS, "OTHER_SUBJECT"),
        ("ada", "sme_seller", BASE_TOPICS, "OTHER_SUBJECT"),
        ("ada", "lender", (), "KYC_VERIFIED_MISSING"),
    ],
)
def test_only_a_verified_wallet_of_the_same_subject_takes_over(world, subject, role, topics, code):
    lost, new = wallet_of(world, "ada"), wallet_of(world, subject, role, topics)
    token = held_by(world, lost)
    proposal = world.op("proposal")
    world.chain.propose_recovery(proposal, lost, new, [token])
    assert refusal(world.chain.approve_recovery, world.op(), proposal, lost, new, [token]) == code
    assert world.chain.holders(token) == {lost: FACE}


def test_a_recovery_is_whole_or_nothing(world):
    chain = world.chain
    lost, new = wallet_of(world, "ada"), wallet_of(world, "ada")
    free, locked = held_by(world, lost), held_by(world, lost)
    chain.lock(world.op("lock"), [locked], "OBLIGOR_INSOLVENT")
    for listed, code in (([free, locked], "TOKEN_LOCKED"), ([free, free], "INSUFFICIENT_FACE"),
                         ([free, token_id("never minted")], "TOKEN_NOT_LIVE")):
        proposal = world.op("proposal")
        chain.propose_recovery(proposal, lost, new, listed)
        assert refusal(chain.approve_recovery, world.op("approval"), proposal, lost, new, listed) == code
        assert chain.holders(free) == chain.holders(locked) == {lost: FACE}
        block_at_the_clocks_time(world)
        assert chain.can_transfer(lost, new, free, FACE) == (True, "")


@pytest.mark.parametrize("new", ["the lost one", "nobody"])
def test_a_wallet_is_replaced_by_another_registered_one(world, holder, token, new):
    replacement = holder if new == "the lost one" else world.keys.custody_address("never registered")
    proposal = world.op("proposal")
    world.chain.propose_recovery(proposal, holder, replacement, [token])
    with pytest.raises(Refused, match="OTHER_SUBJECT"):
        world.chain.approve_recovery(world.op(), proposal, holder, replacement, [token])


def test_the_longest_order_fits_a_transaction(world):
    """Every move costs about the same, so eight tell what the longest list takes."""
    lost, new = (wallet_of(world, "ada", "investor", (*BASE_TOPICS, "MIFID_ECP")) for _ in range(2))
    listed = [held_by(world, lost) for _ in range(8)]
    gas = []
    for part in (listed[:1], listed[1:]):
        proposal = world.op("proposal")
        world.chain.propose_recovery(proposal, lost, new, part)
        gas.append(world.chain.approve_recovery(world.op("approval"), proposal, lost, new, part).gas_used)
        world.chain.set_active(world.op("found"), lost, True)
    each = (gas[1] - gas[0]) // 6
    assert gas[0] + (LIMIT - 1) * each < MOST_GAS_OF_A_TRANSACTION
