"""What the public side may do in PostgreSQL: the role gongzhi_public, its grants, and the rows that it sees"""

import sqlalchemy as sa
from alembic import op

from portal.migrations import RoleMissing

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

ROLE = "gongzhi_public"
ENSURE = f"""
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN CREATE ROLE {ROLE} NOLOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""
READ, ADDED, CHANGED, OWN = "SELECT", "SELECT, INSERT", "SELECT, INSERT, UPDATE", "SELECT, INSERT, UPDATE, DELETE"
# Whoever locks a row must be allowed to change something of it: created_at, where nothing else is the public side's.
RIGHTS = {
    # the register and the record
    "alembic_version": READ,
    "entity": READ,
    "former_name": READ,
    "ledger_entry": READ,
    "ledger_head": READ,
    "ledger_node": READ,
    "ledger_step": READ,
    "published_entry": READ,
    "signed_head": READ,
    "kind_switch": READ,
    "calendar_day": READ,
    "application": 'SELECT (entry_seq, "case", state)',
    "follow": OWN,
    "follow_address": OWN,
    "subscription": OWN,
    "watched": OWN,
    # what people tell
    "tip": f"{ADDED}, UPDATE (satisfaction)",
    "tip_case": f"{ADDED}, UPDATE (changed_at, due_on, urgent_on, provisional, was_late)",
    "tip_file": OWN,
    "tip_message": ADDED,
    "case_step": "SELECT (id), INSERT",
    "case_extension": "SELECT (id, case_id, duty, since, state)",
    "case_suspension": READ,
    "reward": f"{READ}, UPDATE (state, claimed_on, wrong_words)",
    "vault_recipient": READ,
    "intake_load": CHANGED,
    "spent_proof": ADDED,
    # partners and their members
    "organisation": f"{ADDED}, UPDATE (public_key, only_signed, callback_url, callback_secret)",
    "invitation": f"{ADDED}, UPDATE (totp_secret, taken_by)",
    "account": f"{ADDED}, UPDATE (totp_step, password_hash, disabled_at)",
    "account_session": f"{ADDED}, UPDATE (last_seen_at), DELETE",
    "sign_in_failure": OWN,
    "api_key": f"{ADDED}, UPDATE (expires_at, revoked_at, last_used_on)",
    "idempotent_answer": f"{ADDED}, DELETE",
    "seen_signature": ADDED,
    "scheme": f"{ADDED}, UPDATE (created_at)",
    "scheme_version": ADDED,
    "paper": f"{ADDED}, UPDATE (public)",
    "batch": CHANGED,
    "batch_name": f"{READ}, UPDATE",
    "evaluation": f"{READ}, UPDATE (leaving)",
    "evaluation_reply": f"{ADDED}, UPDATE (words, written_at, hidden_because), DELETE",
    "dispute": f"{ADDED}, UPDATE (answer, answered_on, closed_on, due_on, provisional, state)",
    "callback": CHANGED,
    "commission": f"{READ}, UPDATE (created_at)",
    "commission_task": f"{READ}, UPDATE (answer, changed_at, paper_id, state)",
    "industry_rule": f"{ADDED}, UPDATE (replaced_by, withdrawn_at)",
    "scorecard": READ,
    # open data
    "snapshot": READ,
    "delta": READ,
    "consumer": OWN,
    "usage_count": CHANGED,
    "match_list": OWN,
    "match_row": OWN,
    # work for the officers' side
    "job": "SELECT (id), INSERT",
}
TASKS = (
    "opendata.follow", "opendata.mail_key_link", "opendata.mail_link", "opendata.match",
    "partners.call", "partners.check", "partners.publish", "partners.retract", "partners.retract_one",
    "partners.write_conceded",
    "record.deliver_to", "record.mail_follow_link", "record.mail_followers",
    "reporting.remove_files", "reporting.scan",
)  # fmt: skip
_TASKS = ", ".join(f"'{task}'" for task in TASKS)
# Of a table the statements, the rows that are seen, and the rows that may be written. A table that is named here shows
# no other rows to anybody but its owner.
ROWS: dict[str, list[tuple[str, str | None, str | None]]] = {
    "ledger_entry": [("SELECT", "visibility = 'public'", None)],
    "account": [("ALL", "kind = 'member'", "kind = 'member'")],
    "account_session": [
        ("ALL", "EXISTS (SELECT FROM account WHERE account.id = account_id)", None),
    ],
    "subscription": [("ALL", "owner IS NOT NULL", "owner IS NOT NULL")],
    "idempotent_answer": [("ALL", "owner NOT LIKE 'department:%'", None)],
    "api_key": [
        ("SELECT", "true", None),
        ("UPDATE", "true", None),
        ("INSERT", None, "owner_kind <> 'department' AND scopes::text NOT LIKE '%feeds:%'"),
    ],
    "organisation": [("SELECT", "true", None), ("UPDATE", "true", None), ("INSERT", None, "state = 'applied'")],
    "scheme_version": [("SELECT", "true", None), ("INSERT", None, "state = 'proposed'")],
    "dispute": [
        ("SELECT", "true", None),
        ("INSERT", None, "state = 'open'"),
        ("UPDATE", "true", "state IN ('open', 'answered', 'conceded', 'ended')"),
    ],
    "reward": [("SELECT", "true", None), ("UPDATE", "state = 'offered'", "state IN ('offered', 'claimed')")],
    "tip_file": [
        ("SELECT", "true", None),
        ("INSERT", None, "tip_id IS NULL"),
        ("UPDATE", "tip_id IS NULL", "true"),
        ("DELETE", "tip_id IS NULL", None),
    ],
    "tip_message": [("SELECT", "true", None), ("INSERT", None, "author = 'reporter'")],
    "job": [("SELECT", "true", None), ("INSERT", None, f"task IN ({_TASKS})")],
}


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    mine = "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"
    there = op.get_bind().execute(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": ROLE}).scalar()
    if not there and not op.get_bind().execute(sa.text(mine)).scalar():
        raise RoleMissing
    op.execute(ENSURE)
    for table, rights in RIGHTS.items():
        op.execute(f"GRANT {rights} ON {table} TO {ROLE}")
    op.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {ROLE}")
    op.execute("ALTER VIEW published_entry SET (security_invoker = true)")
    for table, policies in ROWS.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        for statement, seen, written in policies:
            using = f" USING ({seen})" if seen else ""
            check = f" WITH CHECK ({written})" if written else ""
            op.execute(f"CREATE POLICY public_{statement.lower()} ON {table} FOR {statement} TO {ROLE}{using}{check}")


def downgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    for table, policies in ROWS.items():
        for statement, _, _ in policies:
            op.execute(f"DROP POLICY public_{statement.lower()} ON {table}")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.execute("ALTER VIEW published_entry RESET (security_invoker)")
    op.execute(f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {ROLE}")
    op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {ROLE}")
