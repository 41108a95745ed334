"""A partner's own system is told of every status by a signed message, again until it takes it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from partners import callbacks, organisations
from partners.models import Callback
from portal.kit import db, jobs, webhooks
from tests import members
from tests.conftest import use_settings
from tests.partners import batches
from tests.test_webhooks import Receiver, listen

pytestmark = [pytest.mark.usefixtures("filled", "unlimited")]


@pytest.fixture
def receiver(filled: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    use_settings(monkeypatch, webhooks_to_loopback="true")
    made: Any = type("PartnersSystem", (Receiver,), {"received": [], "answer": lambda self: self.reply(204)})
    server = listen(made)
    members.add()
    members.add_scheme()
    with db.writing() as session:
        address = f"http://127.0.0.1:{server.server_address[1]}/told"
        made.secret = organisations.set_callback(session, "demo-association", address)
    yield made
    server.shutdown()
    server.server_close()


def told(receiver: Any) -> list[str]:
    return [webhooks.verify(body, headers, receiver.secret)["type"] for headers, body in receiver.received]


def test_every_status_of_a_batch_and_a_dispute_is_told_and_the_signature_holds(
    client: TestClient, receiver: Any
) -> None:
    entity = batches.entities(1)[0]
    batch = batches.published(client, members.key(), [batches.row(entity, 1)])
    jobs.drain()
    assert told(receiver) == ["gongzhi.batch.checked", "gongzhi.batch.accepting", "gongzhi.batch.accepted"]
    assert json.loads(receiver.received[0][1])["data"]["id"] == batch
    assert "演示行业" not in receiver.received[0][1].decode()
    batches.act(client, members.key(), batch, "withdraw", {"reason": "整批数据来源有误"})
    jobs.drain()
    jobs.drain()
    assert told(receiver)[3:] == ["gongzhi.batch.withdrawing", "gongzhi.batch.withdrawn"]


def test_a_message_that_was_not_taken_is_tried_again_and_can_be_sent_once_more(
    client: TestClient, receiver: Any
) -> None:
    receiver.answer = lambda self: self.reply(503)
    batches.send(client, members.key(), batches.as_csv(batches.rows(1)))
    jobs.drain()
    jobs.drain()  # what the first round added
    with db.reading() as session:
        waiting = session.scalars(select(Callback)).one()
    assert (waiting.delivered_at, waiting.last_error, waiting.tries) == (None, "refused", 1)
    receiver.answer = lambda self: self.reply(204)
    callbacks.send(waiting.id)
    with db.reading() as session:
        assert session.get_one(Callback, waiting.id).delivered_at is not None
    assert len(receiver.received) == 2
    callbacks.send(waiting.id)
    assert len(receiver.received) == 2, "what was taken is not sent again by itself"
    members.seat(client, "demo-association", "li.na")
    form = members.form_token(client.get("/account/organisation").text)
    client.post(f"/account/organisation/callbacks/{waiting.id}/again", data={"form_token": form})
    jobs.drain()
    assert len(receiver.received) == 3


def test_only_an_address_on_the_public_internet_is_taken_and_only_a_manager_sets_it(client: TestClient) -> None:
    members.add()
    members.seat(client, "demo-association", "li.na")
    form = members.form_token(client.get("/account/organisation").text)
    for wrong in ("http://example.com/x", "ftp://example.com", "https://", "javascript:alert(1)"):
        answer = client.post("/account/organisation/callback", data={"url": wrong, "form_token": form})
        assert answer.status_code == 422, wrong
    made = client.post("/account/organisation/callback", data={"url": "https://example.com/h", "form_token": form})
    assert "whsec_" in made.text
    assert "whsec_" not in client.get("/account/organisation").text
