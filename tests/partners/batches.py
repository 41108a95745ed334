"""Batches for tests: files of made-up evaluations of entities that are in the register."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import select

from portal.kit import db, jobs
from record.models import Entity
from tests.members import certificate

HEADER = ("企业名称", "统一社会信用代码", "等级", "评价日期", "有效期至", "证书编号")
BATCHES = "/api/v1/evaluations/batches"


def entities(count: int = 10) -> list[tuple[str, str]]:
    """Code and name of entities of the register."""
    with db.reading() as session:
        return [(code, name) for code, name in session.execute(select(Entity.code, Entity.name).limit(count))]


def row(entity: tuple[str, str], serial: int = 1, **changes: str) -> dict[str, str]:
    """A good row."""
    code, name = entity
    said = dict(zip(HEADER, (name, code, "AA", "2026-03-05", "2029-03-04", certificate("AA", serial)), strict=True))
    return {**said, **changes}


def rows(count: int = 10) -> list[dict[str, str]]:
    return [row(entity, serial) for serial, entity in enumerate(entities(count), start=1)]


def as_csv(said: Sequence[dict[str, str]], encoding: str = "utf-8") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER)
    writer.writeheader()
    writer.writerows(said)
    return text.getvalue().encode(encoding)


def send(client: TestClient, key: str, content: bytes, *, scheme: str = "demo-credit", **headers: str) -> Any:
    """Hand a CSV file in."""
    return client.post(
        f"{BATCHES}?scheme={scheme}",
        content=content,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "text/csv", **headers},
    )


def see(client: TestClient, key: str, batch: str) -> dict[str, Any]:
    answer = client.get(f"{BATCHES}/{batch}", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def act(client: TestClient, key: str, batch: str, what: str, said: Any = None) -> Any:
    return client.post(f"{BATCHES}/{batch}/{what}", json=said, headers={"Authorization": f"Bearer {key}"})


def published(client: TestClient, key: str, said: Sequence[dict[str, str]], *, scheme: str = "demo-credit") -> str:
    """Hand rows in, accept them all, and wait until they stand. Returns the batch's id."""
    batch = str(send(client, key, as_csv(said), scheme=scheme).json()["id"])
    jobs.drain()
    answer = act(client, key, batch, "accept")
    assert answer.status_code == 200, answer.text
    jobs.drain()
    assert see(client, key, batch)["status"] == "accepted"
    return batch
