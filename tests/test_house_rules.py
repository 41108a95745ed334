"""The house's rules (docs/architecture.md), read off the code itself."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from portal import migrations, worker
from portal.app import create_app
from portal.kit import jobs
from portal.kit.limits import door_of

ROOT = Path(__file__).parents[1]
PACKAGES = ("opendata", "partners", "portal", "record", "reporting", "search")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def routes() -> Iterator[APIRoute]:
    """Every route that an area or page declares, however deep its router is nested."""

    def walk(level: list[object]) -> Iterator[APIRoute]:
        for route in level:
            if isinstance(route, APIRoute):
                yield route
            else:
                yield from walk(getattr(getattr(route, "original_router", route), "routes", []) or [])

    yield from walk(list(create_app().routes))


def test_the_walk_over_routes_finds_pages_and_api() -> None:
    paths = {route.path for route in routes()}
    assert "/" in paths
    assert any(path.endswith("/entities/check") for path in paths)


def test_every_route_declares_who_may_use_it_and_how_often() -> None:
    assert [route.path for route in routes() if door_of(route.endpoint) is None] == []


def test_every_route_that_takes_a_body_limits_its_size_and_no_other_takes_one() -> None:
    for route in routes():
        declared = door_of(route.endpoint)
        assert declared is not None
        assert bool(declared.body_bytes) == bool(route.methods & {"POST", "PUT", "PATCH"}), route.path


@pytest.mark.usefixtures("embedded", "unlimited")
@pytest.mark.parametrize(
    ("side", "who", "open_to_all"),
    [("/desk", "officer", {"/desk/login"}), ("/account", "member", {"/account/login", "/account/join/{token}"})],
)
def test_below_the_desk_and_the_members_side_nobody_gets_anywhere_without_signing_in(
    client: TestClient, side: str, who: str, open_to_all: set[str]
) -> None:
    for route in routes():
        declared = door_of(route.endpoint)
        below = f"{route.path}/".startswith(f"{side}/") and route.path not in open_to_all
        assert (declared is not None and declared.who == who) == below, route.path
        for method in sorted(route.methods) if below else []:
            answer = client.request(method, re.sub(r"\{[^}]+\}", "1", route.path), follow_redirects=False)
            assert answer.status_code == 303, route.path
            assert answer.headers["location"].partition("?")[0] == f"{side}/login"
            assert answer.headers["cache-control"] == "no-store"


def test_imports_go_downward_only() -> None:
    lint = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert lint.returncode == 0, lint.stdout


def test_only_the_embedded_engine_knows_tantivy() -> None:
    knowing = [
        p.relative_to(ROOT).as_posix() for p in SOURCES if re.search(r"\bimport tantivy|\bfrom tantivy", p.read_text())
    ]
    assert all(name.startswith("search/embedded") for name in knowing), knowing


def test_only_its_own_engine_knows_meilisearch() -> None:
    knowing = [
        p.relative_to(ROOT).as_posix() for p in SOURCES if re.search(r"(import|from) meilisearch", p.read_text())
    ]
    assert all(name.startswith("search/meili") for name in knowing), knowing


def test_only_the_records_own_rules_look_into_the_ledger_everything_public_reads_what_is_published() -> None:
    knowing = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if "migrations" not in path.parts and re.search(r"\bLedgerEntry\b|\bledger_entry\b", path.read_text("utf-8"))
    }
    public = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("record/*views.py")}
    public |= {f"record/{name}.py" for name in ("api", "items", "browsing", "profile", "letters", "feedback")}
    assert {name for name in knowing if not name.startswith("record/")} == set()
    assert knowing & public == set()


def test_no_module_is_named_for_nothing() -> None:
    empty_words = {"utils", "helpers", "common", "services", "managers", "repositories", "misc"}
    assert [path for path in SOURCES if empty_words & set(path.with_suffix("").parts)] == []


def test_modules_and_functions_stay_readable() -> None:
    too_long = []
    for path in SOURCES:
        if path.parent.name == "versions":  # a migration is written once and as long as its tables are
            continue
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > 500:
            too_long.append(path.name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 60:
                    too_long.append(f"{path.name}:{node.name}")
    assert too_long == []


def test_every_module_says_what_belongs_in_it() -> None:
    silent = [
        p
        for p in SOURCES
        if p.name != "__init__.py" and "versions" not in p.parts and not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert silent == []


def test_only_settings_reads_the_environment() -> None:
    readers = [p.name for p in SOURCES if re.search(r"os\.(environ|getenv)", p.read_text())]
    assert set(readers) <= {"settings.py"}


def test_every_entry_of_the_timetable_and_every_subscriber_names_a_task_that_exists() -> None:
    named = set(worker.TIMETABLE)
    named |= {name for names in jobs.SUBSCRIBERS.values() for name in names}
    assert named <= set(jobs.TASKS)


def test_every_dependency_has_its_reason() -> None:
    reasons = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    wanted = [
        line.split("[")[0]
        for name in ("runtime", "dev", "uv")
        for line in (ROOT / "requirements" / f"{name}.in").read_text().split()
        if line not in ("-c", "runtime.txt")
    ]
    assert [name for name in wanted if f"**{name}**" not in reasons] == []


@pytest.mark.usefixtures("database")
def test_the_migrations_make_what_the_models_say() -> None:
    command.check(migrations.config())
