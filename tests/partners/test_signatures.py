"""Signed requests (RFC 9421, Ed25519, RFC 9530 digest): what is covered holds, once, for five minutes."""

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi.testclient import TestClient
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

from partners import organisations
from portal.kit import db
from tests import members
from tests.partners import batches
from tests.partners.batches import BATCHES, as_csv

pytestmark = [pytest.mark.usefixtures("filled", "unlimited")]

BASE = "http://127.0.0.1:8000"
PRIVATE = Ed25519PrivateKey.generate()


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, key: Ed25519PrivateKey = PRIVATE) -> None:
        self.key = key

    def resolve_private_key(self, key_id: str) -> Any:
        return self.key

    def resolve_public_key(self, key_id: str) -> Any:
        return self.key.public_key()


def signed(
    method: str,
    path: str,
    body: bytes | None,
    *,
    key: Ed25519PrivateKey = PRIVATE,
    nonce: str | None = "",
    created: datetime | None = None,
    covered: tuple[str, ...] = ("@method", "@target-uri", "content-digest"),
) -> dict[str, str]:
    """The headers of a signed request, as any RFC 9421 library makes them."""
    headers = {"Content-Type": "text/csv"}
    if body is not None:
        headers["Content-Digest"] = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    request = SimpleNamespace(method=method, url=f"{BASE}{path}", headers=headers)
    signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=Keys(key))
    signer.sign(
        request,
        key_id="demo-association",
        created=created or datetime.now(UTC),
        nonce=secrets.token_hex(8) if nonce == "" else nonce,
        covered_component_ids=covered if body is not None else covered[:2],
        label="sig1",
        include_alg=False,
        use_existing_digest=body is not None,
    )
    return dict(request.headers)


@pytest.fixture
def partner(filled: str) -> str:
    members.add()
    members.add_scheme()
    public = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with db.writing() as session:
        organisations.set_public_key(session, "demo-association", public, only_signed=True)
    return "demo-association"


PATH = f"{BATCHES}?scheme=demo-credit"


@pytest.mark.usefixtures("partner")
def test_a_signed_batch_is_taken_without_any_key_and_can_be_looked_at(client: TestClient) -> None:
    body = as_csv(batches.rows(2))
    begun = client.post(PATH, content=body, headers=signed("POST", PATH, body))
    assert begun.status_code == 202, begun.text
    at = f"{BATCHES}/{begun.json()['id']}"
    assert client.get(at, headers=signed("GET", at, None)).status_code == 200
    assert client.get(at).status_code == 401


@pytest.mark.usefixtures("partner")
def test_the_same_signature_again_is_refused_and_logged(client: TestClient) -> None:
    body = as_csv(batches.rows(2))
    headers = signed("POST", PATH, body)
    assert client.post(PATH, content=body, headers=headers).status_code == 202
    with structlog.testing.capture_logs() as logs:
        again = client.post(PATH, content=body, headers=headers)
    assert again.status_code == 401
    assert again.json()["type"].endswith("signature-replayed")
    assert [one["because"] for one in logs if one["event"] == "signature.refused"] == ["replayed"]


@pytest.mark.usefixtures("partner")
def test_another_body_address_method_key_or_time_is_refused(client: TestClient) -> None:
    body, other = as_csv(batches.rows(2)), as_csv(batches.rows(3))
    elsewhere = f"{BATCHES}?scheme=demo-credit&file_name=x.csv"
    old = datetime.now(UTC) - timedelta(minutes=6)
    wrong = [
        (PATH, other, signed("POST", PATH, body)),
        (elsewhere, body, signed("POST", PATH, body)),
        (PATH, body, signed("PUT", PATH, body)),
        (PATH, body, signed("POST", PATH, body, key=Ed25519PrivateKey.generate())),
        (PATH, body, signed("POST", PATH, body, created=old)),
        (PATH, body, signed("POST", PATH, body, nonce=None)),
        (PATH, body, signed("POST", PATH, body, covered=("@method", "@target-uri"))),
        (PATH, other, signed("POST", PATH, body) | {"Content-Digest": digest(other)}),
        (PATH, body, {**signed("POST", PATH, body), "Signature": "sig1=:AAAA:"}),
        (PATH, body, {**signed("POST", PATH, body), "Signature-Input": "nonsense"}),
    ]
    for path, content, headers in wrong:
        answer = client.post(path, content=content, headers=headers)
        assert answer.status_code == 401, headers
        assert answer.json()["remedy"]
    assert client.get(BATCHES, headers=signed("GET", BATCHES, None)).json()["items"] == []


def digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


@pytest.mark.usefixtures("partner")
def test_where_only_signed_requests_count_a_key_alone_opens_nothing_and_both_together_do(client: TestClient) -> None:
    key = members.key()
    assert batches.send(client, key, as_csv(batches.rows(1))).status_code == 401
    body = as_csv(batches.rows(1))
    both = {**signed("POST", PATH, body), "Authorization": f"Bearer {key}"}
    assert client.post(PATH, content=body, headers=both).status_code == 202
    members.add("other-agency", name="另一机构")
    stranger = {**signed("POST", PATH, body), "Authorization": f"Bearer {members.key('other-agency')}"}
    assert client.post(PATH, content=body, headers=stranger).status_code == 401


@pytest.mark.usefixtures("partner")
def test_a_suspended_organisations_signature_opens_nothing(client: TestClient) -> None:
    from portal.kit.accounts import Officer

    with db.writing() as session:
        officer = Officer(1, "王", "市场监管局", None, frozenset(["reviewer"]))
        organisations.suspend(session, officer, "demo-association", "备案已过期")
    assert client.get(BATCHES, headers=signed("GET", BATCHES, None)).status_code == 401
