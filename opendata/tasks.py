"""Jobs of open data: the files, withdrawn rows out of them soon, publishing onwards, and visitors' lists."""

from datetime import timedelta
from typing import Any

import structlog

from opendata import consumers, deltas, leaving, lists, snapshots
from opendata.models import Consumer
from portal.kit import db, jobs, storage
from portal.kit.errors import PortalError
from portal.kit.links import LinkExpired
from portal.kit.settings import get_settings
from record import follow, ledger, open_data, publication

__all__ = ["open_data"]

WAIT = timedelta(minutes=2)
"""Several withdrawals are taken out together."""
PUBLISH = "opendata.publish_ckan"
AGAIN = timedelta(minutes=1)
"""When a publication looks again whether another has ended."""

log = structlog.get_logger()


@jobs.task("opendata.snapshot", queue="snapshots")
def snapshot(_items: list[Any]) -> None:
    """Write every data set anew."""
    snapshots.make_all()
    _plan_publication()


@jobs.task("opendata.deltas", queue="snapshots")
def write_deltas(_items: list[Any]) -> None:
    """Write the files of the days that are over, and take out of older ones what is shown no longer."""
    deltas.clean()
    deltas.write_missing(publication.today())


@jobs.task("opendata.begin", queue="snapshots")
def begin(_items: list[Any]) -> None:
    """Write what has no files yet, once there is something to write."""
    with db.reading() as session:
        empty = ledger.size(session) == 0
    if not empty:
        snapshots.make_missing()


@jobs.task("opendata.withdrawn", queue="snapshots", on=publication.GONE)
def withdrawn(_items: list[Any]) -> None:
    """Plan to take withdrawn rows out of the files, once for all that come meanwhile."""
    with db.writing() as session:
        if not jobs.is_waiting(session, "opendata.clean"):
            jobs.add(session, "opendata.clean", [], after=WAIT)


@jobs.task("opendata.clean", queue="snapshots")
def clean(_items: list[Any]) -> None:
    """Take withdrawn rows out of the files that hold them, and out of what was published elsewhere."""
    snapshots.clean()
    deltas.clean()
    _plan_publication()


@jobs.task(leaving.DROP, queue="snapshots")
def drop(keys: list[Any]) -> None:
    """Remove files that nothing names any longer."""
    with db.reading() as session:
        known = snapshots.named(session) | deltas.named(session)
    storage.delete([key for key in keys if key not in known])


def _plan_publication(after: timedelta = timedelta(0)) -> None:
    """Publish onwards, if that is set up, once for all that comes until it begins."""
    if not get_settings().publish_ckan_url:
        return
    with db.writing() as session:
        if not jobs.is_waiting(session, PUBLISH):
            jobs.add(session, PUBLISH, [], after=after)


@jobs.task(PUBLISH, queue="snapshots")
def publish_ckan(_items: list[Any]) -> None:
    """Bring the outside CKAN of the settings level with the catalogue.

    Where it does not answer, the job is tried again soon. What it refuses, somebody has to look into: the desk says so.
    """
    if not get_settings().publish_ckan_url:
        return
    from opendata import publisher  # with its client, which loads when there is something to publish

    try:
        publisher.publish(publisher.target())
    except publisher.PublishingUnderWay:
        _plan_publication(AGAIN)
    except PortalError as refusal:
        if refusal.status == 503:
            raise
        log.warning("publication.refused", problem=refusal.slug)


@jobs.task(consumers.LINK, queue="mail")
def mail_key_link(items: list[Any]) -> None:
    """Mail consumers the link to their keys: each item is a consumer and the language it asked in."""
    from opendata import letters  # brings the web's templates along, so it loads when there is something to write

    for consumer_id, language in items:
        with db.reading() as session:
            found = session.get(Consumer, consumer_id)
            address = consumers.address_of(found) if found else None
        if found and address:
            letters.link_to_keys(address, found, language).send()


@jobs.task(consumers.REMIND, queue="mail")
def remind(_items: list[Any]) -> None:
    """Plan a mail to each consumer that is behind withdrawals."""
    with db.writing() as session:
        consumers.remind(session)


@jobs.task(consumers.REMINDER, queue="mail")
def mail_reminder(items: list[Any]) -> None:
    """Mail consumers how far behind they are, unless they have caught up meanwhile."""
    from opendata import letters

    for consumer_id in items:
        with db.reading() as session:
            found = session.get(Consumer, consumer_id)
            standing = consumers.standing(session, found) if found else None
            address = consumers.address_of(found) if found else None
        if standing and address and standing.withdrawals:
            letters.reminder(address, standing).send()


@jobs.task(lists.MATCH, queue="files")
def match(items: list[Any]) -> None:
    """Match lists that visitors sent: each item is a list and the run that may match it."""
    for list_id, run in items:
        lists.match(list_id, run)


@jobs.task(lists.LETTER, queue="mail")
def mail_link(items: list[Any]) -> None:
    """Mail addresses the link with which they follow a whole list."""
    from record import letters  # it brings the web's templates along, so it loads when there is something to write

    for list_id, address_id, language, number in items:
        with db.reading() as session:
            address = follow.address(session, address_id)
        if address:
            letters.link_to_many(address, language, number, [list_id, address_id, language]).send()


@jobs.task(lists.FOLLOW, queue="files")
def follow_lists(items: list[Any]) -> None:
    """Let addresses follow what is left of a list, some hundred entities at a time."""
    for list_id, address_id, language, after in items:
        _follow(list_id, address_id, language, after)


def _follow(list_id: str, address_id: str, language: str, after: int | None) -> None:
    while after is not None:
        try:
            with db.writing() as session:
                after = lists.follow_some(session, list_id, address_id, language, after)
        except LinkExpired:  # the reader stopped it all meanwhile
            return
