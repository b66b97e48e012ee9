"""The tree is RFC 6962, and what plain merkletools accepts is refused."""

import hashlib
import random

import pytest

from chain import merkle
from chain.merkle import MerkleTools

SIZES = [*range(1, 200), 257, 511, 1000]


def hashes(count: int) -> list[bytes]:
    return [hashlib.sha256(b"entry %d" % number).digest() for number in range(count)]


def rfc_root(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word by word."""
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = largest_power_below(len(entries))
    pair = rfc_root(entries[:split]) + rfc_root(entries[split:])
    return hashlib.sha256(b"\x01" + pair).digest()


def rfc_path(entries: list[bytes], index: int) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(entries) == 1:
        return []
    split = largest_power_below(len(entries))
    if index < split:
        return [*rfc_path(entries[:split], index), rfc_root(entries[split:])]
    return [*rfc_path(entries[split:], index - split), rfc_root(entries[:split])]


def largest_power_below(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)


@pytest.mark.parametrize("size", SIZES)
def test_root_and_proofs_equal_rfc_6962(size):
    entries = hashes(size)
    tree = merkle.Tree(entries)
    assert tree.root == rfc_root(entries)
    for index in {0, size - 1, size // 2, size // 3}:
        proof = tree.proof(index)
        assert proof == rfc_path(entries, index)
        assert merkle.verify(tree.root, size, index, entries[index], proof)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_only_the_true_proof_passes(size):
    entries = hashes(size)
    root = merkle.root(entries)
    for index in range(size):
        proof = merkle.proof(entries, index)
        for claimed in range(size):
            for other in range(size):
                expected = claimed == index and other == index
                assert merkle.verify(root, size, claimed, entries[other], proof) is expected
        assert not merkle.verify(root, size, index, entries[index], [*proof, bytes(32)])
        assert not merkle.verify(root, size, size, entries[index], proof)
        assert not merkle.verify(root, size, -1, entries[index], proof)
        if proof:
            assert not merkle.verify(root, size, index, entries[index], proof[:-1])


def test_a_proof_for_another_size_fails():
    entries = hashes(6)
    proof = merkle.proof(entries, 5)
    assert merkle.verify(merkle.root(entries), 6, 5, entries[5], proof)
    assert not any(merkle.verify(merkle.root(entries), size, 5, entries[5], proof) for size in (7, 8, 9, 16))


def test_swapped_and_bent_siblings_fail():
    entries = hashes(16)
    root, proof = merkle.root(entries), merkle.proof(entries, 5)
    shuffled = random.Random(1).sample(proof, len(proof))
    assert shuffled != proof
    assert not merkle.verify(root, 16, 5, entries[5], shuffled)
    for place in range(len(proof)):
        bent = [bytes(32) if number == place else sibling for number, sibling in enumerate(proof)]
        assert not merkle.verify(root, 16, 5, entries[5], bent)


def test_an_inner_node_is_not_a_leaf():
    """Plain merkletools says yes here; the prefixes are why we say no."""
    tools = MerkleTools()
    tools.add_leaf(["a", "b", "c", "d"], do_hash=True)
    tools.make_tree()
    assert tools.levels is not None
    inner, sibling = (bytes(node) for node in tools.levels[1])
    assert tools.validate_proof([{"right": sibling.hex()}], inner.hex(), tools.get_merkle_root())

    entries = hashes(4)
    left = merkle.root(entries[:2])
    assert not merkle.verify(merkle.root(entries), 2, 0, left, [merkle.root(entries[2:])])
    assert merkle.root([left, merkle.root(entries[2:])]) != merkle.root(entries)


def test_a_64_byte_entry_is_not_two_leaves():
    entries = hashes(2)
    forged = b"".join(hashlib.sha256(b"\x00" + entry).digest() for entry in entries)
    assert not merkle.verify(merkle.root(entries), 1, 0, forged, [])
    with pytest.raises(ValueError, match="32 bytes"):
        merkle.root([forged])


def test_a_repeated_last_entry_changes_the_root():
    entries = hashes(3)
    assert merkle.root(entries) != merkle.root([*entries, entries[-1]])


def test_an_empty_batch_has_no_root():
    with pytest.raises(ValueError, match="at least one"):
        merkle.root([])
    with pytest.raises(IndexError):
        merkle.proof(hashes(3), 3)


def test_trees_are_kept_by_their_root():
    trees, read = merkle.Trees(size=2), []

    def tree(seed: int) -> merkle.Tree:
        entries = [bytes([seed, number]) * 16 for number in range(5)]
        return trees.of(merkle.root(entries), lambda: read.append(seed) or entries)

    first = tree(1)
    assert tree(1) is first and first.proof(2) == merkle.proof([bytes([1, number]) * 16 for number in range(5)], 2)
    tree(2)
    tree(1)
    tree(3)  # the second is the one that was not asked for
    assert tree(1) is first and read == [1, 2, 3]
    tree(2)
    assert read == [1, 2, 3, 2]


def test_a_tree_of_another_root_is_refused():
    with pytest.raises(ValueError, match="the hashes give the root"):
        merkle.Trees().of(bytes(32), lambda: hashes(3))
