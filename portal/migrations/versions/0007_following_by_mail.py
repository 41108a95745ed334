"""Who follows an entity by mail"""

import sqlalchemy as sa
from alembic import op

from portal.kit import db

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "follow_address",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("address_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(length=400), nullable=False),
        sa.Column("asked_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("counted_from", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("mails", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_follow_address")),
        sa.UniqueConstraint("address_hash", name=op.f("uq_follow_address_address_hash")),
    )
    op.create_table(
        "follow",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("address_id", sa.String(length=32), nullable=False),
        sa.Column("entity_code", sa.String(length=18), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("asked_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("told", sa.BigInteger(), nullable=False),
        sa.Column("due_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("quiet_until", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["address_id"],
            ["follow_address.id"],
            name=op.f("fk_follow_address_id_follow_address"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_follow")),
    )
    with op.batch_alter_table("follow", schema=None) as batch_op:
        batch_op.create_index("ix_follow_address_id_entity_code", ["address_id", "entity_code"], unique=True)
        batch_op.create_index("ix_follow_due_at", ["due_at"], unique=False, sqlite_where=DUE, postgresql_where=DUE)
        batch_op.create_index(batch_op.f("ix_follow_entity_code"), ["entity_code"], unique=False)

    op.create_table(
        "follow_progress",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.String(length=32), nullable=True),
        sa.Column("sender_until", db.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_follow_progress")),
    )
    op.execute("INSERT INTO follow_progress (id, seq) SELECT 1, size - 1 FROM ledger_head WHERE id = 1")


def downgrade() -> None:
    op.drop_table("follow_progress")
    with op.batch_alter_table("follow", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_follow_entity_code"))
        batch_op.drop_index("ix_follow_due_at", sqlite_where=DUE, postgresql_where=DUE)
        batch_op.drop_index("ix_follow_address_id_entity_code")

    op.drop_table("follow")
    op.drop_table("follow_address")
