"""The examples of docs/partners.md, run as they stand against a served portal."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from partners import organisations
from portal.kit import db
from tests.conftest import PORTAL, free_port, served, use_settings
from tests.members import certificate
from tests.partners import batches

GUIDE = Path(__file__).parents[2] / "docs" / "partners.md"


def example(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text("utf-8"), re.S)
    return str(found)


@pytest.fixture
def portal(demo_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A served copy of the demonstration, a key and a private key of its association, and a file to hand in."""
    shutil.copytree(demo_data.parent, tmp_path / "portal", ignore=shutil.ignore_patterns("*-queue", "*-turn"))
    port = free_port()
    settings = {
        "PORTAL_DATA_DIR": str(tmp_path / "portal" / "var"),
        "PORTAL_BASE_URL": f"http://127.0.0.1:{port}",
        "PORTAL_RATE_LIMITS_ENABLED": "false",
    }
    use_settings(monkeypatch, data_dir=settings["PORTAL_DATA_DIR"], base_url=settings["PORTAL_BASE_URL"])
    create = ["keys", "create", "--partner", "demo-association", "--scope", "evaluations:write", "--json"]
    made = subprocess.run([PORTAL, *create], env={**os.environ, **settings}, check=True, capture_output=True, text=True)
    private = Ed25519PrivateKey.generate()
    work = tmp_path / "work"
    work.mkdir()
    (work / "private.pem").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with db.writing() as session:
        organisations.set_public_key(session, "demo-association", public, only_signed=False)
    said = [
        batches.row(entity, number, 评价日期="2026-10-09", 有效期至="", 证书编号=certificate("AA", number))
        for number, entity in enumerate(batches.entities(5))
    ]
    (work / "members.csv").write_bytes(batches.as_csv(said))
    with served(tmp_path / "portal" / "var", port=port, **settings) as url:
        yield {
            "PORTAL": url, "KEY": json.loads(made.stdout.splitlines()[-1])["key"], "PARTNER": "demo-association",
            "SCHEME": "demo-credit", "WORK": str(work),
        }  # fmt: skip


def test_the_example_with_curl_hands_in_checks_and_accepts(portal: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example("bash")],
        cwd=portal["WORK"], env={**os.environ, **portal}, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert json.loads((Path(portal["WORK"]) / "batch.json").read_text())["counts"]["rows"] == 5
    assert '"status":"accepting"' in done.stdout


def test_the_signed_example_in_python_publishes(portal: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", example("python")],
        cwd=portal["WORK"], env={**os.environ, **portal}, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "'new': 5" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "accepted"


def test_the_example_of_a_scheme_is_one() -> None:
    from partners import schemes

    assert schemes.parse_text(example("json")).grades[1].code == "AA"
