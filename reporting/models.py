"""The tables of tip-offs: cases at the desk, what each reporter sent, what was said since, and every step.

Whatever a reporter wrote, sent or is called stands here sealed (`reporting.vault`), or not at all.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.db import Base, UtcDateTime
from record.kinds import Finding
from record.models import Hundredths

Kind = Literal["report", "complaint"]
"""举报: anybody about a suspected violation. 投诉: a consumer's own dispute."""
Via = Literal["portal", "api", "open311", "hotline"]
"""How it came; `hotline`: a work order of 12345."""
State = Literal[
    "received", "verifying", "filed", "not_filed", "decided",
    "accepted", "refused", "mediating", "mediated", "failed", "closed",
]  # fmt: skip

NEVER = date.max - timedelta(days=1)
"""Stands for the day of a case that has none to come, so that it sorts behind those that have."""

_WAITING = text("closed_on IS NULL AND merged_into IS NULL")
_CLOSED = text("closed_on IS NOT NULL AND merged_into IS NULL")
_TO_ERASE = text("closed_on IS NOT NULL AND erased_on IS NULL")
_REPEATS = text("merged_into IS NOT NULL")
_UNSURE = text("provisional AND closed_on IS NULL")
_STAGED = text("tip_id IS NULL")


def _some(name: str, *columns: str, where: Any) -> Index:
    """An index over some of the cases: those at the desk are few beside those that are done with."""
    return Index(f"ix_tip_case_{name}", *columns, sqlite_where=where, postgresql_where=where)


class TipCase(Base):
    """One matter at the desk. Its number, service, district and state are public; nothing in it is from a reporter."""

    __tablename__ = "tip_case"
    __table_args__ = (
        _some("waiting", "department", "urgent_on", "id", where=_WAITING),
        _some("waiting_district", "department", "district", "urgent_on", "id", where=_WAITING),
        _some("waiting_state", "department", "state", "urgent_on", "id", where=_WAITING),
        _some("waiting_assigned", "assigned_to", "urgent_on", "id", where=_WAITING),
        _some("done", "department", "closed_on", "id", where=_CLOSED),
        _some("to_erase", "closed_on", "id", where=_TO_ERASE),
        _some("repeats", "merged_into", where=_REPEATS),
        _some("unsure", "id", where=_UNSURE),
        Index("ix_tip_case_received_on_district_kind", "received_on", "district", "kind"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[Kind] = mapped_column(String(10))
    via: Mapped[Via] = mapped_column(String(8))
    service: Mapped[str] = mapped_column(String(40))
    """What it is about: a code of the intake form, Open311's `service_code`."""
    entity_code: Mapped[str | None] = mapped_column(String(18), index=True)
    district: Mapped[str | None] = mapped_column(String(6))
    """Division (GB/T 2260); null: the whole city, or not known yet."""
    department: Mapped[str] = mapped_column(String(100))
    state: Mapped[State] = mapped_column(String(10))
    rule_set: Mapped[str] = mapped_column(String(40))
    """Of `clocks.toml`: what its clocks run by, however the law changes later."""
    named: Mapped[bool]
    """Somebody whose real name is known (实名) is waiting to be told."""
    received_on: Mapped[date]
    reopened_on: Mapped[date | None]
    """The clocks of the first steps run from here, where it was reopened."""
    settled_on: Mapped[date | None]
    """The day on which it was accepted or filed, or not."""
    pursued: Mapped[bool | None]
    """Whether it was: accepted (受理) or filed (立案); null while that is open."""
    decided_on: Mapped[date | None]
    """The day of the decision on a filed report, or on which mediation ended."""
    told_on: Mapped[date | None]
    """The day on which the reporter was told what came of it."""
    answered_on: Mapped[date | None]
    """The day on which a work order of the hotline was answered."""
    closed_on: Mapped[date | None]
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it last took a step."""
    due_on: Mapped[date | None]
    """The next last day of a duty that runs; null where none does, and while all are paused."""
    urgent_on: Mapped[date]
    """`due_on`, or NEVER: what queues are sorted by."""
    provisional: Mapped[bool]
    """`due_on` may still move: the calendar of its year is not out."""
    was_late: Mapped[bool]
    """A duty was done after its last day."""
    assigned_to: Mapped[int | None]
    """Number of the officer's account."""
    report_back_on: Mapped[date | None]
    """When whoever it was transferred to is to say how far it is."""
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("tip_case.id"))
    """It repeats that case, goes along with it, and keeps its own clocks."""
    finding: Mapped[Finding | None] = mapped_column(String(16))
    measures: Mapped[str | None] = mapped_column(String(2_000))
    basis: Mapped[str | None] = mapped_column(String(2_000))
    """Law and article of the decision."""
    outcome_seq: Mapped[int | None] = mapped_column(BigInteger)
    """Number of the ledger's entry that says what came of it."""
    penalty_seq: Mapped[int | None] = mapped_column(BigInteger)
    erased_on: Mapped[date | None]
    """The day on which what its reporters had sent was erased."""


class Tip(Base):
    """What one reporter sent. Repeats of a case are tips of cases of their own, merged into it."""

    __tablename__ = "tip"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    """UUIDv7 (RFC 9562)."""
    case_id: Mapped[int] = mapped_column(ForeignKey("tip_case.id"), index=True)
    rank: Mapped[int]
    """1 for whoever told first, among all who told of the same matter."""
    lookup: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    """What its receipt comes to; it does not lead back to the receipt."""
    reply_key: Mapped[str] = mapped_column(String(80))
    """Public key (age) of the receipt's holder."""
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What was told, to the department and intake; null once it is erased."""
    identity_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Who told it, to the custodian alone; null for the anonymous, and once it is erased."""
    word_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """Keyed hash of the word that a reward is claimed with, where one was chosen."""
    satisfaction: Mapped[int | None]
    """What its reporter thought of it four weeks after the end: 1 (very bad) to 5 (very good)."""


class TipMessage(Base):
    """Something that was said after a tip had come, by its reporter or by an officer."""

    __tablename__ = "tip_message"
    __table_args__ = (Index("ix_tip_message_tip_id_id", "tip_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    tip_id: Mapped[str] = mapped_column(ForeignKey("tip.id"))
    author: Mapped[Literal["reporter", "officer"]] = mapped_column(String(8))
    officer_id: Mapped[int | None]
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    to_desk: Mapped[bytes | None] = mapped_column(LargeBinary)
    to_reporter: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What an officer wrote is sealed twice: the desk reads its copy, the receipt opens the other."""


class TipFile(Base):
    """A file that came with a tip: the sealed original, and beside it a sealed copy without metadata."""

    __tablename__ = "tip_file"
    __table_args__ = (
        Index("ix_tip_file_tip_id_position", "tip_id", "position"),
        Index("ix_tip_file_staged", "staged_at", sqlite_where=_STAGED, postgresql_where=_STAGED),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    """UUIDv4: nobody guesses the name of a file that waits for its form to be sent."""
    tip_id: Mapped[str | None] = mapped_column(ForeignKey("tip.id"))
    """Null while its sender looks at the preview."""
    message_id: Mapped[int | None] = mapped_column(ForeignKey("tip_message.id"))
    """The message that it came with; null for what came with the tip itself."""
    position: Mapped[int]
    staged_at: Mapped[datetime] = mapped_column(UtcDateTime)
    size: Mapped[int]
    """Bytes of the original, before it was sealed."""
    media_type: Mapped[str] = mapped_column(String(100))
    """By its content; its name is in the sealed text."""
    state: Mapped[Literal["received", "clean", "quarantined"]] = mapped_column(String(12))
    """`received`: not looked at for malware yet. `quarantined`: infected, or nobody could say."""
    original: Mapped[str | None] = mapped_column(String(120))
    """Keys in the storage; null for what is not kept, and once it is erased."""
    cleaned: Mapped[str | None] = mapped_column(String(120))


class IdentityRequest(Base):
    """An officer's request to learn who a reporter is; another one grants or declines it."""

    __tablename__ = "identity_request"
    __table_args__ = (Index("ix_identity_request_state_id", "state", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    tip_id: Mapped[str] = mapped_column(ForeignKey("tip.id"), index=True)
    reason: Mapped[str] = mapped_column(String(2_000))
    state: Mapped[Literal["asked", "granted", "declined"]] = mapped_column(String(8))
    asked_by: Mapped[int]
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[int | None]
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class CaseStep(Base):
    """One step of a case: who took it, and why."""

    __tablename__ = "case_step"
    __table_args__ = (Index("ix_case_step_case_id_id", "case_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("tip_case.id"))
    officer_id: Mapped[int | None]
    """Null for what the portal did by itself."""
    step: Mapped[str] = mapped_column(String(24))
    reason: Mapped[str | None] = mapped_column(String(2_000))
    """In the officer's words, personal numbers hidden."""
    from_state: Mapped[State | None] = mapped_column(String(10))
    to_state: Mapped[State] = mapped_column(String(10))
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class CaseSuspension(Base):
    """Days that the law does not count: while something is tested, a party is heard, …"""

    __tablename__ = "case_suspension"

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("tip_case.id"), index=True)
    cause: Mapped[str] = mapped_column(String(16))
    """One of `reporting.rules.CAUSES`."""
    since: Mapped[date]
    """The first day that does not count."""
    until: Mapped[date | None]
    """The first day that counts again; null while it lasts."""


class CaseExtension(Base):
    """A longer period for one duty: an officer asks for it, another approves."""

    __tablename__ = "case_extension"
    __table_args__ = (
        Index(
            "uq_case_extension_once", "case_id", "duty", "since", unique=True,
            sqlite_where=text("state <> 'declined'"), postgresql_where=text("state <> 'declined'"),
        ),
        Index("ix_case_extension_state_id", "state", "id"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("tip_case.id"))
    duty: Mapped[str] = mapped_column(String(16))
    since: Mapped[date]
    """The first day of the clock that is extended: one that runs anew may be extended anew."""
    reason: Mapped[str] = mapped_column(String(2_000))
    state: Mapped[Literal["asked", "granted", "declined"]] = mapped_column(String(8))
    asked_by: Mapped[int]
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[int | None]
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Reward(Base):
    """A reward (举报奖励) for one tip, and how far it is."""

    __tablename__ = "reward"
    __table_args__ = (Index("ix_reward_state_id", "state", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    tip_id: Mapped[str] = mapped_column(ForeignKey("tip.id"), unique=True)
    state: Mapped[Literal["proposed", "agreeing", "offered", "claimed", "paid", "declined"]] = mapped_column(String(8))
    """`agreeing`: approved here, and waiting for the finance bureau."""
    grade: Mapped[int]
    """1, 2 or 3."""
    sum: Mapped[Decimal] = mapped_column(Hundredths)
    """In yuan."""
    share_of: Mapped[Decimal | None] = mapped_column(Hundredths)
    """Fine and confiscated sum in yuan that the sum is a share of; null where there was none."""
    checklist: Mapped[list[str]] = mapped_column(JSON)
    """Conditions (`reporting.rewards.CONDITIONS`) that the officer found met."""
    proposed_by: Mapped[int]
    proposed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[int | None]
    agreed_by: Mapped[int | None]
    agreement: Mapped[str | None] = mapped_column(String(200))
    """Number of the finance bureau's answer."""
    offered_on: Mapped[date | None]
    """The day on which the reporter could first read of it: the window to claim it runs from here."""
    claim_until: Mapped[date | None]
    wrong_words: Mapped[int]
    """How often a wrong word came with the right receipt."""
    claimed_on: Mapped[date | None]
    paid_on: Mapped[date | None]
