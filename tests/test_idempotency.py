"""A request that is sent again under its key is done once and answered the same."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from portal.kit import db, errors, idempotency, jobs, limits, web
from portal.kit.idempotency import Asked, IdempotentAnswer, RequestFacts, once
from portal.kit.jobs import Job
from portal.kit.limits import door
from portal.kit.web import WritingSession

pytestmark = pytest.mark.usefixtures("database")

BATCHES = "/api/probe/batches"


def work(session: Session) -> JSONResponse:
    """Something that leaves a row and answers differently every time: it puts a job into the table."""
    jobs.add(session, "probe.work", [])
    session.flush()
    number = session.scalar(select(func.max(Job.id)))
    return JSONResponse({"id": number}, status_code=202, headers={"Location": f"{BATCHES}/{number}", "X-Other": "1"})


@cache  # slowapi remembers a limit for each time that a route is declared
def batches() -> FastAPI:
    router = limits.router()

    @router.post(BATCHES)
    @door(who="anyone", limit="1000/minute", body_bytes=1_000)
    def begin(request: Request, session: WritingSession, asked: Asked) -> Response:
        def accepted() -> Response:
            answer = work(session)
            if asked.key == "refused":
                raise errors.InvalidInput
            return answer

        return once(session, asked, owner=request.headers.get("x-owner", "a"), work=accepted)

    app = FastAPI()
    app.state.limiter = limits.limiter()
    web.add_error_handlers(app)
    app.include_router(router)
    return app


@pytest.fixture
def post() -> Iterator[Callable[..., Any]]:
    """Send a batch under a key."""
    with TestClient(batches()) as client:

        def send(key: str | None, body: str = "rows", *, query: str = "", owner: str = "a") -> Any:
            headers = {"X-Owner": owner} | ({"Idempotency-Key": key} if key is not None else {})
            return client.post(f"{BATCHES}{query}", content=body, headers=headers)

        yield send


def times_done() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(Job)) or 0


def test_the_same_request_gets_the_first_answer_and_is_done_once(post: Callable[..., Any]) -> None:
    first, again = post("k1"), post('"k1"')
    assert (first.status_code, first.content, first.headers["location"]) == (
        (again.status_code, again.content, again.headers["location"])
    )
    assert again.headers["content-type"] == "application/json"
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert times_done() == 1


def test_without_a_key_or_with_another_key_or_owner_it_is_done_anew(post: Callable[..., Any]) -> None:
    answers = [post(None), post(None), post("k1"), post("k2"), post("k1", owner="b")]
    assert len({answer.content for answer in answers}) == times_done() == 5


def test_another_request_under_the_same_key_is_refused(post: Callable[..., Any]) -> None:
    post("k1")
    for answer in (post("k1", "other rows"), post("k1", query="?scheme=2")):
        assert (answer.status_code, answer.json()["type"]) == (422, "/developers#problem-idempotency-key-reused")
    assert times_done() == 1


@pytest.mark.parametrize("key", ["", '""', "k" * 256, "a\tb", "é"])
def test_a_key_that_cannot_be_used_is_refused(post: Callable[..., Any], key: str) -> None:
    assert post(key.encode("latin-1")).status_code == 400
    assert times_done() == 0


def test_a_refused_request_leaves_nothing_and_may_be_sent_again(post: Callable[..., Any]) -> None:
    assert post("refused").status_code == 422
    assert post("refused", "corrected").json()["type"].endswith("#problem-invalid-input")
    assert times_done() == 0


def test_an_answer_is_forgotten_after_a_day(post: Callable[..., Any]) -> None:
    post("k1")
    assert idempotency.purge() == 0
    with db.writing() as session:
        session.execute(update(IdempotentAnswer).values(created_at=db.now() - timedelta(hours=25)))
    assert post("k1", "other rows").status_code == 202
    with db.writing() as session:
        session.execute(update(IdempotentAnswer).values(created_at=db.now() - timedelta(hours=25)))
    assert idempotency.purge() == 1
    assert times_done() == 2


FACTS = RequestFacts("k1", "f" * 64)


def test_a_second_request_meanwhile_waits_or_is_told_to_wait_and_never_works_too(database: str) -> None:
    began, may_end = threading.Event(), threading.Event()

    def slow(session: Session) -> Response:
        began.set()
        assert may_end.wait(30)
        return work(session)

    def first() -> None:
        with db.writing() as session:
            once(session, FACTS, owner="a", work=lambda: slow(session))

    running = threading.Thread(target=first)
    running.start()
    assert began.wait(30)
    if database == "sqlite":  # one writer at a time: the second comes when the first has ended
        threading.Timer(0.3, may_end.set).start()
    else:
        with db.writing() as session, pytest.raises(idempotency.StillRunning) as refusal:
            once(session, FACTS, owner="a", work=lambda: work(session))
        assert refusal.value.headers == {"Retry-After": "2"}
        with db.writing() as session:  # another key is not held up
            once(session, RequestFacts("k2", "f" * 64), owner="a", work=Response)
        may_end.set()
        running.join(30)
    with db.writing() as session:
        answer = once(session, FACTS, owner="a", work=lambda: work(session))
    running.join(30)
    assert answer.headers["idempotent-replayed"] == "true"
    assert times_done() == 1


def _work_and_hang(marker: str, committed: bool) -> None:
    def hang() -> None:
        Path(marker).touch()
        time.sleep(60)

    with db.writing() as session:
        once(session, FACTS, owner="a", work=lambda: work(session))
        if not committed:
            hang()
    hang()


@pytest.mark.parametrize("committed", [False, True])
def test_a_process_that_is_killed_leaves_both_work_and_answer_or_neither(committed: bool, tmp_path: Path) -> None:
    marker = tmp_path / "worked"
    child = multiprocessing.get_context("spawn").Process(target=_work_and_hang, args=(str(marker), committed))
    child.start()
    while not marker.exists():
        time.sleep(0.02)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert times_done() == int(committed)
    deadline = time.monotonic() + 10  # PostgreSQL needs a moment to see that the other end is gone
    while True:
        try:
            with db.writing() as session:
                answer = once(session, FACTS, owner="a", work=lambda: work(session))
            break
        except idempotency.StillRunning:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert ("idempotent-replayed" in answer.headers) is committed
    assert times_done() == 1
