"""Outcomes of reports are not shown where penalties are switched off"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TODAY = {"sqlite": "date('now', '+8 hours')", "postgresql": "(now() AT TIME ZONE 'Asia/Shanghai')::date"}
PUBLISHED = """
CREATE VIEW published_entry AS
SELECT seq, id, kind, entity_code, source, occurred_on, recorded_at, payload, shown_until, authority, act,
  EXISTS(
    SELECT 1 FROM application
    WHERE application.entry_seq = entry.seq AND application."case" = 'objection'
      AND application.state IN ('received', 'accepted')) AS disputed
FROM ledger_entry AS entry
WHERE visibility = 'public'
  AND kind <> 'withdrawal'
  AND entity_code IS NOT NULL
  AND payload IS NOT NULL
  AND superseded_by IS NULL
  AND withdrawn_by IS NULL
  AND (shown_from IS NULL OR shown_from <= {today})
  AND (shown_until IS NULL OR shown_until >= {today})
  AND kind NOT IN ({off}){beside}
"""
OFF = """
    SELECT kind FROM kind_switch AS last
    WHERE NOT public_here AND since = (
      SELECT max(since) FROM kind_switch AS other WHERE other.kind = last.kind AND other.since <= {today})"""
BESIDE = """
  AND (kind <> 'tip_outcome' OR 'penalty' NOT IN ({off}))"""


def upgrade() -> None:
    _view(BESIDE)


def downgrade() -> None:
    _view("")


def _view(beside: str) -> None:
    today = TODAY[op.get_context().dialect.name]
    off = OFF.format(today=today)
    op.execute("DROP VIEW published_entry")
    op.execute(PUBLISHED.format(today=today, off=off, beside=beside.format(off=off)))
