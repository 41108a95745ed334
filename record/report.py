"""The report of an entity's file (档案报告): what it says as of one moment, and whether the file still says that.

No report is kept. A token, printed on it, names the entity, the moment and the ledger's size, and holds a digest of
which entries stood published then; whoever holds the token learns how many came and went since, never which.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from portal.kit import db, links
from portal.kit.errors import PortalError
from record import entities, ledger, profile, publication
from record.models import Entity
from record.profile import Profile
from record.publication import Part, Standing

MOST_ENTRIES = 200
"""Entries that one report lists; of what is left out it says how many there are and where."""
CONFIRMED_FOR = timedelta(days=731)
"""How long the portal confirms that it made a report."""

_LINK = "record.report"


class ReportUnconfirmed(PortalError):
    status = 409
    slug = "report-unconfirmed"
    title = "This report cannot be confirmed: it names more entries of the ledger than there are."
    remedy = "Make a new report from the entity's page, and tell whoever runs this site about this one."


@dataclass(frozen=True, slots=True)
class State:
    """What a report of an entity's file would say just now, as a digest: two reports with the same say the same."""

    entity: Entity
    entries: int
    """How many are published."""
    disputed: int
    digest: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says."""

    file: Profile
    parts: Sequence[Part]
    """The supervision record by kind, with the entries that are listed."""
    disputed: int
    """Entries to which an objection is being examined, whether listed or not."""
    head: ledger.Head
    made_at: datetime
    """To the second, UTC."""
    token: str
    """What the report is confirmed by."""

    @property
    def entries(self) -> int:
        """How many are published, listed here or not."""
        return sum(part.count for part in self.parts)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """That the portal made a report, and what became of the file since."""

    entity: Entity
    """As it is registered now."""
    made_at: datetime
    entries: int
    """How many were published then."""
    head: ledger.Head
    """The ledger as it was then."""
    current: bool
    """A report made now would say the same of this entity."""
    added: int
    """Entries published now that the ledger did not hold then."""
    gone: int
    """Entries published then and not now."""


def state(session: Session, code: str) -> State:
    """What a report would say now. Raises entities.EntityNotFound."""
    entity = entities.get(session, code)
    standing = publication.standing(session, entity.code)
    return State(entity, len(standing), sum(one.disputed for one in standing), _digest(entity, standing))


def make(session: Session, now: State) -> Report:
    """A report of what `state` found in the same session, which must see one moment (`db.reading`)."""
    code = now.entity.code
    file = profile.read(session, code)
    allowed = allotted({part.kind: part.count for part in file.record}, MOST_ENTRIES)
    parts = [
        Part(part.kind, part.count, publication.of_entity(session, code, part.kind, limit=allowed[part.kind]))
        for part in file.record
    ]
    head, made_at = ledger.head(session), db.now().replace(microsecond=0)
    token = links.make(_LINK, [code, head.size, int(made_at.timestamp()), now.entries, now.digest])
    return Report(file, parts, now.disputed, head, made_at, token)


def allotted(counts: Mapping[str, int], most: int) -> dict[str, int]:
    """How many of each to list so that all together are `most`: what there are few of is listed whole.

    >>> allotted({"penalty": 3, "inspection": 900, "permit": 60}, 100)
    {'penalty': 3, 'permit': 48, 'inspection': 49}
    """
    allowed: dict[str, int] = {}
    for kind in sorted(counts, key=lambda kind: counts[kind]):
        share = (most - sum(allowed.values())) // (len(counts) - len(allowed))
        allowed[kind] = min(counts[kind], share)
    return allowed


def confirm(session: Session, token: str) -> Confirmation:
    """What the portal says about the report with this token.

    Raises links.LinkRefused, links.LinkExpired, entities.EntityNotFound, and ReportUnconfirmed where the ledger is
    shorter than it was: the portal was brought back from an older backup.
    """
    code, size, made_at, entries, digest = links.read(_LINK, token, CONFIRMED_FOR)
    entity = entities.get(session, code)
    try:
        head = ledger.head(session, size)
    except ValueError as error:
        raise ReportUnconfirmed from error
    standing = publication.standing(session, code)
    known_then = [one for one in standing if one.seq < size]
    return Confirmation(
        entity,
        datetime.fromtimestamp(made_at, UTC),
        entries,
        head,
        current=_digest(entity, standing) == digest,
        added=len(standing) - len(known_then),
        gone=max(0, entries - len(known_then)),
    )


def _digest(entity: Entity, standing: Iterable[Standing]) -> str:
    """SHA-256, its first 16 bytes in base64: it only has to tell one state of one file from the next."""
    said = [entity.code, entity.changed_at.isoformat()]
    said += [f"{one.id} {'disputed' if one.disputed else ''}" for one in standing]
    return base64.urlsafe_b64encode(hashlib.sha256("\n".join(said).encode()).digest()[:16]).decode().rstrip("=")
