"""Keys that tip-offs are sealed to"""

import sqlalchemy as sa
from alembic import op

from portal.kit import db

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vault_recipient",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("department", sa.String(length=100), nullable=True),
        sa.Column("public_key", sa.String(length=80), nullable=False),
        sa.Column("key_name", sa.String(length=60), nullable=True),
        sa.Column("created_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("retired_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vault_recipient")),
        sa.UniqueConstraint("public_key", name=op.f("uq_vault_recipient_public_key")),
    )
    with op.batch_alter_table("vault_recipient", schema=None) as batch_op:
        batch_op.create_index("ix_vault_recipient_purpose_department", ["purpose", "department"], unique=False)


def downgrade() -> None:
    op.drop_table("vault_recipient")
