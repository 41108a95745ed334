"""Partners: organisations, schemes, batches of evaluations, disputes, commissions"""

import sqlalchemy as sa
from alembic import op

from portal.kit import db

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TABLES = (
    "evaluation", "commission_task", "batch_name", "scorecard", "scheme_version", "industry_rule",
    "dispute", "commission", "batch", "scheme", "paper", "invitation",
    "evaluation_reply", "callback", "seen_signature", "organisation",
)  # fmt: skip

TODAY = {"sqlite": "date('now', '+8 hours')", "postgresql": "(now() AT TIME ZONE 'Asia/Shanghai')::date"}
PUBLISHED = """
CREATE VIEW published_entry AS
SELECT seq, id, kind, entity_code, source, occurred_on, recorded_at, payload, shown_until, authority, act,
  (EXISTS(
    SELECT 1 FROM application
    WHERE application.entry_seq = entry.seq AND application."case" = 'objection'
      AND application.state IN ('received', 'accepted')){disputes}) AS disputed
FROM ledger_entry AS entry
WHERE visibility = 'public'
  AND kind <> 'withdrawal'
  AND entity_code IS NOT NULL
  AND payload IS NOT NULL
  AND superseded_by IS NULL
  AND withdrawn_by IS NULL
  AND (shown_from IS NULL OR shown_from <= {today})
  AND (shown_until IS NULL OR shown_until >= {today})
  AND kind NOT IN ({off})
  AND (kind <> 'tip_outcome' OR 'penalty' NOT IN ({off}))
"""
OFF = """
    SELECT kind FROM kind_switch AS last
    WHERE NOT public_here AND since = (
      SELECT max(since) FROM kind_switch AS other WHERE other.kind = last.kind AND other.since <= {today})"""
# An open objection to a rating marks it as disputed wherever it is shown.
DISPUTES = """ OR (kind = 'evaluation' AND EXISTS(
    SELECT 1 FROM dispute WHERE dispute.entry_seq = entry.seq AND dispute.state IN ('open', 'answered')))"""


def upgrade() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("type", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("entity_code", sa.String(length=18), nullable=True),
        sa.Column("number", sa.String(length=100), nullable=True),
        sa.Column("numbered_by", sa.String(length=200), nullable=True),
        sa.Column("industries", sa.JSON(), nullable=False),
        sa.Column("districts", sa.JSON(), nullable=False),
        sa.Column("about", sa.String(length=2000), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=True),
        sa.Column("contact", sa.String(length=1000), nullable=True),
        sa.Column("public_key", sa.String(length=64), nullable=True),
        sa.Column("only_signed", sa.Boolean(), nullable=False),
        sa.Column("callback_url", sa.String(length=500), nullable=True),
        sa.Column("callback_secret", sa.String(length=300), nullable=True),
        sa.Column("created_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
    )
    op.create_index(op.f("ix_organisation_entity_code"), "organisation", ["entity_code"], unique=False)
    op.create_index("ix_organisation_state_type_id", "organisation", ["state", "type", "id"], unique=False)
    op.create_table(
        "seen_signature",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("until", db.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_seen_signature")),
    )
    op.create_index(op.f("ix_seen_signature_until"), "seen_signature", ["until"], unique=False)
    op.create_table(
        "callback",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("event", sa.JSON(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=16), nullable=True),
        sa.Column("created_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("given_up_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_callback_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callback")),
    )
    op.create_index(op.f("ix_callback_created_at"), "callback", ["created_at"], unique=False)
    op.create_index("ix_callback_organisation_id_id", "callback", ["organisation_id", "id"], unique=False)
    op.create_table(
        "evaluation_reply",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("words", sa.String(length=1000), nullable=False),
        sa.Column("written_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("hidden_because", sa.String(length=2000), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_evaluation_reply_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_evaluation_reply")),
    )
    op.create_table(
        "invitation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("totp_secret", sa.String(length=200), nullable=False),
        sa.Column("expires_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("taken_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_invitation_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_invitation_token_sha256")),
    )
    op.create_index(op.f("ix_invitation_organisation_id"), "invitation", ["organisation_id"], unique=False)
    op.create_table(
        "paper",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("created_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_paper_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper")),
    )
    op.create_index(op.f("ix_paper_organisation_id"), "paper", ["organisation_id"], unique=False)
    op.create_table(
        "scheme",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("english_name", sa.String(length=100), nullable=False),
        sa.Column("current", sa.Integer(), nullable=True),
        sa.Column("created_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_scheme_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheme")),
    )
    op.create_index(op.f("ix_scheme_organisation_id"), "scheme", ["organisation_id"], unique=False)
    op.create_table(
        "batch",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("scheme_id", sa.String(length=40), nullable=False),
        sa.Column("scheme_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("form", sa.String(length=8), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("via", sa.String(length=8), nullable=False),
        sa.Column("sent_by", sa.String(length=40), nullable=False),
        sa.Column("created_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("new", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("superseded", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("to_confirm", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(length=40), nullable=True),
        sa.Column("problem_values", sa.JSON(), nullable=True),
        sa.Column("header", sa.JSON(), nullable=True),
        sa.Column("checked_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("good_rows_only", sa.Boolean(), nullable=False),
        sa.Column("accepted_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("published", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_batch_organisation_id_organisation")
        ),
        sa.ForeignKeyConstraint(["scheme_id"], ["scheme.id"], name=op.f("fk_batch_scheme_id_scheme")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
    )
    op.create_index(
        "ix_batch_organisation_id_created_at_id", "batch", ["organisation_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_batch_scheme_id_state", "batch", ["scheme_id", "state"], unique=False)
    op.create_table(
        "commission",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("words", sa.String(length=4000), nullable=False),
        sa.Column("paper_id", sa.String(length=32), nullable=True),
        sa.Column("department", sa.String(length=100), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("created_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("closed_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["paper_id"], ["paper.id"], name=op.f("fk_commission_paper_id_paper")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commission")),
    )
    op.create_table(
        "dispute",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("entry_seq", sa.BigInteger(), nullable=False),
        sa.Column("entity_code", sa.String(length=18), nullable=False),
        sa.Column("scheme_id", sa.String(length=40), nullable=False),
        sa.Column("rater_id", sa.String(length=40), nullable=False),
        sa.Column("opened_by", sa.String(length=40), nullable=False),
        sa.Column("grounds", sa.String(length=4000), nullable=False),
        sa.Column("paper_id", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.String(length=4000), nullable=True),
        sa.Column("answered_on", sa.Date(), nullable=True),
        sa.Column("answer_due_on", sa.Date(), nullable=True),
        sa.Column("decision", sa.String(length=2000), nullable=True),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["opened_by"], ["organisation.id"], name=op.f("fk_dispute_opened_by_organisation")),
        sa.ForeignKeyConstraint(["paper_id"], ["paper.id"], name=op.f("fk_dispute_paper_id_paper")),
        sa.ForeignKeyConstraint(["rater_id"], ["organisation.id"], name=op.f("fk_dispute_rater_id_organisation")),
        sa.ForeignKeyConstraint(["scheme_id"], ["scheme.id"], name=op.f("fk_dispute_scheme_id_scheme")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
    )
    op.create_index(op.f("ix_dispute_entity_code"), "dispute", ["entity_code"], unique=False)
    op.create_index(op.f("ix_dispute_entry_seq"), "dispute", ["entry_seq"], unique=False)
    op.create_index(op.f("ix_dispute_rater_id"), "dispute", ["rater_id"], unique=False)
    op.create_index(op.f("ix_dispute_scheme_id"), "dispute", ["scheme_id"], unique=False)
    op.create_index("ix_dispute_state_due_on_id", "dispute", ["state", "due_on", "id"], unique=False)
    op.create_index(
        "uq_dispute_open",
        "dispute",
        ["entry_seq"],
        unique=True,
        sqlite_where=sa.text("state IN ('open', 'answered')"),
        postgresql_where=sa.text("state IN ('open', 'answered')"),
    )
    op.create_table(
        "industry_rule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("number", sa.String(length=100), nullable=True),
        sa.Column("in_force_from", sa.Date(), nullable=False),
        sa.Column("paper_id", sa.String(length=32), nullable=False),
        sa.Column("published_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("replaced_by", sa.Integer(), nullable=True),
        sa.Column("withdrawn_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_industry_rule_organisation_id_organisation")
        ),
        sa.ForeignKeyConstraint(["paper_id"], ["paper.id"], name=op.f("fk_industry_rule_paper_id_paper")),
        sa.ForeignKeyConstraint(
            ["replaced_by"], ["industry_rule.id"], name=op.f("fk_industry_rule_replaced_by_industry_rule")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_industry_rule")),
    )
    op.create_index(op.f("ix_industry_rule_organisation_id"), "industry_rule", ["organisation_id"], unique=False)
    op.create_table(
        "scheme_version",
        sa.Column("scheme_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("method_paper", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("approved_on", sa.Date(), nullable=True),
        sa.Column("reason", sa.String(length=2000), nullable=True),
        sa.Column("created_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["method_paper"], ["paper.id"], name=op.f("fk_scheme_version_method_paper_paper")),
        sa.ForeignKeyConstraint(["scheme_id"], ["scheme.id"], name=op.f("fk_scheme_version_scheme_id_scheme")),
        sa.PrimaryKeyConstraint("scheme_id", "number", name=op.f("pk_scheme_version")),
    )
    op.create_table(
        "scorecard",
        sa.Column("scheme_id", sa.String(length=40), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("computed_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["scheme_id"], ["scheme.id"], name=op.f("fk_scorecard_scheme_id_scheme")),
        sa.PrimaryKeyConstraint("scheme_id", name=op.f("pk_scorecard")),
    )
    op.create_table(
        "batch_name",
        sa.Column("batch_id", sa.String(length=36), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("row", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("candidates", sa.JSON(), nullable=False),
        sa.Column("chosen", sa.String(length=18), nullable=True),
        sa.Column("left_out", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batch.id"], name=op.f("fk_batch_name_batch_id_batch"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("batch_id", "place", name=op.f("pk_batch_name")),
    )
    op.create_table(
        "commission_task",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("commission_id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("answer", sa.String(length=4000), nullable=True),
        sa.Column("paper_id", sa.String(length=32), nullable=True),
        sa.Column("remark", sa.String(length=2000), nullable=True),
        sa.Column("changed_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["commission_id"], ["commission.id"], name=op.f("fk_commission_task_commission_id_commission")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_commission_task_organisation_id_organisation")
        ),
        sa.ForeignKeyConstraint(["paper_id"], ["paper.id"], name=op.f("fk_commission_task_paper_id_paper")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commission_task")),
        sa.UniqueConstraint("commission_id", "organisation_id", name=op.f("uq_commission_task_commission_id")),
    )
    op.create_index(
        "ix_commission_task_organisation_id_state", "commission_task", ["organisation_id", "state"], unique=False
    )
    op.create_index("ix_commission_task_state_id", "commission_task", ["state", "id"], unique=False)
    op.create_table(
        "evaluation",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("batch_id", sa.String(length=36), nullable=False),
        sa.Column("scheme_id", sa.String(length=40), nullable=False),
        sa.Column("entity_code", sa.String(length=18), nullable=False),
        sa.Column("grade", sa.String(length=20), nullable=True),
        sa.Column("evaluated_on", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_evaluation_batch_id_batch")),
        sa.ForeignKeyConstraint(["scheme_id"], ["scheme.id"], name=op.f("fk_evaluation_scheme_id_scheme")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_evaluation")),
    )
    op.create_index("ix_evaluation_batch_id_seq", "evaluation", ["batch_id", "seq"], unique=False)
    op.create_index("ix_evaluation_entity_code_scheme_id", "evaluation", ["entity_code", "scheme_id"], unique=False)
    op.create_index(
        "ix_evaluation_scheme_id_evaluated_on_seq", "evaluation", ["scheme_id", "evaluated_on", "seq"], unique=False
    )
    op.add_column("account", sa.Column("organisation", sa.String(length=40), nullable=True))
    op.create_index(op.f("ix_account_organisation"), "account", ["organisation"], unique=False)
    _view(DISPUTES)


def downgrade() -> None:
    _view("")
    op.drop_index(op.f("ix_account_organisation"), "account")
    op.drop_column("account", "organisation")
    for table in _TABLES:
        op.drop_table(table)


def _view(disputes: str) -> None:
    today = TODAY[op.get_context().dialect.name]
    op.execute("DROP VIEW published_entry")
    op.execute(PUBLISHED.format(today=today, off=OFF.format(today=today), disputes=disputes))
