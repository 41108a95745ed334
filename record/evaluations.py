"""Evaluations (行业信用评价) in the ledger: what partners append, what stands of it, and what is taken back.

A fact is one evaluation of one entity by one scheme on one day: said again with other words it supersedes, and a later
evaluation is a fact of its own, so that the history stays to be seen. What was withdrawn stays withdrawn.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, Literal, NamedTuple, cast

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, aliased

from portal.kit import db
from portal.kit.errors import PortalError
from record import ledger, publication
from record.kinds import DisputeOutcome
from record.ledger import Appended, Fact
from record.models import LedgerEntry
from record.publication import PUBLISHED, SHOWN_COLUMNS, Published

KIND = "evaluation"
_CODE = cast(ColumnElement[str], LedgerEntry.entity_code)


class NotStanding(PortalError):
    status = 409
    slug = "evaluation-gone"
    title = "This evaluation is no longer shown."
    remedy = "It was withdrawn, or said again in other words. Open the entity's file to see what stands."


def source_of(organisation_id: str) -> str:
    """Whose facts a partner's evaluations are."""
    return f"partner:{organisation_id}"


def reference(scheme_id: str, entity_code: str, evaluated_on: str) -> str:
    """What names one evaluation among its rater's."""
    return f"{scheme_id}|{entity_code}|{evaluated_on}"


class Known(NamedTuple):
    """What the ledger says of one evaluation now."""

    reference: str
    entity_code: str
    evaluated_on: str
    payload: dict[str, Any]
    withdrawn: bool


def known(session: Session, organisation_id: str, scheme_id: str, codes: Collection[str]) -> list[Known]:
    """Evaluations of these entities by one scheme, withdrawn ones included; at most a thousand codes."""
    asked = select(
        LedgerEntry.source_ref, LedgerEntry.entity_code, LedgerEntry.occurred_on, LedgerEntry.payload,
        LedgerEntry.withdrawn_by,
    ).where(
        db.one_of(session, _CODE, codes), LedgerEntry.kind == KIND,
        LedgerEntry.superseded_by.is_(None), LedgerEntry.source == source_of(organisation_id),
        LedgerEntry.payload.is_not(None),
    )  # fmt: skip
    return [
        Known(row[0], row[1], row[2].isoformat(), row[3], row[4] is not None)
        for row in session.execute(asked)
        if row[3]["scheme"] == scheme_id
    ]


def append(session: Session, organisation_id: str, facts: Sequence[tuple[str, str, dict[str, Any]]]) -> Appended:
    """Append evaluations, each (entity's code, day, payload). Comes last in its transaction, a thousand at most."""
    source = source_of(organisation_id)
    appended = ledger.append(
        session,
        [
            ledger.seal(Fact(KIND, source, reference(payload["scheme"], code, day), payload, code, day))
            for code, day, payload in facts
        ],
    )
    if appended.replaced:
        publication.carry_over(session, appended.replaced)
    return appended


def withdraw(session: Session, seqs: Sequence[int], because: Literal["annulled", "objection"]) -> int:
    """Show these no longer; at most a thousand. Comes last in its transaction. Returns how many were shown."""
    return publication.withdraw(session, seqs, because)


def dispute_decided(
    session: Session, entry: Published, scheme_id: str, outcome: Literal["upheld", "rejected", "conceded"], reason: str
) -> None:
    """Write what became of an objection to a rating, and end the rating unless it stays. Last in its transaction."""
    ledger.lock(session)
    if publication.get(session, entry.seq) is None:
        raise NotStanding
    if outcome != "rejected":
        withdraw(session, [entry.seq], "objection" if outcome == "upheld" else "annulled")
    said = DisputeOutcome(evaluation=entry.id, scheme=scheme_id, outcome=outcome, reason=reason).model_dump(mode="json")
    fact = Fact(
        "dispute_outcome", publication.OWN, f"{entry.id}|{ledger.new_id()}", said, entry.entity_code,
        publication.today().isoformat(), "internal",
    )  # fmt: skip
    ledger.append(session, [ledger.seal(fact)])


# ---- reading --------------------------------------------------------------------------------------------------------


def of_entity(session: Session, code: str, *, limit: int = 200) -> list[Published]:
    """An entity's published evaluations of all schemes, the latest first."""
    return publication.of_entity(session, code, KIND, limit=limit)


def shown(session: Session, seqs: Collection[int]) -> dict[int, Published]:
    """Those of these entries that are published; at most a thousand."""
    found = publication.published(session.execute(select(*SHOWN_COLUMNS).where(PUBLISHED.c.seq.in_(seqs))))
    return {one.seq: one for one in found}


def number_of(session: Session, organisation_id: str, entry_id: str) -> int | None:
    """Number of a published evaluation of this rater, by the entry's `id`; None for anything else."""
    asked = select(PUBLISHED.c.seq).where(
        PUBLISHED.c.id == entry_id, PUBLISHED.c.kind == KIND, PUBLISHED.c.source == source_of(organisation_id)
    )
    return session.scalar(asked)


def number_now(session: Session, organisation_id: str, entry_id: str) -> int | None:
    """Number of the entry by which an evaluation stands now, in whatever words; None when it stands no longer."""
    now = aliased(LedgerEntry)
    same = (
        (now.source_ref == LedgerEntry.source_ref) & (now.kind == LedgerEntry.kind) & (now.source == LedgerEntry.source)
    )
    asked = (
        select(now.seq)
        .select_from(LedgerEntry)
        .join(now, same)
        .where(
            LedgerEntry.id == entry_id, LedgerEntry.kind == KIND, LedgerEntry.source == source_of(organisation_id),
            now.superseded_by.is_(None), now.withdrawn_by.is_(None),
        )
    )  # fmt: skip
    return session.scalar(asked)


def shown_numbers(session: Session, seqs: Collection[int]) -> set[int]:
    """Which of these entries are published; at most a thousand."""
    return set(session.scalars(select(PUBLISHED.c.seq).where(PUBLISHED.c.seq.in_(seqs))))


class WasKnown(NamedTuple):
    """What the ledger said of one evaluation at some moment."""

    seq: int
    payload: dict[str, Any]
    recorded_at: datetime
    evaluated_on: date


def as_known_on(session: Session, code: str, moment: datetime) -> list[WasKnown]:
    """An entity's evaluations as they were known and shown at a moment, of which only what is shown today is told.

    As-of views apply today's rule: what was withdrawn since is left out, for repaired means no longer used; what was
    said again in other words since is told as it was said then.
    """
    later, gone, now = aliased(LedgerEntry), aliased(LedgerEntry), aliased(LedgerEntry)
    asked = (
        select(LedgerEntry.seq, LedgerEntry.payload, LedgerEntry.recorded_at, LedgerEntry.occurred_on)
        .outerjoin(later, later.seq == LedgerEntry.superseded_by)
        .outerjoin(gone, gone.seq == LedgerEntry.withdrawn_by)
        .join(
            now,
            (now.source_ref == LedgerEntry.source_ref)
            & (now.kind == LedgerEntry.kind)
            & (now.source == LedgerEntry.source)
            & now.superseded_by.is_(None),
        )
        .join(PUBLISHED, PUBLISHED.c.seq == now.seq)
        .where(
            LedgerEntry.entity_code == code, LedgerEntry.kind == KIND, LedgerEntry.payload.is_not(None),
            LedgerEntry.visibility == "public", LedgerEntry.recorded_at <= moment,
            or_(later.seq.is_(None), later.recorded_at > moment),
            or_(gone.seq.is_(None), gone.recorded_at > moment),
        )
        .order_by(LedgerEntry.occurred_on.desc(), LedgerEntry.seq.desc())
        .limit(200)
    )  # fmt: skip
    return [WasKnown(*row) for row in session.execute(asked)]


def penalised_after(session: Session, rated: Sequence[tuple[str, date, date]]) -> list[bool]:
    """For each (code, day, end): whether a penalty of that entity lies after the day, up to the end. For counts only.

    At most a thousand. Counted is what is published, or was until its term ended; what was repaired, annulled or
    rightly objected to is used for nothing (信用修复管理办法), and what was never public is not counted either.
    """
    if not publication.is_shown_here(session, "penalty", publication.today()):
        return [False] * len(rated)
    gone = aliased(LedgerEntry)
    ended = gone.payload["because"].as_string() == "closed"
    asked = (
        select(LedgerEntry.entity_code, LedgerEntry.occurred_on)
        .outerjoin(gone, gone.seq == LedgerEntry.withdrawn_by)
        .where(
            db.one_of(session, _CODE, {code for code, _, _ in rated}), LedgerEntry.kind == "penalty",
            LedgerEntry.visibility == "public", LedgerEntry.superseded_by.is_(None),
            LedgerEntry.shown_from.is_(None), LedgerEntry.payload.is_not(None),
            or_(LedgerEntry.withdrawn_by.is_(None), ended),
        )
    )  # fmt: skip
    days: dict[str, list[date]] = {}
    for code, day in session.execute(asked):
        if day:
            days.setdefault(str(code), []).append(day)
    return [any(day < one <= end for one in days.get(code, ())) for code, day, end in rated]
