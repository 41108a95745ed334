"""What PostgreSQL does for each page when the register and the ledger are a city's: statements, times, plans.

    make bench-plans [ENTITIES=3000000] [ENTRIES=10000000]

A demonstration portal is filled, its rows are multiplied inside the database, every page is asked once to warm up and
then measured, with the rights of the public side. A statement that takes long, or reads a large table from end to end,
is printed with its plan. Everything happens in a temporary folder and on loopback.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from bench.postgres import Server
from bench.production.house import OPTIONS

PORTAL = Path(sys.executable).with_name("portal")
SLOW_MS = 50.0
LARGE = {"entity", "ledger_entry", "former_name"}
MANY_ROWS = 50_000
SEED_ENTITIES = 20_000


def say(line: str) -> None:
    print(line, flush=True)


# ---- rows -----------------------------------------------------------------------------------------------------------

_COPIED = {
    "entity": {
        "code": "left(code, 2) || lpad(upper(to_hex({n})), 6, '0') || right(code, 10)",
        "name": "name || {n}",
        "name_key": "name_key || {n}",
    },
    "former_name": {
        "id": "id + {n} * 1000000::bigint",
        "entity_code": "left(entity_code, 2) || lpad(upper(to_hex({n})), 6, '0') || right(entity_code, 10)",
        "name_key": "name_key || {n}",
    },
    "ledger_entry": {
        "seq": "seq + {n} * {size}::bigint",
        "id": "gen_random_uuid()::text",
        "entity_code": (
            "CASE {n} % {copies} WHEN 0 THEN entity_code ELSE"
            " left(entity_code, 2) || lpad(upper(to_hex({n} % {copies})), 6, '0') || right(entity_code, 10) END"
        ),
        "source_ref": "source_ref || '/' || {n}",
        "occurred_on": "occurred_on - ({n} % 700)",
        "supersedes": "supersedes + {n} * {size}::bigint",
        "superseded_by": "superseded_by + {n} * {size}::bigint",
        "withdrawn_by": "withdrawn_by + {n} * {size}::bigint",
    },
}
"""How the copy number {n} of a row differs from it."""


def multiply(url: str, entities: int, entries: int) -> None:
    """Copy rows until there are so many. Indexes are made anew at the end, which is faster."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for table, wanted in (("entity", entities), ("former_name", None), ("ledger_entry", entries)):
            have = _one(connection, f"SELECT count(*) FROM {table}")
            copies = -(-(wanted or have * entities // SEED_ENTITIES) // have)
            started = time.monotonic()
            _copy(connection, table, have, copies, -(-entities // SEED_ENTITIES))
            say(f"{table}: {have * copies:,} rows in {time.monotonic() - started:.0f} s")
        connection.execute("VACUUM ANALYZE")


def _one(connection: psycopg.Connection[Any], statement: str) -> int:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def _copy(connection: psycopg.Connection[Any], table: str, have: int, copies: int, entity_copies: int) -> None:
    asked = "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND table_schema = 'public'"
    columns = [row[0] for row in connection.execute(asked, (table,))]
    asked = (
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexname NOT IN"
        " (SELECT conname FROM pg_constraint)"
    )
    indexes = connection.execute(asked, (table,)).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute("SET session_replication_role = replica")  # no foreign keys row by row
    connection.execute("DROP TABLE IF EXISTS original")
    connection.execute(f"CREATE TEMPORARY TABLE original AS SELECT * FROM {table}")
    differing = {name: how.format(n="n", size=have, copies=entity_copies) for name, how in _COPIED[table].items()}
    chosen = ", ".join(differing.get(column, column) for column in columns)
    step = 25
    for first in range(1, copies, step):
        series = f"generate_series({first}, {min(first + step, copies) - 1}) AS n"
        connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM original, {series}")
    for _, definition in indexes:
        connection.execute(definition)


# ---- pages ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Seen:
    """What one page asked of the database."""

    statements: list[tuple[str, Any, float]] = field(default_factory=list)


@contextmanager
def watched(seen: Seen) -> Iterator[None]:
    """Every statement of this process within the block, with its milliseconds."""
    from sqlalchemy import Engine, event

    def before(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        context.started = time.perf_counter()

    def after(_connection: Any, _cursor: Any, statement: str, values: Any, context: Any, _many: bool) -> None:
        seen.statements.append((statement, values, (time.perf_counter() - context.started) * 1000))

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "after_cursor_execute", after)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _scans(plan: dict[str, Any]) -> list[str]:
    """Nodes of a plan that went through many rows of a large table."""
    found = []
    for node in _nodes(plan):
        gone_through = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        if node.get("Relation Name") in LARGE and gone_through > MANY_ROWS:
            found.append(f"{node['Node Type']} of {node['Relation Name']}: {gone_through:,.0f} rows")
    return found


def explained(statement: str, values: Any) -> dict[str, Any]:
    """The plan of a statement that only looks, as it is carried out."""
    from portal.kit import db

    with db.reading() as session:
        raw: Any = session.connection().connection.driver_connection
        with raw.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", values)
            found = cursor.fetchone()[0]
        session.rollback()
    return dict((found if isinstance(found, list) else json.loads(found))[0]["Plan"])


def measure(paths: Sequence[str]) -> int:
    """Ask each page twice; print what the second time took. Returns how many statements are too slow."""
    from fastapi.testclient import TestClient

    from portal.app import create_app

    slow = 0
    say("| page | status | statements | in the database, ms | slowest, ms |\n|---|---|---|---|---|")
    plans: list[str] = []
    with TestClient(create_app(), base_url="http://127.0.0.1:8000") as client:
        for path in paths:
            client.get(path, follow_redirects=False)
            seen = Seen()
            with watched(seen):
                answer = client.get(path, follow_redirects=False)
            took = [ms for _, _, ms in seen.statements]
            say(f"| {path} | {answer.status_code} | {len(took)} | {sum(took):.1f} | {max(took, default=0):.1f} |")
            for statement, values, ms in seen.statements:
                if not statement.lstrip().upper().startswith(("SELECT", "WITH")):
                    continue
                plan = explained(statement, values)
                scans = _scans(plan)
                if ms > SLOW_MS or scans:
                    slow += 1
                    plans.append(
                        f"{path}: {ms:.0f} ms; {'; '.join(scans) or 'no scan'}\n    {' '.join(statement.split())[:700]}"
                    )
    say("\n" + "\n".join(dict.fromkeys(plans)))
    return slow


def of_the_public_side(url: str) -> str:
    """The database's URL for an account with the public side's rights: what it may see is part of every plan."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE ROLE web LOGIN IN ROLE gongzhi_public")
    return url.replace("//postgres@", "//web@")


def pages(url: str) -> list[str]:
    """Every page and answer whose cost could grow with the city."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:

        def some(statement: str) -> Any:
            row = connection.execute(statement).fetchone()
            assert row is not None
            return row[0]

        penalised = some(
            "SELECT entity_code FROM ledger_entry WHERE kind = 'penalty' AND entity_code IS NOT NULL LIMIT 1"
        )
        authority = some("SELECT authority FROM ledger_entry WHERE kind = 'penalty' AND authority IS NOT NULL LIMIT 1")
        act = some("SELECT act FROM ledger_entry WHERE kind = 'penalty' AND act IS NOT NULL LIMIT 1")
        middle = some("SELECT max(seq) / 2 FROM ledger_entry")
        rated = connection.execute("SELECT entity_code FROM ledger_entry WHERE kind = 'evaluation' LIMIT 1").fetchone()
    code = rated[0] if rated else penalised
    return [
        "/", "/search?q=贸易", "/statistics", "/about", "/developers", "/data", "/data/entities", "/data/penalties",
        "/data/changes", "/partners", "/data/withdrawn.csv", "/catalog.ttl", "/data.json",
        f"/entities/{penalised}", f"/entities/{penalised}/records/penalty", f"/entities/{penalised}/feed.atom",
        f"/entities/{code}/evaluations", f"/entities/{code}/evaluations?on=2026-06-01",
        "/records/penalty", "/records/permit", "/records/inspection", "/records/penalty?district=310101",
        f"/records/penalty?authority={authority}", f"/records/penalty?act={act}",
        "/records/penalty?since=2026-01-01&until=2026-02-01", "/lists/abnormal_listing",
        "/lists/serious_violation?district=310115", "/ledger/100",
        f"/api/v1/entities/{penalised}", f"/api/v1/entities/{penalised}/entries?kind=penalty",
        f"/api/v1/changes?after={middle}&limit=100", f"/api/v1/changes?after={middle}&limit=100&kind=commendation",
        "/api/v1/changes?limit=100",  "/api/v1/ledger/head", "/api/v1/statistics/tips", "/api/v1/partners",
        f"/api/v1/entities/{code}/evaluations",
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=3_000_000)
    parser.add_argument("--entries", type=int, default=10_000_000)
    asked = parser.parse_args()
    server = Server(safe=True, options=OPTIONS)
    with tempfile.TemporaryDirectory(prefix="plans-") as folder:
        os.environ |= {
            "PORTAL_DATA_DIR": f"{folder}/data", "PORTAL_DATABASE_URL": server.url,
            "PORTAL_RATE_LIMITS_ENABLED": "false",
        }  # fmt: skip
        server.start()
        try:
            subprocess.run([PORTAL, "demo", "--entities", str(SEED_ENTITIES)], check=True, capture_output=True)
            multiply(server.url, asked.entities, asked.entries)
            asked_pages = pages(server.url)
            os.environ["PORTAL_DATABASE_URL"] = of_the_public_side(server.url)
            return 1 if measure(asked_pages) else 0
        finally:
            server.stop()
            server.remove()


if __name__ == "__main__":
    sys.exit(main())
