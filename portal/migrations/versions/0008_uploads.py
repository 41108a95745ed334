"""Deliveries keep why items were refused, and who handed a file in at the desk"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("feed_import", schema=None) as batch_op:
        batch_op.add_column(sa.Column("refused", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("uploaded_by", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("district", sa.String(length=6), nullable=True))
        batch_op.add_column(sa.Column("stored_as", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("problem", sa.String(length=40), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("feed_import", schema=None) as batch_op:
        for name in ("problem", "stored_as", "district", "uploaded_by", "refused"):
            batch_op.drop_column(name)
