"""Tables of partners: organisations, their rating schemes, batches of evaluations, disputes, and the channel back."""

from datetime import date, datetime
from typing import Any, Literal, get_args

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.db import Base, UtcDateTime

OrganisationType = Literal[
    "association", "chamber", "rating_agency", "consumer_council", "accountants", "law_firm", "notary", "testing_body",
    "entity",
]  # fmt: skip
ORGANISATION_TYPES: tuple[OrganisationType, ...] = get_args(OrganisationType)
OrganisationState = Literal["applied", "active", "suspended", "ended", "refused"]
BatchState = Literal["checking", "checked", "accepting", "accepted", "refused", "withdrawing", "withdrawn"]
DisputeState = Literal["open", "answered", "upheld", "rejected", "conceded", "ended"]
OPEN_DISPUTES: tuple[DisputeState, ...] = ("open", "answered")


class Organisation(Base):
    """One organisation that works with the portal, from its application on. A market entity is one of type `entity`."""

    __tablename__ = "organisation"
    __table_args__ = (Index("ix_organisation_state_type_id", "state", "type", "id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """A word for addresses and keys, such as `demo-association`."""
    type: Mapped[OrganisationType] = mapped_column(String(24))
    name: Mapped[str] = mapped_column(String(200))
    entity_code: Mapped[str | None] = mapped_column(String(18), index=True)
    """Of an `entity`: whose file it answers for. Of others: their own credit code, where they gave it."""
    number: Mapped[str | None] = mapped_column(String(100))
    """Number of the accreditation (认可) or filing (备案) that lets it evaluate others."""
    numbered_by: Mapped[str | None] = mapped_column(String(200))
    """Who accredited it or took its filing."""
    industries: Mapped[list[str]] = mapped_column(JSON)
    """Sections of GB/T 4754 that it may evaluate; empty: all."""
    districts: Mapped[list[str]] = mapped_column(JSON)
    """Districts whose entities it may evaluate; empty: the whole city."""
    about: Mapped[str] = mapped_column(String(2_000))
    """What it says of itself, in public."""
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]
    """Last day of its term; null: no end is set."""
    state: Mapped[OrganisationState] = mapped_column(String(12))
    reason: Mapped[str | None] = mapped_column(String(2_000))
    """Of the refusal or the suspension."""
    contact: Mapped[str | None] = mapped_column(String(1_000))
    """Name and mail address of whoever applied, sealed by the keyring."""
    public_key: Mapped[str | None] = mapped_column(String(64))
    """Ed25519 (RFC 8032), 32 bytes in base64: what signed requests are verified with."""
    only_signed: Mapped[bool] = mapped_column(default=False)
    """A key alone opens nothing: its requests must be signed too."""
    callback_url: Mapped[str | None] = mapped_column(String(500))
    callback_secret: Mapped[str | None] = mapped_column(String(300))
    """What callbacks are signed with (Standard Webhooks), sealed."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[int | None]


class Invitation(Base):
    """A seat in an organisation that somebody may still take: with the link that was given to them, once."""

    __tablename__ = "invitation"

    id: Mapped[int] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    role: Mapped[str] = mapped_column(String(16))
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    totp_secret: Mapped[str] = mapped_column(String(200))
    """What the new account's authenticator is set up with, sealed."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    taken_by: Mapped[int | None]


class Paper(Base):
    """A file that somebody handed in: a proof of standing, a method, a delivery, an industry's rules."""

    __tablename__ = "paper"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Random."""
    organisation_id: Mapped[str | None] = mapped_column(ForeignKey("organisation.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    public: Mapped[bool]
    """Anybody may read it: methods and industry rules. Everything else is for its owner and officers."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Scheme(Base):
    """A way to evaluate entities that one organisation answers for. What it says stands in its versions."""

    __tablename__ = "scheme"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    english_name: Mapped[str] = mapped_column(String(100))
    current: Mapped[int | None]
    """Number of the version in force; null before the first is approved, and once the scheme has ended."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SchemeVersion(Base):
    """One edition of a scheme: never changed once it is approved."""

    __tablename__ = "scheme_version"

    scheme_id: Mapped[str] = mapped_column(ForeignKey("scheme.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    """A `partners.schemes.Definition`."""
    method_paper: Mapped[str | None] = mapped_column(ForeignKey("paper.id"))
    state: Mapped[str] = mapped_column(String(12))
    """`proposed`, `approved` or `refused`."""
    approved_on: Mapped[date | None]
    reason: Mapped[str | None] = mapped_column(String(2_000))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[int | None]


class Batch(Base):
    """One file of evaluations as it was handed in: never changed, known by its SHA-256."""

    __tablename__ = "batch"
    __table_args__ = (
        Index("ix_batch_organisation_id_created_at_id", "organisation_id", "created_at", "id"),
        Index("ix_batch_scheme_id_state", "scheme_id", "state"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    scheme_id: Mapped[str] = mapped_column(ForeignKey("scheme.id"))
    scheme_version: Mapped[int]
    state: Mapped[BatchState] = mapped_column(String(12))
    file_name: Mapped[str] = mapped_column(String(200))
    form: Mapped[str] = mapped_column(String(8))
    """`csv`, `xlsx` or `jsonl`."""
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    via: Mapped[str] = mapped_column(String(8))
    """`page` or `api`."""
    sent_by: Mapped[str] = mapped_column(String(40))
    """`account 7` or `key abcd1234`."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    progress: Mapped[int] = mapped_column(default=0)
    """Rows that were looked at, or published, so far."""
    rows: Mapped[int | None]
    new: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    superseded: Mapped[int] = mapped_column(default=0)
    """Of the new ones: those that take the place of a rating that stands."""
    rejected: Mapped[int] = mapped_column(default=0)
    to_confirm: Mapped[int] = mapped_column(default=0)
    """Rows that name an entity without its code, until a person has said which one it is."""
    problem: Mapped[str | None] = mapped_column(String(40))
    """`slug` of why the file could not be read as a whole."""
    problem_values: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    header: Mapped[list[str] | None] = mapped_column(JSON)
    """The titles of the columns, as they were read."""
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    good_rows_only: Mapped[bool] = mapped_column(default=False)
    """Accepted without the rows that were rejected or not confirmed."""
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    published: Mapped[int] = mapped_column(default=0)
    """Lines of the staged rows whose outcome is committed: where a killed acceptance goes on."""
    reason: Mapped[str | None] = mapped_column(String(2_000))
    """Why it was withdrawn."""


class BatchName(Base):
    """A row of a batch that names an entity without its code: for a person to say which one is meant."""

    __tablename__ = "batch_name"

    batch_id: Mapped[str] = mapped_column(ForeignKey("batch.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Line of the staged names, from 0."""
    row: Mapped[str] = mapped_column(String(80))
    """Where it stands in the file, for people."""
    name: Mapped[str] = mapped_column(String(300))
    candidates: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """`code`, `name`, `score` from 0 to 1, `exact`; the best first."""
    chosen: Mapped[str | None] = mapped_column(String(18))
    left_out: Mapped[bool] = mapped_column(default=False)


class Evaluation(Base):
    """An entry of kind `evaluation` and what partners' pages count by; what it says stands in the ledger."""

    __tablename__ = "evaluation"
    __table_args__ = (
        Index("ix_evaluation_scheme_id_evaluated_on_seq", "scheme_id", "evaluated_on", "seq"),
        Index("ix_evaluation_batch_id_seq", "batch_id", "seq"),
        Index("ix_evaluation_entity_code_scheme_id", "entity_code", "scheme_id"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    batch_id: Mapped[str] = mapped_column(ForeignKey("batch.id"))
    scheme_id: Mapped[str] = mapped_column(ForeignKey("scheme.id"))
    entity_code: Mapped[str] = mapped_column(String(18))
    grade: Mapped[str | None] = mapped_column(String(20))
    evaluated_on: Mapped[date]
    valid_until: Mapped[date | None]
    leaving: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Its rater withdrew it; the job that writes so into the ledger is on its way."""


class EvaluationReply(Base):
    """What an entity says to one of its ratings, beside which it is shown."""

    __tablename__ = "evaluation_reply"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Of the evaluation's entry."""
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    words: Mapped[str] = mapped_column(String(1_000))
    """Personal numbers hidden."""
    written_at: Mapped[datetime] = mapped_column(UtcDateTime)
    hidden_because: Mapped[str | None] = mapped_column(String(2_000))
    """Set by an officer: the words are not for the public."""


_OPEN_DISPUTE = text("state IN ('open', 'answered')")


class Dispute(Base):
    """An entity's objection (异议) to one rating: answered by the rater, decided at the desk."""

    __tablename__ = "dispute"
    __table_args__ = (
        Index("ix_dispute_state_due_on_id", "state", "due_on", "id"),
        Index("uq_dispute_open", "entry_seq", unique=True, sqlite_where=_OPEN_DISPUTE, postgresql_where=_OPEN_DISPUTE),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_seq: Mapped[int] = mapped_column(BigInteger, index=True)
    entity_code: Mapped[str] = mapped_column(String(18), index=True)
    scheme_id: Mapped[str] = mapped_column(ForeignKey("scheme.id"), index=True)
    rater_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    opened_by: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    grounds: Mapped[str] = mapped_column(String(4_000))
    """What the entity says, personal numbers hidden; for the rater and officers."""
    paper_id: Mapped[str | None] = mapped_column(ForeignKey("paper.id"))
    """What proves the grounds."""
    state: Mapped[DisputeState] = mapped_column(String(12))
    opened_on: Mapped[date]
    due_on: Mapped[date | None]
    """Last day for the rater's answer, then for the decision; null once it is closed."""
    provisional: Mapped[bool]
    answer: Mapped[str | None] = mapped_column(String(4_000))
    answered_on: Mapped[date | None]
    answer_due_on: Mapped[date | None]
    """What the last day for the answer was."""
    decision: Mapped[str | None] = mapped_column(String(2_000))
    decided_by: Mapped[int | None]
    closed_on: Mapped[date | None]


class Commission(Base):
    """What a department asks of associations (委托代理) or tells them (信息互联共享)."""

    __tablename__ = "commission"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(24))
    """One of `partners.commissions.KINDS`."""
    title: Mapped[str] = mapped_column(String(200))
    words: Mapped[str] = mapped_column(String(4_000))
    paper_id: Mapped[str | None] = mapped_column(ForeignKey("paper.id"))
    department: Mapped[str] = mapped_column(String(100))
    due_on: Mapped[date | None]
    created_by: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class CommissionTask(Base):
    """One organisation's part in a commission."""

    __tablename__ = "commission_task"
    __table_args__ = (
        UniqueConstraint("commission_id", "organisation_id"),
        Index("ix_commission_task_organisation_id_state", "organisation_id", "state"),
        Index("ix_commission_task_state_id", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    commission_id: Mapped[int] = mapped_column(ForeignKey("commission.id"))
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    state: Mapped[str] = mapped_column(String(12))
    """`offered` → `taken` → `delivered` → `approved`, or back to `taken`; `declined`. Of a notice: `read`."""
    answer: Mapped[str | None] = mapped_column(String(4_000))
    paper_id: Mapped[str | None] = mapped_column(ForeignKey("paper.id"))
    """What was delivered."""
    remark: Mapped[str | None] = mapped_column(String(2_000))
    """The department's word on the delivery."""
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class IndustryRule(Base):
    """Rules that an industry gives itself (行规行约), published as a document."""

    __tablename__ = "industry_rule"

    id: Mapped[int] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    number: Mapped[str | None] = mapped_column(String(100))
    in_force_from: Mapped[date]
    paper_id: Mapped[str] = mapped_column(ForeignKey("paper.id"))
    published_at: Mapped[datetime] = mapped_column(UtcDateTime)
    replaced_by: Mapped[int | None] = mapped_column(ForeignKey("industry_rule.id"))
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Callback(Base):
    """One message to a partner's own system: kept until it was taken, and a month longer to be looked up."""

    __tablename__ = "callback"
    __table_args__ = (Index("ix_callback_organisation_id_id", "organisation_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"))
    event: Mapped[dict[str, Any]] = mapped_column(JSON)
    """A CloudEvent 1.0."""
    tries: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    given_up_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SeenSignature(Base):
    """A signature that was used: the same one again is a replay. Kept for as long as it could still be valid."""

    __tablename__ = "seen_signature"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    until: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Scorecard(Base):
    """Figures on one scheme, as of one night."""

    __tablename__ = "scorecard"

    scheme_id: Mapped[str] = mapped_column(ForeignKey("scheme.id"), primary_key=True)
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
    """A `partners.scorecard.Figures`."""
    computed_at: Mapped[datetime] = mapped_column(UtcDateTime)
