"""Asking Meilisearch: steps become filters by equality, and how often terms occur is asked for many terms at once."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from search import pinyin
from search.cards import FACETS, Card, Counts
from search.engine import MAX_HITS, EngineUnavailable, Filters
from search.meili.schema import ATTRIBUTES, EVERY, SHOWN, SORT, key_of, plain
from search.meili.server import Answer
from search.query import Query
from search.repairs import NEAR_CODE, Clause, Reading, Term
from search.steps import Step, plan

Ask = Callable[[Sequence[Answer]], list[Answer]]

_AT_ONCE = 250
"""Queries in one request."""
_MOST_KNOWN = 200_000
_RARE_TERMS = 4
_CODE_START = 14

Known = dict[Term, int]


class Terms:
    """The terms of an index, as one search asks for them (`search.repairs.Vocabulary`).

    A request for each would take seconds. So, when a term is asked for that is not known, the plan is gone through
    ahead of time as if every term occurred, and everything that it asks for is fetched together. `known` outlives
    the search: what occurred once is taken to occur still, which at worst costs a query that finds nothing.
    """

    def __init__(self, ask: Ask, asked: Query, known: Known) -> None:
        self._ask = ask
        self._ahead = _Ahead(asked)
        self._known = known
        self._counts: Known = {}

    def frequency(self, field: str, term: str) -> int:
        """In how many entities `term` occurs; of a thousand or more, a thousand."""
        if field == NEAR_CODE:
            return 1
        found = self.already((field, term))
        if found is None:
            self.learn(self._ahead.until((field, term)))
            found = self._counts[field, term]
        return found

    def already(self, term: Term) -> int | None:
        """How often a term occurs, if that is known."""
        return self._known.get(term, self._counts.get(term))

    def learn(self, terms: Iterable[Term]) -> None:
        """Fetch how often these occur, where it is not known."""
        wanted = [term for term in dict.fromkeys(terms) if self.already(term) is None]
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            answers = self._ask([{"filter": of_clause((term,)), "limit": 0} for term in some])
            self._counts |= {
                term: int(answer["estimatedTotalHits"]) for term, answer in zip(some, answers, strict=True)
            }
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known |= {term: count for term in wanted if (count := self._counts[term])}

    def beginning(self, field: str, start: str, most: int) -> list[str]:
        """Codes that begin with `start`, which is longer than the beginnings that are indexed."""
        only = of_clause((("is", f"code:{start[:_CODE_START]}"),))
        codes = [str(hit["code"]) for hit in self._ask([{"filter": only, "limit": MAX_HITS}])[0]["hits"]]
        return [code for code in codes if code.startswith(start)][:most]

    def possible(self, reading: Reading) -> bool:
        """Whether no clause is known to have no term that occurs."""
        return all(any(self.already(term) != 0 for term in clause) for clause in reading)

    def rarest(self, reading: Reading) -> list[Term]:
        """The rarest terms of each field; of those that a thousand have, only where there are no others."""
        terms = list(dict.fromkeys(term for clause in reading for term in clause))
        self.learn(terms)
        by_field: dict[str, list[tuple[int, Term]]] = {}
        for term in terms:
            if count := self.already(term):
                by_field.setdefault(term[0], []).append((count, term))
        found = [each for _, counted in sorted(by_field.items()) for each in sorted(counted)[:_RARE_TERMS]]
        return [term for count, term in found if count < MAX_HITS] or [term for _, term in found]


class _Ahead:
    """What the plan will ask for."""

    def __init__(self, asked: Query) -> None:
        self._asked_for: dict[Term, None] = {}
        self._taken = 0
        self._steps = plan(asked, self)
        latin = [word.simple for word in asked.words if word.latin]
        for letters in {*latin, "".join(latin)}:
            for one, other in sorted(pinyin.neighbours(letters)):
                self.frequency("sounds", pinyin.sound(one) + pinyin.sound(other))

    def frequency(self, field: str, term: str) -> int:
        if field != NEAR_CODE:
            self._asked_for[field, term] = None
        return 1

    def beginning(self, field: str, start: str, most: int) -> list[str]:
        return []

    def until(self, term: Term) -> list[Term]:
        """What will have been asked for by the time that `term` is, it included, and was not given before."""
        while term not in self._asked_for and next(self._steps, None) is not None:
            continue
        self._asked_for[term] = None
        new = list(self._asked_for)[self._taken :]
        self._taken = len(self._asked_for)
        return [*new, term]


def _quoted(value: str) -> str:
    return f'"{plain(value)}"'


def _in(attribute: str, values: Iterable[str]) -> str:
    quoted = [_quoted(value) for value in values]
    return f"{attribute} = {quoted[0]}" if len(quoted) == 1 else f"{attribute} IN [{', '.join(quoted)}]"


def of_clause(clause: Clause) -> str:
    """Whether an entity has one of these terms."""
    by_field: dict[str, list[str]] = {}
    for field, term in clause:
        by_field.setdefault(field, []).append(key_of(term) if field == "name" else term)
    return any_of([_in(ATTRIBUTES[field], terms) for field, terms in by_field.items()])


def any_of(filters: Sequence[str]) -> str:
    return filters[0] if len(filters) == 1 else f"({' OR '.join(filters)})"


def all_of(filters: Sequence[str]) -> str:
    return filters[0] if len(filters) == 1 else f"({' AND '.join(filters)})"


def of_step(step: Step, terms: Terms) -> str:
    """The step as a filter; empty when no entity can answer it."""
    readings = [reading for reading in step.readings if reading and terms.possible(reading)]
    return (
        any_of([all_of([of_clause(clause) for clause in dict.fromkeys(one)]) for one in readings]) if readings else ""
    )


def of_filters(filters: Filters, left_out: str = "") -> list[str]:
    """What lets through the entities that have the values asked for."""
    wanted = [(name, getattr(filters, name)) for name in FACETS if name != left_out]
    return [_in(name, [value]) for name, value in wanted if value is not None]


def both(only: str, filters: Sequence[str]) -> Answer:
    """The `filter` of a query; none when everything is asked for."""
    parts = [part for part in (only, *filters) if part]
    return {"filter": all_of(parts)} if parts else {}


def at_least(number: int, terms: Sequence[Term]) -> str:
    """Entities that have `number` of the terms."""
    return any_of([all_of([of_clause((term,)) for term in some]) for some in combinations(terms, number)])


def cards_asked(only: str, filters: Filters, limit: int) -> Answer:
    """A query for the first cards, in the order in which hits are shown."""
    return {**both(only, of_filters(filters)), "sort": SORT, "limit": limit, "attributesToRetrieve": SHOWN}


def near_code_asked(code: str, filters: Filters, limit: int) -> Answer:
    """A query for codes that are nearly this one, by the server's own tolerance of one typo."""
    return {**cards_asked("", filters, limit), "q": code, "attributesToSearchOn": ["code"]}


def cards(answer: Answer) -> list[Card]:
    """The hits of an answer. Raises EngineUnavailable when they are none of ours."""
    try:
        return [Card(str(hit["code"]), str(hit["facets"]), list(map(str, hit["names"]))) for hit in answer["hits"]]
    except (KeyError, TypeError):
        raise EngineUnavailable("the search server answered nonsense") from None


def counts_asked(only: str, filters: Filters) -> list[Answer]:
    """Queries that count: all facets, and each that is filtered by without its own filter."""
    chosen = [name for name in FACETS if getattr(filters, name) is not None]
    return [
        {**both(only, of_filters(filters)), "facets": [EVERY, *FACETS], "limit": 0},
        *({**both(only, of_filters(filters, name)), "facets": [name], "limit": 0} for name in chosen),
    ]


def counted(answers: Sequence[Answer], filters: Filters) -> tuple[int, Counts]:
    """The total, and the counts by value, that the answers to `counts_asked` give."""
    whole = answers[0].get("facetDistribution", {})
    chosen = [name for name in FACETS if getattr(filters, name) is not None]
    counts: Counts = {name: dict(whole.get(name, {})) for name in FACETS}
    counts |= {
        name: dict(answer.get("facetDistribution", {}).get(name, {}))
        for name, answer in zip(chosen, answers[1:], strict=True)
    }
    return sum(whole.get(EVERY, {}).values()), counts


def added(one: tuple[int, Counts], other: tuple[int, Counts]) -> tuple[int, Counts]:
    counts: Counts = {name: dict(Counter(one[1][name]) + Counter(other[1][name])) for name in FACETS}
    return one[0] + other[0], counts
