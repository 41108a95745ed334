"""What reporters sent is erased on its day, with an act in the ledger; that there was a case, and its end, stay."""

from datetime import date

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal.kit import db
from record import acts, publication
from reporting import cases, files, rules
from reporting.models import CaseStep, Tip, TipCase, TipMessage

AT_ONCE = 100


def erase_due() -> int:
    """Erase what was sent in cases that were closed long enough ago, and in their repeats. Returns how many cases."""
    gone = 0
    while erased := _erase_some(publication.today()):
        gone += erased
    return gone


def _erase_some(today: date) -> int:
    rule = rules.retention(today)
    if rule is None:
        return 0
    with db.writing() as session:
        closed = TipCase.closed_on.is_not(None) & TipCase.erased_on.is_(None)
        asked = select(TipCase).where(closed, TipCase.closed_on <= publication.months_after(today, -rule.months))
        due = list(session.scalars(asked.order_by(TipCase.closed_on, TipCase.id).limit(AT_ONCE)))
        along = TipCase.merged_into.in_([case.id for case in due]) & TipCase.erased_on.is_(None)
        due += session.scalars(select(TipCase).where(along).order_by(TipCase.id))
        if due:
            _erase(session, due, today)
        return len(due)


def _erase(session: Session, due: list[TipCase], today: date) -> None:
    numbers = [case.id for case in due]
    tips = list(session.scalars(select(Tip.id).where(Tip.case_id.in_(numbers))))
    files.erase(session, tips)
    session.execute(update(Tip).where(Tip.id.in_(tips)).values(sealed=None, identity_sealed=None, word_hash=None))
    session.execute(update(TipMessage).where(TipMessage.tip_id.in_(tips)).values(to_desk=None, to_reporter=None))
    session.execute(update(CaseStep).where(CaseStep.case_id.in_(numbers)).values(reason=None))
    session.execute(update(TipCase).where(TipCase.id.in_(numbers)).values(erased_on=today))
    session.flush()
    for start in range(0, len(due), AT_ONCE):
        some = due[start : start + AT_ONCE]
        told = ", ".join(cases.number_of(case) for case in some)
        acts.keep(session, "tips_erase", about=f"{len(some)} tip cases", by=None, details={"cases": told})
