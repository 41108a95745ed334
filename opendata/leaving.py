"""Files that nothing names any longer, where they could be fetched past the portal: gone within minutes.

Where the portal hands files out itself, nobody gets what it does not name, and they stay for a day, for those who are
at them.
"""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from portal.kit import jobs, storage

DROP = "opendata.drop_files"


def plan(session: Session, before: Iterable[str], now: Iterable[str]) -> None:
    """Have those files removed that were named before and are not now, once no address signed for them holds."""
    gone = sorted(set(before) - set(now))
    if gone and storage.is_served_elsewhere():
        for start in range(0, len(gone), jobs.ITEMS_PER_JOB):
            jobs.add(session, DROP, gone[start : start + jobs.ITEMS_PER_JOB], after=storage.SIGNED_FOR)


def served_as(media_type: str, file_name: str) -> dict[str, str]:
    """What object storage says of a file that it serves itself: it may be kept for minutes, as it may have to go."""
    return {
        "Content-Type": media_type,
        "Cache-Control": "public, max-age=300",
        "Content-Disposition": f'attachment; filename="{file_name}"',
    }
