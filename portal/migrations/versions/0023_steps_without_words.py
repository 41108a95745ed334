"""The ledger's steps without anything that they say of anybody"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

STEP = """
CREATE VIEW ledger_step AS
SELECT seq, id, kind, recorded_at, leaf_hash, supersedes,
  (visibility = 'public' AND shown_from IS NULL) AS for_the_public
FROM ledger_entry
"""


def upgrade() -> None:
    op.execute(STEP)


def downgrade() -> None:
    op.execute("DROP VIEW ledger_step")
