"""What somebody typed: cleaned, cut into words, told apart, or refused. Pure: no index is asked here.

What is then looked for, and in which order, is `search.steps`.
"""

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from portal.kit.errors import PortalError
from record import codes, names
from search.text import bare, is_form

MAX_LENGTH = 500
_LONGEST_NAME = 40
"""Bare letters; what is longer, or has so many words, is a text with a name somewhere in it."""
_MOST_WORDS = 6


class Refused(PortalError):
    """A query that cannot be answered."""

    status: ClassVar[int] = 422
    slug = "query-refused"
    title = "This cannot be searched for."
    remedy = "Type part of a name, its pinyin or initials, a credit code, or an address."


class TooLong(Refused):
    slug = "query-too-long"
    title = "This is too long to search for."
    remedy = "Type at most %(limit)s characters; a name or part of it is enough."


class NoLetters(Refused):
    """Nothing but punctuation, emoji or marks."""

    slug = "query-without-letters"
    title = "There is nothing in this that a name could hold."


@dataclass(frozen=True, slots=True)
class Word:
    """A run of letters and characters, without marks."""

    tidied: str
    """Traditional characters kept, for their readings."""
    simple: str

    @property
    def latin(self) -> bool:
        """Pinyin, initials, a foreign name or a number."""
        return self.simple.isascii()


@dataclass(frozen=True, slots=True)
class Query:
    """One query, ready to be planned for. An empty one asks for everything."""

    folded: str
    """As `Entity.name_key`, for a name that was typed whole."""
    words: tuple[Word, ...]
    place: str = ""
    """A place that stood in brackets, as names have it: 鑫诺(上海)有限公司. It is not among the words."""
    code: str = ""
    """A credit code or part of one, in capitals."""
    is_text: bool = False
    """A text that was pasted, with a name somewhere in it."""

    @property
    def everything(self) -> bool:
        return not self.words and not self.code


_SEPARATORS = re.compile(r"[\s,，、;；。:：|/\\!！?？…]+")
_SPACES = re.compile(r"[\s\-_.·]+")
_CODE = re.compile(r"(?<![0-9A-Z])[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}(?![0-9A-Z])")
_PART_OF_CODE = re.compile(r"(?=(?:.*[0-9]){4})[0-9A-Z]{5,20}|(?=(?:.*[0-9]){2})[0-9A-Z]{8,20}")
_LOOK_ALIKES = str.maketrans("OIZSV", "0125U")
_PLACE_IN_BRACKETS = re.compile(r"\(([^()]{2,8})\)")


def read(text: str) -> Query:
    """`text` as a query. Raises TooLong and NoLetters."""
    if len(text) > MAX_LENGTH:
        raise TooLong(limit=MAX_LENGTH)
    shown = "".join(" " if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} else char for char in text)
    if not shown.strip():
        return Query("", ())
    words, place = _words(shown)
    if not words and not place:
        raise NoLetters
    folded = names.fold(shown)
    words = [word for word in words if not is_form(word.simple)]
    written = [word for word in words if not word.latin]
    is_text = len(written) > _MOST_WORDS or sum(len(word.simple) for word in written) > _LONGEST_NAME
    if not words and place:
        words, place = [Word(place, place)], ""
    return Query(folded, tuple(words), place, _code(shown), is_text)


def _words(shown: str) -> tuple[list[Word], str]:
    """Words, and the place that stands in brackets."""
    wide = unicodedata.normalize("NFKC", shown)
    tidied = [names.tidy(piece) for piece in _SEPARATORS.split(wide)]
    place = ""
    words = []
    for piece in tidied:
        found = _PLACE_IN_BRACKETS.search(names.simplify(piece))
        rest = piece
        if found and not place and names.is_place(found[1]):
            place, rest = found[1], piece[: found.start()] + piece[found.end() :]
        whole = bare(rest)
        if whole:
            words.append(Word(whole, names.simplify(whole)))
    if len(words) > 1 and all(len(word.simple) == 1 and not word.latin for word in words):
        words = [Word("".join(word.tidied for word in words), "".join(word.simple for word in words))]
    return words, place


def _code(shown: str) -> str:
    """The code, or part of one, that was typed or stands in a text; empty when there is none."""
    capitals = unicodedata.normalize("NFKC", shown).upper()
    if found := _CODE.search(capitals):
        return found[0]
    compact = _SPACES.sub("", capitals)
    if not _PART_OF_CODE.fullmatch(compact):
        return ""
    return compact.translate(_LOOK_ALIKES)


def runs(word: Word) -> list[Word]:
    """A word cut where Latin letters meet characters: 上海xinnuo → 上海, xinnuo."""
    cuts = [at for at, (one, other) in enumerate(pairwise(word.simple), 1) if one.isascii() != other.isascii()]
    bounds = [0, *cuts, len(word.simple)]
    return [Word(word.tidied[start:end], word.simple[start:end]) for start, end in pairwise(bounds)]


_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = (*(pow(3, place, 31) for place in range(17)), 1)


def code_neighbours(code: str) -> list[str]:
    """Valid codes that differ from `code` by one character wrong, missing, extra or swapped with the next.

    The check digit (GB 32100-2015) leaves one character for each place that may be wrong or missing.
    """
    if not set(code) <= set(_ALPHABET):
        return []
    near: set[str] = set()
    if len(code) == 18:
        near |= {_corrected(code, at) for at in range(18)}
        near |= {code[:at] + code[at + 1] + code[at] + code[at + 2 :] for at in range(17)}
    elif len(code) == 17:
        near |= {_corrected(f"{code[:at]}0{code[at:]}", at) for at in range(18)}
    elif len(code) == 19:
        near |= {code[:at] + code[at + 1 :] for at in range(19)}
    return sorted(found for found in near if found != code and codes.is_credit_code(found))


def _corrected(code: str, at: int) -> str:
    """`code` with the one character at `at` that makes its check digit right."""
    values = [_ALPHABET.index(char) for char in code]
    values[at] = 0
    rest = sum(value * weight for value, weight in zip(values, _WEIGHTS, strict=True)) % 31
    right = -rest * pow(_WEIGHTS[at], -1, 31) % 31
    return code[:at] + _ALPHABET[right] + code[at + 1 :]
