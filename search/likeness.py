"""How like a query a name is, letter by letter: what puts near matches in order, whichever engine found them. Pure."""

from rapidfuzz import fuzz
from rapidfuzz.distance import LCSseq

from search.engine import Match
from search.pinyin import initials
from search.query import Query
from search.steps import Step, core
from search.text import bare, is_whole

ENOUGH = 10
"""A query that so many answer as it was typed is not repaired."""
COMPARED = 40
"""A whole name that at most so many answer is put in the order of likeness, together with what a repair finds."""
LEAST_LIKE = 60.0
"""Of a hundred: how like the query a name must be that shares only some of its pieces."""


class Likeness:
    """One query, and how names compare with it. Names are folded, an entity's present one first."""

    def __init__(self, asked: Query) -> None:
        self.query = bare(asked.folded)
        self.core = core(asked) or self.query
        self.in_letters = all(word.latin for word in asked.words)
        self.is_text = asked.is_text
        self.is_whole_name = len(asked.words) == 1 and is_whole(asked.words[0].simple) and not asked.is_text
        """A company's name from its place to its form, perhaps with an error in it."""

    def unlike(self, names: list[str]) -> tuple[float, float]:
        """How little an entity's likest name is like the query: what it lacks of it, then what else it has."""
        plain = [bare(name) for name in names]
        if self.in_letters:
            return 0.0, min(-fuzz.ratio(self.core, way) for name in plain for way in initials(name))
        if self.is_text:
            return 0.0, min(-fuzz.partial_ratio(self.query, name) for name in plain)
        return min(
            (-LCSseq.similarity(self.core, name) / len(self.core), -fuzz.ratio(self.query, name)) for name in plain
        )

    def is_like(self, names: list[str]) -> bool:
        """Whether no more than one character of the query is missing from one of the entity's names."""
        if self.in_letters:
            return True
        return -self.unlike(names)[0] * len(self.core) > len(self.core) - 2

    def match(self, names: list[str], step: Step) -> Match:
        """Why an entity that a step found was found: by its present name, or by a former one."""
        if step.match != "name" or len(names) == 1:
            return step.match
        present, *former = (fuzz.partial_ratio(self.query, bare(name)) for name in names)
        return "former_name" if max(former) > present else "name"
