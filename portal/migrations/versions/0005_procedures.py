"""Objections and repairs, redactions, the calendar; entries by authority and type of act, and those disputed"""

import sqlalchemy as sa
from alembic import op

from portal.kit import db

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TODAY = {"sqlite": "date('now', '+8 hours')", "postgresql": "(now() AT TIME ZONE 'Asia/Shanghai')::date"}
ACTS = {
    "permit": "category",
    "penalty": "act",
    "inspection": "subject",
    "abnormal_listing": "ground",
    "serious_violation": "ground",
    "judgment_debtor": "performance",
    "commendation": "title",
}
PUBLISHED = """
CREATE VIEW published_entry AS
SELECT seq, id, kind, entity_code, source, occurred_on, recorded_at, payload, shown_until{more}
FROM ledger_entry AS entry
WHERE visibility = 'public'
  AND kind <> 'withdrawal'
  AND entity_code IS NOT NULL
  AND payload IS NOT NULL
  AND superseded_by IS NULL
  AND withdrawn_by IS NULL
  AND (shown_from IS NULL OR shown_from <= {today})
  AND (shown_until IS NULL OR shown_until >= {today})
  AND {switch}
"""
SWITCH_BEFORE = """COALESCE(
    (SELECT public_here FROM kind_switch
     WHERE kind_switch.kind = entry.kind AND since <= {today} ORDER BY since DESC LIMIT 1), TRUE)"""
# The same for the whole query at once, where the one before was asked for every entry.
SWITCH = """kind NOT IN (
    SELECT kind FROM kind_switch AS last
    WHERE NOT public_here AND since = (
      SELECT max(since) FROM kind_switch AS other WHERE other.kind = last.kind AND other.since <= {today}))"""
MORE = """, authority, act,
  EXISTS(
    SELECT 1 FROM application
    WHERE application.entry_seq = entry.seq AND application."case" = 'objection'
      AND application.state IN ('received', 'accepted')) AS disputed"""


def upgrade() -> None:
    op.create_table(
        "application",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("entry_seq", sa.BigInteger(), nullable=False),
        sa.Column("entity_code", sa.String(length=18), nullable=False),
        sa.Column("district", sa.String(length=6), nullable=True),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("via", sa.String(length=8), nullable=False),
        sa.Column("grounds", sa.String(length=4000), nullable=False),
        sa.Column("accepted_on", sa.Date(), nullable=True),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("extended", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=True),
        sa.Column("entered_by", sa.Integer(), nullable=False),
        sa.Column("entered_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application")),
    )
    with op.batch_alter_table("application", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_application_entry_seq"), ["entry_seq"], unique=False)
        batch_op.create_index(batch_op.f("ix_application_entity_code"), ["entity_code"], unique=False)
        batch_op.create_index("ix_application_state_due_on_id", ["state", "due_on", "id"], unique=False)
        batch_op.create_index(
            "uq_application_open",
            ["entry_seq", "case"],
            unique=True,
            sqlite_where=sa.text("state IN ('received', 'accepted')"),
            postgresql_where=sa.text("state IN ('received', 'accepted')"),
        )
    op.create_table(
        "redaction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("entry_seq", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=False),
        sa.Column("asked_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redaction")),
    )
    with op.batch_alter_table("redaction", schema=None) as batch_op:
        batch_op.create_index("ix_redaction_state_id", ["state", "id"], unique=False)
    op.create_table(
        "calendar_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("working", sa.Boolean(), nullable=False),
        sa.Column("because", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_calendar_day")),
    )
    _by_authority_and_act()
    _current_fact("source_ref", "kind", "source")
    _view(MORE, SWITCH)


def _by_authority_and_act() -> None:
    with op.batch_alter_table("ledger_entry", schema=None) as batch_op:
        batch_op.add_column(sa.Column("authority", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("act", sa.String(length=200), nullable=True))
    said = "payload ->> '{field}'"
    cases = " ".join(f"WHEN '{kind}' THEN {said.format(field=field)}" for kind, field in ACTS.items())
    authority = f"COALESCE({said.format(field='authority')}, {said.format(field='court')})"
    op.execute(
        f"UPDATE ledger_entry SET authority = substr({authority}, 1, 200), "  # noqa: S608 our own names
        f"act = substr(CASE kind {cases} END, 1, 200) WHERE payload IS NOT NULL"
    )
    for column in ("authority", "act"):
        op.create_index(
            f"ix_ledger_entry_kind_{column}_occurred_on_seq", "ledger_entry", ["kind", column, "occurred_on", "seq"]
        )


def _current_fact(*columns: str) -> None:
    current = sa.text("superseded_by IS NULL AND source_ref IS NOT NULL")
    op.drop_index("uq_ledger_entry_current_fact", "ledger_entry")
    op.create_index(
        "uq_ledger_entry_current_fact",
        "ledger_entry",
        columns,
        unique=True,
        sqlite_where=current,
        postgresql_where=current,
    )


def downgrade() -> None:
    _view("", SWITCH_BEFORE)
    _current_fact("kind", "source_ref", "source")
    for column in ("authority", "act"):
        op.drop_index(f"ix_ledger_entry_kind_{column}_occurred_on_seq", "ledger_entry")
    with op.batch_alter_table("ledger_entry", schema=None) as batch_op:
        batch_op.drop_column("act")
        batch_op.drop_column("authority")
    op.drop_table("calendar_day")
    op.drop_table("redaction")
    op.drop_table("application")


def _view(more: str, switch: str) -> None:
    today = TODAY[op.get_context().dialect.name]
    op.execute("DROP VIEW published_entry")
    op.execute(PUBLISHED.format(today=today, more=more, switch=switch.format(today=today)))
