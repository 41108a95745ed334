"""Tips that may tell of the same matter, for officers alone: what is compared is opened in memory and kept nowhere."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from rapidfuzz.fuzz import token_set_ratio
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit.accounts import Officer
from reporting import cases, talk
from reporting.models import Tip, TipCase

WITHIN = timedelta(days=180)
MOST = 12


@dataclass(frozen=True, slots=True)
class Similar:
    """A case that may be about the same."""

    case: TipCase
    likeness: int
    """0 to 100, of the words."""


def of(session: Session, officer: Officer, case: TipCase) -> Sequence[Similar]:
    """Cases of half a year before and after about the same entity, or of the same matter and district, likeliest first.

    Raises vault.NotForUs without the desk's keys.
    """
    near = TipCase.received_on.between(case.received_on - WITHIN, case.received_on + WITHIN)
    if case.entity_code:
        same = TipCase.entity_code == case.entity_code
    else:
        same = (TipCase.service == case.service) & (TipCase.district == case.district)
    asked = select(TipCase).where(
        TipCase.id != case.id, near, same, TipCase.kind == case.kind, TipCase.merged_into.is_(None),
        TipCase.erased_on.is_(None), *cases.within(officer),
    )  # fmt: skip
    found = list(session.scalars(asked.order_by(TipCase.id.desc()).limit(MOST)))
    words = _words(session, [case, *found])
    likeness = [round(token_set_ratio(words[case.id], words[one.id])) if words[one.id] else 0 for one in found]
    return sorted(map(Similar, found, likeness), key=lambda one: -one.likeness)


def _words(session: Session, about: Sequence[TipCase]) -> dict[int, str]:
    """The words of each case's first tip, cut into pairs of characters, for Chinese has no gaps."""
    tips = session.scalars(select(Tip).where(Tip.case_id.in_([one.id for one in about])).order_by(Tip.received_at))
    first: dict[int, Tip] = {}
    for tip in tips:
        first.setdefault(tip.case_id, tip)
    told = {one.tip.case_id: one.description for one in talk.told(session, list(first.values()))}
    return {one.id: _pairs(told.get(one.id, "")) for one in about}


def _pairs(text: str) -> str:
    plain = "".join(unicodedata.normalize("NFKC", text[:1_000]).casefold().split())
    return " ".join(plain[at : at + 2] for at in range(len(plain) - 1))
