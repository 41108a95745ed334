"""An outside CKAN holds what this portal shows, whatever happens on the way, and nothing else of it is touched."""

import datetime as dt
import hashlib
import ipaddress
import json
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi.testclient import TestClient
from sqlalchemy import select, update
from typer.testing import CliRunner

from opendata import catalog, publisher, snapshots
from opendata.models import PublicationRun
from portal import publish_commands
from portal.kit import datasets, db, jobs
from portal.kit.settings import get_settings
from record import publication
from record.models import KindSwitch
from record.publication import PUBLISHED
from tests.conftest import PORTAL, forget_settings, free_port, use_settings
from tests.officers import add_officer, sign_in
from tests.opendata.outside_ckan import TOKEN, StandIn, invalid, standing

PERMITS = "regulator-permits"
EVERYTHING = {f"regulator-{name}" for name in datasets.offered()}


@pytest.fixture
def ckan(written: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A CKAN beside a portal whose data sets are written, on each database in turn."""
    with standing() as made:
        use_settings(
            monkeypatch, publish_ckan_url=made.url, publish_ckan_organization="regulator", publish_ckan_token=TOKEN,
            publish_ckan_tries=3, base_url="https://credit.example.cn",
        )  # fmt: skip
        yield made


def publish(**options: Any) -> publisher.Outcome:
    return publisher.publish(publisher.target(upload=options.pop("upload", None)), **options)


def process(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PORTAL, "publish", "ckan", *words], check=False, capture_output=True, text=True, timeout=120
    )  # fmt: skip


def command(*words: str, **settings: str) -> Any:
    """The command in this process, which spares its start."""
    forget_settings()
    done = CliRunner().invoke(publish_commands.app, ["ckan", *words], env=settings)
    forget_settings()
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert TOKEN not in done.stdout + done.stderr
    return done


def hide(kind: str, *, shown: bool = False) -> None:
    with db.writing() as session:
        session.merge(KindSwitch(kind=kind, since=publication.today(), public_here=shown, because="test"))


def resource(ckan: StandIn, form: str, name: str = "permits") -> dict[str, Any]:
    found = ckan.named(f"regulator-{name}")["resources"]
    (one,) = [each for each in found if each["id"] == catalog.resource_id(name, form)]
    return dict(one)


# ---- level, by what differs -----------------------------------------------------------------------------------------


def test_the_whole_catalogue_arrives_once_and_a_second_run_sends_nothing(ckan: StandIn) -> None:
    outcome = publish()
    assert ckan.shown() == EVERYTHING
    permits = ckan.named(PERMITS)
    with db.reading() as session:
        here = next(one for one in catalog.all_packages(session) if one["name"] == "permits")
    for field in ("title", "notes", "license_id", "url", "version"):
        assert permits[field] == here[field]
    assert {one["id"] for one in permits["resources"]} == {one["id"] for one in here["resources"]}
    assert resource(ckan, "csv")["url"] == "https://credit.example.cn/data/permits.csv"
    assert resource(ckan, "csv")["publisher_sha256"] == next(
        one["hash"] for one in here["resources"] if one["format"] == "CSV"
    )
    assert (
        outcome.deeds["create"]
        == len(ckan.writes)
        == len(EVERYTHING) + sum(len(one["resources"]) for one in ckan.packages.values())
    )
    ckan.asked.clear()
    assert publish().sent == 0
    assert ckan.writes == []


def test_only_what_differs_is_sent_and_what_editors_there_added_stays(ckan: StandIn) -> None:
    publish()
    permits = ckan.named(PERMITS)
    permits["title"] = "别的"
    permits["tags"].append({"name": "city-theme", "vocabulary_id": None})
    permits["extras"].append({"key": "topic", "value": "economy"})
    permits["extras"] = [one for one in permits["extras"] if one["key"] != "update_frequency"]
    permits["resources"].append({"id": "theirs", "name": "A guide", "format": "PDF", "url": "https://x.cn/a.pdf"})
    next(one for one in permits["resources"] if one["format"] == "JSONL")["description"] = "?"
    ckan.asked.clear()
    told: list[str] = []
    publish(told=lambda step: told.append(str(step)))
    assert told == [f"update {PERMITS} (jsonl): description", f"update {PERMITS}: extras, title"]
    (patched,) = [said for action, said in ckan.asked if action == "package_patch"]
    assert set(patched) == {"id", "title", "extras"}
    assert {one["key"] for one in permits["extras"]} >= {"topic", "update_frequency", "publisher_portal"}
    assert "city-theme" in {one["name"] for one in permits["tags"]}
    assert "theirs" in {one["id"] for one in permits["resources"]}
    assert publish().sent == 0


def test_a_file_that_is_no_longer_offered_is_deleted_there(ckan: StandIn) -> None:
    publish()
    ckan.named(PERMITS)["resources"].append({"id": "old", "format": "XLSX", "publisher_sha256": "0" * 64})
    told: list[str] = []
    publish(told=lambda step: told.append(str(step)))
    assert told == [f"delete {PERMITS} (xlsx)"]


def test_a_dry_run_prints_the_plan_and_sends_nothing(ckan: StandIn) -> None:
    ckan.add_foreign("roads")
    planned = command("--dry-run", "--json")
    assert planned.exit_code == 0, planned.stderr
    *plan, last = planned.stdout.splitlines()
    assert f"create {PERMITS}" in plan
    assert f"create {PERMITS} (csv)" in plan
    summary = json.loads(last)
    assert (summary["dry_run"], summary["created"]) == (True, len(plan))
    assert ckan.writes == []
    assert ckan.shown() == {"roads"}
    with db.reading() as session:
        assert session.scalars(select(PublicationRun)).all() == []


# ---- withdrawals ----------------------------------------------------------------------------------------------------


def test_a_data_set_that_is_no_longer_shown_is_deleted_there_and_comes_back_as_the_same(ckan: StandIn) -> None:
    publish()
    first = ckan.named(PERMITS)["id"]
    hide("permit")
    assert publish().deeds == {"create": 0, "update": 0, "delete": 1}
    assert ckan.shown() == EVERYTHING - {PERMITS}
    assert publish().sent == 0
    hide("permit", shown=True)
    assert publish().deeds["create"] == 0
    assert ckan.shown() == EVERYTHING
    assert ckan.named(PERMITS)["id"] == first


def test_a_data_set_of_ours_that_nobody_here_knows_any_longer_is_deleted_there(ckan: StandIn) -> None:
    publish()
    ckan.add_foreign("regulator-old", extras=[{"key": "publisher_portal", "value": "https://credit.example.cn"}])
    publish()
    assert ckan.shown() == EVERYTHING


def test_data_sets_that_are_not_ours_are_never_touched(ckan: StandIn) -> None:
    others = [
        ckan.add_foreign("roads"),
        ckan.add_foreign("bridges", extras=[{"key": "publisher_portal", "value": "https://another.example.cn"}]),
        ckan.add_foreign(PERMITS, title="Permits of somebody else"),
    ]
    before = json.dumps(others)
    ended = command("--json")
    assert ended.exit_code == 1
    assert f"The data portal has a data set {PERMITS} that this portal did not make." in ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1])["failed"] == [PERMITS]
    hide("permit")
    publish()
    assert json.dumps(others) == before
    assert ckan.shown() == EVERYTHING | {"roads", "bridges"}


def test_a_withdrawal_is_deleted_even_when_other_data_sets_are_refused(ckan: StandIn) -> None:
    publish()
    hide("permit")
    for one in ckan.packages.values():
        one["title"] = "?"

    def strict(action: str, said: dict[str, Any]) -> None:
        if action == "package_patch":
            raise invalid(theme=["Missing value"])

    ckan.before = strict
    assert len(publish().failures) == len(EVERYTHING) - 1
    assert PERMITS not in ckan.shown()


# ---- uploads --------------------------------------------------------------------------------------------------------


def test_uploaded_files_are_the_very_bytes_and_go_when_a_record_is_withdrawn(ckan: StandIn) -> None:
    publish(upload=True)
    for form in ("csv", "csv.gz", "jsonl"):
        there = resource(ckan, form)
        assert there["url_type"] == "upload"
        assert hashlib.sha256(ckan.files[there["id"]]).hexdigest() == there["publisher_sha256"]
    assert publish(upload=True).sent == 0
    with db.reading() as session:
        one = session.execute(select(PUBLISHED.c.seq, PUBLISHED.c.id).where(PUBLISHED.c.kind == "permit")).first()
    assert one is not None
    csv_there = catalog.resource_id("permits", "csv")
    assert one.id.encode() in ckan.files[csv_there]
    with db.writing() as session:
        publication.withdraw(session, [one.seq], "repaired")
    snapshots.clean()
    ckan.asked.clear()
    publish(upload=True)
    assert one.id.encode() not in ckan.files[csv_there]
    assert {said.get("package_id", PERMITS) for action, said in ckan.asked if action == "resource_patch"} == {PERMITS}
    assert publish(upload=True).sent == 0


def test_files_change_between_uploaded_and_linked(ckan: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    publish()
    publish(upload=True)
    assert resource(ckan, "csv")["url_type"] == "upload"
    publish(upload=False)
    assert resource(ckan, "csv")["url"] == "https://credit.example.cn/data/permits.csv"
    assert not resource(ckan, "csv")["url_type"]
    assert ckan.files == {}
    assert publish(upload=False).sent == 0


def test_what_is_larger_than_the_limit_is_linked(ckan: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    data_set = datasets.offered()["permits"]
    columns = len(data_set.columns)
    wide = "长" * 1000

    def rows(session: Any) -> Iterator[tuple[Any, ...]]:
        for number in range(600):
            yield (str(number), *([None] * (columns - 2)), wide)

    monkeypatch.setitem(datasets._OFFERED, "permits", _made_of(data_set, rows))  # type: ignore[attr-defined]
    snapshots.make_all(["permits"])
    use_settings(monkeypatch, publish_ckan_upload_mib=1)
    outcome = publish(upload=True)
    assert outcome.linked >= 2
    assert resource(ckan, "csv")["url"] == "https://credit.example.cn/data/permits.csv"
    assert resource(ckan, "csv.gz")["url_type"] == "upload"


def _made_of(data_set: datasets.DataSet, rows: Callable[[Any], Iterator[tuple[Any, ...]]]) -> datasets.DataSet:
    import dataclasses

    columns = [dataclasses.replace(column, type="text") for column in data_set.columns]
    return dataclasses.replace(data_set, rows=rows, columns=columns, part_of=lambda row: "all")


_SENDS_A_LARGE_FILE = """
import sys
from pathlib import Path

from opendata.files import File, Piece
from opendata.outside import OutsideCkan


def most() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


ckan = OutsideCkan(sys.argv[1], "token")
size = int(sys.argv[2])
file = File("text/csv", "0" * 64, [Piece(size, "opendata/large.csv")])
before = most()
ckan.send("resource_patch", {"id": "x"}, about="x", upload=("large.csv", file))
print(most() - before)
"""


def test_a_large_upload_is_never_held_whole(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 400 * 2**20
    large = embedded / "files" / "opendata" / "large.csv"
    large.parent.mkdir(parents=True)
    with large.open("wb") as file:
        file.truncate(size)
    with standing() as ckan:
        done = subprocess.run(
            [sys.executable, "-c", _SENDS_A_LARGE_FILE, ckan.url, str(size)], check=True, capture_output=True, text=True
        )
        assert ckan.drained > size
    assert int(done.stdout) < 120 * 1024  # KiB


# ---- killed, twice, in between --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("upload", "told"), [("--link", "before it was done"), ("--upload", "after it was done")])
def test_a_run_that_is_killed_is_completed_by_the_next_without_doubles(ckan: StandIn, upload: str, told: str) -> None:
    for number in (1, 2, 7):  # writes: a data set, its first file, some later one
        reached, released = threading.Event(), threading.Event()

        def hang(action: str, at: int = len(ckan.writes) + number) -> None:
            if len(ckan.writes) == at:
                reached.set()  # noqa: B023
                released.wait(30)  # noqa: B023
                if told == "before it was done":
                    raise ConnectionAbortedError

        if told == "before it was done":
            ckan.before = lambda action, said: hang(action)
        else:
            ckan.answered = hang
        run = subprocess.Popen([PORTAL, "publish", "ckan", upload], stderr=subprocess.DEVNULL)
        assert reached.wait(60)
        run.send_signal(signal.SIGKILL)
        run.wait()
        released.set()
        ckan.before = lambda action, said: None
        ckan.answered = lambda action: None
    ended = process(upload, "--json")
    assert ended.returncode == 0, ended.stderr
    assert ckan.shown() == EVERYTHING
    assert len(ckan.packages) == len(EVERYTHING)
    ids = [one["id"] for package in ckan.packages.values() for one in package["resources"]]
    assert len(ids) == len(set(ids))
    ckan.asked.clear()
    assert publish(upload=upload == "--upload").sent == 0
    assert ckan.writes == []


def test_what_somebody_else_made_meanwhile_is_brought_level_instead(ckan: StandIn) -> None:
    def quicker(action: str, said: dict[str, Any]) -> None:
        if action in ("package_create", "resource_create"):
            ckan.before = lambda action, said: None
            ckan.act(action, {**said, "title": "half", "description": "half"}, None, TOKEN)
            ckan.before = quicker if action == "package_create" else ckan.before

    ckan.before = quicker
    assert publish().failures == []
    assert {one["title"] for one in ckan.packages.values()}.isdisjoint({"half"})
    assert publish().sent == 0


@pytest.mark.parametrize("written", ["sqlite"], indirect=True)
def test_a_request_that_fails_in_passing_is_tried_again(ckan: StandIn) -> None:
    ckan.raw = [(503, b"<html>"), (502, b"")]
    assert publish().failures == []
    assert ckan.shown() == EVERYTHING


@pytest.mark.parametrize("written", ["sqlite"], indirect=True)
def test_two_publications_at_once_are_one_after_the_other(ckan: StandIn) -> None:
    reached, released = threading.Event(), threading.Event()

    def hang(action: str, said: dict[str, Any]) -> None:
        if action == "package_create" and not reached.is_set():
            reached.set()
            released.wait(30)

    ckan.before = hang
    run = subprocess.Popen([PORTAL, "publish", "ckan"], stderr=subprocess.DEVNULL)
    assert reached.wait(60)
    second = process()
    released.set()
    assert run.wait(60) == 0
    assert second.returncode == 1
    assert "Another publication is under way." in second.stderr
    assert len(ckan.packages) == len(EVERYTHING)


# ---- refusals -------------------------------------------------------------------------------------------------------


def refused(sentence: str, *words: str, **settings: str) -> str:
    ended = command(*words, **settings)
    assert ended.exit_code == 1, ended.stdout + ended.stderr
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.fixture
def told_once(ckan: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Settings without patience."""
    use_settings(monkeypatch, publish_ckan_tries=1)
    return ckan


@pytest.mark.parametrize("written", ["sqlite"], indirect=True)
def test_each_refusal_is_a_sentence_that_says_what_to_do(told_once: StandIn) -> None:
    ckan = told_once
    away = refused("does not answer", "--url", f"http://127.0.0.1:{free_port()}")
    assert "it goes on where it was" in away
    wrong = "another-token-that-is-wrong"
    assert wrong not in refused("does not let this token do that", PORTAL_PUBLISH_CKAN_TOKEN=wrong)
    refused("knows no organisation nobody", "--organization", "nobody")
    refused("cannot be published to", "--url", "http://data.example.cn")
    refused("cannot be published to", "--url", "https://user:word@data.example.cn")
    refused("It is not said where to publish to", PORTAL_PUBLISH_CKAN_URL="", PORTAL_PUBLISH_CKAN_TOKEN="")
    for status, answer in ((200, b"<html>hello"), (301, b""), (404, b"nothing"), (200, b'{"success": true}')):
        ckan.raw = [(status, answer)]
        refused(f"is no CKAN, or its CKAN is elsewhere (HTTP {status})")
    ckan.raw = [(500, b"broken")]
    refused("HTTP 500")
    assert ckan.packages == {}
    assert command("--nonsense").exit_code == 2


def test_what_the_other_side_does_not_take_is_said_field_by_field_and_the_rest_is_published(ckan: StandIn) -> None:
    ckan.before = _strict_about_permits
    said = refused(f"does not take {PERMITS}")
    assert "theme: Missing value" in said
    assert "extras.1.value: Too long" in said
    assert ckan.shown() == EVERYTHING - {PERMITS}


def _strict_about_permits(action: str, said: dict[str, Any]) -> None:
    if said.get("name") == PERMITS or (action == "package_patch" and "title" in said):
        raise invalid(theme=["Missing value"], extras=[{}, {"value": ["Too long"]}])


@pytest.mark.parametrize("written", ["sqlite"], indirect=True)
def test_an_upload_that_is_too_large_for_the_other_side_is_said(ckan: StandIn) -> None:
    def full(action: str, said: dict[str, Any]) -> None:
        if action == "resource_create":
            ckan.raw = [(413, b"<html>too large")]
            ckan.before = lambda action, said: None

    ckan.before = full
    assert "PORTAL_PUBLISH_CKAN_UPLOAD_MIB" in refused("is larger than the data portal takes", "--upload")


@pytest.mark.parametrize("written", ["sqlite"], indirect=True)
def test_a_certificate_that_is_not_trusted_is_refused_until_its_authority_is_named(
    told_once: StandIn, tmp_path: Path
) -> None:
    certificate = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with standing(context) as secure:
        refused("shows a certificate that is not trusted", "--url", secure.url)
        assert secure.asked == []
        ended = command("--url", secure.url, PORTAL_PUBLISH_CKAN_CA_FILE=str(certificate))
        assert ended.exit_code == 0, ended.stderr
        assert secure.shown() == EVERYTHING


def _certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that signed itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "both.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM) + pem)
    return folder / "both.pem"


# ---- by itself, and on the desk -------------------------------------------------------------------------------------


def planned() -> list[str]:
    with db.reading() as session:
        waiting = select(jobs.Job.id).where(jobs.Job.task == "opendata.publish_ckan", jobs.Job.state == "waiting")
        return [str(one) for one in session.scalars(waiting)]


def test_cleaning_plans_one_publication_and_it_takes_the_withdrawn_record_out_there(
    ckan: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_settings(monkeypatch, publish_ckan_upload="true")
    publish()
    with db.reading() as session:
        one = session.execute(select(PUBLISHED.c.seq, PUBLISHED.c.id).where(PUBLISHED.c.kind == "permit")).first()
    assert one is not None
    with db.writing() as session:
        publication.withdraw(session, [one.seq], "repaired")
    for _ in range(2):
        with db.writing() as session:
            jobs.add(session, "opendata.clean", [])
    for due in jobs.due():
        jobs.run(due.id)
    assert len(planned()) <= 1
    assert jobs.drain()
    assert one.id.encode() not in ckan.files[catalog.resource_id("permits", "csv")]


@pytest.mark.parametrize("written", ["sqlite"], indirect=True)
def test_a_publication_that_reached_nobody_is_tried_again_soon(ckan: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    use_settings(monkeypatch, publish_ckan_tries=1)
    ckan.raw = [(503, b"")]
    with db.writing() as session:
        jobs.add(session, "opendata.publish_ckan", [])
    assert not jobs.drain()
    assert len(planned()) == 1
    with db.writing() as session:
        session.execute(update(jobs.Job).values(due_at=db.now()))
    assert all(jobs.run(due.id) for due in jobs.due())
    assert ckan.shown() == EVERYTHING


@pytest.mark.usefixtures("written")
def test_without_an_address_nothing_is_planned() -> None:
    assert get_settings().publish_ckan_url == ""
    with db.writing() as session:
        jobs.add(session, "opendata.clean", [])
    jobs.drain()
    assert planned() == []


@pytest.mark.usefixtures("unlimited")
def test_administrators_see_on_the_desk_that_publishing_fails_and_why(
    ckan: StandIn, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_settings(monkeypatch, base_url="http://127.0.0.1:8000")
    publish()
    sign_in(client, add_officer(roles=["administrator"]))
    failing = "Failures in publishing onwards"
    assert failing not in client.get("/desk?lang=en").text
    regulator = ckan.organisations.pop("regulator")
    with db.writing() as session:
        jobs.add(session, "opendata.publish_ckan", [])
    assert jobs.drain()
    assert failing in client.get("/desk?lang=en").text
    for language, sentence in (("en", "knows no organisation regulator"), ("zh", "没有名为 regulator 的组织")):
        page = client.get(f"/desk/publishing?lang={language}").text
        assert sentence in re.sub(r"<[^>]+>", "", page)
        assert ckan.url in page
        assert TOKEN not in page
    ckan.organisations["regulator"] = regulator
    ckan.named(PERMITS)["title"] = "?"
    ckan.before = _strict_about_permits
    assert len(publish().failures) == 1
    page = client.get("/desk/publishing?lang=en").text
    assert f"does not take {PERMITS}" in page
    assert "extras.1.value" in page
    ckan.before = lambda action, said: None
    publish()
    assert failing not in client.get("/desk?lang=en").text


@pytest.mark.usefixtures("unlimited", "filled")
def test_the_desk_of_publishing_is_for_administrators(client: TestClient) -> None:
    sign_in(client, add_officer(roles=["clerk"]))
    assert client.get("/desk/publishing").status_code == 403
