"""The access log: which officer opened which page of the desk, one JSON line each, apart from all other logs.

Who changed something is in the ledger; this says who merely looked. Files are `access/2026-11-23.jsonl` in the data
folder, a day in the city each, and are kept for as long as 网络安全法 art. 21 (3) asks.
"""

import json
import os
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from portal.kit import db
from portal.kit.settings import get_settings

KEPT = timedelta(days=190)
"""Six months at least (网络安全法 art. 21 (3), in force from 2017-06-01)."""
_CITY_TIME = ZoneInfo("Asia/Shanghai")


def opened(officer: int, route: str, about: dict[str, str]) -> None:
    """Note that an officer opened a page. `about`: codes and numbers of what it shows, never content."""
    moment = db.now()
    line = {"at": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "officer": officer, "page": route, **about}
    path = _folder() / f"{moment.astimezone(_CITY_TIME):%Y-%m-%d}.jsonl"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    try:
        os.write(handle, (json.dumps(line, ensure_ascii=False) + "\n").encode())
    finally:
        os.close(handle)


def purge() -> int:
    """Delete days that need not be kept any longer. Returns how many."""
    last = datetime.now(_CITY_TIME).date() - KEPT
    old = [path for path in _folder().glob("*.jsonl") if _day(path) < last]
    for path in old:
        path.unlink()
    return len(old)


def _folder() -> Path:
    return get_settings().data_dir / "access"


def _day(path: Path) -> date:
    try:
        return date.fromisoformat(path.stem)
    except ValueError:
        return date.max
