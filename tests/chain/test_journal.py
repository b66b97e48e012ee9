"""Every transaction happens exactly once, whatever breaks in between."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import requests
from eth_account import Account

from chain.anvil import Anvil, free_port
from chain.client import Chain, token_id
from chain.errors import Final, ForeignTransaction, Refused, Retryable
from chain.lane import Lane
from tests.chain.conftest import World

FACE = 1_000
REPOSITORY = Path(__file__).resolve().parents[2]


class Killed(BaseException):
    """Stands for kill -9: no handler of ours may catch it."""


def kill(*_arguments, **_named):
    raise Killed


@pytest.fixture
def held(world) -> tuple[str, int]:
    """A lender and a split token in the platform's wallet."""
    token = world.token(FACE)
    world.chain.fractionalise(world.op("split"), token, [FACE // 2, FACE // 2])
    return world.wallet(), token


WORKER = """
import hashlib, sys
from pathlib import Path
from chain.client import Chain
from chain.keys import FolderKeys
from eventstore.access import ANCHOR, Access
from eventstore.journal import JournalRows

url, database, folder, sender, receiver, token, first, last = sys.argv[1:]
access = Access(database, "tnt_fintokenx", hashlib.sha256(b"tnt_fintokenx").digest())
rows = JournalRows(access.pool(ANCHOR, 2))
chain = Chain.connect(url, 31337, rows, FolderKeys(Path(folder)))
for number in range(int(first), int(last)):
    chain.transfer(f"worker-{number}", sender, receiver, int(token), 3)
"""


def test_kill_9_in_the_middle_of_a_run(world, held):
    lender, token = held
    platform, rows = world.chain.platform_wallet, world.rows
    database = rows._pool.conninfo
    place = (world.anvil.url, database, str(world.keys._folder), platform, lender, str(token))
    for first in (0, 40):
        command = [sys.executable, "-W", "ignore", "-c", WORKER, *place, str(first), "80"]
        with subprocess.Popen(command, cwd=REPOSITORY) as worker:
            while rows.find(f"worker-{first + 7}") is None and worker.poll() is None:
                time.sleep(0.001)
            worker.kill()
    for number in range(80):
        world.chain.transfer(f"worker-{number}", platform, lender, token, 3)
    assert world.chain.balance(lender, token) == 80 * 3


@pytest.mark.parametrize(
    ("owner", "method"),
    [
        ("keys", "sign_transaction"),
        ("lane", "_send"),
        ("lane", "settle"),
        ("lane", "_record"),
        ("rows", "settle"),
    ],
    ids=["before signing", "after journal", "after sending", "before receipt", "before confirming"],
)
def test_a_killed_writer_changes_nothing(world, held, monkeypatch, owner, method):
    lender, token = held
    op = world.op("killed")
    arguments = (op, world.chain.platform_wallet, lender, token, 100)
    victim = world.connect()
    target = {"keys": world.keys, "lane": Lane, "rows": world.rows}[owner]
    with monkeypatch.context() as patch:
        patch.setattr(target, method, kill)
        with pytest.raises(Killed):
            victim.transfer(*arguments)
    receipt = world.connect().transfer(*arguments)
    assert world.chain.balance(lender, token) == 100
    assert world.connect().transfer(*arguments) == receipt
    assert world.chain.balance(lender, token) == 100


def test_the_next_operation_sends_what_a_killed_writer_had_signed(world, held, monkeypatch):
    lender, token = held
    victim = world.connect()
    with monkeypatch.context() as patch:
        patch.setattr(Lane, "_send", kill)
        for _ in range(3):
            with pytest.raises(Killed):
                victim.transfer(world.op("signed"), world.chain.platform_wallet, lender, token, 10)
    world.chain.transfer(world.op("next"), world.chain.platform_wallet, lender, token, 1)
    assert world.chain.balance(lender, token) == 31


def test_a_lost_answer_does_not_double(world, held, monkeypatch):
    lender, token = held
    op, chain = world.op("lost"), world.connect()
    request = chain._w3.provider.make_batch_request

    def send_and_lose(calls):
        answers = request(calls)
        if calls[0][0] == "eth_sendRawTransaction":
            raise requests.exceptions.ConnectionError("the answer was lost")
        return answers

    with monkeypatch.context() as patch:
        patch.setattr(chain._w3.provider, "make_batch_request", send_and_lose)
        with pytest.raises(Retryable, match="does not answer"):
            chain.transfer(op, chain.platform_wallet, lender, token, 100)
    chain.transfer(op, chain.platform_wallet, lender, token, 100)
    assert chain.balance(lender, token) == 100


def test_many_threads_and_processes_share_a_key(world, held):
    lender, token = held
    chains = [world.connect() for _ in range(4)]
    ops = [world.op("shared") for _ in range(20)]

    def transfer(number: int) -> str:
        chain = chains[number % len(chains)]
        return chain.transfer(ops[number // 2], chain.platform_wallet, lender, token, 7).tx_hash

    with ThreadPoolExecutor(8) as threads:
        hashes = list(threads.map(transfer, range(2 * len(ops))))
    assert len(set(hashes)) == len(ops)
    assert world.chain.balance(lender, token) == 7 * len(ops)


def test_a_refusal_is_recorded_and_stays(world, held):
    _, token = held
    stranger, op = world.keys.custody_address("stranger"), world.op("refused")
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            world.chain.transfer(op, world.chain.platform_wallet, stranger, token, 10)
        assert caught.value.code == "RECEIVER_NOT_VERIFIED"
    world.wallet()
    assert world.chain.journal.reconcile() == 0
    row = world.rows.find(op)
    assert (row.status, row.refusal) == ("REVERTED", "RECEIVER_NOT_VERIFIED")


def test_a_settled_operation_needs_no_chain(world, held, monkeypatch):
    lender, token = held
    op = world.op("settled")
    receipt = world.chain.transfer(op, world.chain.platform_wallet, lender, token, 10)
    with monkeypatch.context() as patch:
        patch.setattr(world.chain._w3.provider, "make_request", kill)
        patch.setattr(world.chain._w3.provider, "make_batch_request", kill)
        assert world.chain.transfer(op, world.chain.platform_wallet, lender, token, 10) == receipt


def test_pending_and_dropped_transactions_are_retryable(world, held):
    lender, token = held
    op = world.op("pending")
    arguments = (op, world.chain.platform_wallet, lender, token, 100)
    world.rpc("evm_setAutomine", False)
    try:
        with pytest.raises(Retryable, match="pending"):
            world.chain.transfer(*arguments)
        assert world.rpc("anvil_dropTransaction", "0x" + world.rows.find(op).tx_hash.hex())
    finally:
        world.rpc("evm_setAutomine", True)
    world.chain.transfer(*arguments)
    assert world.chain.balance(lender, token) == 100


def test_the_application_role_cannot_change_signed_bytes(world):
    op = world.op("fixed")
    world.chain.set_active(op, world.wallet(topics=()), False)
    with world.rows._pool.connection() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE fx.chain_transactions SET raw = '' WHERE op_id = %s", (op,))
        connection.rollback()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM fx.chain_transactions")
        connection.rollback()


def test_another_chain_is_refused_in_one_line(world):
    with pytest.raises(Final, match="serves chain 31337, not chain 1") as caught:
        Chain.connect(world.anvil.url, 1, world.rows, world.keys)
    assert "\n" not in str(caught.value)
    with pytest.raises(Retryable, match="does not answer"):
        Chain.connect(f"http://127.0.0.1:{free_port()}", 31337, world.rows, world.keys)


def test_reads_before_deployment_say_so(new_rows, world, keys):
    chain = Chain.connect(world.anvil.url, 31337, new_rows(), keys)
    with pytest.raises(Final, match="run `fx chain deploy`"):
        chain.batch_count()


def story(world: World, name: str) -> None:
    """Some history: a token, a wallet, a transfer, a refusal, a heartbeat."""
    world.clock.forward(3_600)
    world.chain.sanctions_heartbeat(f"{name}:heartbeat", bytes(32))
    wallet = world.wallet()
    token = token_id(name)
    world.chain.mint(f"{name}:mint", token, FACE)
    world.chain.transfer(f"{name}:fund", world.chain.platform_wallet, wallet, token, FACE)
    with pytest.raises(Refused):
        world.chain.mint(f"{name}:again", token, FACE)


def journal_length(world: World) -> int:
    with world.rows._pool.connection() as connection:
        found = connection.execute("SELECT count(*) FROM fx.chain_transactions").fetchone()
    assert found is not None
    return found[0]


def head_hash(world: World) -> str:
    return world.rpc("eth_getBlockByNumber", "latest", False)["hash"]


def test_lost_blocks_and_a_lost_chain_come_back_the_same(fresh_world, tmp_path):
    world = fresh_world
    deployment = world.chain.deploy()
    world.anvil.save()
    story(world, "first")
    story(world, "second")
    head, holders = head_hash(world), world.chain.holders(token_id("second"))

    world.anvil.stop(signal.SIGKILL)
    with pytest.raises(Retryable):
        world.chain.mint("down:mint", token_id("down"), 1)
    world.anvil.start()
    assert head_hash(world) != head
    assert world.chain.journal.reconcile() == 16
    assert head_hash(world) == head
    assert world.chain.holders(token_id("second")) == holders
    assert world.chain.journal.reconcile() == 0

    world.anvil.stop(signal.SIGKILL)
    world.anvil.state_path.unlink()
    world.anvil.start()
    world.clock.forward(400 * 86_400)
    world.chain.sanctions_heartbeat("late:heartbeat", bytes(32))
    assert world.chain.deploy() == deployment
    assert world.chain.holders(token_id("second")) == holders
    assert int(world.rpc("eth_blockNumber"), 16) == journal_length(world)


def test_a_reorganised_block_is_sent_again(fresh_world):
    world = fresh_world
    world.chain.deploy()
    receipt = world.chain.mint("mint", token_id("reorg"), FACE)
    world.rpc("anvil_rollback", 1)
    assert world.chain.receivable(token_id("reorg")).status == "none"
    assert world.chain.journal.reconcile() == 1
    assert world.chain.receivable(token_id("reorg")).status == "live"
    assert world.chain.mint("mint", token_id("reorg"), FACE).tx_hash == receipt.tx_hash


def test_a_foreign_transaction_stops_the_writer(fresh_world, tmp_path):
    world = fresh_world
    world.chain.deploy()
    key = (world.keys._folder / "minter.key").read_text().strip()
    foreign = Account.from_key(key).sign_transaction(
        {
            "chainId": 31337,
            "nonce": 0,
            "gas": 21_000,
            "gasPrice": 0,
            "to": world.chain.platform_wallet,
            "value": 0,
        }
    )
    world.rpc("eth_sendRawTransaction", "0x" + foreign.raw_transaction.hex())
    with pytest.raises(ForeignTransaction, match="has used 1 nonces, the journal knows 0"):
        world.chain.mint("mint", token_id("foreign"), FACE)


def test_a_foreign_transaction_in_place_of_a_signed_one_is_found(fresh_world, monkeypatch):
    world = fresh_world
    world.chain.deploy()
    with monkeypatch.context() as patch:
        patch.setattr(Lane, "_send", kill)
        with pytest.raises(Killed):
            world.chain.mint("mint", token_id("foreign"), FACE)
    key = (world.keys._folder / "minter.key").read_text().strip()
    foreign = Account.from_key(key).sign_transaction(
        {
            "chainId": 31337,
            "nonce": 0,
            "gas": 21_000,
            "gasPrice": 0,
            "to": world.chain.platform_wallet,
            "value": 0,
        }
    )
    world.rpc("eth_sendRawTransaction", "0x" + foreign.raw_transaction.hex())
    with pytest.raises(ForeignTransaction, match=r"nonce 0 .* was used by a transaction not ours"):
        world.chain.mint("mint", token_id("foreign"), FACE)


def test_a_journal_of_another_chain_is_not_replayed(tmp_path, new_rows, keys):
    rows = new_rows()
    with Anvil(tmp_path / "one", port=free_port()) as anvil:
        Chain.connect(anvil.url, None, rows, keys).deploy()
    with Anvil(tmp_path / "two", port=free_port(), chain_id=31338) as anvil:
        chain = Chain.connect(anvil.url, None, rows, keys)
        with pytest.raises(Final, match="signed for chain 31337, this is chain 31338"):
            chain.deploy()
        with pytest.raises(Final, match="signed for chain 31337, this is chain 31338"):
            chain.journal.reconcile()
