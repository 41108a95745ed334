"""Cases of tip-offs and what their reporters sent"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from portal.kit import db

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TABLES = (
    "tip_file", "tip_message", "reward", "identity_request", "tip", "case_suspension", "case_step", "case_extension",
    "tip_case",
)  # fmt: skip


def _where(rows: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(rows), "postgresql_where": sa.text(rows)}


def upgrade() -> None:
    op.add_column("account", sa.Column("mail", sa.String(length=600), nullable=True))
    op.create_table(
        "tip_case",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("via", sa.String(length=8), nullable=False),
        sa.Column("service", sa.String(length=40), nullable=False),
        sa.Column("entity_code", sa.String(length=18), nullable=True),
        sa.Column("district", sa.String(length=6), nullable=True),
        sa.Column("department", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("rule_set", sa.String(length=40), nullable=False),
        sa.Column("named", sa.Boolean(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("reopened_on", sa.Date(), nullable=True),
        sa.Column("settled_on", sa.Date(), nullable=True),
        sa.Column("pursued", sa.Boolean(), nullable=True),
        sa.Column("decided_on", sa.Date(), nullable=True),
        sa.Column("told_on", sa.Date(), nullable=True),
        sa.Column("answered_on", sa.Date(), nullable=True),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.Column("changed_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("urgent_on", sa.Date(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("was_late", sa.Boolean(), nullable=False),
        sa.Column("assigned_to", sa.Integer(), nullable=True),
        sa.Column("report_back_on", sa.Date(), nullable=True),
        sa.Column("merged_into", sa.Integer(), nullable=True),
        sa.Column("finding", sa.String(length=16), nullable=True),
        sa.Column("measures", sa.String(length=2000), nullable=True),
        sa.Column("basis", sa.String(length=2000), nullable=True),
        sa.Column("outcome_seq", sa.BigInteger(), nullable=True),
        sa.Column("penalty_seq", sa.BigInteger(), nullable=True),
        sa.Column("erased_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["merged_into"], ["tip_case.id"], name=op.f("fk_tip_case_merged_into_tip_case")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tip_case")),
    )
    op.create_index(
        "ix_tip_case_done",
        "tip_case",
        ["department", "closed_on", "id"],
        **_where("closed_on IS NOT NULL AND merged_into IS NULL"),
    )
    op.create_index("ix_tip_case_entity_code", "tip_case", ["entity_code"])
    op.create_index("ix_tip_case_received_on_district_kind", "tip_case", ["received_on", "district", "kind"])
    op.create_index("ix_tip_case_repeats", "tip_case", ["merged_into"], **_where("merged_into IS NOT NULL"))
    op.create_index(
        "ix_tip_case_to_erase", "tip_case", ["closed_on", "id"], **_where("closed_on IS NOT NULL AND erased_on IS NULL")
    )
    op.create_index("ix_tip_case_unsure", "tip_case", ["id"], **_where("provisional AND closed_on IS NULL"))
    op.create_index(
        "ix_tip_case_waiting",
        "tip_case",
        ["department", "urgent_on", "id"],
        **_where("closed_on IS NULL AND merged_into IS NULL"),
    )
    op.create_index(
        "ix_tip_case_waiting_assigned",
        "tip_case",
        ["assigned_to", "urgent_on", "id"],
        **_where("closed_on IS NULL AND merged_into IS NULL"),
    )
    op.create_index(
        "ix_tip_case_waiting_district",
        "tip_case",
        ["department", "district", "urgent_on", "id"],
        **_where("closed_on IS NULL AND merged_into IS NULL"),
    )
    op.create_index(
        "ix_tip_case_waiting_state",
        "tip_case",
        ["department", "state", "urgent_on", "id"],
        **_where("closed_on IS NULL AND merged_into IS NULL"),
    )

    op.create_table(
        "case_extension",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("duty", sa.String(length=16), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=False),
        sa.Column("asked_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["tip_case.id"], name=op.f("fk_case_extension_case_id_tip_case")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_extension")),
    )
    op.create_index("ix_case_extension_state_id", "case_extension", ["state", "id"])
    op.create_index(
        "uq_case_extension_once",
        "case_extension",
        ["case_id", "duty", "since"],
        unique=True,
        **_where("state <> 'declined'"),
    )

    op.create_table(
        "case_step",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("officer_id", sa.Integer(), nullable=True),
        sa.Column("step", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=True),
        sa.Column("from_state", sa.String(length=10), nullable=True),
        sa.Column("to_state", sa.String(length=10), nullable=False),
        sa.Column("at", db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["tip_case.id"], name=op.f("fk_case_step_case_id_tip_case")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_step")),
    )
    op.create_index("ix_case_step_case_id_id", "case_step", ["case_id", "id"])

    op.create_table(
        "case_suspension",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["tip_case.id"], name=op.f("fk_case_suspension_case_id_tip_case")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_suspension")),
    )
    op.create_index("ix_case_suspension_case_id", "case_suspension", ["case_id"])

    op.create_table(
        "tip",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("lookup", sa.LargeBinary(length=32), nullable=False),
        sa.Column("reply_key", sa.String(length=80), nullable=False),
        sa.Column("received_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("identity_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("word_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("satisfaction", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["tip_case.id"], name=op.f("fk_tip_case_id_tip_case")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tip")),
        sa.UniqueConstraint("lookup", name=op.f("uq_tip_lookup")),
    )
    op.create_index("ix_tip_case_id", "tip", ["case_id"])

    op.create_table(
        "identity_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tip_id", sa.String(length=36), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=False),
        sa.Column("asked_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tip_id"], ["tip.id"], name=op.f("fk_identity_request_tip_id_tip")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_request")),
    )
    op.create_index("ix_identity_request_state_id", "identity_request", ["state", "id"])
    op.create_index("ix_identity_request_tip_id", "identity_request", ["tip_id"])

    op.create_table(
        "reward",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tip_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("grade", sa.Integer(), nullable=False),
        sa.Column("sum", sa.BigInteger(), nullable=False),
        sa.Column("share_of", sa.BigInteger(), nullable=True),
        sa.Column("checklist", sa.JSON(), nullable=False),
        sa.Column("proposed_by", sa.Integer(), nullable=False),
        sa.Column("proposed_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("agreed_by", sa.Integer(), nullable=True),
        sa.Column("agreement", sa.String(length=200), nullable=True),
        sa.Column("offered_on", sa.Date(), nullable=True),
        sa.Column("claim_until", sa.Date(), nullable=True),
        sa.Column("wrong_words", sa.Integer(), nullable=False),
        sa.Column("claimed_on", sa.Date(), nullable=True),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["tip_id"], ["tip.id"], name=op.f("fk_reward_tip_id_tip")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reward")),
        sa.UniqueConstraint("tip_id", name=op.f("uq_reward_tip_id")),
    )
    op.create_index("ix_reward_state_id", "reward", ["state", "id"])

    op.create_table(
        "tip_message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tip_id", sa.String(length=36), nullable=False),
        sa.Column("author", sa.String(length=8), nullable=False),
        sa.Column("officer_id", sa.Integer(), nullable=True),
        sa.Column("at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("to_desk", sa.LargeBinary(), nullable=True),
        sa.Column("to_reporter", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["tip_id"], ["tip.id"], name=op.f("fk_tip_message_tip_id_tip")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tip_message")),
    )
    op.create_index("ix_tip_message_tip_id_id", "tip_message", ["tip_id", "id"])

    op.create_table(
        "tip_file",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("tip_id", sa.String(length=36), nullable=True),
        sa.Column("message_id", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("staged_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("original", sa.String(length=120), nullable=True),
        sa.Column("cleaned", sa.String(length=120), nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["tip_message.id"], name=op.f("fk_tip_file_message_id_tip_message")),
        sa.ForeignKeyConstraint(["tip_id"], ["tip.id"], name=op.f("fk_tip_file_tip_id_tip")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tip_file")),
    )
    op.create_index("ix_tip_file_staged", "tip_file", ["staged_at"], **_where("tip_id IS NULL"))
    op.create_index("ix_tip_file_tip_id_position", "tip_file", ["tip_id", "position"])


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
    with op.batch_alter_table("account") as batch_op:
        batch_op.drop_column("mail")
