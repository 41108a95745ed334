"""docs/security.md walks through OWASP ASVS 5.0.0: every requirement of levels 1 and 2, each with what holds it."""

import ast
import json
import re
from functools import cache

import pytest
import structlog
from fastapi.testclient import TestClient

from portal.kit import logs
from tests.conftest import use_settings
from tests.test_house_rules import ROOT, SOURCES

_NUMBERS = """
    1.1.1 1.1.2 1.2.1 1.2.2 1.2.3 1.2.4 1.2.5 1.2.6 1.2.7 1.2.8 1.2.9 1.3.1 1.3.2 1.3.3 1.3.4 1.3.5
    1.3.6 1.3.7 1.3.8 1.3.9 1.3.10 1.3.11 1.4.1 1.4.2 1.4.3 1.5.1 1.5.2 2.1.1 2.1.2 2.1.3 2.2.1 2.2.2
    2.2.3 2.3.1 2.3.2 2.3.3 2.3.4 2.4.1 3.2.1 3.2.2 3.3.1 3.3.2 3.3.3 3.3.4 3.4.1 3.4.2 3.4.3 3.4.4
    3.4.5 3.4.6 3.5.1 3.5.2 3.5.3 3.5.4 3.5.5 3.7.1 3.7.2 4.1.1 4.1.2 4.1.3 4.2.1 4.3.1 4.3.2 4.4.1
    4.4.2 4.4.3 4.4.4 5.1.1 5.2.1 5.2.2 5.2.3 5.3.1 5.3.2 5.4.1 5.4.2 5.4.3 6.1.1 6.1.2 6.1.3 6.2.1
    6.2.2 6.2.3 6.2.4 6.2.5 6.2.6 6.2.7 6.2.8 6.2.9 6.2.10 6.2.11 6.2.12 6.3.1 6.3.2 6.3.3 6.3.4 6.4.1
    6.4.2 6.4.3 6.4.4 6.5.1 6.5.2 6.5.3 6.5.4 6.5.5 6.6.1 6.6.2 6.6.3 6.8.1 6.8.2 6.8.3 6.8.4 7.1.1
    7.1.2 7.1.3 7.2.1 7.2.2 7.2.3 7.2.4 7.3.1 7.3.2 7.4.1 7.4.2 7.4.3 7.4.4 7.4.5 7.5.1 7.5.2 7.6.1
    7.6.2 8.1.1 8.1.2 8.2.1 8.2.2 8.2.3 8.3.1 8.4.1 9.1.1 9.1.2 9.1.3 9.2.1 9.2.2 9.2.3 9.2.4 10.1.1
    10.1.2 10.2.1 10.2.2 10.3.1 10.3.2 10.3.3 10.3.4 10.4.1 10.4.2 10.4.3 10.4.4 10.4.5 10.4.6 10.4.7 10.4.8 10.4.9
    10.4.10 10.4.11 10.5.1 10.5.2 10.5.3 10.5.4 10.5.5 10.6.1 10.6.2 10.7.1 10.7.2 10.7.3 11.1.1 11.1.2 11.2.1 11.2.2
    11.2.3 11.3.1 11.3.2 11.3.3 11.4.1 11.4.2 11.4.3 11.4.4 11.5.1 11.6.1 12.1.1 12.1.2 12.1.3 12.2.1 12.2.2 12.3.1
    12.3.2 12.3.3 12.3.4 13.1.1 13.2.1 13.2.2 13.2.3 13.2.4 13.2.5 13.3.1 13.3.2 13.4.1 13.4.2 13.4.3 13.4.4 13.4.5
    14.1.1 14.1.2 14.2.1 14.2.2 14.2.3 14.2.4 14.3.1 14.3.2 14.3.3 15.1.1 15.1.2 15.1.3 15.2.1 15.2.2 15.2.3 15.3.1
    15.3.2 15.3.3 15.3.4 15.3.5 15.3.6 15.3.7 16.1.1 16.2.1 16.2.2 16.2.3 16.2.4 16.2.5 16.3.1 16.3.2 16.3.3 16.3.4
    16.4.1 16.4.2 16.4.3 16.5.1 16.5.2 16.5.3 17.1.1 17.2.1 17.2.2 17.2.3 17.2.4 17.3.1 17.3.2
"""
NUMBERS = re.findall(r"\S+", _NUMBERS)
"""The requirements of levels 1 and 2 in ASVS 5.0.0 (2025-05-30): 253."""
STATES = {"met", "not applicable", "open"}
DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def rows() -> list[list[str]]:
    """The table's rows: number, what is asked, state, how or why, what holds it."""
    found = re.findall(r"^\| (\d+\.\d+\.\d+) \| (.+) \|$", DOCUMENT, re.M)
    return [[number, *re.split(r" (?<!\\)\| ?", rest)] for number, rest in found]


@cache
def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_requirement_of_levels_1_and_2_stands_once_and_in_order() -> None:
    assert len(NUMBERS) == 253
    assert [row[0] for row in rows()] == NUMBERS


def test_every_row_has_a_state_and_a_sentence() -> None:
    for row in rows():
        assert len(row) == 5, row
        number, asked, state, how, _ = row
        assert state in STATES, number
        assert asked.strip(), number
        assert len(how) >= (25 if state == "open" else 4), f"{number}: no reason"


def test_what_is_met_is_held_by_a_test_a_lint_or_a_chapter_that_exists() -> None:
    headings = {re.sub(r"[^\w -]", "", line).strip().replace(" ", "-").lower() for line in headings_of(DOCUMENT)}
    for number, _, state, _, held in rows():
        if state != "met":
            assert not held.strip(), f"{number}: nothing can hold what is not there"
            continue
        test = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", held.strip())
        chapter = re.fullmatch(r"\[[^]]+\]\(#([\w-]+)\)", held.strip())
        if test:
            assert test[2] in names_in(test[1]), f"{number}: {held}"
        elif chapter:
            assert chapter[1] in headings, f"{number}: {held}"
        else:
            assert held.strip().startswith("lint: "), f"{number}: {held}"


def headings_of(text: str) -> list[str]:
    return re.findall(r"^##+ (.+)$", text, re.M)


def test_the_counts_on_top_are_those_of_the_table() -> None:
    states = [row[2] for row in rows()]
    for state in STATES:
        assert f"{states.count(state)} {state}" in DOCUMENT


# ---- what no other test holds ---------------------------------------------------------------------------------------


def test_nothing_reads_what_a_proxy_says_but_the_server_itself() -> None:
    readers = [path.name for path in SOURCES if re.search(r"x-forwarded|x-real-ip|forwarded\"", path.read_text(), re.I)]
    assert set(readers) <= {"settings.py"}


@pytest.mark.usefixtures("embedded")
def test_log_lines_are_in_utc_and_one_line_whatever_they_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_settings(monkeypatch, log_json="true")
    logs.configure()
    try:
        structlog.get_logger().info("tried", what='a\nb\u2028{"event": "forged"}')
        [line] = capsys.readouterr().err.split("\n")[:-1]
    finally:
        use_settings(monkeypatch, log_json="false")
        logs.configure()
    said = json.loads(line)
    assert said["event"] == "tried"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", said["timestamp"])


@pytest.mark.usefixtures("embedded")
def test_whoever_is_refused_is_logged_with_reason_and_route(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.get("/desk/accounts", headers={"Accept": "application/json"})
    client.post("/desk/login", headers={"Sec-Fetch-Site": "cross-site"})
    said = [line for line in capsys.readouterr().err.splitlines() if re.search(r"\brefused\b", line)]
    assert any("sign-in-first" in line and "/desk/accounts" in line for line in said)
    assert any("cross-site" in line for line in said)
