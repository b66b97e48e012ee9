"""Claims are issued, read, revoked and issued again; nothing that was revoked or replaced comes back."""

import pytest
from eth_utils.crypto import keccak

from chain.abi import artifact
from chain.claims import TOPICS, Claim, encode_data, topic_number
from chain.client import operation_ref
from tests.chain.conftest import BASE_TOPICS, YEAR_SECONDS, World
from tests.chain.refusals import block_at_the_clocks_time, events, refusal

GAS = 600_000
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KYC = "KYC_VERIFIED"


@pytest.fixture
def wallet(world) -> str:
    return world.wallet()


def signed(world: World, wallet: str, expires_in: int = YEAR_SECONDS) -> bytes:
    """The delivery of a claim signed now, under an operation of its own."""
    build = world.chain._claim_data(world.op("claim"), wallet, KYC, world.clock.now + expires_in)
    assert callable(build)
    return build()


def deliver(world: World, wallet: str, delivery: bytes) -> None:
    """Anybody may deliver a claim; here the admin key does."""
    world.chain.journal.run(world.op("deliver"), "admin", world.chain.deployment().identity_of(wallet), delivery, GAS)


def parts(world: World, delivery: bytes) -> dict:
    contract = world.chain._w3.eth.contract(abi=artifact("FXIdentity")["abi"])
    return contract.decode_function_input(delivery)[1]


def rewritten(world: World, delivery: bytes, **changes) -> bytes:
    """The delivery with other parts."""
    return world.chain._encode("FXIdentity", "addClaim", tuple((parts(world, delivery) | changes).values()))


def bent(signature: bytes) -> bytes:
    """The other signature the curve allows for the same digest."""
    high_s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + high_s.to_bytes(32, "big") + bytes([signature[64] ^ 7])  # 27 and 28 change places


def test_the_topics_are_those_of_the_contracts(world):
    published = {*world.chain._read("FXClaimsTopicRegistry", "requiredTopics"),
                 *world.chain._read("FXClaimsTopicRegistry", "investorTopics")}
    assert published == {topic_number(topic) for topic in TOPICS}
    with pytest.raises(ValueError, match="unknown claim topic"):
        topic_number("KYC")


def test_claims_are_read_as_they_were_issued(world):
    wallet = world.wallet(topics=())
    assert world.chain.claims(wallet) == {}
    expires_at = world.clock.now + 3600
    op = world.op("reading")
    world.chain.issue_claims(op, wallet, BASE_TOPICS, expires_at)
    issued_at = world.chain.block_time()
    assert world.chain.claims(wallet) == {
        topic: Claim(True, issued_at, expires_at, operation_ref(f"{op}:{topic}")) for topic in BASE_TOPICS
    }
    world.clock.forward(3600)
    block_at_the_clocks_time(world)
    assert not any(claim.valid for claim in world.chain.claims(wallet).values())


def test_a_claim_can_be_read_in_the_shape_of_erc_735(world, wallet):
    delivery = signed(world, wallet)
    deliver(world, wallet, delivery)
    sent, issuer = parts(world, delivery), world.chain.deployment()["FXClaimIssuer"]
    identity = world.chain._w3.eth.contract(
        address=world.chain.deployment().identity_of(wallet), abi=artifact("FXIdentity")["abi"]
    )
    claim_id = keccak(bytes.fromhex(issuer[2:].rjust(64, "0")) + sent["topic"].to_bytes(32, "big"))
    assert identity.functions.getClaim(claim_id).call() == [
        sent["topic"], 1, issuer, sent["signature"], sent["data"], ""
    ]
    nothing = identity.functions.getClaim(bytes(32)).call()
    assert nothing == [0, 0, "0x" + "0" * 40, b"", b"", ""]


def test_revoked_claims_do_not_count_and_new_ones_do_at_once(world, wallet):
    """All in one second: the clock stands still."""
    chain, expires_at = world.chain, world.clock.now + YEAR_SECONDS
    chain.revoke_claims(world.op("revoke"), wallet, [KYC, "AML_CLEARED"])
    assert {topic for topic, claim in chain.claims(wallet).items() if claim.valid} == {"JURISDICTION_UK"}
    for attempt in range(3):
        chain.issue_claims(world.op("again"), wallet, [KYC, "AML_CLEARED"], expires_at - attempt)
        assert all(claim.valid for claim in chain.claims(wallet).values())
        if attempt < 2:
            chain.revoke_claims(world.op("revoke"), wallet, [KYC])
            assert not chain.claims(wallet)[KYC].valid


def test_the_same_operation_revokes_nothing_it_did_not_revoke_the_first_time(world, wallet):
    op = world.op("revoke")
    first = world.chain.revoke_claims(op, wallet, [KYC])
    world.chain.issue_claims(world.op("after"), wallet, [KYC], world.clock.now + YEAR_SECONDS)
    assert world.chain.revoke_claims(op, wallet, [KYC]) == first
    assert world.chain.claims(wallet)[KYC].valid


def test_revoking_says_the_digests_and_nothing_for_a_topic_without_a_claim(world, wallet):
    receipt = world.chain.revoke_claims(world.op("revoke"), wallet, TOPICS)
    assert len(events(world, "FXClaimIssuer", "ClaimRevoked", receipt)) == len(BASE_TOPICS)
    empty = world.chain.revoke_claims(world.op("revoke"), wallet, ["MIFID_ECP"])
    assert events(world, "FXClaimIssuer", "ClaimRevoked", empty) == []


def test_claims_need_a_registered_wallet(world):
    nobody = world.keys.custody_address("never registered")
    assert refusal(world.chain.issue_claims, world.op(), nobody, BASE_TOPICS, world.clock.now + 60) == "UNKNOWN_WALLET"
    assert refusal(world.chain.revoke_claims, world.op(), nobody, BASE_TOPICS) == "UNKNOWN_WALLET"
    assert refusal(world.chain.claims, nobody) == "UNKNOWN_WALLET"


@pytest.mark.parametrize("revoked", [False, True], ids=["the newer one counts", "the newer one is revoked"])
def test_a_valid_older_claim_never_replaces_a_newer_one(world, wallet, revoked):
    older = signed(world, wallet, 2 * YEAR_SECONDS)
    world.clock.forward(60)
    block_at_the_clocks_time(world)
    world.chain.issue_claims(world.op("newer"), wallet, [KYC], world.clock.now + YEAR_SECONDS)
    if revoked:
        world.chain.revoke_claims(world.op("revoke"), wallet, [KYC])
    assert refusal(deliver, world, wallet, older) == "OLDER_CLAIM"
    assert world.chain.claims(wallet)[KYC].valid is not revoked


def test_of_two_claims_of_one_second_the_first_never_comes_back(world, wallet):
    world.clock.forward(60)
    block_at_the_clocks_time(world)
    first, second = signed(world, wallet), signed(world, wallet, 3600)
    deliver(world, wallet, first)
    deliver(world, wallet, second)
    assert world.chain.claims(wallet)[KYC].expires_at == world.clock.now + 3600
    world.chain.revoke_claims(world.op("revoke"), wallet, [KYC])
    assert refusal(deliver, world, wallet, first) == "OLDER_CLAIM"
    assert refusal(deliver, world, wallet, second) == "INVALID_CLAIM"
    assert not world.chain.claims(wallet)[KYC].valid


def test_a_bent_signature_is_none_and_revives_nothing(world, wallet):
    world.clock.forward(60)
    block_at_the_clocks_time(world)
    delivery = signed(world, wallet)
    malleated = rewritten(world, delivery, signature=bent(parts(world, delivery)["signature"]))
    assert refusal(deliver, world, wallet, malleated) == "INVALID_CLAIM"
    deliver(world, wallet, delivery)
    world.chain.revoke_claims(world.op("revoke"), wallet, [KYC])
    for revived in (delivery, malleated):
        assert refusal(deliver, world, wallet, revived) == "INVALID_CLAIM"
    assert not world.chain.claims(wallet)[KYC].valid


def test_what_is_not_signed_is_not_believed(world, wallet):
    world.clock.forward(60)
    block_at_the_clocks_time(world)
    delivery = signed(world, wallet)
    data = encode_data(world.clock.now, world.clock.now + YEAR_SECONDS + 1, bytes(32))
    for changes, code in (
        ({"scheme": 2}, "UNSIGNED_PART"),
        ({"uri": "https://example.org"}, "UNSIGNED_PART"),
        ({"issuer_": world.chain.platform_wallet}, "NOT_ISSUER"),
        ({"topic": topic_number("MIFID_ECP")}, "INVALID_CLAIM"),
        ({"data": data}, "INVALID_CLAIM"),
        ({"data": data + bytes(32)}, "INVALID_CLAIM"),
    ):
        assert refusal(deliver, world, wallet, rewritten(world, delivery, **changes)) == code
    other = world.wallet()
    assert refusal(deliver, world, other, delivery) == "INVALID_CLAIM"


def test_claims_signed_by_a_key_that_lost_its_role_stop_to_count(fresh_world):
    chain = fresh_world.chain
    chain.deploy()
    assert all(claim.valid for claim in chain.claims(chain.platform_wallet).values())
    arguments = (keccak(text="SIGNER_ROLE"), fresh_world.keys.address("claim_signer"))
    take = chain._encode("FXClaimIssuer", "revokeRole", arguments)
    chain.journal.run("take", "admin", chain.deployment()["FXClaimIssuer"], take, 100_000)
    assert not any(claim.valid for claim in chain.claims(chain.platform_wallet).values())
