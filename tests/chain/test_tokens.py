"""The life of a token on a real chain."""

import pytest

from chain.abi import word
from chain.client import Receivable, operation_ref, token_id
from tests.chain.conftest import BASE_TOPICS
from tests.chain.refusals import assert_refused, events, refusal

FACE = 1_000_000
STALE_SECONDS = 27 * 3600


@pytest.fixture
def lender(world) -> str:
    return world.wallet("lender")


@pytest.fixture
def token(world, lender) -> int:
    """A receivable the lender holds, split in two."""
    token = world.token(FACE)
    world.chain.transfer(world.op("fund"), world.chain.platform_wallet, lender, token, FACE)
    world.chain.fractionalise(world.op("split"), token, [FACE // 4, FACE - FACE // 4])
    return token


def test_a_token_from_mint_to_burn(world):
    chain = world.chain
    lender, investor = world.wallet("lender"), world.wallet("investor", (*BASE_TOPICS, "MIFID_ECP"))
    token = token_id("TOK-0001")
    assert chain.receivable(token) == Receivable(0, "none", False)

    chain.mint("story:mint", token, FACE)
    assert chain.holders(token) == {chain.platform_wallet: FACE}
    chain.transfer("story:fund", chain.platform_wallet, lender, token, FACE)
    assert chain.holders(token) == {lender: FACE}
    chain.fractionalise("story:split", token, [200_000] * 5)
    chain.transfer("story:slice", lender, investor, token, 200_000)
    assert chain.holders(token) == {lender: 800_000, investor: 200_000}
    assert chain.balance(investor, token) == 200_000
    assert chain.receivable(token) == Receivable(FACE, "live", True)

    chain.burn("story:burn", token)
    assert chain.holders(token) == {}
    assert chain.receivable(token).status == "burned"
    assert refusal(chain.mint, "story:again", token, FACE) == "TOKEN_ID_USED"
    assert refusal(chain.burn, "story:burn-again", token) == "NOT_LIVE"


def test_a_receipt_names_the_block_and_carries_the_platform_time(world):
    world.clock.forward(1_000)
    receipt = world.chain.mint("receipt:mint", token_id("TOK-RECEIPT"), 5)
    assert receipt.block_time == world.clock.now == world.chain.block_time()
    assert len(receipt.tx_hash) == 66 and receipt.gas_used > 21_000
    assert world.chain.mint("receipt:mint", token_id("TOK-RECEIPT"), 5) == receipt


def test_a_locked_token_does_not_move(world, lender, token):
    other = world.wallet()
    world.chain.lock(world.op("lock"), [token], "OBLIGOR_INSOLVENT")
    assert_refused(world, lender, other, token, 10, "TOKEN_LOCKED")
    world.chain.unlock(world.op("unlock"), [token], "OBLIGOR_SOLVENT")
    assert world.chain.can_transfer(lender, other, token, 10) == (True, "")


def test_a_locked_token_is_burned_when_the_debtor_paid(world, token):
    world.chain.lock(world.op("lock"), [token], "OBLIGOR_INSOLVENT")
    world.chain.burn(world.op("burn"), token)
    assert world.chain.holders(token) == {} and world.chain.receivable(token).status == "burned"


def test_a_lock_and_its_end_say_why_and_under_which_operation(world, token):
    for event, change, reason in (
        ("TokenLocked", world.chain.lock, "OBLIGOR_INSOLVENT"),
        ("TokenUnlocked", world.chain.unlock, "OBLIGOR_SOLVENT"),
    ):
        op = world.op("lock")
        receipt = change(op, [token], reason)
        [said] = events(world, "FXLockupRule", event, receipt)
        assert said == {"tokenId": token, "reason": word(reason), "ref": operation_ref(op)}
        assert refusal(change, world.op("no reason"), [token], "") == "ZERO_REASON"


def test_sanctioned_and_inactive_wallets_get_one_neutral_code(world, lender, token):
    other = world.wallet()
    world.chain.set_sanctioned(world.op("restrict"), other, True)
    assert_refused(world, lender, other, token, 10, "RESTRICTED")
    world.chain.set_sanctioned(world.op("lift"), other, False)
    assert world.chain.can_transfer(lender, other, token, 10) == (True, "")

    world.chain.set_active(world.op("suspend"), other, False)
    assert_refused(world, lender, other, token, 10, "RESTRICTED")
    world.chain.set_active(world.op("resume"), other, True)
    world.chain.set_sanctioned(world.op("restrict"), lender, True)
    assert_refused(world, lender, other, token, 10, "RESTRICTED")


def test_stale_screening_refuses_everybody(world, lender, token):
    other = world.wallet()
    world.clock.forward(STALE_SECONDS)
    assert_refused(world, lender, other, token, 10, "SCREENING_STALE")
    world.chain.sanctions_heartbeat(world.op("heartbeat"), bytes(32))
    assert world.chain.can_transfer(lender, other, token, 10) == (True, "")


def test_an_expired_claim_counts_for_nothing(world, lender, token):
    op = world.op("short")
    wallet = world.keys.custody_address(op)
    world.chain.register_wallet(op, wallet, "lender", bytes(32))
    world.chain.issue_claims(f"{op}:claims", wallet, BASE_TOPICS, world.clock.now + 3600)
    assert world.chain.can_transfer(lender, wallet, token, 10) == (True, "")
    world.clock.forward(3600)
    assert_refused(world, lender, wallet, token, 10, "KYC_VERIFIED_MISSING")


def test_face_must_be_there_and_split_before_parts_move(world, lender, token):
    other = world.wallet()
    assert_refused(world, lender, other, token, FACE + 1, "INSUFFICIENT_FACE")
    assert_refused(world, lender, other, token, 0, "INSUFFICIENT_FACE")
    whole = world.token(500)
    assert_refused(world, world.chain.platform_wallet, other, whole, 499, "NOT_FRACTIONALISED")
    assert refusal(world.chain.fractionalise, world.op(), whole, [250, 251]) == "BAD_SLICES"
    assert refusal(world.chain.fractionalise, world.op(), token, [1, FACE - 1]) == "BAD_SLICES"
    assert world.chain.can_transfer(lender, other, token_id("never minted"), 1) == (False, "TOKEN_NOT_LIVE")


def test_a_pause_stops_mints_and_transfers_and_not_burns(world, lender, token):
    other = world.wallet()
    world.chain.set_paused(world.op("pause"), True)
    try:
        assert_refused(world, lender, other, token, 10, "PAUSED")
        assert refusal(world.chain.mint, world.op(), token_id("paused"), 5) == "PAUSED"
        world.chain.burn(world.op("burn"), token)
    finally:
        world.chain.set_paused(world.op("resume"), False)


def test_a_mint_is_judged_as_a_transfer_is(world):
    """The platform mints to its own wallet, but a stolen key could name another."""
    address = world.chain.deployment()["FXReceivableToken"]

    def mint(wallet: str, token: int):
        data = world.chain._encode("FXReceivableToken", "mint", (wallet, token, 5))
        return world.chain.journal.run(world.op(), "minter", address, data, 700_000)

    token = token_id("minted to an investor")
    assert refusal(mint, world.wallet("investor"), token) == "MIFID_CATEGORY_MISSING"
    qualified = world.wallet("investor", (*BASE_TOPICS, "MIFID_PROFESSIONAL"))
    mint(qualified, token)
    assert world.chain.balance(qualified, token) == 5


def test_a_reference_moves_value_once(world, lender, token):
    other = world.wallet()
    world.chain.transfer("once", lender, other, token, 10)
    arguments = (lender, other, token, 10, operation_ref("once"))
    data = world.chain._encode("FXReceivableToken", "transferWithRef", arguments)
    address = world.chain.deployment()["FXReceivableToken"]
    assert refusal(world.chain.journal.run, world.op(), "operator", address, data, 900_000) == "DUPLICATE_REF"
    assert world.chain.balance(other, token) == 10


def test_an_identity_address_is_known_without_the_chain(world):
    wallet = world.wallet(topics=())
    on_chain = world.chain._read("FXIdentityRegistry", "identity", wallet)
    assert world.chain.deployment().identity_of(wallet) == on_chain
