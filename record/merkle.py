"""Merkle trees as RFC 6962 section 2.1 defines them (RFC 9162 kept it), read from stored tiles. Pure.

The hash of every full subtree of 256, 65,536, … leaves is kept, so that a root or a proof over ten million leaves
reads a few hundred hashes. A `Read` gives one tile: `read(level, number)` is the hashes of subtrees of 256**level
leaves from 256 * number on, as many as are complete, at most 256.
"""

import hashlib
from collections.abc import Callable, Sequence

WIDTH = 256
EMPTY = hashlib.sha256(b"").digest()
"""Root of a tree without leaves."""

Read = Callable[[int, int], Sequence[bytes]]


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf that holds `data`."""
    return hashlib.sha256(b"\x00" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Root over subtrees of equal size, whose number is a power of two."""
    level = list(hashes)
    while len(level) > 1:
        level = [_node(level[at], level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


def root(read: Read, size: int) -> bytes:
    """Merkle tree hash over the first `size` leaves."""
    return _Tree(read).hash(0, size) if size else EMPTY


def inclusion(read: Read, leaf: int, size: int) -> list[bytes]:
    """Audit path of leaf number `leaf` in the tree of the first `size` leaves (section 2.1.1)."""
    if not 0 <= leaf < size:
        raise ValueError("no such leaf in a tree of this size")
    tree, path = _Tree(read), []
    first, last = 0, size
    while last - first > 1:
        middle = first + _split(last - first)
        if leaf < middle:
            path.append(tree.hash(middle, last))
            last = middle
        else:
            path.append(tree.hash(first, middle))
            first = middle
    return path[::-1]


def consistency(read: Read, earlier: int, later: int) -> list[bytes]:
    """Proof that the tree of `earlier` leaves is the beginning of that of `later` (section 2.1.2)."""
    if not 0 < earlier <= later:
        raise ValueError("the earlier tree has to have leaves, and no more than the later one")
    tree, path = _Tree(read), []
    first, last, whole = 0, later, True
    while earlier != last:
        middle = first + _split(last - first)
        if earlier <= middle:
            path.append(tree.hash(middle, last))
            last = middle
        else:
            path.append(tree.hash(first, middle))
            first, whole = middle, False
    if not whole:
        path.append(tree.hash(first, last))
    return path[::-1]


def includes(leaf_hash: bytes, leaf: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` proves that `leaf_hash` is leaf number `leaf` of the tree with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= leaf < size:
        return False
    at, last, found = leaf, size - 1, leaf_hash
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = _node(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = _node(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def extends(earlier: int, earlier_root: bytes, later: int, later_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` proves that the later tree begins with the earlier one (RFC 9162, 2.1.4.2)."""
    if earlier == later:
        return not path and earlier_root == later_root
    if not 0 < earlier < later:
        return False
    steps = list(path) if earlier & (earlier - 1) else [earlier_root, *path]
    if not steps:
        return False
    at, last = earlier - 1, later - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = _node(sibling, old), _node(sibling, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = _node(new, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and old == earlier_root and new == later_root


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


class _Tree:
    """Hashes of any range that occurs in a tree, each tile read once."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    def hash(self, first: int, last: int) -> bytes:
        size = last - first
        if size & (size - 1) == 0:
            return self._full(first, size)
        middle = first + _split(size)
        return _node(self._full(first, middle - first), self.hash(middle, last))

    def _full(self, first: int, size: int) -> bytes:
        level = (size.bit_length() - 1) // 8
        unit = WIDTH**level
        at, number = first // unit, size // unit
        tile = self._tile(level, at // WIDTH)
        return fold(tile[at % WIDTH : at % WIDTH + number])

    def _tile(self, level: int, number: int) -> Sequence[bytes]:
        if (level, number) not in self._tiles:
            self._tiles[level, number] = self._read(level, number)
        return self._tiles[level, number]
