"""Open data: what changed on each day, as files"""

import sqlalchemy as sa
from alembic import op

from portal.kit import db

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delta",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("hidden_kinds", sa.JSON(), nullable=False),
        sa.Column("known_to", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_delta")),
        sa.UniqueConstraint("first_seq", name=op.f("uq_delta_first_seq")),
    )


def downgrade() -> None:
    op.drop_table("delta")
