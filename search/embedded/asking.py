"""Asking the index: steps become Tantivy queries, and their hits come back as cards, in the order they are shown."""

from collections import Counter
from collections.abc import Sequence

import tantivy
from tantivy import Occur, Query

from search.cards import FACETS, Card
from search.embedded.schema import SCHEMA, mark, read_card
from search.engine import Filters
from search.repairs import NEAR_CODE, Clause, Reading, Term
from search.steps import Step

MOST_KEYS = 65_000
"""Combinations of facet values that are told apart."""
_FIRST_AMONG = 10_000
_RARE_SUM = 30_000
_RARE_TERMS = 9
_MOST_NEAR = 60


class Index:
    """One commit of the index, as one search sees it."""

    def __init__(self, searcher: tantivy.Searcher) -> None:
        self.searcher = searcher
        self._frequencies: dict[Term, int] = {}

    def frequency(self, field: str, term: str) -> int:
        if field == NEAR_CODE:
            return 1
        known = self._frequencies.get((field, term))
        if known is None:
            known = self._frequencies[field, term] = self.searcher.doc_freq(field, term)
        return known

    def beginning(self, field: str, start: str, most: int) -> list[str]:
        return [term for term, _ in self.searcher.terms_with_prefix(field, start, limit=most)]

    def cards(self, query: Query, limit: int) -> tuple[list[Card], int]:
        """The first cards in the order of their lines, and how many there are."""
        found = self.searcher.search(query, limit, order_by_field="card", order=tantivy.Order.Asc)
        return [read_card(str(line)) for line, _ in found.hits], int(found.count or 0)  # type: ignore[attr-defined]

    def first(self, query: Query, wanted: int) -> list[Card]:
        """The first cards of a query that hundreds of thousands answer: only those that can come first are sorted."""
        marks = self.searcher.terms_with_prefix("is", "order:")
        taken: list[str] = []
        among, enough = 0, max(_FIRST_AMONG, wanted)
        for each, frequency in sorted(marks):
            taken.append(each)
            among += frequency
            if among < enough:
                continue
            cards, count = self.cards(all_of([query, Query.term_set_query(SCHEMA, "is", taken)]), wanted)
            if count >= wanted:
                return cards
            enough *= 8
        return self.cards(query, wanted)[0]

    def count(self, query: Query) -> Counter[str]:
        """Entities that answer, by facet key."""
        asked = {"keys": {"terms": {"field": "facets", "size": MOST_KEYS, "segment_size": MOST_KEYS}}}
        buckets = self.searcher.aggregate(query, asked)["keys"]["buckets"]
        return Counter({bucket["key"]: int(bucket["doc_count"]) for bucket in buckets})

    def possible(self, reading: Reading) -> bool:
        """Whether every clause has a term that occurs: most readings fail here, for next to nothing."""
        return all(any(self.frequency(*term) for term in clause) for clause in reading)

    def at_most(self, step: Step) -> int:
        """A bound on how many answer the step, for next to nothing."""
        return sum(
            min(sum(self.frequency(*term) for term in clause) for clause in reading)
            for reading in step.readings
            if reading
        )

    def near(self, reading: Reading, filters: Query | None) -> list[Card]:
        """Cards that hold most of the reading's rare terms; frequent ones would cost more than they tell."""
        rare = self._rarest(reading)
        terms = [(Occur.Should, _term(*term)) for term in rare]
        near: dict[str, Card] = {}
        for share in (0.7, 0.45, 0.3, 0.2):
            least = max(2, round(len(terms) * share))
            if least > len(terms) or len(near) >= _MOST_NEAR:
                break
            query = Query.boolean_query(terms, minimum_number_should_match=least)
            cards, _ = self.cards(filtered(query, filters), _MOST_NEAR)
            near |= {card.code: card for card in cards}
        return list(near.values())

    def _rarest(self, reading: Reading) -> list[Term]:
        by_field: dict[str, list[tuple[int, Term]]] = {}
        for term in {term for clause in reading for term in clause}:
            by_field.setdefault(term[0], []).append((self.frequency(*term), term))
        rare: list[Term] = []
        for _, found in sorted(by_field.items()):
            total = 0
            for frequency, term in sorted(each for each in found if each[0])[:_RARE_TERMS]:
                total += frequency
                if total < _RARE_SUM:
                    rare.append(term)
        return rare


def _term(field: str, term: str) -> Query:
    return Query.term_query(SCHEMA, field, term, index_option="basic")


def _clause(clause: Clause) -> Query:
    if clause[0][0] == NEAR_CODE:
        return Query.fuzzy_term_query(SCHEMA, "code", clause[0][1], distance=1)
    by_field: dict[str, list[str]] = {}
    for field, term in clause:
        by_field.setdefault(field, []).append(term)
    queries = [
        _term(field, terms[0]) if len(terms) == 1 else Query.term_set_query(SCHEMA, field, terms)
        for field, terms in by_field.items()
    ]
    return queries[0] if len(queries) == 1 else any_of(queries)


def any_of(queries: Sequence[Query]) -> Query:
    return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Should, query) for query in queries])


def all_of(queries: Sequence[Query]) -> Query:
    return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Must, query) for query in queries])


def of_reading(reading: Reading) -> Query:
    return all_of([_clause(clause) for clause in dict.fromkeys(reading)])


def of_names(folded: Sequence[str]) -> Query:
    """The entities that bear one of these names, or once did."""
    return Query.term_set_query(SCHEMA, "name", list(folded))


def of_step(step: Step, index: Index) -> Query | None:
    """The step as a query; None when no entity can answer it."""
    readings = [reading for reading in step.readings if reading and index.possible(reading)]
    return any_of([of_reading(reading) for reading in readings]) if readings else None


def filtered(query: Query, filters: Query | None) -> Query:
    return query if filters is None else all_of([query, filters])


def of_filters(filters: Filters) -> Query | None:
    """What lets through the entities that have all the values asked for; None when none is asked for."""
    marks = [mark(name, value) for name in FACETS if (value := getattr(filters, name)) is not None]
    return all_of([_term("is", each) for each in marks]) if marks else None
