"""Examples to copy and run: each data set with curl, Python, R and DuckDB."""

from collections.abc import Sequence
from typing import NamedTuple

from opendata.descriptors import base
from portal.kit.datasets import DataSet


class Example(NamedTuple):
    """One example."""

    tool: str
    language: str
    """For programs that colour text."""
    text: str


def of(data_set: DataSet) -> Sequence[Example]:
    """Examples for one data set, at this portal's own address."""
    home = f"{base()}/data/{data_set.name}"
    column = data_set.chart or data_set.columns[0].name
    return (
        Example("curl", "bash", f"curl -fsSL -o {data_set.name}.csv.gz {home}.csv.gz\ngzip -t {data_set.name}.csv.gz"),
        Example(
            "Python", "python",
            "import csv, io, urllib.request\n\n"
            f'with urllib.request.urlopen("{home}.csv") as answer:\n'
            '    rows = csv.DictReader(io.TextIOWrapper(answer, encoding="utf-8"))\n'
            f'    print(sum(1 for row in rows if row["{column}"]))',
        ),
        Example(
            "R", "r",
            f'rows <- read.csv("{home}.csv", colClasses = "character", fileEncoding = "UTF-8")\n'
            f"table(rows${column})",
        ),
        Example(
            "DuckDB", "sql",
            f"SELECT {column}, count(*)\nFROM read_csv('{data_set.name}.csv.gz', all_varchar=true)\nGROUP BY ALL;",
        ),
    )  # fmt: skip
