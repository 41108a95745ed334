"""Proofs that were used, and how many tip-offs arrive"""

import sqlalchemy as sa
from alembic import op

from portal.kit import db

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "spent_proof",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("until", db.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_spent_proof")),
    )
    with op.batch_alter_table("spent_proof", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_spent_proof_until"), ["until"], unique=False)
    op.create_table(
        "intake_load",
        sa.Column("minute", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("minute", name=op.f("pk_intake_load")),
    )


def downgrade() -> None:
    op.drop_table("intake_load")
    op.drop_table("spent_proof")
