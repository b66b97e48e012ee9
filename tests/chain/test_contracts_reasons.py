"""Every reason to refuse a move: the read gives it, and so does the transaction that fails."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain.client import token_id
from tests.chain.conftest import BASE_TOPICS, World
from tests.chain.refusals import assert_refused, code_of

SOURCE = Path(__file__).resolve().parents[2] / "chain" / "contracts" / "FXTypes.sol"
FACE = 1_000_000
STALE_SECONDS = 26 * 3600 + 1
NO_CODE, TWO_ZERO_WORDS = "0x", "0x60406000f3"

Move = tuple[str, str, int, int]


def lender_token(world: World) -> tuple[str, int]:
    """A receivable the lender holds, split in two."""
    lender, token = world.wallet("lender"), world.token(FACE)
    world.chain.transfer(world.op("fund"), world.chain.platform_wallet, lender, token, FACE)
    world.chain.fractionalise(world.op("split"), token, [FACE // 4, FACE - FACE // 4])
    return lender, token


def without(topic: str):
    @contextmanager
    def arrange(world: World) -> Iterator[Move]:
        lender, token = lender_token(world)
        yield lender, world.wallet("lender", tuple(held for held in BASE_TOPICS if held != topic)), token, 10

    return arrange


def broken(contract: str, code: str):
    @contextmanager
    def arrange(world: World) -> Iterator[Move]:
        lender, token = lender_token(world)
        other = world.wallet()
        with code_of(world, contract, code):
            yield lender, other, token, 10

    return arrange


@contextmanager
def unknown_sender(world: World) -> Iterator[Move]:
    lender, token = lender_token(world)
    yield world.keys.custody_address("nobody registered this"), lender, token, 10


@contextmanager
def unknown_receiver(world: World) -> Iterator[Move]:
    lender, token = lender_token(world)
    yield lender, world.keys.custody_address("nobody registered this"), token, 10


@contextmanager
def restricted(world: World) -> Iterator[Move]:
    lender, token = lender_token(world)
    other = world.wallet()
    world.chain.set_sanctioned(world.op("restrict"), other, True)
    yield lender, other, token, 10


@contextmanager
def uncategorised_investor(world: World) -> Iterator[Move]:
    lender, token = lender_token(world)
    yield lender, world.wallet("investor"), token, 10


@contextmanager
def locked(world: World) -> Iterator[Move]:
    lender, token = lender_token(world)
    world.chain.lock(world.op("lock"), [token], "OBLIGOR_INSOLVENT")
    yield lender, world.wallet(), token, 10


@contextmanager
def stale(world: World) -> Iterator[Move]:
    lender, token = lender_token(world)
    other = world.wallet()
    world.chain.sanctions_heartbeat(world.op("heartbeat"), bytes(32))
    world.clock.forward(STALE_SECONDS - 1)
    world.chain.transfer(world.op("just in time"), lender, other, token, 10)
    world.clock.forward(1)
    yield lender, other, token, 10


@contextmanager
def paused(world: World) -> Iterator[Move]:
    lender, token = lender_token(world)
    other = world.wallet()
    world.chain.set_paused(world.op("pause"), True)
    try:
        yield lender, other, token, 10
    finally:
        world.chain.set_paused(world.op("resume"), False)


@contextmanager
def never_minted(world: World) -> Iterator[Move]:
    yield world.wallet(), world.wallet(), token_id(world.op("never minted")), 10


@contextmanager
def more_than_held(world: World) -> Iterator[Move]:
    lender, token = lender_token(world)
    yield lender, world.wallet(), token, FACE + 1


@contextmanager
def a_part_of_a_whole(world: World) -> Iterator[Move]:
    yield world.chain.platform_wallet, world.wallet(), world.token(FACE), FACE - 1


CASES = {
    "SENDER_NOT_VERIFIED": unknown_sender,
    "RECEIVER_NOT_VERIFIED": unknown_receiver,
    "RESTRICTED": restricted,
    "KYC_VERIFIED_MISSING": without("KYC_VERIFIED"),
    "AML_CLEARED_MISSING": without("AML_CLEARED"),
    "JURISDICTION_UK_MISSING": without("JURISDICTION_UK"),
    "MIFID_CATEGORY_MISSING": uncategorised_investor,
    "TOKEN_LOCKED": locked,
    "SCREENING_STALE": stale,
    "RULE_UNAVAILABLE": broken("FXSanctionsRule", NO_CODE),
    "RULE_REFUSED": broken("FXSanctionsRule", TWO_ZERO_WORDS),
    "COMPLIANCE_UNAVAILABLE": broken("FXComplianceModularised", NO_CODE),
    "PAUSED": paused,
    "TOKEN_NOT_LIVE": never_minted,
    "INSUFFICIENT_FACE": more_than_held,
    "NOT_FRACTIONALISED": a_part_of_a_whole,
}


@pytest.mark.parametrize(("code", "arrange"), CASES.items(), ids=CASES)
def test_a_move_is_refused_with_this_reason(world, code, arrange):
    with arrange(world) as (sender, receiver, token, amount):
        assert_refused(world, sender, receiver, token, amount, code)


def test_there_is_no_other_reason():
    library = SOURCE.read_text().partition("library Reason {")[2].partition("}")[0]
    assert set(CASES) == set(re.findall(r'= "(\w+)";', library))
