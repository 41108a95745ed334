"""What is looked for, in which order: the plan that answers a query. Pure; an engine asks the index for each step.

A step is one way to read the query. It holds readings, of which an entity has to answer one; a reading holds
clauses, all of which have to hold; a clause holds terms, of which the entity has to have one. Steps come best first.
`typed` steps answer the query as it was typed, and are all taken; the others repair it, and are taken one after
the other only until a page is full. How often terms occur (`Vocabulary`) prunes what cannot be.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Literal

from record import districts, names
from search import pinyin
from search.engine import Match
from search.query import Query, Word, code_neighbours, runs
from search.repairs import (
    NEAR_CODE,
    Clause,
    Reading,
    Vocabulary,
    gaps,
    missing_or_swapped,
    pieces,
    wrong_ends,
    wrong_or_extra,
)
from search.text import place_of_business, unformed


@dataclass(frozen=True, slots=True)
class Step:
    match: Match
    readings: Sequence[Reading]
    typed: bool = False
    final: bool = False
    """When this finds something, the repairs that follow are not worth their time."""
    when: Literal["few", "untyped", "nothing"] = "few"
    """Taken while few were found, only when nothing was found as typed, or only when nothing was found at all."""
    most: int = 10
    """So many of its hits are taken."""
    quorum: bool = False
    """Not all clauses have to hold: those that hold most are compared with the query, letter by letter."""


def core(query: Query) -> str:
    """The query without its places and forms: what a name has to be like."""
    return "".join(word.simple for word in _Wanted(query, _NoVocabulary()).body)


class _NoVocabulary:
    def frequency(self, field: str, term: str) -> int:
        return 0

    def beginning(self, field: str, start: str, most: int) -> list[str]:
        return []


def plan(query: Query, vocabulary: Vocabulary) -> Iterator[Step]:
    """Steps for a query that is not empty, each made when it is asked for."""
    if query.code:
        yield from _code_steps(query.code, vocabulary)
    if query.is_text:
        yield from _text_steps(query, vocabulary)
        return
    wanted = _Wanted(query, vocabulary)
    yield from wanted.typed()
    yield from wanted.repaired()


def _grams(field: str, text: str) -> Reading:
    return tuple(((field, one + other),) for one, other in pairwise(text))


def literal(text: str) -> Reading:
    """All pieces of `text` as it stands; of a single character, that a brand begins with it."""
    return _grams("characters", text) if len(text) > 1 else ((("start", text),),)


# Codes


def _code_steps(code: str, vocabulary: Vocabulary) -> Iterator[Step]:
    yield Step("code", [((("code", code),),)], typed=True, final=True)
    if len(code) < 18:
        yield Step("code", [_code_start(code, vocabulary)], typed=True, final=True)
    near = code_neighbours(code)
    if near:
        yield Step("similar", [(tuple(("code", found) for found in near),)], final=True)
    if len(code) == 18:
        yield Step("similar", [((("code", code[8:17]),),)], final=True)
        yield Step("similar", [(((NEAR_CODE, code),),)], final=True)


_CODE_STARTS = (4, 6, 8, 10, 12, 14)
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def _code_start(code: str, vocabulary: Vocabulary) -> Reading:
    """Codes that begin with `code`: by indexed beginnings, of which there are no more than 31 to try."""
    if len(code) > _CODE_STARTS[-1]:
        return (tuple(("code", found) for found in vocabulary.beginning("code", code, 200)) or (("code", code),),)
    start = [code] if len(code) in _CODE_STARTS else [code + char for char in _ALPHABET]
    return (tuple(("is", f"code:{each}") for each in start),)


def code_starts(code: str) -> list[str]:
    """Beginnings of `code` that an index holds under `is`."""
    return [f"code:{code[:size]}" for size in _CODE_STARTS if size <= len(code)]


# Texts with a name in them

_NAME_ENDS = re.compile("公司|合作社|事务所|经营部|商行|中心|[厂店部社行所院场馆]")
_NAME_LENGTHS = range(4, 41)
_MOST_ENDS = 12


def _text_steps(query: Query, vocabulary: Vocabulary) -> Iterator[Step]:
    ends = [found.end() for found in _NAME_ENDS.finditer(query.folded)][:_MOST_ENDS]
    spans = {query.folded[max(0, end - size) : end] for end in ends for size in _NAME_LENGTHS if size <= end}
    if spans:
        yield Step("name", [(tuple(("name", span) for span in sorted(spans)),)], typed=True, final=True)
    whole = "".join(word.simple for word in query.words)
    yield Step("similar", [pieces(whole[:120])], quorum=True)


# Names, pinyin, initials, addresses


@dataclass(frozen=True, slots=True)
class _Read:
    """One way to read one word."""

    match: Match
    clauses: Reading
    start: Clause = ()
    """What the brand has to begin with for this to stand first."""
    tape: str = ""
    """The characters or sounds in a row that the clauses stand for; what can be repaired."""


_ADDRESS = re.compile(r"[路街弄号村镇巷道幢室楼]")


class _Wanted:
    """A name, or what is left of one in somebody's memory."""

    def __init__(self, query: Query, vocabulary: Vocabulary) -> None:
        self.query = query
        self.vocabulary = vocabulary
        self._known_reads: dict[str, list[_Read]] = {}
        words = list(query.words)
        self.places = [query.place] if query.place else []
        if len(words) > 1:
            self.places += [word.simple for word in words if names.is_place(word.simple)][: len(words) - 1]
            words = [word for word in words if word.simple not in self.places]
        self.typed_words = words
        self.body = [self._without_place(word) if at == 0 else word for at, word in enumerate(words)]
        self.body = [self._without_form(word) for word in self.body]
        self.place: Reading = tuple((("characters", place[:2]),) for place in dict.fromkeys(self.places))

    def _without_place(self, word: Word) -> Word:
        found = names.leading_places(word.simple)
        self.places += found
        end = sum(map(len, found))
        return Word(word.tidied[end:], word.simple[end:])

    def _without_form(self, word: Word) -> Word:
        simple = unformed(word.simple)
        simple = _FORM_BEGUN.sub("", simple) if len(simple) > 3 else simple
        if simple == word.simple or not simple:
            return word
        at = next((at for at, (a, b) in enumerate(zip(simple, word.simple, strict=False)) if a != b), len(simple))
        cut = len(word.simple) - len(simple)
        return Word(word.tidied[:at] + word.tidied[at + cut :], simple)

    def _district_clauses(self) -> Reading:
        """The places as where entities are, not as what their names say."""
        found = [districts.of_name(place) for place in self.places]
        return tuple((("is", f"district:{district}"),) for district in dict.fromkeys(found) if district)

    def _ways(self, words: Sequence[Word]) -> list[list[_Read]]:
        """Ways to read all words, each word in one of its own ways."""
        if not words:
            return []
        return [list(way) for way in product(*(self._reads(word)[:4] for word in words))][:16]

    def _ways_as_typed(self) -> list[list[_Read]]:
        """Latin words as one that is spelled in syllables, xin'nuo; or else each word by itself."""
        if len(self.body) > 1 and all(word.simple.isascii() and word.simple.isalpha() for word in self.body):
            spelled = "'".join(word.simple for word in self.body)
            ways = self._ways([Word(spelled, spelled)])
            if any(read.match == "pinyin" for way in ways for read in way):
                return ways
        return self._ways(self.body)

    def _reads(self, word: Word) -> list[_Read]:
        if not word.latin:
            return [_read_characters(word.simple)]
        if word.simple not in self._known_reads:
            self._known_reads[word.simple] = self._latin_reads(word.simple)
        return self._known_reads[word.simple]

    def _latin_reads(self, letters: str) -> list[_Read]:
        count = self.vocabulary.frequency
        reads = []
        if all(count(field, term) for ((field, term),) in literal(letters)):
            reads.append(_read_characters(letters))
        for syllables, begun in pinyin.cuts(_PINYIN_FORM.sub("", letters) or letters, self._follows):
            if found := self._read_sounds("".join(map(pinyin.sound, syllables)), begun):
                reads.append(found)
        if letters.isalnum() and len(letters) > 1:
            reads.append(_read_initials(letters))
        return [read for read in reads if self._occurs(read)] or reads[:1] or [_read_characters(letters)]

    def _occurs(self, read: _Read) -> bool:
        return all(any(self.vocabulary.frequency(*term) for term in clause) for clause in read.clauses)

    def _follows(self, one: str, other: str) -> bool:
        return self.vocabulary.frequency("sounds", pinyin.sound(one) + pinyin.sound(other)) > 0

    def _read_sounds(self, tape: str, begun: str) -> _Read | None:
        clauses = list(_grams("sounds", tape))
        if begun:
            ends = [tape[-1] + pinyin.sound(syllable) for syllable in pinyin.beginning(begun)] if tape else []
            ends = [end for end in ends if self.vocabulary.frequency("sounds", end)]
            if not ends:
                return None
            clauses.append(tuple(("sounds", end) for end in ends))
        start: Clause = (("start", tape[:3]),)
        return _Read("pinyin", tuple(clauses) or (start,), start, tape)

    def typed(self) -> Iterator[Step]:
        """The query as it was typed."""
        yield Step("name", [((("name", self.query.folded),),)], typed=True, final=True)
        for way in self._ways_as_typed():
            match = _match_of(way)
            clauses = tuple(clause for read in way for clause in read.clauses)
            if way[0].start and way[0].start not in clauses:
                yield Step(match, [(way[0].start, *self.place, *clauses)], typed=True)
            yield Step(match, [self.place + clauses], typed=True)
            if district := self._district_clauses():
                yield Step(match, [district + clauses], typed=True)
        if any(not word.latin for word in self.query.words) and _ADDRESS.search(self.query.folded):
            yield from self._address_steps(typed=True)

    def _address_steps(self, *, typed: bool) -> Iterator[Step]:
        tape = place_of_business(self.query.folded)
        if len(tape) > 2:
            yield Step(
                "address", [_grams("address", tape)], typed=typed, final=typed, when="few" if typed else "nothing"
            )

    def repaired(self) -> Iterator[Step]:
        """The query with something wrong, missing, too much or out of place; likeliest first."""
        pieces = [piece for word in self.body for piece in runs(word)]
        if len(pieces) > len(self.body):
            for way in self._ways(pieces):
                yield Step(_match_of(way), [self.place + tuple(c for read in way for c in read.clauses)])
        if any(not word.latin for word in self.body):
            yield from self._repaired_characters()
        else:
            yield from self._repaired_letters()

    def _repaired_characters(self) -> Iterator[Step]:
        as_heard, parted = self._heard(fuzzy=False), self._repaired_by(gaps)
        edited = [self._repaired_by(edit) for edit in (missing_or_swapped, wrong_or_extra, wrong_ends)]
        parted_here = [self.place + reading for reading in parted]
        yield Step("similar", parted_here, when="untyped", most=_FEW)
        yield Step("pinyin", [self.place + as_heard])
        for readings in edited:
            yield Step("similar", [self.place + reading for reading in readings])
        yield Step("similar", parted_here, when="untyped")
        if shorter := self._without_last_part():
            yield Step("similar", [self.place + shorter], when="nothing")
        if self.place:
            yield Step("similar", [tuple(c for word in self.body for c in literal(word.simple))], when="nothing")
            yield Step("pinyin", [as_heard], when="nothing")
            yield Step("similar", [reading for readings in edited for reading in readings], when="nothing")
            yield Step("similar", parted, when="nothing")
        yield Step("pinyin", [self.place + self._heard(fuzzy=True)], when="nothing")
        if not _ADDRESS.search(self.query.folded):
            yield from self._address_steps(typed=False)
        whole = "".join(word.simple for word in self.query.words)
        yield Step("similar", [pieces(unformed(whole)) + as_heard], quorum=True)

    def _heard(self, *, fuzzy: bool) -> Reading:
        """The words by their sound, in all readings; `fuzzy`: as people of another region say them."""
        clauses: list[Clause] = []
        for word in self.body:
            ways = pinyin.readings_of(word.tidied)
            if fuzzy:
                ways = [tuple(dict.fromkeys(near for one in way for near in pinyin.alike(one))) for way in ways]
            if len(ways) == 1:
                clauses.append(tuple(("start", pinyin.sound(one)) for one in ways[0]))
            clauses += self._spoken_pairs(ways)
        return tuple(clauses)

    def _spoken_pairs(self, ways: Sequence[Sequence[str]]) -> Iterator[Clause]:
        for here, there in pairwise(ways):
            pairs = [pinyin.sound(one) + pinyin.sound(other) for one in here for other in there]
            known = [pair for pair in pairs if self.vocabulary.frequency("sounds", pair)] if len(pairs) > 4 else pairs
            yield tuple(("sounds", pair) for pair in known or pairs[:1])

    def _repaired_by(self, repair: Callable[[str, Vocabulary], list[Reading]]) -> list[Reading]:
        """Readings with one of the words repaired, and the others as they were typed."""
        return [
            self._around(at) + reading
            for at, word in enumerate(self.body)
            for reading in repair(word.simple, self.vocabulary)
        ]

    def _around(self, at: int) -> Reading:
        others = [word.simple for number, word in enumerate(self.body) if number != at]
        return tuple(clause for other in others for clause in literal(other))

    def _without_last_part(self) -> Reading:
        """The words without the form that a name of another kind has: 厂, 经营部."""
        if len(self.body) != 1:
            return ()
        parts = names.parts(self.body[0].simple)
        rest = parts.brand + parts.trade
        return literal(rest) if parts.form and len(rest) > 2 else ()

    def _repaired_letters(self) -> Iterator[Step]:
        for way in self._ways(self.body):
            if len(way) == 1 and way[0].match == "pinyin" and len(way[0].tape) > 3:
                readings = [self.place + reading for reading in gaps(way[0].tape, self.vocabulary, "sounds")]
                yield Step("pinyin", readings, when="untyped")
        fuzzy = self._said_otherwise()
        if fuzzy:
            yield Step("pinyin", [fuzzy], when="few" if len(fuzzy) < 3 else "untyped")
        letters = "".join(word.simple for word in self.body)
        if len(letters) > 5:
            reading = tuple((("initials", letters[at : at + 4]),) for at in range(len(letters) - 3))
            yield Step("initials", [reading], quorum=True)

    def _said_otherwise(self) -> Reading:
        """Pinyin as people of another region say it; nothing when it is no pinyin."""
        clauses: list[Clause] = []
        for word in self.body:
            cuts = pinyin.cuts(_PINYIN_FORM.sub("", word.simple), lambda one, other: True, most=1)
            if not cuts:
                return ()
            clauses += self._spoken_pairs([pinyin.alike(syllable) for syllable in cuts[0][0]])
        return tuple(clauses)


_FEW = 3
_FORM_BEGUN = re.compile("(?:股份|责任)?有?(?:限|限公|限责|限责任|限责任公)?$")
_PINYIN_FORM = re.compile("(?:gufen)?(?:youxian)?(?:zeren)?gongsi$|youxian$")


def _read_characters(text: str) -> _Read:
    return _Read("name", literal(text), (("start", text[:3]),), text)


def _read_initials(letters: str) -> _Read:
    start: Clause = (("start", letters[:3]),)
    grams = tuple((("initials", letters[at : at + 4]),) for at in range(len(letters) - 3))
    return _Read("initials", grams or (start,), start)


def _match_of(way: Sequence[_Read]) -> Match:
    """Why an entity that answers all of this was found: what is least literal about it."""
    return max((read.match for read in way), key=("name", "pinyin", "initials").index)
