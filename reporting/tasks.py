"""Jobs of tip-offs: what must look inside runs here, on the desk's side."""

from typing import Any

from portal.kit import jobs, storage
from reporting import files


@jobs.task(files.SCAN)
def scan(ids: list[Any]) -> None:
    """Look at files for malware."""
    for file_id in ids:
        files.scan(file_id)


@jobs.task(files.REMOVE)
def remove(keys: list[Any]) -> None:
    """Remove objects that no row names any longer."""
    storage.delete([str(key) for key in keys])


@jobs.task("reporting.scan_again")
def scan_again(_items: list[Any]) -> None:
    """Look again at what is in quarantine."""
    files.scan_again()
