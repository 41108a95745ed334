"""Floods of tip-offs: nothing is asked while it is quiet, dearer proofs as more arrive, and each proof counts once."""

import base64
import json
import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from altcha import solve_challenge_v1
from sqlalchemy import func, select

from portal.kit import db
from portal.kit.errors import PortalError
from reporting import floods
from reporting.floods import SpentProof


def arrive(times: int) -> None:
    with db.writing() as session:
        for _ in range(times):
            floods.count(session)


def challenge() -> dict[str, Any] | None:
    with db.reading() as session:
        return floods.challenge_of(floods.demand(session))


def solved(asked: dict[str, Any]) -> str:
    found = solve_challenge_v1(asked["challenge"], asked["salt"], asked["algorithm"], asked["maxnumber"])
    assert found is not None
    payload = {name: asked[name] for name in ("algorithm", "challenge", "salt", "signature")} | {"number": found.number}
    return base64.b64encode(json.dumps(payload).encode()).decode()


def outcome(proof: str | None = None, ticket: str | None = None) -> str:
    try:
        with db.writing() as session:
            floods.check(session, proof, ticket)
    except PortalError as refusal:
        return refusal.slug
    return "taken"


def test_nothing_is_asked_while_it_is_quiet(database: str) -> None:
    arrive(29)
    assert challenge() is None
    assert outcome() == "taken"


def test_proofs_grow_dearer_with_the_load_and_go_when_it_is_over(database: str) -> None:
    with time_machine.travel("2026-11-23T02:00:30Z", tick=False) as moment:
        asked = []
        for more in (30, 90, 480):
            arrive(more)
            found = challenge()
            asked.append(found["maxnumber"] if found else 0)
        assert asked == [100_000, 500_000, 2_000_000]
        moment.shift(timedelta(minutes=2))
        assert challenge() is None


def test_a_valid_proof_counts_once_also_when_it_is_sent_by_many_at_once(database: str) -> None:
    arrive(30)
    asked = challenge()
    assert asked is not None
    proof = solved(asked)
    outcomes: list[str] = []
    senders = [threading.Thread(target=lambda: outcomes.append(outcome(proof))) for _ in range(6)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(outcomes) == ["proof-refused"] * 5 + ["taken"]


@pytest.mark.parametrize("broken", ["", "nonsense", "e30=", "x" * 5_000, base64.b64encode(b'{"number":1}').decode()])
def test_what_is_no_proof_is_refused_with_a_sentence(embedded: Any, broken: str) -> None:
    arrive(30)
    assert outcome(broken) in {"proof-needed", "proof-refused"}


def test_a_proof_for_less_work_or_of_another_portal_is_refused(embedded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    arrive(30)
    asked = challenge()
    assert asked is not None
    cheap = asked | {"maxnumber": 10}
    payload = json.loads(base64.b64decode(solved(asked)))
    for change in ({"number": payload["number"] + 1}, {"salt": payload["salt"].replace("hashes=100000", "hashes=1")}):
        forged = base64.b64encode(json.dumps(payload | change).encode()).decode()
        assert outcome(forged) == "proof-refused"
    assert cheap["signature"] == asked["signature"]
    assert outcome(base64.b64encode(json.dumps(payload).encode()).decode()) == "taken"


def test_a_proof_that_lay_about_too_long_is_refused(embedded: Any) -> None:
    with time_machine.travel("2026-11-23T02:00:30Z", tick=False) as moment:
        arrive(30)
        asked = challenge()
        assert asked is not None
        proof = solved(asked)
        moment.shift(floods.PROOF_HOLDS + timedelta(seconds=5))
        arrive(30)
        assert outcome(proof) == "proof-refused"


def test_without_javascript_the_door_is_slower_and_not_closed(database: str) -> None:
    with time_machine.travel("2026-11-23T02:00:05Z", tick=False) as moment:
        form = floods.ticket()
        arrive(120)
        assert outcome(ticket=form) == "too-soon"
        moment.shift(timedelta(seconds=60))
        assert outcome(ticket=form) == "taken"
        assert outcome(ticket=form) == "proof-refused", "a form is sent once"
        assert outcome(ticket="made-up") == "link"


def test_used_proofs_are_forgotten_when_they_could_not_be_used_any_more(database: str) -> None:
    with time_machine.travel("2026-11-23T02:00:30Z", tick=False) as moment:
        arrive(30)
        asked = challenge()
        assert asked is not None
        assert outcome(solved(asked)) == "taken"
        assert floods.purge() == 0
        moment.shift(timedelta(hours=1))
        assert floods.purge() == 1
        with db.reading() as session:
            assert session.scalar(select(func.count()).select_from(SpentProof)) == 0


def test_a_cheap_proof_kept_from_quieter_times_does_not_count_in_a_flood(database: str) -> None:
    arrive(30)
    cheap = challenge()
    assert cheap is not None
    arrive(100)
    spare = solved(cheap)
    assert outcome(spare) == "taken", "one step below still counts: the load rose while the form was filled in"
    again = challenge()
    assert again is not None
    arrive(500)
    assert outcome(solved(cheap)) == "proof-needed"
