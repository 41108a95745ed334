"""Which entries that somebody took are shown no longer: for whoever keeps copies of what was published."""

import datetime as dt
from collections.abc import Iterator

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from record import ledger, publication
from record.models import LedgerEntry
from record.publication import PUBLISHED

AT_ONCE = 1_000


def gone_since(session: Session, kind: str, after: int) -> set[str]:
    """Ids of entries of a kind that were withdrawn, or said anew, by steps of the ledger behind `after`."""
    step, before = ledger.STEP, ledger.STEP.alias("before")
    is_withdrawal = step.c.kind == "withdrawal"
    asked = (
        select(step.c.seq, step.c.kind, before.c.id)
        .outerjoin_from(step, before, before.c.seq == step.c.supersedes)
        .where(or_(is_withdrawal, and_(step.c.kind == kind, step.c.supersedes.is_not(None))))
        .order_by(step.c.seq)
        .limit(AT_ONCE)
    )
    gone: set[str] = set()
    while steps := session.execute(asked.where(step.c.seq > after)).all():
        gone |= {superseded for _, what, superseded in steps if what != "withdrawal"}
        taken_back = publication.withdrawals(session, [seq for seq, what, _ in steps if what == "withdrawal"])
        gone |= {said["withdrawn"] for said in taken_back.values() if said["data_set"] == kind}
        after = steps[-1][0]
    return gone


def hidden_since(session: Session, after: int) -> Iterator[list[int]]:
    """Numbers of entries that steps behind `after` withdrew or said anew, in parts."""
    steps = (
        select(LedgerEntry.seq, LedgerEntry.kind, LedgerEntry.payload, LedgerEntry.supersedes)
        .where(or_(LedgerEntry.kind == "withdrawal", LedgerEntry.supersedes.is_not(None)))
        .order_by(LedgerEntry.seq)
        .limit(AT_ONCE // 2)
    )
    while found := session.execute(steps.where(LedgerEntry.seq > after)).all():
        ids = [said["withdrawn"] for _, kind, said, _ in found if kind == "withdrawal" and said]
        withdrawn = session.scalars(select(LedgerEntry.seq).where(LedgerEntry.id.in_(ids))) if ids else ()
        yield [*withdrawn, *(before for *_, before in found if before is not None)]
        after = found[-1].seq


def count_since(session: Session, after: int, *, most: int) -> int:
    """How many withdrawals stand behind `after`, counted up to `most`."""
    newer = select(LedgerEntry.seq).where(LedgerEntry.kind == "withdrawal", LedgerEntry.seq > after).limit(most)
    return session.scalar(select(func.count()).select_from(newer.subquery())) or 0


def newest_before(session: Session, moment: dt.datetime) -> int | None:
    """Number of the newest withdrawal that was recorded before a moment."""
    return session.scalar(
        select(func.max(LedgerEntry.seq)).where(LedgerEntry.kind == "withdrawal", LedgerEntry.recorded_at < moment)
    )


def still_shown(session: Session, ids: list[str]) -> set[str]:
    """Which of these entries are published now; at most a thousand."""
    return set(session.scalars(select(PUBLISHED.c.id).where(PUBLISHED.c.id.in_(ids))))


def list_since(session: Session, kinds: list[str], *, after: int, limit: int) -> list[tuple[int, str, str, str]]:
    """Withdrawals behind `after`, oldest first: number, id of what is withdrawn, its kind, the day."""
    asked = (
        select(LedgerEntry.seq, LedgerEntry.payload, LedgerEntry.recorded_at)
        .where(LedgerEntry.kind == "withdrawal", LedgerEntry.seq > after, LedgerEntry.payload.is_not(None))
        .order_by(LedgerEntry.seq)
        .limit(limit)
    )
    return [
        (seq, payload["withdrawn"], payload["data_set"], at.astimezone(publication.CITY_TIME).date().isoformat())
        for seq, payload, at in session.execute(asked)
        if payload["data_set"] in kinds
    ]
