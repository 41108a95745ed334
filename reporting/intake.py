"""Taking a tip-off: everything is checked, sealed and kept, and only then is its receipt given out.

    taken = submit(telling, files, via="portal", form=form, proof=proof, ticket=ticket)
    taken.digits                           # shown once; nothing that is kept leads back to it

Limits come first (at the door), then the proof of work, then what is dear: the receipt's Argon2id.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.kit import db
from portal.kit.i18n import gettext
from portal.kit.settings import get_settings
from record import entities
from record.entities import EntityNotFound
from record.ledger import new_id
from reporting import cases, files, floods, vault
from reporting.cases import Arrived
from reporting.files import Waiting
from reporting.forms import NotComplete, Telling
from reporting.models import Tip, TipCase, Via

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Taken:
    """A tip-off that is kept."""

    digits: str
    case_number: str
    received_at: datetime
    repeated: bool = False
    """The same form had arrived before: this is the receipt that it was given then."""

    def __repr__(self) -> str:
        return f"Taken({self.case_number})"


def submit(
    telling: Telling,
    waiting: Sequence[Waiting] = (),
    *,
    via: Via,
    form: str | None = None,
    proof: str | None = None,
    ticket: str | None = None,
    proven: bool = False,
) -> Taken:
    """Take a tip-off. Opens its own transactions: what takes long must not hold one.

    `form`: a random text of the form, by which a form that is sent again is known. `proven`: its sender holds a key.
    Raises floods.ProofNeeded, ProofRefused, TooSoon; NotComplete; files.FilesGone; vault.VaultClosed; Unavailable.
    """
    with db.reading() as session:
        place = _entity_of(session, telling)
        sealed = _sealed(session, telling, waiting)
        identity = vault.seal_identity(session, _identity(telling)) if telling.reporter else None
    with db.writing() as session:
        if not proven:
            floods.check(session, proof, ticket)
        floods.count(session)
    digits = vault.digits_of(form) if form else vault.new_digits()
    receipt = vault.receipt(digits)
    try:
        with db.writing() as session:
            found = _case_of(session, receipt.lookup)
            if found:
                return Taken(digits, cases.number_of(found[1]), found[0].received_at, repeated=True)
            arrived = Arrived(
                kind=telling.kind, via=via, service=telling.service, entity_code=telling.entity_code,
                district=telling.district or place, department=get_settings().department,
                named=telling.reporter is not None,
            )  # fmt: skip
            case = cases.receive(session, arrived)
            tip = Tip(
                id=new_id(), case_id=case.id, rank=1, lookup=receipt.lookup, reply_key=receipt.public_key,
                received_at=db.now(), sealed=sealed, identity_sealed=identity,
                word_hash=receipt.word_hash(telling.word) if telling.word else None,
            )  # fmt: skip
            session.add(tip)
            session.flush()
            files.claim(session, waiting, tip.id, drop_originals=telling.originals == "drop")
    except IntegrityError:  # the same form arrived twice at this moment; the other one was first
        with db.reading() as session:
            found = _case_of(session, receipt.lookup)
        if not found:
            raise
        return Taken(digits, cases.number_of(found[1]), found[0].received_at, repeated=True)
    log.info("tip.taken", via=via, kind=telling.kind)
    return Taken(digits, cases.number_of(case), tip.received_at)


def _case_of(session: Session, lookup: bytes) -> tuple[Tip, TipCase] | None:
    row = session.execute(select(Tip, TipCase).join(TipCase, TipCase.id == Tip.case_id).where(Tip.lookup == lookup))
    return next(((tip, case) for tip, case in row), None)


def _entity_of(session: Session, telling: Telling) -> str | None:
    """District of the entity that it is about. Raises NotComplete for a code that the register does not know."""
    if telling.entity_code is None:
        return None
    try:
        return entities.get(session, telling.entity_code).district
    except EntityNotFound as error:
        sentence = gettext("The register knows no entity with this code. Check it, or write the name instead.")
        raise NotComplete(errors=[{"field": "entity_code", "message": sentence}]) from error


def _sealed(session: Session, telling: Telling, waiting: Sequence[Waiting]) -> bytes:
    told: dict[str, Any] = {
        "description": telling.description,
        "entity": telling.entity,
        "happened_on": telling.happened_on.isoformat() if telling.happened_on else None,
        "place": telling.place,
        "publish": telling.publish,
        "mediation": telling.mediation,
        "files": {one.id: one.name for one in waiting},
    }
    content = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    return vault.seal(session, content, get_settings().department)


def _identity(telling: Telling) -> bytes:
    assert telling.reporter is not None
    who = {"name": telling.reporter.name, "phone": telling.reporter.phone, "email": telling.reporter.email}
    return json.dumps(who, ensure_ascii=False, separators=(",", ":")).encode()
