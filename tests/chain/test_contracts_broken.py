"""A contract that is gone, or answers with something else than an answer, refuses."""

import pytest

from chain.client import token_id
from tests.chain.conftest import BASE_TOPICS
from tests.chain.refusals import code_of, refusal

FACE = 1_000
RULES = ("FXJurisdictionRule", "FXMiFIDRule", "FXLockupRule", "FXSanctionsRule")
ASKED_BY_A_MINT = ("FXJurisdictionRule", "FXSanctionsRule")

# EVM programs. PUSH1 w PUSH1 0 MSTORE leaves the word w in memory; PUSH n PUSH1 0 RETURN answers with n bytes.
YES, TWO, ALL_ONES = "6001600052", "6002600052", "60001980600052602052"
BROKEN = {
    "no code": "0x",
    "reverts": "0x60006000fd",
    "burns its gas": "0xfe",
    "never ends": "0x5b600056",
    "answers nothing": "0x00",
    "answers too little": f"0x{YES}60206000f3",
    "answers too much": f"0x{YES}60606000f3",
    "answers a megabyte": f"0x{YES}621000006000f3",
    "answers neither yes nor no": f"0x{TWO}60406000f3",
    "answers noise": f"0x{ALL_ONES}60406000f3",
}
# A registry answers with one word, so those whose first word is a yes say yes.
REGISTRY_BROKEN = {name: code for name, code in BROKEN.items() if YES not in code}
CASES = [
    *((contract, name) for contract in (*RULES, "FXComplianceModularised") for name in BROKEN),
    *((contract, name) for contract in ("FXIdentityRegistry", "FXClaimIssuer") for name in REGISTRY_BROKEN),
    *((contract, "no code") for contract in ("FXIdentity", "FXTrustedIssuersRegistry")),
]


@pytest.fixture(scope="module")
def parties(shared_world):
    """A sender, a receiver and a receivable between them."""
    world = shared_world
    world.chain.sanctions_heartbeat(world.op("heartbeat"), bytes(32))
    lender, other = world.wallet(), world.wallet("investor", (*BASE_TOPICS, "MIFID_ECP"))
    token = world.token(FACE)
    world.chain.transfer(world.op("fund"), world.chain.platform_wallet, lender, token, FACE)
    return lender, other, token


@pytest.mark.parametrize(("contract", "how"), CASES)
def test_it_refuses(world, parties, contract, how):
    lender, other, token = parties
    speaks = how in ("answers neither yes nor no", "answers noise")
    with code_of(world, contract, BROKEN[how]):
        ok, code = world.chain.can_transfer(lender, other, token, FACE)
        assert not ok
        if contract in RULES and not speaks:
            assert code == "RULE_UNAVAILABLE"
        if contract not in RULES and not speaks:
            assert code in ("COMPLIANCE_UNAVAILABLE", "SENDER_NOT_VERIFIED")
        assert refusal(world.chain.transfer, world.op("broken"), lender, other, token, FACE) == code
        if contract not in RULES or contract in ASKED_BY_A_MINT:
            assert refusal(world.chain.mint, world.op("broken"), token_id("broken"), FACE)
    assert world.chain.can_transfer(lender, other, token, FACE) == (True, "")
