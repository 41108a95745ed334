"""Keeping floods of tip-offs out without locking anybody honest out: proof of work that rises with the load.

    asked = demand(session)              # what a sender has to show just now; nothing while it is quiet
    challenge_of(asked)                  # what a browser works on meanwhile (ALTCHA)
    check(session, proof, ticket)        # before a tip is taken; each proof and each ticket counts once

Who sends much is slowed down first, at the door. There is no limit for all senders together: load makes the proof
dearer, it never closes the door. Without JavaScript a sender shows the ticket of a form that was opened a while ago.
"""

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from altcha.v1 import create_challenge, verify_solution
from sqlalchemy import BigInteger, LargeBinary, delete, func, insert, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit import db, keyring, links
from portal.kit.db import Base, UtcDateTime
from portal.kit.errors import PortalError

PROOF_HOLDS = timedelta(minutes=20)
"""How long a challenge may be worked on and carried about, the time to fill in the form included."""
TICKET_HOLDS = timedelta(hours=4)


class ProofNeeded(PortalError):
    status = 428
    slug = "proof-needed"
    title = "Many tip-offs are arriving just now, so this one needs a proof of work."
    remedy = "Ask /api/v1/tips/challenge, solve it, and send the same again with the solution. Nothing was lost."


class ProofRefused(PortalError):
    status = 422
    slug = "proof-refused"
    title = "This proof of work is not valid, too old, or was used before."
    remedy = "Send the form again: your browser makes a new proof. Nothing that you wrote is lost."


class TooSoon(PortalError):
    status = 428
    slug = "too-soon"
    title = "Many tip-offs are arriving just now, and without JavaScript sending takes a little longer."
    remedy = "Wait %(seconds)s seconds, then press the button again. Nothing that you wrote is lost."


class SpentProof(Base):
    """A proof or ticket that was used: SHA-256 of it, until it would be too old anyway."""

    __tablename__ = "spent_proof"

    hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    until: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class IntakeLoad(Base):
    """How many tip-offs arrived in a minute, counted from 1970, of all senders."""

    __tablename__ = "intake_load"

    minute: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    count: Mapped[int]


@dataclass(frozen=True, slots=True)
class Demand:
    """What a sender has to show."""

    from_load: int
    """Arrivals a minute from which it is asked."""
    hashes: int
    """Most hashes that the proof takes, half of it on average; 0: none is asked."""
    wait_seconds: int
    """How long a form without JavaScript has to be open before it is sent."""


QUIET = Demand(0, 0, 0)
DEMANDS = (Demand(600, 2_000_000, 120), Demand(120, 500_000, 60), Demand(30, 100_000, 20), QUIET)
"""Dearest first. A phone computes some 200,000 hashes a second, a desktop a million."""


def demand(session: Session) -> Demand:
    """What is asked at the present load: the busier of this minute and the last."""
    minute = _minute()
    load = session.scalar(select(func.max(IntakeLoad.count)).where(IntakeLoad.minute.in_((minute - 1, minute)))) or 0
    return next(one for one in DEMANDS if load >= one.from_load)


def count(session: Session) -> None:
    """Count one arrival, in the transaction that takes it."""
    minute = _minute()
    more = update(IntakeLoad).where(IntakeLoad.minute == minute).values(count=IntakeLoad.count + 1)
    counted = session.execute(more)
    if isinstance(counted, CursorResult) and counted.rowcount == 0:
        try:
            with session.begin_nested():
                session.execute(insert(IntakeLoad).values(minute=minute, count=1))
        except IntegrityError:  # somebody else began this minute
            session.execute(more)


def _minute() -> int:
    return int(time.time()) // 60


# ---- proofs ---------------------------------------------------------------------------------------------------------


def challenge_of(asked: Demand) -> dict[str, Any] | None:
    """A challenge in ALTCHA's form; None when nothing is asked."""
    if asked.hashes == 0:
        return None
    made = create_challenge(
        algorithm="SHA-256",
        max_number=asked.hashes,
        salt_length=16,
        hmac_key=keyring.secret("proof-of-work").hex(),
        salt="",
        number=secrets.randbelow(asked.hashes + 1),
        expires=datetime.now(UTC) + PROOF_HOLDS,
        params={"hashes": str(asked.hashes)},
    )
    return {
        "algorithm": made.algorithm,
        "challenge": made.challenge,
        "maxnumber": made.max_number,
        "salt": made.salt,
        "signature": made.signature,
    }


def ticket() -> str:
    """What a form carries that is sent without JavaScript: when it was opened, signed."""
    return links.make("tip.form", {"at": int(time.time()), "nonce": secrets.token_hex(8)})


def check(session: Session, proof: str | None, ticket: str | None) -> None:
    """Let a submission through, or say what it lacks. Each proof and each ticket counts once.

    Raises ProofNeeded, ProofRefused, TooSoon.
    """
    asked = demand(session)
    if asked.hashes == 0:
        return
    if proof:
        _check_proof(session, proof, asked)
    elif ticket:
        _check_ticket(session, ticket, asked)
    else:
        raise ProofNeeded


def _check_proof(session: Session, proof: str, asked: Demand) -> None:
    """One step below the present load still counts: it may have risen while the form was filled in."""
    if len(proof) > 2_000:
        raise ProofRefused
    holds, _ = verify_solution(proof, keyring.secret("proof-of-work").hex(), check_expires=True)
    if not holds:
        raise ProofRefused
    solved = json.loads(base64.b64decode(proof))
    if _hashes(str(solved["salt"])) < _cheapest(asked):
        raise ProofNeeded
    _spend(session, str(solved["challenge"]), PROOF_HOLDS)


def _hashes(salt: str) -> int:
    """What a challenge asked for; it is signed along with the salt."""
    said = parse_qs(salt.partition("?")[2]).get("hashes", ["0"])[0]
    return int(said) if said.isdigit() else 0


def _cheapest(asked: Demand) -> int:
    """The hashes of the step below, or of this one where nothing is asked below."""
    below = DEMANDS[DEMANDS.index(asked) + 1].hashes
    return below or asked.hashes


def _check_ticket(session: Session, ticket: str, asked: Demand) -> None:
    opened = links.read("tip.form", ticket, TICKET_HOLDS)
    left = int(opened["at"]) + asked.wait_seconds - int(time.time())
    if left > 0:
        raise TooSoon(seconds=left)
    _spend(session, str(opened["nonce"]), TICKET_HOLDS)


def _spend(session: Session, used: str, holds: timedelta) -> None:
    if not spend(session, used, holds):
        raise ProofRefused


def spend(session: Session, used: str, holds: timedelta) -> bool:
    """Use up what counts once, and remember it for as long as it could come again. False: it was used before."""
    try:
        with session.begin_nested():
            row = {"hash": hashlib.sha256(used.encode()).digest(), "until": db.now() + holds}
            session.execute(insert(SpentProof).values(**row))
    except IntegrityError:
        return False
    return True


def purge() -> int:
    """Forget proofs that are too old to be used again, and the load of past days. Returns how many proofs."""
    with db.writing() as session:
        session.execute(delete(IntakeLoad).where(IntakeLoad.minute < _minute() - 60 * 24))
        gone = session.execute(delete(SpentProof).where(SpentProof.until < db.now()))
        return gone.rowcount if isinstance(gone, CursorResult) else 0
