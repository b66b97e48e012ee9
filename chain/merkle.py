"""RFC 6962 trees over the log's 32-byte entry hashes, built by merkletools.

    leaf = sha256(0x00 || hash)        node = sha256(0x01 || left || right)        an odd node is promoted

merkletools by itself prefixes nothing, so it takes an inner node for a leaf and a 64-byte entry for two. Here
its leaves come hashed and its hash function is the node's, which makes it RFC 6962; and a proof is a plain
list of siblings: left or right follows from index and size, so there are no hints to bend.
"""

import hashlib
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns that pysha3 is missing, which is not needed for sha256
    from merkletools import MerkleTools

LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"
HASH_BYTES = 32


class Tree:
    """One batch's tree. Raises ValueError for an empty batch or a hash that is not 32 bytes long."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        if not hashes:
            raise ValueError("a batch holds at least one entry")
        self._tools = MerkleTools(hash_type="sha256")
        self._tools.hash_function = _node_hash
        self._tools.add_leaf([_leaf(entry_hash).hex() for entry_hash in hashes])
        self._tools.make_tree()

    @property
    def root(self) -> bytes:
        """The tree's root."""
        return bytes.fromhex(str(self._tools.get_merkle_root()))

    def proof(self, index: int) -> list[bytes]:
        """Returns the siblings from a leaf upwards. Raises IndexError outside the tree."""
        siblings = self._tools.get_proof(index)
        if siblings is None:
            raise IndexError(f"no leaf {index}")
        return [bytes.fromhex(value) for sibling in siblings for value in sibling.values()]


class Trees:
    """The trees that were asked for last. An anchored batch never changes, so its root names its tree."""

    def __init__(self, size: int = 8) -> None:
        self._size = size
        self._kept: OrderedDict[bytes, Tree] = OrderedDict()
        self._lock = Lock()

    def of(self, root: bytes, read: Callable[[], Sequence[bytes]]) -> Tree:
        """Returns the tree with this root over the hashes that `read` gives. Raises ValueError when they give another
        root.
        """
        with self._lock:
            if root in self._kept:
                self._kept.move_to_end(root)
                return self._kept[root]
        tree = Tree(read())
        if tree.root != root:
            raise ValueError(f"the hashes give the root {tree.root.hex()}, not {root.hex()}")
        with self._lock:
            self._kept[root] = tree
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return tree


def root(hashes: Sequence[bytes]) -> bytes:
    """Returns the root over entry hashes."""
    return Tree(hashes).root


def proof(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Returns the inclusion proof of one entry. For many, build a `Tree` once."""
    return Tree(hashes).proof(index)


def verify(root: bytes, size: int, index: int, entry_hash: bytes, proof: Sequence[bytes]) -> bool:
    """Says whether an entry hash is at `index` of a tree of `size` leaves. The contract does the same."""
    if not 0 <= index < size or len(entry_hash) != HASH_BYTES:
        return False
    node = _leaf(entry_hash)
    siblings = iter(proof)
    last = size - 1
    while last > 0:
        is_right = index & 1 == 1
        if is_right or index < last:
            sibling = next(siblings, None)
            if sibling is None:
                return False
            node = _node_hash(sibling + node if is_right else node + sibling).digest()
        index >>= 1
        last >>= 1
    return next(siblings, None) is None and node == root


def _leaf(entry_hash: bytes) -> bytes:
    if len(entry_hash) != HASH_BYTES:
        raise ValueError(f"an entry hash has {HASH_BYTES} bytes, not {len(entry_hash)}")
    return hashlib.sha256(LEAF_PREFIX + entry_hash).digest()


def _node_hash(pair: bytes) -> "hashlib._Hash":
    return hashlib.sha256(NODE_PREFIX + pair)
