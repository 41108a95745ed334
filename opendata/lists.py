"""Lists that visitors have matched: kept for a week under a key that nobody can guess, matched, corrected, forgotten.

key = lists.take(session, sent, "suppliers.xlsx")     # a job matches it
found = lists.get(session, key)
lists.settle(session, found, {7: "91310199…", 8: None})
"""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from opendata import candidates
from opendata.candidates import Candidate, Wanted
from opendata.models import MatchList, MatchRow, RowState
from opendata.reading import Sent
from portal.kit import db, jobs
from portal.kit.errors import PortalError
from record import codes, entities, follow, names
from record.listed import Listed

MATCH, LETTER, FOLLOW = "opendata.match", "opendata.mail_link", "opendata.follow"
KEPT = timedelta(days=7)
PER_PAGE = 100
MOST_CANDIDATES = 5
MOST_HELD = 2_000_000_000
"""Characters of all lists together that are kept at a time."""
NAME_FITS = 60.0
"""A code whose entity is called so differently is looked at by a person."""
_AT_ONCE = 100
_FOLLOWED_AT_ONCE = 500

log = structlog.get_logger()


# ---- refusals -------------------------------------------------------------------------------------------------------


class ListNotFound(PortalError):
    status = 404
    slug = "list-not-found"
    title = "There is no list at this address, or no longer."
    remedy = "Lists are deleted after seven days. Send your file again."


class ListsFull(PortalError):
    status = 503
    slug = "lists-full"
    title = "Too many lists are kept just now."
    remedy = "Try again tomorrow, or match your table with OpenRefine, which keeps nothing here."


class ColumnUnknown(PortalError):
    status = 422
    slug = "list-column"
    title = "No column is chosen that holds names or codes."
    remedy = "Choose at least one of the table's columns."


class CodeUnknown(PortalError):
    status = 422
    slug = "list-code"
    title = "No entity is registered here under the code of row %(row)s."
    remedy = (
        "Check the code: 18 characters, or 15 digits for an old registration number. Everything else that you chose is "
        "kept."
    )


class NothingMatched(PortalError):
    status = 422
    slug = "list-nothing-matched"
    title = "No row of this list is matched yet."
    remedy = "Wait until the list is matched, or choose whom its rows mean."


# ---- taking and finding ---------------------------------------------------------------------------------------------


def _known_by(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def take(session: Session, sent: Sent, file_name: str) -> str:
    """Keep a table and have it matched. Returns the key of its address. Raises ListsFull."""
    if (session.scalar(select(func.sum(MatchList.size))) or 0) + sent.size > MOST_HELD:
        raise ListsFull
    key = secrets.token_urlsafe(24)
    kept = MatchList(
        id=_known_by(key), file_name=Path(file_name.replace("\\", "/")).name[-200:], header=sent.header,
        rows=len(sent.rows), size=sent.size, created_at=db.now(), matched=0, name_column=None, code_column=None,
    )  # fmt: skip
    session.add(kept)
    session.flush()
    for start in range(0, len(sent.rows), 1_000):
        part = enumerate(sent.rows[start : start + 1_000], start=start + 1)
        fresh = [{"list_id": kept.id, "place": place, "cells": cells, **_WAITING} for place, cells in part]
        session.execute(insert(MatchRow), fresh)
    if sent.name_column is not None or sent.code_column is not None:
        _begin(session, kept, sent.name_column, sent.code_column)
    log.info("list.taken", rows=kept.rows)
    return key


_WAITING: dict[str, Any] = {"state": "waiting", "code": None, "score": None, "candidates": []}


def _begin(session: Session, kept: MatchList, name_column: int | None, code_column: int | None) -> None:
    kept.name_column, kept.code_column, kept.matched = name_column, code_column, 0
    kept.run = secrets.token_hex(8)
    session.flush()
    jobs.add(session, MATCH, [[kept.id, kept.run]])


def choose_columns(session: Session, kept: MatchList, name_column: int | None, code_column: int | None) -> None:
    """Match the whole list anew by these columns. Raises ColumnUnknown."""
    chosen = {at for at in (name_column, code_column) if at is not None}
    if not chosen or not all(0 <= at < len(kept.header) for at in chosen):
        raise ColumnUnknown
    if name_column == code_column:
        name_column = None
    session.execute(update(MatchRow).where(MatchRow.list_id == kept.id).values(**_WAITING))
    _begin(session, kept, name_column, code_column)


def get(session: Session, key: str, *, to_change: bool = False) -> MatchList:
    """The list at this address. Raises ListNotFound."""
    return by_id(session, _known_by(key), to_change=to_change)


def by_id(session: Session, list_id: str, *, to_change: bool = False) -> MatchList:
    """The list that is known by this. Raises ListNotFound, also when its week is over."""
    kept = session.get(MatchList, list_id, with_for_update=to_change or None)
    if kept is None or kept.created_at < db.now() - KEPT:
        raise ListNotFound
    return kept


# ---- matching -------------------------------------------------------------------------------------------------------


def match(list_id: str, run: str) -> None:
    """Match a list from where it stands, unless another run has begun. Safe to repeat."""
    while _match_some(list_id, run):
        pass


def _match_some(list_id: str, run: str) -> bool:
    """Match the next rows. Returns whether there may be more."""
    with db.reading() as session:
        kept = session.get(MatchList, list_id)
        if kept is None or kept.run != run:
            return False
        asked = select(MatchRow.place, MatchRow.cells).where(MatchRow.list_id == list_id, MatchRow.place > kept.matched)
        rows = session.execute(asked.order_by(MatchRow.place).limit(_AT_ONCE)).all()
        found = _matched(session, [_said(kept, cells) for _, cells in rows])
    if not rows:
        return False
    with db.writing() as session:
        locked = session.get(MatchList, list_id, with_for_update=True)
        if locked is None or locked.run != run or locked.matched != kept.matched:
            return locked is not None and locked.run == run
        session.execute(
            update(MatchRow),
            [{"list_id": list_id, "place": row.place, **one} for row, one in zip(rows, found, strict=True)],
        )
        locked.matched = rows[-1].place
    return True


@dataclass(frozen=True, slots=True)
class _Said:
    """What a row says of whom it means."""

    name: str
    code: str | None

    @property
    def text(self) -> str:
        return self.code or self.name


def _said(kept: MatchList, cells: Sequence[str]) -> _Said:
    name = cells[kept.name_column][:300] if kept.name_column is not None else ""
    code = cells[kept.code_column][:60] if kept.code_column is not None else ""
    return _Said(name or code, codes.normalise(code))


def _matched(session: Session, rows: Sequence[_Said]) -> list[dict[str, Any]]:
    """Of each row: its state, the likeliest entity, the candidates. Where a code leads nowhere, its name is tried."""
    first = _found(session, [one.text for one in rows])
    fits = [_fits(one, first.get(one.text, [])) for one in rows]
    again = _found(session, [one.name for one, fit in zip(rows, fits, strict=True) if not fit and one.name])
    outcomes = []
    for one, fit in zip(rows, fits, strict=True):
        likely = first.get(one.text, [])
        if not fit and one.code:
            either = {found.entity.code: found for found in (*likely, *again.get(one.name, []))}
            likely = list(either.values())[:MOST_CANDIDATES]
        outcomes.append(_outcome(one, likely, sure=fit))
    return outcomes


def _found(session: Session, texts: Sequence[str]) -> dict[str, list[Candidate]]:
    wanted = [Wanted(text, MOST_CANDIDATES, only_same=True) for text in dict.fromkeys(texts) if text]
    return {one.text: likely for one, likely in zip(wanted, candidates.of(session, wanted), strict=True)}


def _fits(one: _Said, likely: Sequence[Candidate]) -> bool:
    """Whether somebody is sure, and is not called altogether differently from what stands beside the code."""
    if not likely or not likely[0].sure:
        return False
    if not one.code or not one.name or codes.normalise(one.name):
        return True
    return candidates.name_similarity(names.fold(one.name), likely[0].entity) >= NAME_FITS


def _outcome(one: _Said, likely: Sequence[Candidate], *, sure: bool) -> dict[str, Any]:
    scored = [(found.entity.code, round(_score(one, found, sure=sure))) for found in likely]
    state: RowState = "sure" if sure else "likely" if likely else "none"
    best = scored[0] if scored else (None, None)
    return {"state": state, "code": best[0], "score": best[1], "candidates": scored}


def _score(one: _Said, found: Candidate, *, sure: bool) -> float:
    if sure or found.entity.code != one.code:
        return found.score
    return candidates.name_similarity(names.fold(one.name), found.entity)


# ---- looking and correcting -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """A row with the entities that it may mean."""

    row: MatchRow
    entity: Listed | None
    candidates: Sequence[tuple[Listed, float]]


def counts(session: Session, kept: MatchList) -> dict[str, int]:
    """How many rows are in which state."""
    asked = select(MatchRow.state, func.count()).where(MatchRow.list_id == kept.id).group_by(MatchRow.state)
    return dict(session.execute(asked).all())


def page(
    session: Session, kept: MatchList, *, after: int = 0, states: Sequence[str] = (), limit: int = PER_PAGE
) -> list[Shown]:
    """The rows behind `after`, in the file's order; `states`: only those in one of them."""
    asked = select(MatchRow).where(MatchRow.list_id == kept.id, MatchRow.place > after)
    if states:
        asked = asked.where(MatchRow.state.in_(states))
    rows = session.scalars(asked.order_by(MatchRow.place).limit(limit)).all()
    wanted = {code for row in rows for code, _ in row.candidates} | {row.code for row in rows if row.code}
    known = {one.code: one for one in entities.by_codes(session, sorted(wanted))}
    return [
        Shown(
            row,
            known.get(row.code or ""),
            [(known[code], score) for code, score in row.candidates if code in known],
        )
        for row in rows
    ]


def pages(kept_id: str) -> Iterator[list[Shown]]:
    """The whole list, some hundred rows at a time, each read by itself: a slow download holds nothing."""
    after = 0
    while True:
        with db.reading() as session:
            kept = session.get(MatchList, kept_id)
            found = page(session, kept, after=after, limit=500) if kept else []
        if not found:
            return
        yield found
        after = found[-1].row.place


def settle(session: Session, kept: MatchList, choices: Mapping[int, str | None]) -> CodeUnknown | None:
    """Whom rows mean, by their places, as the visitor says; None: nobody here. Returns what was wrong with the rest."""
    refusal = None
    places = sorted(choices)
    asked = select(MatchRow).where(MatchRow.list_id == kept.id, MatchRow.place.in_(places))
    rows = {row.place: row for row in session.scalars(asked)}
    given = {place: codes.normalise(choice) or choice for place, choice in choices.items() if choice}
    known = {one.code for one in entities.by_codes(session, sorted(set(given.values())))}
    for place in places:
        row, code = rows.get(place), given.get(place)
        if row is None or row.state == "waiting":
            continue
        if code is not None and code not in known:
            refusal = refusal or CodeUnknown(row=place)
            continue
        if code == row.code and row.state == "sure":
            continue
        row.state, row.code = ("chosen", code) if code else ("none", None)
        row.score = next((score for one, score in row.candidates if one == code), None)
    return refusal


# ---- following ------------------------------------------------------------------------------------------------------

_MEANT = ("sure", "chosen")


def followable(session: Session, kept: MatchList) -> int:
    """How many entities the list means."""
    asked = select(func.count(func.distinct(MatchRow.code)))
    return session.scalar(asked.where(MatchRow.list_id == kept.id, MatchRow.state.in_(_MEANT))) or 0


def ask_to_follow(session: Session, kept: MatchList, address: str, language: str) -> None:
    """Mail the address one link with which it follows every entity that the list means.

    Raises NothingMatched, follow.AddressRefused.
    """
    number = followable(session, kept)
    if not number:
        raise NothingMatched
    address_id = follow.ask_many(session, address)
    if address_id is not None:
        jobs.add(session, LETTER, [[kept.id, address_id, language, number]])


def follow_some(session: Session, list_id: str, address_id: str, language: str, after: int) -> int | None:
    """Let an address follow the next entities of the list. Returns where to go on; None at the end.

    Raises LinkExpired when the address has been forgotten.
    """
    asked = select(MatchRow.place, MatchRow.code).where(
        MatchRow.list_id == list_id, MatchRow.place > after, MatchRow.state.in_(_MEANT)
    )
    rows = session.execute(asked.order_by(MatchRow.place).limit(_FOLLOWED_AT_ONCE)).all()
    follow.confirm_many(session, address_id, [row.code for row in rows], language)
    return rows[-1].place if len(rows) == _FOLLOWED_AT_ONCE else None


# ---- forgetting -----------------------------------------------------------------------------------------------------


def forget(session: Session, kept: MatchList) -> None:
    """Delete a list before its week is over."""
    session.execute(delete(MatchList).where(MatchList.id == kept.id))
    log.info("list.forgotten")


def purge() -> int:
    """Delete lists whose week is over, a few at a time. Returns how many."""
    gone = 0
    while True:
        with db.writing() as session:
            old = select(MatchList.id).where(MatchList.created_at < db.now() - KEPT).limit(20)
            done = session.execute(delete(MatchList).where(MatchList.id.in_(list(session.scalars(old)))))
            count = done.rowcount if isinstance(done, CursorResult) else 0
        gone += count
        if not count:
            return gone
