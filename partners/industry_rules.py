"""Rules that an industry gives itself (行规行约), published as documents by its association.

A new edition takes the place of an older one on the day it is in force from; until then both are listed. What is
withdrawn is listed no longer and its file opens for nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session, aliased

from partners import callbacks, commissions, organisations, papers
from partners.commissions import Order, words
from partners.models import IndustryRule, Organisation, OrganisationType, Paper
from partners.papers import Handed
from portal.kit import db
from portal.kit.accounts import Officer
from portal.kit.errors import NotFound, PortalError
from record import acts, publication

MAKERS: tuple[OrganisationType, ...] = ("association", "chamber")
"""行规行约 are made by an industry's own bodies (行业协会商会)."""
_FIRST_YEAR, _YEARS_AHEAD = 1949, 5


class NotARuleMaker(PortalError):
    status = 403
    slug = "not-a-rule-maker"
    title = "Industry rules are published by associations and chambers of commerce."
    remedy = "Ask the association of your industry."


class RuleMoved(PortalError):
    status = 409
    slug = "rule-moved"
    title = "This edition was replaced or withdrawn already."
    remedy = "Open the list again and choose the newest edition."


class RuleDay(PortalError):
    status = 422
    slug = "rule-day"
    title = "Rules cannot be in force from this day."
    remedy = "Enter the day that the document itself names, at most five years ahead."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is published."""

    title: str
    number: str
    """As the association counts its rules; may be empty."""
    in_force_from: date


def may_publish(organisation: Organisation) -> bool:
    """Whether this is one of those that make rules, and may act today."""
    return organisation.type in MAKERS and organisations.is_open(organisation)


def publish(
    session: Session, organisation_id: str, wanted: Wanted, handed: Handed, *, replaces: int | None = None
) -> IndustryRule:
    """Publish rules, or a new edition of one's own. `handed` was looked at as a public file.

    Raises OrganisationClosed, NotARuleMaker, NotFound, RuleMoved, RuleDay, WordsWrong, StorageAway.
    """
    if organisations.acting(session, organisation_id).type not in MAKERS:
        raise NotARuleMaker
    if not _FIRST_YEAR <= wanted.in_force_from.year <= publication.today().year + _YEARS_AHEAD:
        raise RuleDay
    title, number = words(wanted.title, least=2, most=200), words(wanted.number, least=0, most=100)
    older = _standing(session, replaces, organisation_id) if replaces is not None else None
    made = IndustryRule(
        organisation_id=organisation_id, title=title, number=number or None, in_force_from=wanted.in_force_from,
        paper_id=papers.keep_handed(session, handed, organisation_id=organisation_id).id, published_at=db.now(),
    )  # fmt: skip
    session.add(made)
    session.flush()
    if older:
        older.replaced_by = made.id
        if older.in_force_from > publication.today():  # it never was in force: what stood before it still stands
            _repoint(session, older.id, made.id)
        session.flush()
    return made


def withdraw(session: Session, organisation_id: str, rule_id: int) -> IndustryRule:
    """Take back one's own rules. Raises OrganisationClosed, NotFound, RuleMoved."""
    organisations.acting(session, organisation_id)
    return _withdrawn(session, _standing(session, rule_id, organisation_id))


def take_down(session: Session, officer: Officer, rule_id: int, reason: str) -> IndustryRule:
    """Withdraw an organisation's rules; it is told the reason by a notice. Last in its transaction.

    Raises NotFound, RuleMoved, WordsWrong.
    """
    why = words(reason)
    rule = _withdrawn(session, _standing(session, rule_id))
    callbacks.tell(session, rule.organisation_id, "rule.withdrawn", {"id": rule.id})
    if organisations.is_open(organisations.get(session, rule.organisation_id)):
        told = Order("notice", f"已撤下：{rule.title}"[:200], why, organisations={rule.organisation_id})
        commissions.issue(session, officer, told)
    acts.keep(session, "rule_withdraw", about=f"rule {rule_id}", by=officer, reason=why)
    return rule


def _standing(session: Session, rule_id: int, organisation_id: str | None = None) -> IndustryRule:
    rule = session.get(IndustryRule, rule_id, with_for_update=True)
    if rule is None or organisation_id not in (None, rule.organisation_id):
        raise NotFound
    if rule.withdrawn_at is not None or rule.replaced_by is not None:
        raise RuleMoved
    return rule


def _withdrawn(session: Session, rule: IndustryRule) -> IndustryRule:
    rule.withdrawn_at = db.now()
    papers.get(session, rule.paper_id).public = False
    if rule.in_force_from > publication.today():
        _repoint(session, rule.id, None)
    session.flush()
    return rule


def _repoint(session: Session, before: int, after: int | None) -> None:
    session.execute(update(IndustryRule).where(IndustryRule.replaced_by == before).values(replaced_by=after))


# ---- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """Rules with who gave them, their file and, where there is one, the edition that replaces them."""

    rule: IndustryRule
    organisation: Organisation
    paper: Paper
    next: IndustryRule | None

    @property
    def stands(self) -> bool:
        """Whether it can be replaced or withdrawn."""
        return self.rule.withdrawn_at is None and self.rule.replaced_by is None

    @property
    def is_replaced(self) -> bool:
        return self.next is not None and self.next.in_force_from <= publication.today()

    @property
    def is_in_force(self) -> bool:
        return self.rule.in_force_from <= publication.today()


_NEXT = aliased(IndustryRule)


def public(
    session: Session, *, organisation_id: str | None = None, before: int | None = None, limit: int = 50
) -> list[Listed]:
    """Rules that stand or will, the newest first."""
    not_replaced = or_(IndustryRule.replaced_by.is_(None), _NEXT.in_force_from > publication.today())
    asked = [IndustryRule.withdrawn_at.is_(None), not_replaced]
    if organisation_id is not None:
        asked.append(IndustryRule.organisation_id == organisation_id)
    return _listed(session, asked, before, limit)


def of(session: Session, organisation_id: str, *, before: int | None = None, limit: int = 50) -> list[Listed]:
    """All editions of an organisation's rules, the newest first."""
    return _listed(session, [IndustryRule.organisation_id == organisation_id], before, limit)


def _listed(session: Session, asked: Sequence[ColumnElement[bool]], before: int | None, limit: int) -> list[Listed]:
    found = (
        select(IndustryRule, Organisation, Paper, _NEXT)
        .join(Organisation, Organisation.id == IndustryRule.organisation_id)
        .join(Paper, Paper.id == IndustryRule.paper_id)
        .outerjoin(_NEXT, _NEXT.id == IndustryRule.replaced_by)
        .where(*asked)
    )
    if before is not None:
        found = found.where(IndustryRule.id < before)
    return [Listed(*row) for row in session.execute(found.order_by(IndustryRule.id.desc()).limit(limit))]
