"""One search over a Meilisearch server: the steps of a query, several in a request, and the page they make."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby

from rapidfuzz.distance import OSA

from search.cards import FACETS, Card, Counts, tally
from search.engine import MAX_HITS, Filters, Hit, Match, Page
from search.likeness import COMPARED, ENOUGH, LEAST_LIKE, Likeness
from search.meili import asking
from search.meili.asking import Ask, Known, Terms
from search.query import Query
from search.repairs import NEAR_CODE
from search.steps import Step, plan

_TOGETHER = 4
"""Repairs in one request: the first of them mostly suffices."""
_NEAR = 100
_NOTHING: tuple[int, Counts] = (0, {name: {} for name in FACETS})


def list_all(ask: Ask, filters: Filters, limit: int, offset: int) -> Page:
    """Everything that the filters let through."""
    listed, *counts = ask([asking.cards_asked("", filters, offset + limit), *asking.counts_asked("", filters)])
    total, facets = asking.counted(counts, filters)
    hits = [Hit(card.code, "name") for card in asking.cards(listed)[offset:]]
    return Page(hits, total, facets, more=offset + limit < min(total, MAX_HITS))


def likeliest(ask: Ask, asked: Query, known: Known, limit: int) -> list[str]:
    """Codes for somebody who is still typing: the query as it stands, or by its sound when that is nothing."""
    search = Search(ask, asked, Filters(), known)
    steps = search.as_typed(limit, counting=False)
    if not search.found:
        search.repaired(steps, 1, by_quorum=False)
    return list(search.found)[:limit]


class Search:
    """One query."""

    def __init__(self, ask: Ask, asked: Query, filters: Filters, known: Known) -> None:
        self.ask = ask
        self.asked = asked
        self.filters = filters
        self.terms = Terms(ask, asked, known)
        self.likeness = Likeness(asked)
        self.found: dict[str, tuple[Card, Match]] = {}
        self.keys: Counter[str] = Counter()
        self.counts = _NOTHING
        self.settled = False

    def page(self, limit: int, offset: int) -> Page:
        is_whole = self.likeness.is_whole_name
        repairs = self.as_typed(max(offset + limit, COMPARED if is_whole else ENOUGH))
        number = self.counts[0]
        if is_whole and not self.settled and number <= COMPARED:
            self.repaired(repairs, number + 3 * ENOUGH)
            self.found = dict(sorted(self.found.items(), key=lambda item: self._unlike(item[1][0])))
        elif not self.settled and number < ENOUGH:
            self.repaired(repairs, ENOUGH)
        total, facets = asking.added(self.counts, tally(self.keys, self.filters))
        hits = [Hit(code, match) for code, (_, match) in self.found.items()][offset : offset + limit]
        return Page(hits, total, facets, more=offset + limit < min(total, MAX_HITS))

    def as_typed(self, wanted: int, *, counting: bool = True) -> Iterator[Step]:
        """Take the typed steps, codes before names; the first repair and those after it are left."""
        steps = plan(self.asked, self.terms)
        typed: list[Step] = []
        for step in steps:
            if not step.typed:
                steps = chain([step], steps)
                break
            typed.append(step)
        all_of_them: list[str] = []
        for is_code, group in groupby(typed, lambda step: step.match == "code"):
            some = [(step, only) for step in group if (only := asking.of_step(step, self.terms))]
            all_of_them += [only for _, only in some]
            self._take_typed(some, all_of_them if counting else [], min(wanted, MAX_HITS))
            if is_code and self.settled:
                break
        return steps

    def _take_typed(self, some: Sequence[tuple[Step, str]], counted: Sequence[str], wanted: int) -> None:
        queries = [asking.cards_asked(only, self.filters, wanted) for _, only in some]
        counts = asking.counts_asked(asking.any_of(counted), self.filters) if counted else []
        answers = self.ask([*queries, *counts])
        for (step, _), answer in zip(some, answers, strict=False):
            cards = asking.cards(answer)
            self._take(cards, step)
            self.settled = self.settled or bool(step.final and cards)
        if counts:
            self.counts = asking.counted(answers[len(queries) :], self.filters)

    def repaired(self, steps: Iterable[Step], enough: int, *, by_quorum: bool = True) -> None:
        """Take repairs, several in a request, until `enough` are found."""
        typed = bool(self.found)
        waiting: list[Step] = []
        for step in steps:
            if not self._is_due(step, typed=typed):
                continue
            if not step.quorum:
                waiting.append(step)
            if step.quorum or len(waiting) == _TOGETHER:
                self._take_repairs(waiting, enough, typed=typed)
                waiting = []
            if len(self.found) >= enough or self.settled:
                return
            if step.quorum and by_quorum and not self._has_like():
                self._take(self._likest(step), step)
        self._take_repairs(waiting, enough, typed=typed)

    def _is_due(self, step: Step, *, typed: bool) -> bool:
        return not (step.typed or (self.found and step.when == "nothing") or (typed and step.when == "untyped"))

    def _take_repairs(self, steps: Sequence[Step], enough: int, *, typed: bool) -> None:
        asked = [(step, query) for step in steps if (query := self._repair_asked(step, enough))]
        answers = self.ask([query for _, query in asked])
        for (step, _), answer in zip(asked, answers, strict=True):
            if len(self.found) >= enough or self.settled:
                return
            if not self._is_due(step, typed=typed):
                continue
            cards = self._really_near(step, asking.cards(answer))
            new = [card for card in cards if card.code not in self.found][: step.most]
            self._take(sorted(new, key=self._unlike), step)
            self.keys.update(card.facets for card in new)
            self.settled = bool(step.final and cards)

    def _repair_asked(self, step: Step, enough: int) -> dict[str, object] | None:
        if code := _near_code(step):
            return asking.near_code_asked(code, self.filters, enough)
        only = asking.of_step(step, self.terms)
        return asking.cards_asked(only, self.filters, enough) if only else None

    def _really_near(self, step: Step, cards: list[Card]) -> list[Card]:
        code = _near_code(step)
        return [card for card in cards if OSA.distance(card.code, code) == 1] if code else cards

    def _likest(self, step: Step) -> list[Card]:
        """Cards that hold some of the query's rare terms; those that hold more are asked for first."""
        rare = self.terms.rarest(step.readings[0])
        levels = [number for number in (4, 3, 2) if number <= len(rare)]
        answers = self.ask([asking.cards_asked(asking.at_least(least, rare), self.filters, _NEAR) for least in levels])
        near = {card.code: card for answer in answers for card in asking.cards(answer) if card.code not in self.found}
        compared = sorted((self._unlike(card), card.code, card) for card in near.values())
        likest = [card for (_, unlike), _, card in compared if -unlike >= LEAST_LIKE][:ENOUGH]
        self.keys.update(card.facets for card in likest)
        return likest

    def _has_like(self) -> bool:
        return any(self.likeness.is_like(card.names) for card, _ in self.found.values())

    def _unlike(self, card: Card) -> tuple[float, float]:
        return self.likeness.unlike(card.names)

    def _take(self, cards: Iterable[Card], step: Step) -> None:
        for card in cards:
            if card.code not in self.found:
                self.found[card.code] = card, self.likeness.match(card.names, step)


def _near_code(step: Step) -> str:
    """The code that a step asks for the neighbours of; empty when it asks for something else."""
    field, term = step.readings[0][0][0] if step.readings and step.readings[0] else ("", "")
    return term if field == NEAR_CODE else ""
