"""The anchor takes the next batch and nothing else, and takes it once."""

import hashlib
import random

import pytest

from chain import anchor, merkle
from chain.anvil import Anvil, free_port
from chain.client import Chain
from chain.errors import Final, Refused
from chain.lane import Lane
from tests.chain.conftest import World
from tests.chain.logbook import Logbook

ROOT = b"\x01" * 32


@pytest.fixture(scope="module")
def log() -> Logbook:
    log = Logbook()
    for number in range(1, 40):
        log.invoice_story(number)
    return log


@pytest.fixture(scope="module")
def anchored_world(tmp_path_factory, new_rows, keys):
    """One deployment for this file, because batches are numbered for good."""
    with Anvil(tmp_path_factory.mktemp("anvil"), port=free_port()) as anvil:
        world = World(anvil, new_rows(), keys)
        world.chain.deploy()
        yield world


@pytest.fixture(scope="module")
def chain(anchored_world, log) -> Chain:
    """Batches of 1, 2, 3, 5, 17 and 100 entries."""
    chain = anchored_world.chain
    assert chain.anchor_head() == anchor.genesis_head(chain.deployment().log_id)
    last = 0
    for size in (1, 2, 3, 5, 17, 100):
        last += size
        anchored = anchor.anchor_pending(chain, log.hashes, last)
        assert anchored is not None and chain.anchor_head() == anchored.batch.head
    assert anchor.anchor_pending(chain, log.hashes, last) is None
    assert (chain.batch_count(), chain.next_position()) == (6, 129)
    return chain


def refusal(chain: Chain, op: str, *arguments) -> str:
    with pytest.raises(Refused) as caught:
        chain.anchor(op, *arguments)
    return caught.value.code


@pytest.mark.parametrize(
    ("batch_id", "first", "last", "root", "code"),
    [
        pytest.param(3, 4, 6, ROOT, "WRONG_BATCH_ID", id="a rewrite"),
        pytest.param(8, 129, 130, ROOT, "WRONG_BATCH_ID", id="a skipped batch"),
        pytest.param(7, 130, 131, ROOT, "NOT_CONTIGUOUS", id="a gap"),
        pytest.param(7, 128, 131, ROOT, "NOT_CONTIGUOUS", id="an overlap"),
        pytest.param(7, 129, 128, ROOT, "EMPTY_BATCH", id="an inverted range"),
        pytest.param(7, 129, 130, bytes(32), "ZERO_ROOT", id="a zero root"),
    ],
)
def test_the_contract_refuses(chain, anchored_world, batch_id, first, last, root, code):
    assert refusal(chain, anchored_world.op(), batch_id, first, last, root, chain.anchor_head()) == code


def test_the_contract_refuses_another_history_a_wrong_count_and_a_replay(chain, anchored_world):
    world = anchored_world
    genesis = anchor.genesis_head(chain.deployment().log_id)
    assert refusal(chain, world.op(), 7, 129, 130, ROOT, genesis) == "WRONG_PREV_HEAD"
    data = chain._encode("FXAuditAnchor", "anchor", (7, 129, 130, 3, ROOT, chain.anchor_head()))
    address = chain.deployment()["FXAuditAnchor"]
    with pytest.raises(Refused, match="WRONG_COUNT"):
        chain.journal.run(world.op(), "anchorer", address, data, 250_000)
    replayed = chain.journal.signed_data("anchor:6")
    assert replayed is not None
    with pytest.raises(Refused, match="WRONG_BATCH_ID"):
        chain.journal.run(world.op(), "anchorer", address, replayed, 250_000)
    with pytest.raises(Refused, match="ACCESS_CONTROL"):
        chain.journal.run(world.op(), "admin", address, data, 250_000)
    with pytest.raises(Refused, match="UNKNOWN_BATCH"):
        chain.batch(7)


def test_every_entry_is_proved_on_the_chain_and_no_other(chain, log):
    for batch_id in range(1, chain.batch_count() + 1):
        batch = chain.batch(batch_id)
        hashes = log.hashes(batch.from_position, batch.to_position)
        assert batch.root == merkle.root(hashes)
        for index in random.Random(batch_id).sample(range(len(hashes)), min(len(hashes), 6)):
            position, proof = batch.from_position + index, merkle.proof(hashes, index)
            assert chain.verify_inclusion(batch_id, position, hashes[index], proof)
            assert not chain.verify_inclusion(batch_id, position, ROOT, proof)
            assert not chain.verify_inclusion(batch_id, position, hashes[index], [*proof, ROOT])
            assert not chain.verify_inclusion(batch_id, position + 1000, hashes[index], proof)
            if proof:
                assert not chain.verify_inclusion(batch_id, position, hashes[index], proof[:-1])
        assert chain._read("FXAuditAnchor", "batchOf", batch.from_position) == batch_id
        assert chain._read("FXAuditAnchor", "batchOf", batch.to_position) == batch_id
    assert chain._read("FXAuditAnchor", "batchOf", 129) == 0


def test_a_signed_batch_keeps_its_range_while_the_log_grows(anchored_world, chain, log, monkeypatch):
    victim = anchored_world.connect()

    def kill(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Lane, "_send", kill)
        with pytest.raises(KeyboardInterrupt):
            anchor.anchor_pending(victim, log.hashes, 140)
    anchored = anchor.anchor_pending(anchored_world.connect(), log.hashes, 200)
    assert anchored is not None
    assert (anchored.batch.batch_id, anchored.batch.from_position, anchored.batch.to_position) == (
        7,
        129,
        140,
    )
    rest = anchor.anchor_pending(chain, log.hashes, 200, max_entries=50)
    assert rest is not None and (rest.batch.from_position, rest.batch.to_position) == (141, 190)


def test_a_log_that_changed_under_a_signed_batch_is_found(anchored_world, chain, log, monkeypatch):
    victim = anchored_world.connect()

    def kill(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Lane, "_send", kill)
        with pytest.raises(KeyboardInterrupt):
            anchor.anchor_pending(victim, log.hashes, 200)
    with pytest.raises(Final, match="no longer gives the root"):
        anchor.anchor_pending(chain, lambda first, last: [ROOT] * (last - first + 1), 200)


def test_a_log_that_gives_too_few_hashes_is_refused(chain):
    with pytest.raises(Final, match="the log gave 0 hashes"):
        anchor.anchor_pending(chain, lambda first, last: [], 10_000)


def test_a_batch_is_contiguous_and_not_empty():
    with pytest.raises(ValueError, match="not contiguous"):
        anchor.make_batch(1, [(1, ROOT), (3, ROOT)], ROOT)
    with pytest.raises(ValueError, match="at least one"):
        anchor.make_batch(1, [], ROOT)


def test_the_anchor_contract_on_the_chain_is_the_published_code(anchored_world, chain):
    facts = anchor.facts(chain)
    code = anchored_world.rpc("eth_getCode", facts.contract, "latest")
    assert hashlib.sha256(bytes.fromhex(code[2:])).hexdigest() == facts.code_sha256
