"""FILE.rejects.csv: the rows of a file that could not be used, as they came, each with the reason."""

import csv
import os
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from record.codes import Labels

REASON_COLUMN = "原因 reason"


class Rejects:
    """Written beside the file as the import goes. Cells stay raw: to be corrected and sent again, not to be opened in
    a spreadsheet program that would run their formulas.

    `kept` rows of an earlier run that was killed are kept; what it wrote behind its last commit is dropped.
    """

    def __init__(self, source: Path, header: Sequence[str], reasons: Labels, *, kept: int = 0) -> None:
        self.path = source.with_name(source.name + ".rejects.csv")
        self._header = [*header, REASON_COLUMN]
        self._reasons = reasons
        self._file: TextIOWrapper | None = None
        if kept:
            self._keep(kept)
        else:
            self.path.unlink(missing_ok=True)

    @property
    def written(self) -> bool:
        """Whether there is such a file."""
        return self._file is not None

    def _keep(self, count: int) -> None:
        rows: list[list[str]] = []
        if self.path.exists():
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                rows = [row for row, _ in zip(csv.reader(file), range(count + 1), strict=False)]
        self._open()
        csv.writer(self._opened).writerows(rows[1:])
        self.sync()

    def _open(self) -> None:
        self._file = self.path.open("w", encoding="utf-8-sig", newline="", errors="replace")
        csv.writer(self._file).writerow(self._header)

    @property
    def _opened(self) -> TextIOWrapper:
        if self._file is None:
            self._open()
        assert self._file is not None
        return self._file

    def write(self, refused: Sequence[tuple[Sequence[str], str]]) -> None:
        """Add rows. Call `sync` before what was made of the rows around them is committed."""
        writer = csv.writer(self._opened)
        width = len(self._header) - 1
        for cells, reason in refused:
            zh, en = self._reasons[reason]
            padded = [cell[:32_000] for cell in cells] + [""] * (width - len(cells))
            writer.writerow([*padded, f"{reason}: {zh} / {en}"])

    def sync(self) -> None:
        """Make sure that what was written outlives this process and this machine's power."""
        if self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file:
            self._file.close()
