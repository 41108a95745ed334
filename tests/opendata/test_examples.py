"""What a data set's page offers to copy works when it is copied, and descriptors say what is in the files."""

import csv
import gzip
import html
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb
import frictionless
import pytest

from opendata import snapshots
from portal.kit import datasets

assert snapshots
_EXAMPLE = re.compile(r"<h3>([^<]+)</h3>\s*<pre[^>]*><code>(.*?)</code></pre>", re.DOTALL)


def examples(address: str, name: str) -> Mapping[str, str]:
    """Of a data set's page: the examples by tool, as a reader would copy them."""
    with urllib.request.urlopen(f"{address}/data/{name}") as page:
        return {tool: html.unescape(text) for tool, text in _EXAMPLE.findall(page.read().decode())}


def run(*words: str, cwd: Path) -> str:
    return subprocess.run(words, cwd=cwd, check=True, capture_output=True, text=True, timeout=120).stdout


def in_duckdb(text: str, folder: Path) -> str:
    with duckdb.connect() as engine:
        engine.execute("SET file_search_path = ?", [str(folder)])
        return str(engine.execute(text).fetchall())


RUN: Mapping[str, Callable[[str, Path], str]] = {
    "curl": lambda text, folder: run("bash", "-ec", text, cwd=folder),
    "Python": lambda text, folder: run(sys.executable, "-c", text, cwd=folder),
    "R": lambda text, folder: run("Rscript", "-e", text, cwd=folder),
    "DuckDB": in_duckdb,
}


@pytest.mark.parametrize("name", ["entities", "penalties", "ledger-heads"])
def test_every_example_runs_as_it_stands_and_sees_the_rows(address: str, tmp_path: Path, name: str) -> None:
    offered = examples(address, name)
    assert list(offered) == list(RUN)
    said = {tool: RUN[tool](text, tmp_path) for tool, text in offered.items()}
    with gzip.open(tmp_path / f"{name}.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows
    column = datasets.offered()[name].chart or datasets.offered()[name].columns[0].name
    assert int(said["Python"]) == sum(1 for row in rows if row[column])
    value = rows[0][column]
    count = sum(1 for row in rows if row[column] == value)
    assert f"('{value}', {count})" in said["DuckDB"]
    assert value in said["R"]


def test_frictionless_finds_nothing_wrong_with_any_descriptor_and_its_file(address: str, tmp_path: Path) -> None:
    for name in datasets.offered():
        with urllib.request.urlopen(f"{address}/data/{name}/datapackage.json") as answer:
            described = json.load(answer)
        for resource in described["resources"]:
            local = resource["path"].rpartition("/")[2]
            urllib.request.urlretrieve(resource["path"], tmp_path / local)
            resource["path"] = local
        package = tmp_path / f"{name}.json"
        package.write_text(json.dumps(described))
        report = frictionless.validate(str(package))
        assert report.valid, (name, report.flatten(["rowNumber", "fieldName", "type", "note"])[:3])
