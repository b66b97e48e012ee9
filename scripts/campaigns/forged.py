"""Forged inclusion proofs, by the ten thousand: none is accepted, by the tree's own check or by the bundle's verifier.

The verifier is asked twice: cold, and after it has proved the forged entry's neighbours, when it takes its short way.
Whole forged bundles are made by forged_bundles.py, and counted beside.
"""

from __future__ import annotations

import hashlib
import json
import random
import secrets
import sys
import time
from binascii import hexlify
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import cyclopts
import msgspec

from chain import merkle
from chain.merkle import Tree
from chain.verifier import Proofs
from scripts.campaigns.figures import keep
from scripts.campaigns.forged_bundles import count_bundles_accepted, founded

SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 31, 33, 64, 100, 127, 200, 255, 256, 257, 1_000)
RELEASE, BUNDLES = 1_000_000, 5_000


class Claim(msgspec.Struct, frozen=True):
    """That an entry's hash is at `index` of a tree with this root and size."""

    root: bytes
    size: int
    index: int
    entry_hash: bytes
    proof: Sequence[bytes]


class Case(msgspec.Struct, frozen=True):
    """An honest claim, and what a forger has at hand: all entries, the nodes on the way up, another batch.

    `near` are other honest claims of the same tree, that of the sibling first.
    """

    claim: Claim
    near: Sequence[Claim]
    hashes: Sequence[bytes]
    nodes: Sequence[bytes]
    other: Claim


Forge = Callable[[random.Random, Case], Claim | None]
with_ = msgspec.structs.replace


def truncated(rng: random.Random, case: Case) -> Claim | None:
    proof = list(case.claim.proof)
    if not proof:
        return None
    del proof[rng.randrange(len(proof))]
    return with_(case.claim, proof=proof)


def extended(rng: random.Random, case: Case) -> Claim | None:
    proof = list(case.claim.proof)
    proof.insert(rng.randint(0, len(proof)), rng.choice([*proof, case.claim.root, bytes(32)]))
    return with_(case.claim, proof=proof)


def empty(_: random.Random, case: Case) -> Claim | None:
    return with_(case.claim, proof=()) if case.claim.proof else None


def reordered(rng: random.Random, case: Case) -> Claim | None:
    proof = list(case.claim.proof)
    rng.shuffle(proof)
    return with_(case.claim, proof=proof) if proof != list(case.claim.proof) else None


def swapped_side(rng: random.Random, case: Case) -> Claim | None:
    """The same proof for the place on the other side of one of its nodes."""
    index = case.claim.index ^ 1 << rng.randrange(max(1, len(case.claim.proof)))
    return with_(case.claim, index=index)


def other_index(rng: random.Random, case: Case) -> Claim | None:
    index = rng.randrange(-1, case.claim.size + 2)
    return with_(case.claim, index=index) if index != case.claim.index else None


def other_entry(rng: random.Random, case: Case) -> Claim | None:
    entry_hash = rng.choice(case.hashes)
    return with_(case.claim, entry_hash=entry_hash) if entry_hash != case.claim.entry_hash else None


def other_batch(_: random.Random, case: Case) -> Claim | None:
    return with_(case.claim, entry_hash=case.other.entry_hash, proof=case.other.proof)


def other_contract(_: random.Random, case: Case) -> Claim | None:
    """A true proof, shown to whom another log's root is anchored."""
    return with_(case.claim, root=case.other.root)


def other_tree_size(rng: random.Random, case: Case) -> Claim | None:
    """The proof that the entry had when the batch was shorter."""
    size = rng.randint(1, case.claim.size)
    if size == case.claim.size or case.claim.index >= size or size > 64:
        return None
    return with_(case.claim, proof=merkle.proof(case.hashes[:size], case.claim.index))


def claimed_size(rng: random.Random, case: Case) -> Claim | None:
    """Another size that asks for other siblings. (One that asks for the same ones says the same of the entry.)"""
    size = rng.randint(1, 2 * case.claim.size + 1)
    if sides(case.claim.index, size) == sides(case.claim.index, case.claim.size):
        return None
    return with_(case.claim, size=size)


def inner_node(rng: random.Random, case: Case) -> Claim | None:
    """A node for an entry: in the tree as it is, or in the smaller tree whose leaves such nodes would be."""
    if len(case.nodes) < 2:
        return None
    level = rng.randrange(1, len(case.nodes))
    forged = with_(case.claim, entry_hash=case.nodes[level], proof=case.claim.proof[level:])
    if rng.random() < 0.5:
        return forged
    return with_(forged, index=case.claim.index >> level, size=((case.claim.size - 1) >> level) + 1)


def of_64_bytes(rng: random.Random, case: Case) -> Claim | None:
    """An entry that is two nodes: hashed without prefixes it would be their parent."""
    if not case.claim.proof:
        return None
    pair = [case.nodes[0], case.claim.proof[0]]
    rng.shuffle(pair)
    return with_(case.claim, entry_hash=b"".join(pair), proof=case.claim.proof[1:])


def bit_flipped(rng: random.Random, case: Case) -> Claim | None:
    parts = [case.claim.entry_hash, case.claim.root, *case.claim.proof]
    chosen = rng.randrange(len(parts))
    flipped = bytearray(parts[chosen])
    flipped[rng.randrange(32)] ^= 1 << rng.randrange(8)
    parts[chosen] = bytes(flipped)
    return with_(case.claim, entry_hash=parts[0], root=parts[1], proof=parts[2:])


KINDS: tuple[Forge, ...] = (truncated, extended, empty, reordered, swapped_side, other_index, other_entry, other_batch,
                            other_contract, other_tree_size, claimed_size, inner_node, of_64_bytes, bit_flipped)


def sides(index: int, size: int) -> list[int]:
    """For each sibling that is asked for, from the leaf upwards, whether the way goes up on its right."""
    last, found = size - 1, []
    while last > 0:
        if index & 1 or index < last:
            found.append(index & 1)
        index, last = index >> 1, last >> 1
    return found


# ---------------------------------------------------------------- cases


def forgeries(count: int, seed: int, sizes: Sequence[int] = SIZES) -> Iterator[tuple[str, Case, Claim]]:
    """`count` forged claims, kind after kind, with the honest claim each is made of; the same for the same seed."""
    rng = random.Random(seed)
    pool = [[_entries(rng, size) for _ in range(2)] for size in sizes]
    trees = [[(Tree(hashes), hashes) for hashes in pair] for pair in pool]
    made = 0
    while made < count:
        one, two = rng.choice(trees)
        case = _case(rng, one, two)
        for forge in KINDS:
            claim = forge(rng, case)
            if claim is not None and made < count:
                made += 1
                yield forge.__name__, case, claim


def _entries(rng: random.Random, size: int) -> list[bytes]:
    return [rng.randbytes(32) for _ in range(size)]


def _case(rng: random.Random, one: tuple[Tree, list[bytes]], two: tuple[Tree, list[bytes]]) -> Case:
    size = len(one[1])
    claim = honest(one, rng.randrange(size))
    near = [index for index in (claim.index ^ 1, claim.index ^ 2, rng.randrange(size)) if index < size]
    return Case(claim, [honest(one, index) for index in near], one[1], _nodes(claim), honest(two, claim.index))


def honest(of: tuple[Tree, list[bytes]], index: int) -> Claim:
    tree, hashes = of
    return Claim(tree.root, len(hashes), index, hashes[index], tree.proof(index))


def _nodes(claim: Claim) -> list[bytes]:
    """The nodes on the way from the leaf to below the root, one for each sibling."""
    nodes = [merkle.root([claim.entry_hash])]
    for is_right, sibling in zip(sides(claim.index, claim.size)[:-1], claim.proof, strict=False):
        pair = sibling + nodes[-1] if is_right else nodes[-1] + sibling
        nodes.append(hashlib.sha256(b"\x01" + pair).digest())
    return nodes


# ---------------------------------------------------------------- who is asked


def accepted_by_tree(claim: Claim) -> bool:
    return merkle.verify(claim.root, claim.size, claim.index, claim.entry_hash, claim.proof)


def accepted_by_verifier(claim: Claim, neighbours: Sequence[Claim] = ()) -> bool:
    """The bundle's verifier, over a batch from position 1; `neighbours` are shown to it first and must hold."""
    batch = {"from_position": 1, "to_position": claim.size, "root": claim.root.hex()}
    proofs = Proofs({1: batch})
    for known in (*neighbours, claim):
        answer = proofs.hold(b"1", known.index + 1, hexlify(known.entry_hash), hexlify(b"".join(known.proof)))
        if known is not claim:
            assert answer, "an honest proof is refused"
    return answer


def accepting(case: Case, claim: Claim) -> list[str]:
    """Who accepts a claim: nobody should."""
    found = ["tree"] if accepted_by_tree(claim) else []
    found += ["verifier"] if accepted_by_verifier(claim) else []
    if (claim.root, claim.size) == (case.claim.root, case.claim.size):
        found += ["verifier, warm"] if accepted_by_verifier(claim, case.near) else []
    return found


def count_forged_accepted(count: int, seed: int) -> int:
    """How many of `count` forged proofs anybody accepts."""
    return sum(1 for _, case, claim in forgeries(count, seed) if accepting(case, claim))


def main(*, count: int = RELEASE, bundles: int = BUNDLES, seed: int | None = None) -> None:
    """Forge, ask, write build/campaign/forged.json; exits 1 when anybody accepted anything."""
    seed = secrets.randbelow(2**32) if seed is None else seed
    print(f"again: .venv/bin/python -m scripts.campaigns.forged --count {count} --bundles {bundles} --seed {seed}")
    started, forged, accepted = time.monotonic(), Counter[str](), Counter[str]()
    for kind, case, claim in forgeries(count, seed):
        forged[kind] += 1
        accepted[kind] += bool(accepting(case, claim))
    with founded() as town:
        taken = count_bundles_accepted(town, bundles, seed)
    told = {"forged": forged.total(), "accepted": accepted.total(), "bundles_forged": bundles,
            "bundles_accepted": taken, "seed": seed,
            "seconds": round(time.monotonic() - started, 1), "forged_by_kind": dict(forged),
            "accepted_by_kind": dict(+accepted)}
    keep("forged", told)
    print(json.dumps(told, indent=2))
    sys.exit(1 if told["accepted"] or taken else 0)


if __name__ == "__main__":
    cyclopts.run(main)
