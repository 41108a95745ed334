"""Checking a batch against the register and the ledger, and keeping what it came to until somebody accepts it.

Nothing is published here. Beside the file as it was sent lie, in the store: `rows` (usable rows, a line each), `names`
(rows that wait for a person to say whom they mean), `faults` (a line for each row that cannot be used).
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from partners import examining
from partners.checking import Checked
from partners.examining import Begun
from partners.faults import Found
from partners.models import Batch, Evaluation, Organisation
from partners.schemes import TITLES, Definition
from portal.kit import db, storage
from record import codes, entities, evaluations, names
from record.entities import Brief
from record.evaluations import Known
from record.kinds import Evaluation as Payload

PARTS = ("rows", "names", "faults")


class Staged(NamedTuple):
    """A usable row, as it is kept between the check and the acceptance."""

    place: str
    code: str
    """Empty in `names`: the person's choice comes in its place."""
    name: str
    grade: str
    day: str
    until: str
    certificate: str
    details: str


@dataclass(slots=True)
class Counts:
    """What a check came to."""

    rows: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    superseded: int = 0
    rejected: int = 0
    to_confirm: int = 0


@dataclass(slots=True)
class Outcome:
    """What a check came to, the header that was found, and names that a person must confirm."""

    counts: Counts = field(default_factory=Counts)
    header: Sequence[str] = field(default_factory=tuple)
    unused: Sequence[str] = field(default_factory=tuple)
    names: list[Staged] = field(default_factory=list)


MOST_NAMES = 20_000
"""Rows without a code that one batch may have: each waits for a person."""


def key(batch_id: str, part: str) -> str:
    """Where a part of a batch lies in the store."""
    return f"batches/{batch_id}/{part}"


@contextmanager
def local_file(batch: Batch) -> Iterator[Path]:
    """The batch's file as it was sent, on this host for a while."""
    with tempfile.TemporaryDirectory(prefix="batch-") as folder:
        path = Path(folder) / f"file.{batch.form}"
        storage.fetch(key(batch.id, "file"), path)
        yield path


@dataclass(frozen=True, slots=True)
class Rater:
    """Who evaluates, by which edition of which scheme."""

    organisation: Organisation
    scheme_id: str
    scheme_name: str
    version: int
    definition: Definition

    def payload(self, staged: Staged) -> dict[str, Any]:
        """What the ledger will say of a row."""
        meaning = next((grade.meaning for grade in self.definition.grades if grade.code == staged.grade), None)
        said = Payload(
            party_name=staged.name, authority=self.organisation.name, authority_code=self.organisation.entity_code,
            rater=self.organisation.id, scheme=self.scheme_id, scheme_name=self.scheme_name, version=self.version,
            grade=staged.grade or None, grade_meaning=meaning, valid_from=date.fromisoformat(staged.day),
            valid_until=date.fromisoformat(staged.until) if staged.until else None,
            certificate_number=staged.certificate or None, details=json.loads(staged.details or "{}"),
        )  # fmt: skip
        return said.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


def stage(batch: Batch, rater: Rater, today: date, told: Callable[[int], None]) -> Outcome:
    """Check every row of a batch and put what it came to into the store. Raises reading.Unreadable, StorageAway.

    May run again: the store is written in place of what was there. `told`: how many rows were looked at so far.
    """
    outcome = Outcome()
    with local_file(batch) as path, ExitStack() as open_files:
        files = {part: open_files.enter_context((path.parent / part).open("w", encoding="utf-8")) for part in PARTS}
        with db.reading() as session:
            first = select(Evaluation.seq).where(Evaluation.scheme_id == rater.scheme_id).limit(1)
            known_before = session.scalar(first) is not None
        for part in examining.examine(path, batch.form, rater.definition, today):
            if isinstance(part, Begun):
                outcome.header, outcome.unused = part.header, part.unused
                continue
            with db.reading() as session:
                piece = _Piece(session, rater, outcome.header, known_before=known_before)
                piece.look(part)
            piece.keep(part, files, outcome)
            told(outcome.counts.rows)
        for file in files.values():
            file.close()
        for name in PARTS:
            storage.put_file(key(batch.id, name), path.parent / name)
    return outcome


class _Piece:
    """A thousand rows beside what the register and the ledger know of them."""

    def __init__(self, session: Session, rater: Rater, header: Sequence[str], *, known_before: bool) -> None:
        self._session = session
        self._rater = rater
        self._name_title = self._title(header, "party_name")
        self._code_title = self._title(header, "entity_code")
        self._known_before = known_before
        self.faults: dict[int, list[Found]] = {}
        self.kept_names: dict[int, str] = {}
        self._known: dict[tuple[str, str], Known] = {}
        self._latest: dict[str, str] = {}

    @staticmethod
    def _title(header: Sequence[str], field_: str) -> str:
        return TITLES[field_] if TITLES[field_] in header else ""

    def look(self, rows: Sequence[Checked]) -> None:
        """Look the rows up: which entity each is about, whether it may be evaluated, what stands of it already."""
        wanted = {row.code for row in rows if row.code}
        registered = entities.briefly(self._session, wanted)
        differing = []
        for at, row in enumerate(rows):
            if not row.code:
                continue
            entity = registered.get(row.code)
            if entity is None:
                if codes.is_valid(row.code):
                    self.faults.setdefault(at, []).append(Found(self._code_title, "code_unknown", row.code))
                continue
            self.kept_names[at] = entity.name
            if row.name and row.name != entity.name:
                differing.append(at)
            if not may_evaluate(self._rater.organisation, entity):
                self.faults.setdefault(at, []).append(Found("", "out_of_scope", "", entity.name))
        self._compare_names(rows, registered, differing)
        if self._known_before:
            good = {row.code for at, row in enumerate(rows) if row.code and not row.faults and at not in self.faults}
            self._read_known(good)

    def _compare_names(self, rows: Sequence[Checked], registered: Mapping[str, Brief], differing: list[int]) -> None:
        unlike = [at for at in differing if names.fold(rows[at].name) != names.fold(registered[rows[at].code].name)]
        former = entities.former_names(self._session, [rows[at].code for at in unlike])
        for at in unlike:
            row = rows[at]
            if names.fold(row.name) not in map(names.fold, former.get(row.code, ())):
                fault = Found(self._name_title, "name_differs", row.name[:60], registered[row.code].name[:60])
                self.faults.setdefault(at, []).append(fault)

    def _read_known(self, wanted: set[str]) -> None:
        if not wanted:
            return
        for one in evaluations.known(self._session, self._rater.organisation.id, self._rater.scheme_id, wanted):
            self._known[one.entity_code, one.evaluated_on] = one
            if not one.withdrawn:
                latest = self._latest.get(one.entity_code, "")
                self._latest[one.entity_code] = max(latest, one.evaluated_on)

    def keep(self, rows: Sequence[Checked], files: Mapping[str, IO[str]], outcome: Outcome) -> None:
        """Count the rows and write each where it belongs."""
        counts = outcome.counts
        counts.rows += len(rows)
        for at, row in enumerate(rows):
            name = self.kept_names.get(at, row.name)
            staged = Staged(row.place, row.code, name, row.grade, row.day, row.until, row.certificate, row.details)
            faults = [*map(_found, row.faults), *self.faults.get(at, ())]
            if not faults and row.code:
                faults = self._against_ledger(staged, counts)
            if faults:
                counts.rejected += 1
                files["faults"].write(_LINE.encode([row.place, faults]) + "\n")
            elif row.code:
                files["rows"].write(_LINE.encode(staged) + "\n")
            elif len(outcome.names) < MOST_NAMES:
                counts.to_confirm += 1
                outcome.names.append(staged)
                files["names"].write(_LINE.encode(staged) + "\n")
            else:
                counts.rejected += 1
                files["faults"].write(_LINE.encode([row.place, [Found("", "not_confirmed")]]) + "\n")

    def _against_ledger(self, staged: Staged, counts: Counts) -> list[Found]:
        before = self._known.get((staged.code, staged.day))
        if before is None:
            counts.new += 1
            latest = self._latest.get(staged.code)
            counts.superseded += latest is not None and latest < staged.day
        elif before.withdrawn:
            return [Found("", "withdrawn")]
        elif before.payload == self._rater.payload(staged):
            counts.unchanged += 1
        else:
            counts.changed += 1
        return []


_LINE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def _found(fault: Sequence[str]) -> Found:
    return Found(*fault)


def may_evaluate(organisation: Organisation, entity: Brief) -> bool:
    """Whether an entity lies within what an organisation may evaluate."""
    in_district = not organisation.districts or entity.district in organisation.districts
    return in_district and (not organisation.industries or entity.industry in organisation.industries)


# ---- reading what is staged -----------------------------------------------------------------------------------------


def lines(batch_id: str, part: str) -> Iterator[Any]:
    """The lines of a part, as they are needed."""
    with tempfile.TemporaryDirectory(prefix="batch-") as folder:
        path = Path(folder) / part
        storage.fetch(key(batch_id, part), path)
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)


def faults(batch_id: str, *, skip: int = 0, limit: int = 100) -> list[tuple[str, list[Found]]]:
    """Rows that cannot be used, in the file's order: where they stand, and what is wrong with them."""
    found = []
    for number, (place, wrong) in enumerate(lines(batch_id, "faults")):
        if number >= skip + limit:
            break
        if number >= skip:
            found.append((place, [Found(*one) for one in wrong]))
    return found
