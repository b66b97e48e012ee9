"""Ways to say that the chain refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hexbytes import HexBytes
from web3.logs import DISCARD

from chain.errors import Refused, RefusedForNow
from chain.journal import Receipt
from tests.chain.conftest import World


def refusal(call, *arguments) -> str:
    """Calls and returns the code of the refusal it must meet, for good or for now."""
    with pytest.raises((Refused, RefusedForNow)) as caught:
        call(*arguments)
    return caught.value.code


def events(world: World, contract: str, event: str, receipt: Receipt) -> list[dict[str, Any]]:
    """Returns what a contract said in a transaction."""
    logs = world.chain._w3.eth.get_transaction_receipt(HexBytes(receipt.tx_hash))
    source = world.chain._contract(contract)
    return [dict(log["args"]) for log in source.events[event]().process_receipt(logs, DISCARD)]


def block_at_the_clocks_time(world: World) -> None:
    """Mines a block, because reads see the newest block's time."""
    world.chain.set_active(world.op("block"), world.chain.platform_wallet, True)


def assert_refused(world: World, sender: str, receiver: str, token: int, amount: int, code: str) -> None:
    """The read says it, and the chain does it."""
    block_at_the_clocks_time(world)
    assert world.chain.can_transfer(sender, receiver, token, amount) == (False, code)
    before = world.chain.holders(token)
    assert refusal(world.chain.transfer, world.op("refused"), sender, receiver, token, amount) == code
    assert world.chain.holders(token) == before


@contextmanager
def code_of(world: World, contract: str, code: str) -> Iterator[None]:
    """Puts other code at a contract's address for a while."""
    address = world.chain.deployment()[contract]
    original = world.rpc("eth_getCode", address, "latest")
    world.rpc("anvil_setCode", address, code)
    try:
        yield
    finally:
        world.rpc("anvil_setCode", address, original)
