"""Spreadsheets (XLSX) as rows of text, read in a process of their own.

A workbook of a few kilobytes can ask for terabytes: entries that unpack without end, or one cell in the last corner of
a sheet. The reader holds a sheet in memory whole, so it runs where its memory has a limit, and dies alone.
"""

import resource
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from portal.kit import parallel
from record.packing import FileBroken, FileTooLarge

MAX_FILE = 128 * 2**20
MAX_UNPACKED = 1024 * 2**20
MAX_MEMORY = 2 * 2**30
"""Address space of the process that reads."""
_ROWS_AT_ONCE = 500

parallel.preload(__name__)


def rows(path: Path) -> Iterator[list[str]]:
    """Rows of the first sheet that has any, as text. Raises FileTooLarge or FileBroken."""
    _check(path)
    context = parallel.children()
    ours, theirs = context.Pipe(duplex=False)
    reader = context.Process(target=_read, args=(str(path), theirs), daemon=True)
    reader.start()
    theirs.close()
    try:
        while True:
            message = ours.recv()
            if message is None:
                return
            if isinstance(message, str):
                raise FileTooLarge if message == "memory" else FileBroken
            yield from message
    except EOFError:
        raise FileTooLarge from None  # it was ended for asking for more memory than it may have
    finally:
        ours.close()
        reader.terminate()
        reader.join()


def _check(path: Path) -> None:
    if path.stat().st_size > MAX_FILE:
        raise FileTooLarge
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED:
                raise FileTooLarge
    except zipfile.BadZipFile as error:
        raise FileBroken from error


def _read(path: str, pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        from python_calamine import CalamineWorkbook

        workbook = CalamineWorkbook.from_path(path)
        for name in workbook.sheet_names:
            sheet = workbook.get_sheet_by_name(name)
            found = False
            batch: list[list[str]] = []
            for row in sheet.iter_rows():
                cells = [_text(value) for value in row]
                if not any(cells):
                    continue
                found = True
                batch.append(cells)
                if len(batch) == _ROWS_AT_ONCE:
                    pipe.send(batch)
                    batch = []
            pipe.send(batch)
            if found:
                break
        pipe.send(None)
    except BrokenPipeError:
        return
    except MemoryError:
        pipe.send("memory")
    except BaseException:  # a panic of the reader included: whatever it is, the file is what is wrong
        pipe.send("broken")


def _text(value: object) -> str:
    """A cell as it would stand in a CSV file: no exponent, no midnight behind a date."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, (date, time)):
        return value.isoformat()
    return "" if isinstance(value, timedelta) else str(value)
