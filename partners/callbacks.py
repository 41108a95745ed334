"""Signed messages to partners' own systems on every status (Standard Webhooks, CloudEvents 1.0).

    callbacks.tell(session, organisation_id, "batch.checked", {…})

The message is written in the business transaction and sent by a job, which the job table repeats; a partner may also
read its messages at /account/callbacks and have one sent again.
"""

from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import delete, select
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from partners.models import Callback, Organisation
from portal.kit import db, jobs, keyring, webhooks
from portal.kit.errors import NotFound
from portal.kit.settings import get_settings
from portal.kit.shapes import moment
from record import ledger

SEND = "partners.call"
KEPT = timedelta(days=30)
MOST_TRIES = 12

log = structlog.get_logger()


class NotTaken(Exception):
    """The partner's system did not take the message: the job table tries again."""


def tell(session: Session, organisation_id: str, what: str, data: dict[str, Any]) -> None:
    """Send an organisation a message once the transaction has committed, if it wants any.

    `what`: such as `batch.checked`. `data`: codes, counts and states, never what a person wrote.
    """
    organisation = session.get(Organisation, organisation_id)
    if organisation is None or organisation.callback_url is None:
        return
    now = db.now()
    event = {
        "specversion": "1.0", "id": ledger.new_id(), "source": get_settings().base_url, "type": f"gongzhi.{what}",
        "time": moment(now), "datacontenttype": "application/json", "data": data,
    }  # fmt: skip
    made = Callback(organisation_id=organisation_id, event=event, tries=0, created_at=now)
    session.add(made)
    session.flush()
    jobs.add(session, SEND, [made.id])


def send(callback_id: int) -> None:
    """Send one message, once. Raises NotTaken when it should be tried again."""
    with db.reading() as session:
        callback = session.get(Callback, callback_id)
        organisation = session.get(Organisation, callback.organisation_id) if callback else None
    if callback is None or callback.delivered_at or organisation is None:
        return
    if organisation.callback_url is None or organisation.callback_secret is None:
        _note(callback_id, error="address", over=True)
        return
    secret = keyring.opened("callbacks", organisation.callback_secret, about=organisation.id)
    outcome = webhooks.send(organisation.callback_url, callback.event, secret)
    if isinstance(outcome, webhooks.Delivered):
        with db.writing() as session:
            session.get_one(Callback, callback_id).delivered_at = db.now()
        return
    over = outcome.reason in {"address", "gone"} or callback.tries + 1 >= MOST_TRIES
    _note(callback_id, error=outcome.reason, over=over)
    if not over:
        raise NotTaken


def _note(callback_id: int, *, error: str, over: bool) -> None:
    with db.writing() as session:
        callback = session.get_one(Callback, callback_id)
        callback.tries += 1
        callback.last_error = error
        if over:
            callback.given_up_at = db.now()
    log.info("callback.failed", callback=callback_id, reason=error, over=over)


def again(session: Session, organisation_id: str, callback_id: int) -> None:
    """Send a message once more. Raises NotFound for somebody else's."""
    callback = session.get(Callback, callback_id, with_for_update=True)
    if callback is None or callback.organisation_id != organisation_id:
        raise NotFound
    callback.delivered_at = callback.given_up_at = None
    callback.tries = 0
    session.flush()
    jobs.add(session, SEND, [callback_id])


def newest(session: Session, organisation_id: str, *, limit: int = 50) -> list[Callback]:
    """An organisation's messages, the newest first."""
    asked = select(Callback).where(Callback.organisation_id == organisation_id)
    return list(session.scalars(asked.order_by(Callback.id.desc()).limit(limit)))


def purge() -> int:
    """Forget messages that were taken or given up a month ago. Returns how many."""
    with db.writing() as session:
        done = Callback.delivered_at.is_not(None) | Callback.given_up_at.is_not(None)
        gone = session.execute(delete(Callback).where(Callback.created_at < db.now() - KEPT, done))
        return gone.rowcount if isinstance(gone, CursorResult) else 0
