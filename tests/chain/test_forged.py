"""Ten thousand forged proofs, and nobody accepts one: not the tree, not the verifier, not the contract."""

import hashlib

import pytest

from chain import anchor, merkle
from chain.merkle import MerkleTools
from chain.verifier import Proofs
from scripts.campaigns import forged
from scripts.campaigns.forged import accepted_by_tree, accepted_by_verifier, accepting, forgeries

FORGED, SEED = 10_000, 22
ON_CHAIN = 300


def test_ten_thousand_forged_proofs_are_refused():
    assert forged.count_forged_accepted(FORGED, SEED) == 0


def test_every_kind_is_among_them_and_every_honest_claim_is_accepted():
    kinds = set()
    for kind, case, _ in forgeries(1_000, SEED):
        kinds.add(kind)
        assert accepting(case, case.claim) == ["tree", "verifier", "verifier, warm"]
    assert kinds == {forge.__name__ for forge in forged.KINDS}


@pytest.mark.parametrize(("where", "check"), [(merkle, "verify"), (Proofs, "hold")])
def test_one_careless_check_would_be_counted(monkeypatch, where, check):
    monkeypatch.setattr(where, check, lambda *_: True)
    assert forged.count_forged_accepted(100, SEED) == 100


def test_the_contract_refuses_what_the_tree_refuses(world):
    """The contract knows root and size itself, so what can be forged is the position, the entry and the proof."""
    chain = world.connect()
    first, number = chain.next_position(), chain.batch_count() + 1
    made = [(case, claim) for _, case, claim in forgeries(4 * ON_CHAIN, SEED, sizes=(37,))]
    hashes = made[0][0].hashes
    batch = anchor.make_batch(number, list(enumerate(hashes, first)), chain.anchor_head())
    chain.anchor(f"anchor:{number}", number, first, first + len(hashes) - 1, batch.root, batch.prev_head)
    same = [(case, claim) for case, claim in made
            if (claim.root, claim.size, len(claim.entry_hash)) == (case.claim.root, 37, 32) and claim.index >= -first]
    assert len(same) >= ON_CHAIN
    for _, claim in same[:ON_CHAIN]:
        assert not chain.verify_inclusion(number, first + claim.index, claim.entry_hash, claim.proof), claim
    for case, _ in same[:20]:
        assert chain.verify_inclusion(number, first + case.claim.index, case.claim.entry_hash, case.claim.proof)


@pytest.mark.parametrize("spell", [
    str.upper, lambda digits: " " + digits, lambda digits: digits + " ", lambda digits: "0x" + digits,
    lambda digits: digits[:64] + "\t" + digits[64:], lambda digits: digits[:-1], lambda digits: digits + "0",
    lambda digits: "g" + digits[1:], lambda digits: digits[:64] + "," + digits[64:],
])
def test_a_proof_is_spelt_in_one_way(spell):
    _, case, _ = next(forgeries(1, SEED, sizes=(37,)))
    proof = b"".join(case.claim.proof).hex()
    batches = {1: {"from_position": 1, "to_position": 37, "root": case.claim.root.hex()}}
    position, entry_hash = case.claim.index + 1, case.claim.entry_hash.hex().encode()
    assert Proofs(batches).hold(b"1", position, entry_hash, proof.encode())
    assert not Proofs(batches).hold(b"1", position, entry_hash, spell(proof).encode())
    near = case.near[0]
    warm = Proofs(batches)
    assert warm.hold(b"1", near.index + 1, near.entry_hash.hex().encode(), b"".join(near.proof).hex().encode())
    assert not warm.hold(b"1", position, entry_hash, spell(proof).encode())


def test_what_plain_merkletools_accepts_is_refused():
    """An inner node as a leaf, and an entry of 64 bytes whose hash is that node."""
    entries = [hashlib.sha256(b"entry %d" % number).digest() for number in range(4)]
    tools = MerkleTools()
    tools.add_leaf([hashlib.sha256(entry).hexdigest() for entry in entries])
    tools.make_tree()
    leaves = [hashlib.sha256(entry).digest() for entry in entries]
    inner, sibling = (hashlib.sha256(leaves[at] + leaves[at + 1]).digest() for at in (0, 2))
    two_in_one = leaves[0] + leaves[1]
    assert tools.validate_proof([{"right": sibling.hex()}], inner.hex(), tools.get_merkle_root())
    assert tools.validate_proof([{"right": sibling.hex()}], hashlib.sha256(two_in_one).hexdigest(),
                                tools.get_merkle_root())
    ours = merkle.root(entries)
    nodes = [merkle.root(entries[:2]), merkle.root(entries[2:])]
    for entry in (nodes[0], two_in_one, merkle.root(entries[:1]) + merkle.root(entries[1:2])):
        claim = forged.Claim(ours, 2, 0, entry, [nodes[1]])
        assert not accepted_by_tree(claim) and not accepted_by_verifier(claim)
