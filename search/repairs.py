"""A fragment with something wrong in it: which of its pieces can still be relied on, and what stands in for the others.

Pure. A repair takes a fragment and gives readings of it; how often pieces occur prunes those that cannot be.
"""

import re
from itertools import pairwise
from typing import Protocol

Term = tuple[str, str]
Clause = tuple[Term, ...]
Reading = tuple[Clause, ...]

NEAR_CODE = "near_code"
"""No field: any code that differs by one character from the term."""


class Vocabulary(Protocol):
    """The terms of an index."""

    def frequency(self, field: str, term: str) -> int:
        """In how many entities `term` occurs."""
        ...

    def beginning(self, field: str, start: str, most: int) -> list[str]:
        """The most frequent terms that begin with `start`."""
        ...


Change = tuple[range, list[Term]]
"""Pieces that an error touches, by number, and the terms that take their place."""


def missing_or_swapped(text: str, vocabulary: Vocabulary) -> list[Reading]:
    """Readings of `text` with one character missing, or swapped with the next."""
    size = len(text) if len(text) > 2 else 0
    changes: list[Change] = []
    for at in range(size - 1):
        changes.append((range(at, at + 1), [("skips", text[at : at + 2])]))
        swapped = text[max(0, at - 1) : at] + text[at + 1] + text[at] + text[at + 2 : at + 3]
        put = [("characters", one + other) for one, other in pairwise(swapped)]
        changes.append((range(max(0, at - 1), min(size - 1, at + 2)), put))
    return _possible(text, changes, vocabulary, "characters")


def wrong_or_extra(text: str, vocabulary: Vocabulary) -> list[Reading]:
    """Readings of `text` with one character inside it wrong, or too much."""
    changes: list[Change] = []
    for at in range(1, len(text) - 1):
        around = text[at - 1] + text[at + 1]
        changes += [(range(at - 1, at + 1), [(field, around)]) for field in ("skips", "characters")]
    return _possible(text, changes, vocabulary, "characters")


def wrong_ends(text: str, vocabulary: Vocabulary) -> list[Reading]:
    """Readings of `text` with its first or its last character wrong."""
    size = len(text)
    changes: list[Change] = [(range(1), []), (range(size - 2, size - 1), [])]
    return _possible(text, changes if size > 3 else [], vocabulary, "characters")


def gaps(text: str, vocabulary: Vocabulary, field: str = "characters") -> list[Reading]:
    """Readings of `text` with something left out in one place: 鑫诺电器 for 鑫诺照明电器."""
    return _possible(text, [(range(at, at + 1), []) for at in range(1, len(text) - 2)], vocabulary, field)


def _possible(text: str, changes: list[Change], vocabulary: Vocabulary, field: str) -> list[Reading]:
    """The changes that touch all pieces which nobody has, and put in pieces which somebody has."""
    whole = [one + other for one, other in pairwise(text)]
    unknown = {at for at, piece in enumerate(whole) if not vocabulary.frequency(field, piece)}
    readings: dict[Reading, None] = {}
    for touched, put in changes:
        if not unknown <= set(touched) or not all(vocabulary.frequency(*term) for term in put):
            continue
        kept = [((field, piece),) for at, piece in enumerate(whole) if at not in touched]
        reading: Reading = (*kept, *((term,) for term in put))
        if reading:
            readings[reading] = None
    return list(readings)


_FORM_LIKE = re.compile("[股份有限责任公司]{3,}")


def pieces(text: str) -> Reading:
    """Every piece that a name may share with `text`, also where either has one character more than the other."""
    found: dict[Clause, None] = {}
    for part in _FORM_LIKE.split(text):
        together = [one + other for one, other in pairwise(part)]
        apart = [one + other for one, other in zip(part, part[2:], strict=False)]
        found |= {((field, piece),): None for piece in together + apart for field in ("characters", "skips")}
    return tuple(found)
