"""Saying whom a name without a code means: a person's decision, row by row; nothing is guessed."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from partners import organisations, staging, uploads
from partners.models import Batch, BatchName
from portal.kit.errors import PortalError
from record import codes, entities


class NameNotThere(PortalError):
    status = 422
    slug = "batch-name"
    title = "This row waits for nobody, or the code is not registered or not within your scope."
    remedy = "Choose one of the candidates, or enter the code of an entity that your organisation may evaluate."


def names_waiting(session: Session, batch: Batch, *, after: int = -1, limit: int = 100) -> list[BatchName]:
    """Rows that name an entity without its code, in the file's order, settled ones included."""
    asked = select(BatchName).where(BatchName.batch_id == batch.id, BatchName.place > after)
    return list(session.scalars(asked.order_by(BatchName.place).limit(limit)))


def names_open(session: Session, batch: Batch, *, limit: int = 50) -> list[BatchName]:
    """The first rows that still wait for a person."""
    asked = select(BatchName).where(
        BatchName.batch_id == batch.id, BatchName.chosen.is_(None), BatchName.left_out.is_(False)
    )
    return list(session.scalars(asked.order_by(BatchName.place).limit(limit)))


def written_codes(choices: Mapping[int, str]) -> dict[int, str]:
    """Codes as people write them, in the register's own way; what is no code stays as it is, to be refused."""
    return {place: (codes.normalise(code) or code) if code else "" for place, code in choices.items()}


def settle_names(session: Session, batch: Batch, choices: Mapping[int, str]) -> Batch:
    """Say which entity a name means, by place; an empty code leaves the row out. Raises NameNotThere, BatchMoved."""
    batch = uploads.locked(session, batch, "checked")
    organisation = organisations.acting(session, batch.organisation_id)
    wanted = entities.briefly(session, {code for code in choices.values() if code})
    for place, code in choices.items():
        row = session.get(BatchName, (batch.id, place))
        if row is None or (code and (code not in wanted or not staging.may_evaluate(organisation, wanted[code]))):
            raise NameNotThere
        before = row.chosen is None and not row.left_out
        row.chosen, row.left_out = code or None, not code
        if before:
            batch.to_confirm -= 1
            batch.new += bool(code)
            batch.rejected += not code
    session.flush()
    return batch


def settle_sure_names(session: Session, batch: Batch) -> int:
    """Take the one candidate of the very same name, wherever a row has exactly one. Returns how many rows."""
    batch = uploads.locked(session, batch, "checked")
    waiting = select(BatchName).where(
        BatchName.batch_id == batch.id, BatchName.chosen.is_(None), BatchName.left_out.is_(False)
    )
    done = 0
    for row in session.scalars(waiting):
        sure = [one for one in row.candidates if one["exact"]]
        if len(sure) == 1:
            row.chosen = sure[0]["code"]
            done += 1
    batch.to_confirm -= done
    batch.new += done
    session.flush()
    return done
