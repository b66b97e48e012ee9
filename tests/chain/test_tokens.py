"""The life of a token on a real chain, and every reason to refuse a move."""

import pytest

from chain.abi import artifact
from chain.client import Receivable, operation_ref, token_id
from chain.errors import Refused
from tests.chain.conftest import BASE_TOPICS, YEAR_SECONDS, World

FACE = 1_000_000
STALE_SECONDS = 27 * 3600
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def refusal(call, *arguments) -> str:
    with pytest.raises(Refused) as caught:
        call(*arguments)
    return caught.value.code


def assert_refused(world: World, sender: str, receiver: str, token: int, amount: int, code: str) -> None:
    """The read says it, and the chain does it."""
    world.chain.set_active(world.op("a block at the clock's time"), world.chain.platform_wallet, True)
    assert world.chain.can_transfer(sender, receiver, token, amount) == (False, code)
    before = world.chain.holders(token)
    assert refusal(world.chain.transfer, world.op("refused"), sender, receiver, token, amount) == code
    assert world.chain.holders(token) == before


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


def test_unknown_wallets_are_refused(world, lender, token):
    stranger = world.keys.custody_address("nobody registered this")
    assert_refused(world, lender, stranger, token, 10, "RECEIVER_NOT_VERIFIED")
    assert_refused(world, stranger, lender, token, 10, "SENDER_NOT_VERIFIED")


@pytest.mark.parametrize(
    ("topics", "code"),
    [
        (("AML_CLEARED", "JURISDICTION_UK"), "KYC_VERIFIED_MISSING"),
        (("KYC_VERIFIED", "JURISDICTION_UK"), "AML_CLEARED_MISSING"),
        (("KYC_VERIFIED", "AML_CLEARED"), "JURISDICTION_UK_MISSING"),
    ],
)
def test_a_receiver_without_a_claim_is_refused(world, lender, token, topics, code):
    assert_refused(world, lender, world.wallet("lender", topics), token, 10, code)


def test_an_investor_needs_one_mifid_category(world, lender, token):
    assert_refused(world, lender, world.wallet("investor"), token, 10, "MIFID_CATEGORY_MISSING")
    for category in ("MIFID_PROFESSIONAL", "MIFID_ECP"):
        investor = world.wallet("investor", (*BASE_TOPICS, category))
        assert world.chain.can_transfer(lender, investor, token, 10) == (True, "")


def test_a_locked_token_does_not_move(world, lender, token):
    other = world.wallet()
    world.chain.lock(world.op("lock"), [token], "OBLIGOR_INSOLVENT")
    assert_refused(world, lender, other, token, 10, "TOKEN_LOCKED")
    world.chain.unlock(world.op("unlock"), [token])
    assert world.chain.can_transfer(lender, other, token, 10) == (True, "")


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


def test_an_older_claim_cannot_replace_a_newer_one(world):
    wallet = world.wallet()
    old = world.chain._claim_data(wallet, "KYC_VERIFIED", world.clock.now + YEAR_SECONDS)
    assert callable(old)
    delayed = old()
    world.clock.forward(60)
    world.chain.sanctions_heartbeat(world.op("mine"), bytes(32))
    world.chain.issue_claims(world.op("renewal"), wallet, ["KYC_VERIFIED"], world.clock.now + YEAR_SECONDS)
    identity = world.chain.deployment().identity_of(wallet)
    assert refusal(world.chain.journal.run, world.op(), "admin", identity, delayed, 600_000) == "OLDER_CLAIM"


def test_a_revoked_claim_stays_revoked_and_a_bent_signature_is_none(world, lender, token):
    wallet, run = world.wallet(), world.chain.journal.run
    deployment = world.chain.deployment()
    identity, issuer = deployment.identity_of(wallet), deployment["FXClaimIssuer"]
    build = world.chain._claim_data(wallet, "KYC_VERIFIED", world.clock.now + YEAR_SECONDS + 1)
    assert callable(build)
    contract = world.chain._w3.eth.contract(abi=artifact("FXIdentity")["abi"])
    _, claim = contract.decode_function_input(build())

    signature = claim["signature"]
    high_s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    bent = signature[:32] + high_s.to_bytes(32, "big") + bytes([signature[64] ^ 7])  # 27 and 28 change places
    arguments = (claim["topic"], 1, issuer, bent, claim["data"], "")
    data = world.chain._encode("FXIdentity", "addClaim", arguments)
    assert refusal(run, world.op(), "admin", identity, data, 600_000) == "INVALID_CLAIM"

    run(world.op(), "admin", identity, build(), 600_000)
    digest = world.chain._read("FXClaimIssuer", "digest", identity, claim["topic"], claim["data"])
    revoke = world.chain._encode("FXClaimIssuer", "revoke", (digest,))
    run(world.op(), "registrar", issuer, revoke, 100_000)
    assert_refused(world, lender, wallet, token, 10, "KYC_VERIFIED_MISSING")
    assert refusal(run, world.op(), "admin", identity, build(), 600_000) == "INVALID_CLAIM"


def test_claims_need_a_registered_wallet(world):
    nobody = world.keys.custody_address("never registered")
    code = refusal(world.chain.issue_claims, world.op(), nobody, BASE_TOPICS, world.clock.now + 60)
    assert code == "UNKNOWN_WALLET"


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


def test_a_reference_moves_value_once(world, lender, token):
    other = world.wallet()
    world.chain.transfer("once", lender, other, token, 10)
    arguments = (lender, other, token, 10, operation_ref("once"))
    data = world.chain._encode("FXReceivableToken", "transferWithRef", arguments)
    address = world.chain.deployment()["FXReceivableToken"]
    assert refusal(world.chain.journal.run, world.op(), "operator", address, data, 900_000) == "DUPLICATE_REF"
    assert world.chain.balance(other, token) == 10


def test_every_role_has_its_own_key(world):
    data = world.chain._encode("FXReceivableToken", "mint", (world.chain.platform_wallet, 1, 1))
    address = world.chain.deployment()["FXReceivableToken"]
    for role in ("admin", "registrar", "oracle", "anchorer", "locker", "pauser"):
        code = refusal(world.chain.journal.run, world.op(), role, address, data, 700_000)
        assert code == "ACCESS_CONTROL_UNAUTHORIZED_ACCOUNT"


NO_CODE, REVERTS, ONE_WORD = "0x", "0xfe", "0x60206000f3"
BROKEN = [
    *(("FXSanctionsRule", code, "RULE_UNAVAILABLE") for code in (NO_CODE, REVERTS, ONE_WORD)),
    *(("FXJurisdictionRule", code, "RULE_UNAVAILABLE") for code in (NO_CODE, REVERTS, ONE_WORD)),
    *(("FXComplianceModularised", code, "COMPLIANCE_UNAVAILABLE") for code in (NO_CODE, REVERTS, ONE_WORD)),
    *(("FXIdentityRegistry", code, "COMPLIANCE_UNAVAILABLE") for code in (NO_CODE, REVERTS)),
]


@pytest.mark.parametrize(("contract", "code", "refused_as"), BROKEN)
def test_a_broken_rule_refuses(world, lender, token, contract, code, refused_as):
    other = world.wallet()
    address = world.chain.deployment()[contract]
    original = world.rpc("eth_getCode", address, "latest")
    world.rpc("anvil_setCode", address, code)
    try:
        assert world.chain.can_transfer(lender, other, token, 10) == (False, refused_as)
        assert refusal(world.chain.transfer, world.op(), lender, other, token, 10) == refused_as
        assert refusal(world.chain.mint, world.op(), token_id("broken"), 5) == refused_as
    finally:
        world.rpc("anvil_setCode", address, original)
    assert world.chain.can_transfer(lender, other, token, 10) == (True, "")


def test_an_identity_address_is_known_without_the_chain(world):
    wallet = world.wallet(topics=())
    on_chain = world.chain._read("FXIdentityRegistry", "identity", wallet)
    assert world.chain.deployment().identity_of(wallet) == on_chain
