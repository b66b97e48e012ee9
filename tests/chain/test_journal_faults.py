"""What a chain and its nodes do to transactions: each fault, and each operation exactly once."""

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from eth_account import Account

from chain.client import Chain, token_id
from chain.errors import Cancelled, Final, ForeignTransaction, Retryable
from chain.lane import Lane
from tests.chain.conftest import World
from tests.chain.test_journal import Killed, kill

FACE = 1_000


@pytest.fixture
def deployed(fresh_world) -> World:
    """A node of one's own, deployed, with a lender."""
    fresh_world.chain.deploy()
    return fresh_world


def signed_only(world: World, monkeypatch, op: str) -> None:
    """Signs a mint and is killed before it is sent."""
    with monkeypatch.context() as patch:
        patch.setattr(Lane, "_send", kill)
        with pytest.raises(Killed):
            world.chain.mint(op, token_id(op), FACE)


def foreign_transaction(world: World, nonce: int, gas_price: int = 0) -> str:
    """Somebody else signs with the minter's key; returns the raw bytes."""
    key = (world.keys._folder / "minter.key").read_text().strip()
    fields = {"chainId": 31337, "nonce": nonce, "gas": 21_000, "gasPrice": gas_price, "value": 0}
    signed = Account.from_key(key).sign_transaction({**fields, "to": world.chain.platform_wallet})
    return "0x" + signed.raw_transaction.hex()


def minted(world: World, *ops: str) -> list[str]:
    return [op for op in ops if world.chain.receivable(token_id(op)).status == "live"]


def status(world: World, op: str) -> str:
    row = world.rows.find(op)
    assert row is not None
    return row.status


# A nonce nobody can use


def test_a_noop_lets_the_queue_move_on_and_the_operation_run_anew(deployed, monkeypatch):
    world, chain = deployed, deployed.chain
    world.rpc("evm_setAutomine", False)
    for op in ("stuck", "behind"):
        with pytest.raises(Retryable):
            chain.mint(op, token_id(op), FACE)
    world.rpc("anvil_dropTransaction", "0x" + world.rows.find("stuck").tx_hash.hex())
    world.rpc("evm_setAutomine", True)
    row = chain.journal.cancel("stuck", "no node takes it")
    assert (row.status, minted(world, "stuck")) == ("CANCELLED", [])
    chain.mint("behind", token_id("behind"), FACE)
    assert minted(world, "stuck", "behind") == ["behind"]
    chain.mint("stuck", token_id("stuck"), FACE)
    again = world.rows.find("stuck")
    assert (again.attempt, again.status, minted(world, "stuck")) == (2, "CONFIRMED", ["stuck"])
    noop = world.rows.find("noop:stuck:1.1")
    assert (noop.replaces, noop.reason, noop.nonce) == ("stuck", "no node takes it", row.nonce)
    assert noop.status == "CONFIRMED"


def test_what_is_mined_after_all_cancels_the_noop(deployed, monkeypatch):
    world, chain = deployed, deployed.chain
    world.rpc("evm_setAutomine", False)
    with pytest.raises(Retryable):
        chain.mint("slow", token_id("slow"), FACE)
    with pytest.raises(Retryable):  # the pool holds the operation; at the same price it is not replaced
        chain.journal.cancel("slow", "impatience")
    world.rpc("evm_setAutomine", True)
    world.rpc("evm_mine")
    chain.mint("slow", token_id("slow"), FACE)
    assert minted(world, "slow") == ["slow"]
    assert (status(world, "slow"), status(world, "noop:slow:1.1")) == ("CONFIRMED", "CANCELLED")
    assert world.chain.journal.reconcile() == 0


def test_only_what_waits_is_filled(deployed, monkeypatch):
    chain = deployed.chain
    chain.mint("done", token_id("done"), FACE)
    with pytest.raises(Final, match="done is confirmed: there is nothing to fill"):
        chain.journal.cancel("done", "a mistake")
    with pytest.raises(Final, match="never is unknown"):
        chain.journal.cancel("never", "a mistake")


def test_a_caller_that_waits_is_told_of_the_cancellation(deployed):
    world, chain = deployed, deployed.chain
    world.rpc("evm_setAutomine", False)
    with pytest.raises(Retryable):
        chain.mint("told", token_id("told"), FACE)
    world.rpc("anvil_dropTransaction", "0x" + world.rows.find("told").tx_hash.hex())
    lane = chain.journal._lane(chain.role_address("minter"))
    with ThreadPoolExecutor(1) as threads:
        row = world.rows.find("told")
        waiting = threads.submit(lane.settle, row)
        other = world.connect()
        world.rpc("evm_setAutomine", True)
        other.journal.cancel("told", "replaced by hand")
        assert waiting.result().status == "CANCELLED"
    assert issubclass(Cancelled, Retryable)


def test_the_database_holds_one_living_attempt(deployed, monkeypatch):
    world = deployed
    signed_only(world, monkeypatch, "once")
    row = world.rows.find("once")
    columns = "(op_id, attempt, chain_id, sender, nonce, raw, tx_hash)"
    with world.rows._pool.connection() as connection:
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(f"INSERT INTO fx.chain_transactions {columns} VALUES ('once', 2, 31337, %s, %s, '', %s)",
                               (row.sender, row.nonce + 1, bytes(32)))
        connection.rollback()


# Blocks that go away


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_reorganisation_changes_where_not_what(deployed, depth):
    world, chain = deployed, deployed.chain
    ops = [f"reorg-{number}" for number in range(3)]
    before = [chain.mint(op, token_id(op), FACE) for op in ops]
    world.rpc("anvil_reorg", depth, [])
    chain.journal.reconcile()
    after = [chain.mint(op, token_id(op), FACE) for op in ops]
    assert minted(world, *ops) == ops
    assert [receipt.tx_hash for receipt in after] == [receipt.tx_hash for receipt in before]
    for receipt in after:
        block = world.rpc("eth_getBlockByNumber", hex(receipt.block_number), False)
        assert block["hash"] == receipt.block_hash


def test_a_running_platform_follows_a_reorganisation(deployed):
    world, chain = deployed, deployed.chain
    chain.mint("followed", token_id("followed"), FACE)
    chain.journal.follow()
    chain.journal.follow()
    world.rpc("anvil_rollback", 1)
    chain.journal.follow()
    assert minted(world, "followed") == ["followed"]


def test_an_outcome_counts_at_its_depth(deployed):
    world = deployed
    patient = Chain.connect(world.anvil.url, 31337, world.rows, world.keys, confirmations=2)
    with pytest.raises(Retryable, match="pending: deep"):
        patient.mint("deep", token_id("deep"), FACE)
    waiting = [one for key in patient.key_statuses() for one in key.waiting]
    assert [(one.op, one.why[:26]) for one in waiting] == [("deep", "mined, 0 of 2 confirmation")]
    world.rpc("anvil_rollback", 1)  # shallow enough to be undone without anybody having been told
    with pytest.raises(Retryable):
        patient.mint("deep", token_id("deep"), FACE)
    world.rpc("evm_mine")
    world.rpc("evm_mine")
    receipt = patient.mint("deep", token_id("deep"), FACE)
    assert int(world.rpc("eth_blockNumber"), 16) == receipt.block_number + 2
    assert minted(world, "deep") == ["deep"]


def test_a_node_that_catches_up_changes_nothing(deployed, monkeypatch):
    world, chain = deployed, deployed.chain
    chain.mint("before", token_id("before"), FACE)
    request = chain._w3.provider.make_batch_request

    def behind(calls):
        if calls[0][0] == "eth_syncing":
            return [{"jsonrpc": "2.0", "id": 1, "result": {"currentBlock": "0x1", "highestBlock": "0x9"}}]
        return request(calls)

    with monkeypatch.context() as patch:
        patch.setattr(chain._w3.provider, "make_batch_request", behind)
        world.rpc("anvil_rollback", 1)
        with pytest.raises(Retryable, match="catching up"):
            chain.journal.reconcile()
    assert status(world, "before") == "CONFIRMED"
    assert chain.journal.reconcile() == 1


# Keys that are used by somebody else


def test_a_foreign_nonce_stops_its_key_and_no_other(deployed):
    world, chain = deployed, deployed.chain
    world.rpc("eth_sendRawTransaction", foreign_transaction(world, 0))
    for _ in range(2):
        with pytest.raises(ForeignTransaction):
            chain.mint("mint", token_id("mint"), FACE)
    assert world.rows.find("mint") is None
    chain.sanctions_heartbeat("heartbeat", bytes(32))
    keys = {key.role: key.foreign for key in world.connect().key_statuses()}
    assert keys["minter"] and not any(foreign for role, foreign in keys.items() if role != "minter")


def test_a_foreign_replacement_of_what_waits_stops_the_key(deployed, monkeypatch):
    world = deployed
    signed_only(world, monkeypatch, "waits")
    world.rpc("eth_sendRawTransaction", foreign_transaction(world, 0))
    for op in ("waits", "next"):
        with pytest.raises(ForeignTransaction, match="nonce 0 .* not ours"):
            world.connect().mint(op, token_id(op), FACE)
    assert world.rows.find("next") is None
    world.connect().journal.reconcile()
    world.chain.sanctions_heartbeat("heartbeat", bytes(32))


# Many at once


def test_callers_share_turns(deployed, monkeypatch):
    world, chain = deployed, deployed.chain
    ops = [f"crowd-{number}" for number in range(60)]
    turns: list[int] = []
    work = Lane._work

    def counted(self, turn):
        turns.append(len(turn))
        work(self, turn)

    monkeypatch.setattr(Lane, "_work", counted)
    with ThreadPoolExecutor(30) as threads:
        list(threads.map(lambda op: _until_done(chain, op), ops))
    assert minted(world, *ops) == ops
    assert len(turns) < len(ops) / 2
    assert int(world.rpc("eth_getTransactionCount", chain.role_address("minter"), "latest"), 16) == len(ops)


def test_one_bad_operation_fails_alone(deployed):
    world, chain = deployed, deployed.chain
    minter, token = "minter", chain.deployment()["FXReceivableToken"]

    def fail() -> bytes:
        raise ValueError("no such call")

    with ThreadPoolExecutor(8) as threads:
        good = [threads.submit(_until_done, chain, f"good-{number}") for number in range(7)]
        bad = threads.submit(chain.journal.run, "bad", minter, token, fail, 100_000)
        with pytest.raises(ValueError, match="no such call"):
            bad.result()
        assert all(future.result() for future in good)
    assert world.rows.find("bad") is None


def test_bytes_no_node_takes_are_final_and_name_themselves(deployed):
    world, chain = deployed, deployed.chain
    token = chain.deployment()["FXReceivableToken"]
    with pytest.raises(Final, match="no node will take thin"):
        chain.journal.run("thin", "minter", token, b"", 20_000)
    with pytest.raises(Retryable, match="waits behind nonce 0"):
        chain.mint("held", token_id("held"), FACE)
    assert chain.journal.cancel("thin", "too little gas").status == "CANCELLED"
    chain.mint("held", token_id("held"), FACE)
    assert minted(world, "held") == ["held"]


def _until_done(chain: Chain, op: str) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            chain.mint(op, token_id(op), FACE)
            return True
        except Retryable:
            continue
    return False
