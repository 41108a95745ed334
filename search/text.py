"""What an index holds of a name and an address, and where a query shows in them. Pure; every engine shares it.

A name is indexed in short overlapping pieces, without positions: all pieces of a fragment together find it, in any
order. Of 上海鑫诺照明有限公司 an index holds

    characters  two in a row                     上海 海鑫 鑫诺 诺照 照明
    skips       two with any one between         上鑫 海诺 鑫照 诺明
    sounds      two syllables in a row           shang·hai hai·xin xin·nuo nuo·zhao zhao·ming
    initials    four in a row                    shxn hxnz xnzm nzmy zmyx myxg
    start       one to three at the brand's start, of characters, sounds and initials

Names are folded (`record.names`) and stripped of everything but letters, characters and digits. The form that two
entities in three share (有限公司) is left out: it tells nobody apart, and lists of millions are slow to walk.
"""

import re
from operator import add
from typing import NamedTuple

from record import names
from search import pinyin

_BRACKETED = re.compile(r"\([^()]*\)")
_MARKS = re.compile(r"[\W_]+")
_REACH = 3
"""Characters before and behind a place in a name that a piece of it can hold beside that place."""
_FORM = re.compile("(?:股份|责任)?有限(?:责任)?公司|责任公司|公司")


class Forms(NamedTuple):
    """One name as the strings that an index cuts into pieces."""

    folded: str
    characters: list[str]
    skips: list[str]
    sounds: list[str]
    initials: list[str]
    start: list[str]


def bare(folded: str) -> str:
    """Folded text without brackets, dots and other marks."""
    return folded if folded.isalnum() else _MARKS.sub("", folded)


def forms(name: str) -> Forms:
    """A name in all the forms in which people half remember it; without what stands in brackets, too."""
    tidied = names.tidy(name)
    folded = names.simplify(tidied)
    whole, simple = bare(tidied), bare(folded)
    brand = names.place_end(simple)
    made = _pieces(whole, simple, 0, len(whole))
    start = _starts(whole[brand : brand + 3], simple[brand : brand + 3])
    if tidied.find("(") > 0:
        ahead, behind = len(bare(tidied[: tidied.find("(")])), len(bare(tidied[tidied.rfind(")") + 1 :]))
        whole, simple = bare(_BRACKETED.sub("", tidied)), bare(_BRACKETED.sub("", folded))
        brand = names.place_end(simple)
        # All that is new without the brackets runs across where they stood.
        more = _pieces(whole, simple, max(0, ahead - _REACH), len(whole) - behind + _REACH)
        made = [one + other for one, other in zip(made, more, strict=True)]
        if brand + 3 > ahead:
            start |= _starts(whole[brand : brand + 3], simple[brand : brand + 3])
    return Forms(folded, made[0], made[1], made[2], made[3], sorted(start))


def _pieces(whole: str, simple: str, first: int, last: int) -> list[list[str]]:
    """Characters, skips, sounds and initials of a bare name from `first` to `last`, its form left out of most."""
    end, after = _form_span(simple)
    end, after = max(first, min(end, last)), max(first, after)
    plain = simple[first:end] + simple[after:last]
    sounds = [way[: end - first] + way[after - first :] for way in pinyin.spoken(whole[first:last])]
    return [[plain], [plain[::2], plain[1::2]], sounds, pinyin.initials(whole[first:last])]


def _starts(whole: str, simple: str) -> set[str]:
    return {simple, *pinyin.spoken(whole), *pinyin.initials(whole)}


def _form_span(simple: str) -> tuple[int, int]:
    """Where the company form stands in bare simplified text; an empty span at its end when there is none."""
    found = _FORM.search(simple)
    return found.span() if found and found.start() > 1 else (len(simple), len(simple))


def unformed(simple: str) -> str:
    """Bare simplified text without its company form (有限公司); what follows it, as 第一分公司, stays."""
    end, after = _form_span(simple)
    return simple[:end] + simple[after:]


def is_form(simple: str) -> bool:
    """Whether bare text is a company form and nothing else."""
    return _FORM.fullmatch(simple) is not None


def is_whole(simple: str) -> bool:
    """Whether bare text ends as a company's whole name does."""
    return simple.endswith("公司") and _form_span(simple)[0] > 3


_REGION = re.compile(
    r"(?:[^\d路街村市区县号]{2,5}市|[^\d路街村市区县号]{2,6}(?:省|自治区))*(?:[^\d路街村市区县号]{1,4}(?:新区|区|县))?"
)
_HOUSE = re.compile(r"\d号")


def place_of_business(address: str) -> str:
    """The part of an address below the district, down to the house: what of it is indexed, two characters in a row.

    >>> place_of_business("上海市黄浦区河南南路824号3楼")
    '河南南路824号'
    """
    folded = bare(names.fold(address))
    region, house = _REGION.match(folded), _HOUSE.search(folded)
    below = folded[region.end() if region else 0 : house.end() if house else None]
    return below if len(below) > 1 else folded


def highlight(text: str, query: str) -> list[tuple[str, bool]]:
    """`text` as it is written, cut into pieces that answer `query` and pieces that do not.

    Characters answer when two in a row are in the query, in any width, case or script, or sound like two in a row of
    it, or when the query spells their pinyin or their initials.

    >>> highlight("上海鑫诺照明", "鑫諾")
    [('上海', False), ('鑫诺', True), ('照明', False)]
    """
    marked = _marks_of(text, query)
    pieces: list[tuple[str, bool]] = []
    for char, mark in zip(text, marked, strict=True):
        if pieces and pieces[-1][1] == mark:
            pieces[-1] = (pieces[-1][0] + char, mark)
        else:
            pieces.append((char, mark))
    return pieces


def _marks_of(text: str, query: str) -> list[bool]:
    """For each character of `text` whether it answers `query`."""
    letters = {at: bare(names.tidy(char))[:1] for at, char in enumerate(text)}
    where = [at for at, letter in letters.items() if letter]
    tidied = "".join(letters[at] for at in where)
    words = [word for word in (bare(names.tidy(piece)) for piece in query[:500].split()) if word]
    if len(words) > 1 and all(word.isascii() for word in words):
        words.append("".join(words))
    found: set[int] = set()
    for word in words:
        found |= _shared(names.simplify(tidied), names.simplify(word))
        if word.isascii():
            found |= _spelled(tidied, word)
        else:
            found |= {at for way in pinyin.spoken(word) for at in _shared_sounds(tidied, way)}
    marked = set(map(where.__getitem__, found))
    return [at in marked for at in range(len(text))]


def _shared(text: str, word: str) -> set[int]:
    """Where two characters in a row of `text` are in `word`, or the one that `word` is."""
    if len(word) == 1:
        return {at for at, char in enumerate(text) if char == word}
    pairs = set(map(add, word, word[1:]))
    return {each for at in range(len(text) - 1) if text[at : at + 2] in pairs for each in (at, at + 1)}


def _shared_sounds(tidied: str, heard: str) -> set[int]:
    return set().union(*(_shared(way, heard) for way in pinyin.spoken(tidied))) if len(heard) > 1 else set()


def _spelled(tidied: str, letters: str) -> set[int]:
    """Where `letters` are the pinyin or the initials of `text`, the last syllable perhaps only begun."""
    found: set[int] = set()
    for start in range(len(tidied)):
        end = _spelled_until(tidied, start, letters)
        found |= set(range(start, end))
    if not found and len(letters) > 1:
        for way in pinyin.initials(tidied):
            start = way.find(letters)
            while start >= 0:
                found |= set(range(start, start + len(letters)))
                start = way.find(letters, start + 1)
    return found


def _spelled_until(tidied: str, start: int, letters: str) -> int:
    """Where the characters end that spell all of `letters` from `start`; `start` itself when they do not."""
    ends = {(start, 0)}
    while ends:
        further = set()
        for at, done in ends:
            for syllable in pinyin.readings().get(tidied[at], ()) if at < len(tidied) else ():
                rest = letters[done:]
                if syllable.startswith(rest) and done:
                    return at + 1
                if rest == syllable:
                    return at + 1
                if rest.startswith(syllable):
                    further.add((at + 1, done + len(syllable)))
        ends = further
    return start
