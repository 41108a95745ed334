"""The record: watches, which tell programs of the entities on a list of theirs"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscription", sa.Column("owner", sa.String(length=84), nullable=True))
    op.create_index(op.f("ix_subscription_owner"), "subscription", ["owner"])
    op.create_table(
        "watched",
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=18), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_watched_subscription_id_subscription"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subscription_id", "code", name=op.f("pk_watched")),
    )  # fmt: skip
    op.create_index("ix_watched_code", "watched", ["code"])


def downgrade() -> None:
    op.drop_index("ix_watched_code", table_name="watched")
    op.drop_table("watched")
    op.drop_index(op.f("ix_subscription_owner"), table_name="subscription")
    op.drop_column("subscription", "owner")
