"""How the last publication to another portal went"""

import sqlalchemy as sa
from alembic import op

from portal.kit import db

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "publication_run",
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("begun_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("succeeded_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("failures", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("url", name=op.f("pk_publication_run")),
    )


def downgrade() -> None:
    op.drop_table("publication_run")
