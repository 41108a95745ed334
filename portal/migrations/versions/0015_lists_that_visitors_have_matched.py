"""Lists that visitors have matched with the register"""

import sqlalchemy as sa
from alembic import op

from portal.kit import db

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "match_list",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("header", sa.JSON(), nullable=False),
        sa.Column("name_column", sa.Integer(), nullable=True),
        sa.Column("code_column", sa.Integer(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("matched", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(length=16), nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("created_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match_list")),
    )
    op.create_index(op.f("ix_match_list_created_at"), "match_list", ["created_at"], unique=False)
    op.create_table(
        "match_row",
        sa.Column("list_id", sa.String(length=64), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cells", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("code", sa.String(length=18), nullable=True),
        sa.Column("score", sa.Integer(), nullable=True),
        sa.Column("candidates", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"], ["match_list.id"], name=op.f("fk_match_row_list_id_match_list"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("list_id", "place", name=op.f("pk_match_row")),
    )


def downgrade() -> None:
    op.drop_table("match_row")
    op.drop_index(op.f("ix_match_list_created_at"), "match_list")
    op.drop_table("match_list")
