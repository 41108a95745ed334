"""What a reporter and the officers say to each other, and what the holder of a receipt may see.

Each message is sealed twice: the desk opens one copy, the receipt the other. Officers never learn the receipt, and the
desk's keys do not open what is sealed to it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.kit import db, keyring
from portal.kit.accounts import Officer
from portal.kit.errors import NotFound, PortalError
from record import acts, publication
from reporting import cases, clock, files, vault
from reporting.clock import Clock
from reporting.files import Waiting
from reporting.models import Tip, TipCase, TipMessage
from reporting.vault import Receipt

LONGEST_MESSAGE = 4_000
MOST_OF_A_TIP = 300
PASS_HOLDS = timedelta(minutes=30)
RATED_AFTER = timedelta(weeks=4)
MARKS = range(1, 6)


class ReceiptUnknown(PortalError):
    status = 404
    slug = "receipt-unknown"
    title = "There is no tip-off with this receipt."
    remedy = "Check the 16 digits. If what you sent was erased when its time was over, the receipt has ended with it."


class ShownTooLong(PortalError):
    status = 403
    slug = "shown-too-long"
    title = "This page has been open for too long."
    remedy = "Enter your receipt again. What you wrote is still here."


class MessageEmpty(PortalError):
    status = 422
    slug = "message-empty"
    title = "The message is empty, or too long."
    remedy = "Write something, at most 4,000 characters, or attach a file."


class TooManyMessages(PortalError):
    status = 409
    slug = "too-many-messages"
    title = "No more messages fit into this case."
    remedy = "Wait for the officer's answer, or send a new report and quote the case number."


class NotAsked(PortalError):
    status = 409
    slug = "rating-not-asked"
    title = "This is asked once, four weeks after the end."
    remedy = "If something is still wrong, write the officer a message."


class Erased(PortalError):
    status = 410
    slug = "tip-erased"
    title = "What was sent here was erased when its time was over."
    remedy = "Send a new report if something new has happened."


@dataclass(frozen=True, slots=True)
class Said:
    """One message, opened."""

    by_officer: bool
    at: datetime
    text: str
    files: int = 0
    """How many files came with it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What the holder of a receipt sees."""

    tip: Tip
    case: TipCase
    state_of: TipCase
    """The case whose state counts: another one, where this one repeats it."""
    number: str
    clocks: Sequence[Clock]
    said: Sequence[Said] = field(default_factory=tuple)
    files: int = 0
    asks_rating: bool = False
    """It ended four weeks ago, and its reporter was not asked yet."""


# ---- for the holder of a receipt ------------------------------------------------------------------------------------


def find(session: Session, receipt: Receipt) -> Tip:
    """The tip that the receipt is of. Raises ReceiptUnknown."""
    tip = session.scalar(select(Tip).where(Tip.lookup == receipt.lookup))
    if tip is None:
        raise ReceiptUnknown
    return tip


def progress(session: Session, receipt: Receipt) -> Progress:
    """How far it is, and what was said. Raises ReceiptUnknown."""
    tip = find(session, receipt)
    case = session.get_one(TipCase, tip.case_id)
    by_message: dict[int | None, int] = {}
    for one in files.of_tips(session, [tip.id]):
        by_message[one.message_id] = by_message.get(one.message_id, 0) + 1
    rows = session.scalars(
        select(TipMessage).where(TipMessage.tip_id == tip.id).order_by(TipMessage.id).limit(MOST_OF_A_TIP)
    )
    said = [
        Said(row.author == "officer", row.at, receipt.open(row.to_reporter).decode(), by_message.get(row.id, 0))
        for row in rows
        if row.to_reporter is not None
    ]
    state_of = cases.mirrored(session, case)
    return Progress(
        tip=tip, case=case, state_of=state_of, number=cases.number_of(case), clocks=clock.clocks_of(session, case),
        said=said, files=by_message.get(None, 0), asks_rating=_asks_rating(tip, state_of),
    )  # fmt: skip


def add(session: Session, receipt: Receipt, text: str, waiting: Sequence[Waiting] = ()) -> TipMessage:
    """Say more about a tip. Raises ReceiptUnknown, MessageEmpty, TooManyMessages, Erased, files.FilesGone."""
    text = text.replace("\r\n", "\n").strip()
    if len(text) > LONGEST_MESSAGE or not (text or waiting):
        raise MessageEmpty
    tip = find(session, receipt)
    case = session.get_one(TipCase, tip.case_id)
    names = {one.id: one.name for one in waiting}
    return _keep(session, tip, case, text, names, officer=None, waiting=waiting)


def _keep(
    session: Session,
    tip: Tip,
    case: TipCase,
    text: str,
    names: dict[str, str],
    *,
    officer: Officer | None,
    waiting: Sequence[Waiting] = (),
) -> TipMessage:
    if tip.sealed is None:
        raise Erased
    if (session.scalar(select(func.count()).where(TipMessage.tip_id == tip.id)) or 0) >= MOST_OF_A_TIP:
        raise TooManyMessages
    for_desk = json.dumps({"text": text, "files": names}, ensure_ascii=False).encode()
    message = TipMessage(
        tip_id=tip.id, author="officer" if officer else "reporter", officer_id=officer.id if officer else None,
        at=db.now(), to_desk=vault.seal(session, for_desk, case.department),
        to_reporter=vault.seal_to(tip.reply_key, text.encode()),
    )  # fmt: skip
    session.add(message)
    session.flush()
    files.claim(session, waiting, tip.id, message_id=message.id, drop_originals=False)
    return message


def _asks_rating(tip: Tip, state_of: TipCase) -> bool:
    ended = state_of.closed_on
    return tip.satisfaction is None and ended is not None and publication.today() >= ended + RATED_AFTER


def rate(session: Session, receipt: Receipt, mark: int) -> None:
    """Say how satisfied one is, from 1 to 5 (好差评). Raises ReceiptUnknown, NotAsked."""
    tip = find(session, receipt)
    if mark not in MARKS or not _asks_rating(tip, cases.mirrored(session, session.get_one(TipCase, tip.case_id))):
        raise NotAsked
    tip.satisfaction = mark


# ---- a pass, so that an open page need not hold the receipt --------------------------------------------------------


def pass_for(receipt: Receipt) -> str:
    """What a status page carries instead of the receipt: only this portal can read it, for half an hour."""
    until = (db.now() + PASS_HOLDS).timestamp()
    held = {"l": receipt.lookup.hex(), "i": receipt.identity, "w": receipt.word_key.hex(), "u": until}
    return keyring.sealed("status-pages", json.dumps(held), about="status")


def receipt_of(carried: str) -> Receipt:
    """The receipt behind a pass. Raises ShownTooLong."""
    if not carried or len(carried) > 2_000:
        raise ShownTooLong
    try:
        held: dict[str, Any] = json.loads(keyring.opened("status-pages", carried, about="status"))
    except (InvalidTag, ValueError) as error:
        raise ShownTooLong from error
    if held["u"] < datetime.now(UTC).timestamp():
        raise ShownTooLong
    return Receipt(bytes.fromhex(held["l"]), held["i"], bytes.fromhex(held["w"]))


# ---- for officers ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """What one reporter told, opened at the desk."""

    tip: Tip
    description: str
    entity: str
    happened_on: str | None
    place: str
    publish: bool | None
    mediation: bool | None
    files: dict[str, str]
    """Names of the files, by their ids."""
    said: Sequence[tuple[TipMessage, str]]


def told(session: Session, tips: Sequence[Tip]) -> list[Told]:
    """What these tips and their messages say. Raises vault.NotForUs without the desk's keys."""
    rows = select(TipMessage).where(TipMessage.tip_id.in_([tip.id for tip in tips])).order_by(TipMessage.id)
    by_tip: dict[str, list[TipMessage]] = {}
    for row in session.scalars(rows.limit(2_000)):
        by_tip.setdefault(row.tip_id, []).append(row)
    return [_opened(session, tip, by_tip.get(tip.id, [])) for tip in tips]


def _opened(session: Session, tip: Tip, messages: Sequence[TipMessage]) -> Told:
    what: dict[str, Any] = json.loads(vault.open_sealed(session, tip.sealed)) if tip.sealed else {}
    names: dict[str, str] = dict(what.get("files", {}))
    said = []
    for message in messages:
        if message.to_desk is not None:
            content = json.loads(vault.open_sealed(session, message.to_desk))
            names |= content.get("files", {})
            said.append((message, str(content["text"])))
    return Told(
        tip=tip, description=what.get("description", ""), entity=what.get("entity", ""),
        happened_on=what.get("happened_on"), place=what.get("place", ""), publish=what.get("publish"),
        mediation=what.get("mediation"), files=names, said=said,
    )  # fmt: skip


def reply(session: Session, officer: Officer, tip_id: str, text: str) -> TipMessage:
    """Answer a reporter. Comes last in its transaction. Raises NotFound, MessageEmpty, cases' refusals, Erased."""
    text = text.replace("\r\n", "\n").strip()
    if not 1 <= len(text) <= LONGEST_MESSAGE:
        raise MessageEmpty
    tip = session.get(Tip, tip_id)
    if tip is None:
        raise NotFound
    case = cases.get(session, officer, tip.case_id)
    message = _keep(session, tip, case, text, {}, officer=officer)
    acts.keep(session, "tip_reply", about=f"tip case {cases.number_of(case)}", by=officer)
    return message


def reseal(session: Session, case: TipCase, tips: Sequence[Tip]) -> None:
    """Seal what these tips say to the department that the case is with now."""
    for tip in tips:
        if tip.sealed is not None:
            tip.sealed = vault.reseal(session, tip.sealed, case.department)
    rows = select(TipMessage).where(TipMessage.tip_id.in_([tip.id for tip in tips]), TipMessage.to_desk.is_not(None))
    for message in session.scalars(rows):
        message.to_desk = vault.reseal(session, bytes(message.to_desk or b""), case.department)
