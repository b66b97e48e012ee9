"""What a contract refuses only for now is done in the end, once; a nonce or a key that is lost loses no operation."""

from pathlib import Path

import pytest

from chain.abi import method_data
from chain.client import Chain, token_id
from chain.errors import Final, ForeignTransaction, Refused, Retryable
from chain.keys import FolderKeys
from chain.lane import Request
from chain.outcomes import outcomes
from tests.chain.conftest import World
from tests.chain.test_journal_faults import FACE, foreign_transaction, minted, signed_only, status


@pytest.fixture
def deployed(fresh_world) -> World:
    """A node of one's own, deployed."""
    fresh_world.chain.deploy()
    return fresh_world


def refused_while_paused(world: World, op: str) -> None:
    """Asks for a mint until the contract has refused it, and twice more."""
    world.chain.set_paused(f"{op}:pause", True)
    for _ in range(3):
        with pytest.raises(Retryable, match="for now: PAUSED"):
            world.connect().mint(op, token_id(op), FACE)


# Refused for now


def test_a_mint_refused_while_paused_is_done_afterwards_and_once(deployed):
    world = deployed
    refused_while_paused(world, "paused")
    assert status(world, "paused") == "REVERTED"
    assert world.rows.find("paused#2") is None, "nothing is signed while it would be refused"
    world.chain.set_paused("resume", False)
    receipt = world.chain.mint("paused", token_id("paused"), FACE)
    assert world.connect().mint("paused", token_id("paused"), FACE) == receipt
    assert minted(world, "paused") == ["paused"]
    assert (status(world, "paused#2"), world.rows.find("paused#3")) == ("CONFIRMED", None)


def test_of_an_earlier_try_that_a_reorganisation_revives_and_a_later_one_only_one_counts(deployed):
    """The block of the pause is lost and comes back behind the mint: the first try succeeds after the second did."""
    world, chain = deployed, deployed.chain
    refused_while_paused(world, "revived")
    chain.set_paused("resume", False)
    chain.mint("revived", token_id("revived"), FACE)
    first, second = (world.rows.find(op) for op in ("revived", "revived#2"))
    world.rpc("anvil_rollback", 4)
    for row in (first, second):
        world.rpc("eth_sendRawTransaction", "0x" + row.raw.hex())
    chain.journal.reconcile()
    assert (status(world, "revived"), world.rows.find("revived#2").refusal) == ("CONFIRMED", "TOKEN_ID_USED")
    assert chain.mint("revived", token_id("revived"), FACE).tx_hash == "0x" + first.tx_hash.hex()


def test_a_later_try_refused_because_of_an_earlier_one_finds_it(deployed):
    """The journal has not followed the reorganisation yet when the second try is refused."""
    world, chain = deployed, deployed.chain
    refused_while_paused(world, "overtaken")
    first = world.rows.find("overtaken")
    world.rpc("anvil_rollback", 2)
    world.rpc("eth_sendRawTransaction", "0x" + first.raw.hex())
    assert minted(world, "overtaken") == ["overtaken"]
    receipt = chain.mint("overtaken", token_id("overtaken"), FACE)
    assert receipt.tx_hash == "0x" + first.tx_hash.hex()


def test_a_verdict_stays_a_verdict(deployed):
    world, chain = deployed, deployed.chain
    chain.mint("first", token_id("same"), FACE)
    for _ in range(2):
        with pytest.raises(Refused, match="TOKEN_ID_USED"):
            chain.mint("second", token_id("same"), FACE)
    assert world.rows.find("second#2") is None


# A nonce somebody else used


def test_an_operation_whose_nonce_somebody_else_used_is_written_off_and_signed_anew(deployed, monkeypatch):
    world, chain = deployed, deployed.chain
    signed_only(world, monkeypatch, "stranded")
    signed_only(world, monkeypatch, "behind")
    world.rpc("eth_sendRawTransaction", foreign_transaction(world, 0))
    with pytest.raises(ForeignTransaction):
        chain.mint("stranded", token_id("stranded"), FACE)
    row = chain.journal.cancel("stranded", "found out who it was")
    note = world.rows.find("noop:stranded:1.1")
    assert (row.status, note.status, note.nonce) == ("CANCELLED", "CANCELLED", 0)
    assert (note.replaces, note.reason) == ("stranded", "found out who it was")
    for op in ("behind", "stranded"):
        chain.mint(op, token_id(op), FACE)
    again = world.rows.find("stranded")
    assert (again.attempt, again.nonce, minted(world, "stranded", "behind")) == (2, 2, ["stranded", "behind"])
    assert not any(key.foreign or key.waiting for key in chain.key_statuses())
    with pytest.raises(Final, match="there is nothing to fill"):
        chain.journal.cancel("stranded", "twice")


def test_nothing_is_written_off_before_the_other_is_deep_enough(deployed, monkeypatch):
    world = deployed
    signed_only(world, monkeypatch, "shallow")
    world.rpc("eth_sendRawTransaction", foreign_transaction(world, 0))
    patient = Chain.connect(world.anvil.url, 31337, world.rows, world.keys, confirmations=2)
    with pytest.raises(Retryable, match="less than 2 blocks ago"):
        patient.journal.cancel("shallow", "too early")
    assert status(world, "shallow") == "SIGNED"
    world.rpc("evm_mine")
    world.rpc("evm_mine")
    assert patient.journal.cancel("shallow", "in time").status == "CANCELLED"


def test_what_is_mined_unnoticed_is_recorded_and_not_written_off(deployed, monkeypatch):
    world = deployed
    signed_only(world, monkeypatch, "unnoticed")
    world.rpc("eth_sendRawTransaction", "0x" + world.rows.find("unnoticed").raw.hex())
    assert world.chain.journal.cancel("unnoticed", "a mistake").status == "CONFIRMED"
    assert world.rows.find("noop:unnoticed:1.1") is None


# A key that was changed


def changed_minter(world: World, folder: Path) -> FolderKeys:
    """The same keys but for the minter's, which is another file now."""
    FolderKeys(folder, seed=b"another")
    for path in world.keys._folder.glob("*.key"):
        if path.name != "minter.key":
            (folder / path.name).write_text(path.read_text())
    return FolderKeys(folder)


def test_after_a_change_of_keys_a_cancelled_operation_takes_the_new_key_and_its_nonces(
    deployed, monkeypatch, tmp_path
):
    world, old = deployed, deployed.chain.role_address("minter")
    world.chain.mint("before", token_id("before"), FACE)
    signed_only(world, monkeypatch, "moved")
    world.rpc("eth_sendRawTransaction", foreign_transaction(world, 1))
    world.keys = changed_minter(world, tmp_path / "changed")
    chain = world.connect()
    assert chain.journal.cancel("moved", "the old key is gone").status == "CANCELLED"
    with pytest.raises(Retryable, match="for now: ACCESS_CONTROL_UNAUTHORIZED_ACCOUNT"):
        chain.mint("moved", token_id("moved"), FACE)
    row = world.rows.find("moved")
    assert (row.sender != old, row.nonce, row.attempt) == (True, 0, 2)
    token = chain.deployment()["FXReceivableToken"]
    with pytest.raises(Retryable, match="is not the key any more"):
        chain.journal._lane(old).submit(Request("late", "minter", token, b"", 100_000))
    role = chain._read("FXReceivableToken", "MINTER_ROLE")
    grant = method_data("FXReceivableToken", "grantRole", (role, chain.role_address("minter")))
    chain.journal.run("grant", "admin", token, grant, 100_000)
    chain.mint("moved", token_id("moved"), FACE)
    assert minted(world, "moved") == ["moved"]
    assert (world.rows.find("moved#2").sender, world.rows.find("moved#2").nonce) == (row.sender, 1)


# Outcomes known twice


def test_a_stale_look_does_not_overwrite_what_was_recorded_since(deployed):
    world = deployed
    world.chain.mint("known", token_id("known"), FACE)
    row = world.rows.find("known")
    ((_, outcome),) = outcomes(world.chain._w3, [row], 0)
    assert world.rows.settle([(row, outcome)]) == []
    assert world.rows.find("known") == row
