"""One search: the steps of a query over one commit of the index, and the page they make."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from tantivy import Query

from search.cards import Card, tally
from search.embedded import asking
from search.embedded.asking import Index, any_of, filtered
from search.engine import MAX_HITS, Filters, Hit, Match, Page
from search.likeness import COMPARED, ENOUGH, LEAST_LIKE, Likeness
from search.query import Query as Typed
from search.steps import Step, plan

_MANY = 50_000
"""Of so many hits only those that can come first are put in order."""


def list_all(index: Index, filters: Filters, limit: int, offset: int) -> Page:
    """Everything that the filters let through."""
    everything = asking.of_filters(filters) or Query.all_query()
    total, facets = tally(index.count(Query.all_query()), filters)
    cards = index.first(everything, offset + limit) if limit else []
    hits = [Hit(card.code, "name") for card in cards[offset:]]
    return Page(hits, total, facets, more=offset + limit < min(total, MAX_HITS))


def likeliest(index: Index, asked: Typed, limit: int) -> list[str]:
    """Codes for somebody who is still typing: the query as it stands, or by its sound when that is nothing."""
    codes: dict[str, None] = {}
    for step in plan(asked, index):
        if len(codes) >= limit or (codes and not step.typed) or step.quorum:
            break
        query = asking.of_step(step, index)
        if query is not None:
            many = index.at_most(step) > _MANY
            cards = index.first(query, limit) if many else index.cards(query, limit)[0]
            codes |= dict.fromkeys(card.code for card in cards)
    return list(codes)[:limit]


def add_exact(index: Index, terms: Sequence[str], found: dict[str, list[str]]) -> None:
    """Add the codes of the entities that bear one of the folded names, now or formerly."""
    wanted = set(terms)
    query = asking.of_names(terms)
    cards, count = index.cards(query, len(terms) * 2)
    if count > len(cards):
        cards, _ = index.cards(query, count)
    for position in range(max((len(card.names) for card in cards), default=0)):
        for card in cards:
            if position < len(card.names) and card.names[position] in wanted:
                codes = found.setdefault(card.names[position], [])
                if card.code not in codes:
                    codes.append(card.code)


class Search:
    """One query over one commit."""

    def __init__(self, index: Index, asked: Typed, filters: Filters) -> None:
        self.index = index
        self.asked = asked
        self.filters = filters
        self.only = asking.of_filters(filters)
        self.likeness = Likeness(asked)
        self.found: dict[str, tuple[Card, Match]] = {}
        self.keys: Counter[str] = Counter()
        self.settled = False

    def page(self, limit: int, offset: int) -> Page:
        steps = plan(self.asked, self.index)
        is_whole = self.likeness.is_whole_name
        repairs = self._as_typed(steps, max(offset + limit, COMPARED if is_whole else ENOUGH))
        number = self.keys.total()
        if is_whole and not self.settled and number <= COMPARED:
            self._repaired(repairs, number + 3 * ENOUGH)
            self.found = dict(sorted(self.found.items(), key=lambda item: self._unlike(item[1][0])))
        elif not self.settled and number < ENOUGH:
            self._repaired(repairs, ENOUGH)
        total, facets = tally(self.keys, self.filters)
        hits = [Hit(code, match) for code, (_, match) in self.found.items()][offset : offset + limit]
        return Page(hits, total, facets, more=offset + limit < min(total, MAX_HITS))

    def _as_typed(self, steps: Iterator[Step], wanted: int) -> Iterator[Step]:
        """Take the typed steps; the first repair and those after it are left."""
        queries: list[Query] = []
        whole: dict[str, str] | None = {}
        for step in steps:
            if not step.typed:
                steps = chain([step], steps)
                break
            query = asking.of_step(step, self.index)
            if query is None:
                continue
            queries.append(query)
            cards, all_of_them = self._first(step, query, wanted)
            self._take(cards, step)
            if whole is not None:
                whole = whole | {card.code: card.facets for card in cards} if all_of_them else None
            self.settled = self.settled or bool(step.final and cards)
            if self.settled and step.match == "code":
                break
        if queries:
            complete = whole is not None and self.only is None
            self.keys = Counter(whole.values()) if whole and complete else self.index.count(any_of(queries))
        return steps

    def _first(self, step: Step, query: Query, wanted: int) -> tuple[list[Card], bool]:
        """The step's first cards that the filters let through, and whether that is all of its cards."""
        if self.index.at_most(step) > _MANY:
            return self.index.first(filtered(query, self.only), wanted), False
        cards, count = self.index.cards(filtered(query, self.only), wanted)
        return cards, count <= len(cards) and self.only is None

    def _repaired(self, steps: Iterator[Step], enough: int) -> None:
        typed = bool(self.found)
        for step in steps:
            if len(self.found) >= enough or self.settled:
                return
            if step.typed or (self.found and step.when == "nothing") or (typed and step.when == "untyped"):
                continue
            if step.quorum:
                if not any(self.likeness.is_like(card.names) for card, _ in self.found.values()):
                    self._take(self._likest(step), step)
                continue
            query = asking.of_step(step, self.index)
            if query is not None:
                cards, _ = self.index.cards(filtered(query, self.only), enough)
                new = [card for card in cards if card.code not in self.found][: step.most]
                self._take(sorted(new, key=self._unlike), step)
                self.keys.update(card.facets for card in new)
                self.settled = bool(step.final and cards)

    def _likest(self, step: Step) -> list[Card]:
        cards = self.index.near(step.readings[0], self.only)
        near = sorted((self._unlike(card), card.code, card) for card in cards)
        likest = [card for (_, unlike), _, card in near if -unlike >= LEAST_LIKE][:ENOUGH]
        self.keys.update(card.facets for card in likest)
        return likest

    def _unlike(self, card: Card) -> tuple[float, float]:
        return self.likeness.unlike(card.names)

    def _take(self, cards: Iterable[Card], step: Step) -> None:
        for card in cards:
            if card.code not in self.found:
                self.found[card.code] = card, self.likeness.match(card.names, step)
