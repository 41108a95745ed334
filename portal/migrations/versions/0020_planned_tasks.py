"""The timetable: when each planned task is put into the job table next, whichever worker does it"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "planned_task",
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("task", name=op.f("pk_planned_task")),
    )


def downgrade() -> None:
    op.drop_table("planned_task")
