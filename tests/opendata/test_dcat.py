"""Harvesters read the catalogue as RDF in any form, page by page; it is what DCAT-AP, DCAT-US and Google ask for."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pyshacl
import pytest
from fastapi.testclient import TestClient
from rdflib import RDF, Graph, Literal, Namespace, URIRef
from rdflib.compare import isomorphic
from rdflib.namespace import DCTERMS, FOAF

from opendata import catalog, snapshots
from opendata.harvesting import Kept
from portal.kit import datasets, db
from portal.kit.datasets import Column, DataSet
from portal.kit.settings import get_settings
from record import publication
from record.models import KindSwitch
from record.publication import PUBLISHED

pytestmark = [
    pytest.mark.usefixtures("unlimited"),
    # rdflib's own reader of JSON-LD, and pyshacl, call what rdflib 7.6 calls old
    pytest.mark.filterwarnings("ignore:(Dataset.default_context|ConjunctiveGraph) is deprecated:DeprecationWarning"),
]

DCAT = Namespace("http://www.w3.org/ns/dcat#")
HYDRA = Namespace("http://www.w3.org/ns/hydra/core#")
SPDX = Namespace("http://spdx.org/rdf/terms#")
SHAPES = Path(__file__).parent / "shapes" / "dcat-ap.ttl"
READERS = {"ttl": "turtle", "rdf": "xml", "xml": "xml", "n3": "n3", "jsonld": "json-ld"}
MEDIA_TYPES = {
    "ttl": "text/turtle", "rdf": "application/rdf+xml", "xml": "application/rdf+xml", "n3": "text/n3", "jsonld":
    "application/ld+json",
}  # fmt: skip


def read(client: TestClient, address: str) -> Graph:
    """What stands at an address that ends in a form, as a graph."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    ending = address.partition("?")[0].rpartition(".")[2]
    assert answer.headers["content-type"].partition(";")[0] == MEDIA_TYPES[ending]
    return Graph().parse(data=answer.content, format=READERS[ending])


def without_pages(graph: Graph) -> Graph:
    """Without the links to other pages, which differ by form."""
    kept = Graph()
    for triple in graph:
        if not any(str(term).startswith(str(HYDRA)) for term in triple):
            kept.add(triple)
    return kept


def iri(name: str) -> URIRef:
    return URIRef(f"{get_settings().base_url}/dataset/{catalog.id_of(name)}")


@pytest.fixture
def contact(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A portal whose operator named an address for questions."""
    monkeypatch.setenv("PORTAL_CONTACT_ADDRESS", "opendata@scjg.example.org")
    get_settings.cache_clear()
    yield "opendata@scjg.example.org"
    get_settings.cache_clear()


# ---- what it says ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("written")
def test_every_form_is_the_same_graph(client: TestClient) -> None:
    whole = without_pages(read(client, "/catalog.ttl"))
    assert set(whole.objects(None, DCAT.dataset)) == {iri(name) for name in datasets.offered()}
    one = read(client, "/dataset/penalties.ttl")
    for ending in READERS:
        assert isomorphic(without_pages(read(client, f"/catalog.{ending}")), whole)
        assert isomorphic(read(client, f"/dataset/penalties.{ending}"), one)
        assert isomorphic(read(client, f"/dataset/{catalog.id_of('penalties')}.{ending}"), one)
    assert all(triple in whole for triple in one if triple[1] != DCAT.servesDataset)


@pytest.mark.usefixtures("written", "contact")
def test_catalogue_and_data_sets_fulfil_dcat_ap(client: TestClient) -> None:
    for address in ("/catalog.ttl", *(f"/dataset/{name}.ttl" for name in datasets.offered())):
        fulfilled, _, said = pyshacl.validate(read(client, address), shacl_graph=str(SHAPES))
        assert fulfilled, said


@pytest.mark.usefixtures("written")
def test_the_shapes_notice_what_is_missing(client: TestClient) -> None:
    whole, shapes = read(client, "/dataset/penalties.ttl"), Graph().parse(SHAPES)
    for term in (DCTERMS.title, DCTERMS.description, DCAT.accessURL, DCAT.endpointURL, FOAF.name, SPDX.checksumValue,
                 SPDX.algorithm, FOAF.primaryTopic):  # fmt: skip
        broken = Graph()
        for triple in whole:
            if triple[1] != term:
                broken.add(triple)
        assert len(broken) < len(whole)
        assert pyshacl.validate(broken, shacl_graph=shapes)[0] is False, term


@pytest.mark.usefixtures("written", "contact")
def test_a_data_set_is_described_in_both_languages_and_the_eus_terms(client: TestClient) -> None:
    graph, me = read(client, "/dataset/penalties.ttl"), iri("penalties")
    offered = datasets.offered()["penalties"]
    with db.reading() as session:
        made = snapshots.of(session, "penalties")
    assert made is not None
    snapshot, manifest = made
    titles = {(str(one), one.language) for one in graph.objects(me, DCTERMS.title) if isinstance(one, Literal)}
    assert titles == {(offered.titles[0], "zh"), (offered.titles[1], "en")}
    eu = "http://publications.europa.eu/resource/authority"
    assert graph.value(me, DCTERMS.accrualPeriodicity) == URIRef(f"{eu}/frequency/DAILY")
    assert graph.value(me, DCTERMS.accessRights) == URIRef(f"{eu}/access-right/PUBLIC")
    assert set(graph.objects(me, DCAT.theme)) == {URIRef(f"{eu}/data-theme/{one}") for one in ("GOVE", "ECON")}
    assert graph.value(me, DCAT.version) == Literal(str(snapshot.seq))
    modified = graph.value(me, DCTERMS.modified)
    assert isinstance(modified, Literal)
    assert modified.toPython() == snapshot.changed_at
    contact = graph.value(me, DCAT.contactPoint)
    assert graph.value(contact, URIRef("http://www.w3.org/2006/vcard/ns#hasEmail")) == URIRef(
        "mailto:opendata@scjg.example.org"
    )
    csv = me + "#csv"
    assert graph.value(csv, DCTERMS.license) == URIRef(f"{eu}/licence/CC_BY_4_0")
    assert graph.value(csv, DCTERMS.format) == URIRef(f"{eu}/file-type/CSV")
    assert (
        graph.value(graph.value(csv, SPDX.checksum), SPDX.checksumValue, default=Literal("")).lower()
        == (manifest.whole["csv"])
    )
    assert graph.value(me + "#csv-gz", DCAT.compressFormat) is not None
    assert graph.value(me + "#ckan", DCAT.accessService) == URIRef(f"{get_settings().base_url}/catalog#ckan")


@pytest.mark.usefixtures("written")
def test_every_file_that_is_named_is_there_with_the_bytes_that_were_said(client: TestClient) -> None:
    graph = read(client, "/catalog.ttl")
    files = list(graph.subject_objects(DCAT.downloadURL))
    assert len({address for _, address in files}) == len(files) > 3 * len(datasets.offered())
    for node, address in files:
        answer = client.get(str(address).removeprefix(get_settings().base_url), headers={"accept-encoding": "identity"})
        assert answer.status_code == 200, address
        assert graph.value(node, DCAT.byteSize) == Literal(
            str(len(answer.content)), datatype=URIRef("http://www.w3.org/2001/XMLSchema#nonNegativeInteger")
        )
    for term in (DCAT.landingPage, DCAT.endpointDescription, FOAF.page, FOAF.homepage):
        for address in set(graph.objects(None, term)):
            path = str(address).removeprefix(get_settings().base_url)
            assert client.get(path).status_code == 200, address
    parts = [node for node, _ in files if "#part-" in str(node)]
    assert parts, "a data set in several parts names them"


@pytest.mark.usefixtures("written")
def test_nobody_is_named_whom_the_operator_did_not_name(client: TestClient) -> None:
    text = client.get("/catalog.ttl").text
    assert "mailto:" not in text
    assert "vcard:fn" not in text
    assert "contactPoint" not in client.get("/data.json").text


@pytest.mark.usefixtures("written")
def test_a_kind_that_is_switched_off_is_nowhere_and_what_was_kept_is_not_served(client: TestClient) -> None:
    before = client.get("/catalog.ttl")
    assert str(iri("penalties")) in before.text
    kept = client.get("/dataset/penalties.ttl")
    switch_off("penalty")
    again = client.get("/catalog.ttl", headers={"if-none-match": before.headers["etag"]})
    assert again.status_code == 200
    for address in ("/catalog.ttl", "/catalog.rdf", "/catalog.jsonld?q=行政处罚", "/data.json", "/data"):
        text = client.get(address).text
        assert str(iri("penalties")) not in text
        assert "/data/penalties" not in text
    for address in ("/dataset/penalties.ttl", f"/dataset/{catalog.id_of('penalties')}.rdf", "/data/penalties"):
        known = {"if-none-match": kept.headers["etag"]}
        assert client.get(address, headers=known).status_code == 404


def switch_off(kind: str) -> None:
    with db.writing() as session:
        session.add(KindSwitch(kind=kind, public_here=False, since=publication.today(), because="test"))


# ---- asking for it --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("written")
def test_who_accepts_a_form_gets_it_and_people_are_sent_to_the_page(client: TestClient) -> None:
    def asked(path: str, accept: str) -> Any:
        return client.get(path, headers={"accept": accept}, follow_redirects=False)

    for ending in ("ttl", "rdf", "n3", "jsonld"):
        answer = asked("/catalog", MEDIA_TYPES[ending])
        assert answer.content == client.get(f"/catalog.{ending}").content
        assert "Accept" in answer.headers["vary"]
        assert asked("/dataset/permits", f"{MEDIA_TYPES[ending]};q=0.9, text/html;q=0.5").content == (
            client.get(f"/dataset/permits.{ending}").content
        )
    for accept in ("text/html,application/xhtml+xml,*/*;q=0.8", "*/*", ""):
        assert asked("/catalog", accept).headers["location"] == "/data"
        by_id = asked(f"/dataset/{catalog.id_of('permits')}", accept)
        assert (by_id.status_code, by_id.headers["location"]) == (303, "/data/permits")
    assert asked("/catalog", "image/png").status_code == 406
    assert asked("/catalog", "text/turtle;q=0, image/png").status_code == 406


@pytest.mark.usefixtures("written")
def test_nothing_is_sent_twice_until_a_file_changes(client: TestClient) -> None:
    for address in ("/catalog.ttl", "/catalog.jsonld?q=处罚", "/dataset/permits.rdf", "/data.json"):
        first = client.get(address)
        assert first.headers["last-modified"].endswith("GMT")
        again = client.get(address, headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
    before = client.get("/dataset/permits.rdf")
    with db.reading() as session:
        entry = session.execute(PUBLISHED.select().where(PUBLISHED.c.kind == "permit").limit(1)).one()
    with db.writing() as session:
        publication.withdraw(session, [entry.seq], "repaired")
    snapshots.clean()
    after = client.get("/dataset/permits.rdf", headers={"if-none-match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.content != before.content


@pytest.mark.usefixtures("written")
def test_many_harvesters_at_once_read_the_same_catalogue(client: TestClient) -> None:
    questions = ["/catalog.ttl", "/catalog.rdf", "/data.json", "/catalog.ttl?q=行政处罚"] * 6
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda address: client.get(address).content, questions))
    for address in questions:
        assert len({answer for asked, answer in zip(questions, answers, strict=True) if asked == address}) == 1


def test_what_is_kept_never_outgrows_its_bound() -> None:
    kept, made = Kept(10_000), []

    def make() -> bytes:
        made.append(1)
        return b"x" * 3_000

    for question in range(100):
        assert len(kept.get((str(question),), make)) == 3_000
    assert kept.get(("99",), make)
    assert len(made) == 100
    assert kept.get(("1",), make), "given up long ago, and made again"
    assert len(made) == 101
    assert kept.get(("huge",), lambda: b"x" * 50_000), "served though it cannot be kept"


@pytest.mark.usefixtures("written")
def test_what_cannot_be_answered_is_refused_with_what_to_do(client: TestClient) -> None:
    def refused(address: str, status: int) -> str:
        answer = client.get(address, headers={"accept": "application/json"})
        assert answer.status_code == status, address
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["remedy"]
        return answer.text

    assert ".jsonld" in refused("/catalog.exe", 404)
    refused("/dataset/penalties.exe", 404)
    refused("/dataset/nothing-here.ttl", 404)
    assert "1" in refused("/catalog.ttl?page=2", 404)
    for wrong in ("page=0", "page=x", "page=99999999", "modified_since=gestern", "modified_since=2026-13-01",
                  "profiles=schemaorg", "q=" + "a" * 2_000, "&".join(["fq=a:b"] * 30)):  # fmt: skip
        refused(f"/catalog.ttl?{wrong}", 422)
    assert "2026-01-31" in refused("/catalog.ttl?modified_since=0", 422)
    assert client.get("/catalog.ttl?profiles=euro_dcat_ap_3").status_code == 200


@pytest.mark.usefixtures("written")
def test_only_what_was_changed_or_answers_is_listed(client: TestClient) -> None:
    def listed(query: str) -> set[Any]:
        return set(read(client, f"/catalog.ttl?{query}").objects(None, DCAT.dataset))

    everything = {iri(name) for name in datasets.offered()}
    assert listed("modified_since=2025-01-01") == everything
    with db.reading() as session:
        newest = max(snapshot.changed_at for snapshot, _ in snapshots.all_of(session).values())
    assert listed(f"modified_since={quote((newest + timedelta(seconds=1)).isoformat())}") == set()
    east = (newest + timedelta(hours=8, seconds=1)).replace(tzinfo=None).isoformat()
    assert listed(f"modified_since={east}+08:00") == set()  # as people write it: the plus arrives as a space
    assert listed("q=行政处罚") == {iri("penalties")}
    assert listed("fq=name:permits") == {iri("permits")}
    assert listed("fq=-name:permits") == everything - {iri("permits")}
    assert listed("fq=tags:market-supervision&fq=name:permits") == {iri("permits")}


# ---- pages ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def large(database: str) -> Iterator[int]:
    """A catalogue of 230 data sets."""
    kept, known = dict(datasets.offered()), datasets.offered()
    assert isinstance(known, dict)
    known.clear()
    for number in range(230):
        name = f"set-{number:03d}"
        column = Column("id", "text", ("标识", "Id"))
        datasets.offer(DataSet(name, (name, name), (name, name), (column,), lambda session: iter(()), key="id"))
    yield 230
    known.clear()
    known.update(kept)


@pytest.mark.parametrize("ending", ["ttl", "rdf"])
def test_a_harvester_follows_hydra_to_every_data_set_once(client: TestClient, large: int, ending: str) -> None:
    found: list[Any] = []
    at: str | None = f"/catalog.{ending}?q=set&modified_since=2020-01-01"
    for _ in range(10):
        if at is None:
            break
        graph = read(client, at.removeprefix(get_settings().base_url))
        found += graph.objects(None, DCAT.dataset)
        page = graph.value(None, RDF.type, HYDRA.PagedCollection)
        assert page == graph.value(None, RDF.type, HYDRA.PartialCollectionView)
        assert graph.value(page, HYDRA.totalItems) == Literal(large)
        assert "page=3" in str(graph.value(page, HYDRA.last))
        following = graph.value(page, HYDRA.next)
        assert (following and str(following)) == (following and str(graph.value(page, HYDRA.nextPage)))
        at = str(following) if following else None
    assert len(found) == len(set(found)) == large
    assert client.get(f"/catalog.{ending}?page=4").status_code == 404


# ---- DCAT-US and schema.org -----------------------------------------------------------------------------------------

_TEXT = {"type": "string", "minLength": 1}
_ADDRESS = {"type": "string", "pattern": "^https?://"}
PROJECT_OPEN_DATA: dict[str, Any] = {
    "type": "object", "required": ["conformsTo", "dataset"], "properties": {
        "conformsTo": {"const": "https://project-open-data.cio.gov/v1.1/schema"},
        "dataset": {"type": "array", "minItems": 1, "items": {
            "type": "object", "required": [
                "title", "description", "keyword", "modified", "publisher", "contactPoint", "identifier",
                "accessLevel"],
            "properties": {
                "title": _TEXT, "description": _TEXT, "identifier": _TEXT,
                "keyword": {"type": "array", "minItems": 1, "items": _TEXT},
                "modified": {"pattern": r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z)?$"},
                "publisher": {"type": "object", "required": ["name"]},
                "contactPoint": {"type": "object", "required": ["fn", "hasEmail"], "properties": {
                    "@type": {"const": "vcard:Contact"}, "fn": _TEXT,
                    "hasEmail": {"pattern": r"^mailto:[\w.-]+@[\w.-]+\.[\w.-]+$"}}},
                "accessLevel": {"enum": ["public", "restricted public", "non-public"]},
                "accrualPeriodicity": {"pattern": r"^(irregular|R/P\d+[YMWD])$"},
                "license": _ADDRESS, "landingPage": _ADDRESS, "describedBy": _ADDRESS,
                "distribution": {"type": "array", "items": {
                    "type": "object", "required": ["@type", "downloadURL", "mediaType"], "properties": {
                        "@type": {"const": "dcat:Distribution"}, "downloadURL": _ADDRESS,
                        "mediaType": {"pattern": r"^[a-z]+/[a-z0-9.+-]+$"}}}},
            }}}}}  # fmt: skip
"""What version 1.1 asks of those who are not federal, written down from its schema."""


@pytest.mark.usefixtures("written", "contact")
def test_data_json_fulfils_project_open_data(client: TestClient) -> None:
    document = client.get("/data.json").json()
    jsonschema.validate(document, PROJECT_OPEN_DATA)
    assert {one["identifier"].rpartition("/")[2] for one in document["dataset"]} == set(datasets.offered())


class Head(HTMLParser):
    """The links and the data in a page's head."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: dict[str, str] = {}
        self.data: list[Any] = []
        self._in_data = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "link" and said.get("rel") == "alternate" and said.get("type"):
            self.links[str(said["type"])] = str(said["href"])
        self._in_data = tag == "script" and said.get("type") == "application/ld+json"

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data.append(json.loads(data))
            self._in_data = False


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_page_links_its_other_forms_and_holds_what_search_engines_ask_for(client: TestClient, language: str) -> None:
    for name, offered in datasets.offered().items():
        head = Head(client.get(f"/data/{name}?lang={language}").text)
        for form in ("text/turtle", "application/rdf+xml", "application/ld+json", "application/json"):
            assert client.get(head.links[form]).status_code == 200
        (said,) = head.data
        assert (said["@type"], said["name"]) == ("Dataset", offered.titles[language == "en"])
        assert 50 <= len(said["description"]) <= 5_000
        assert said["license"].startswith("https://creativecommons.org/")
        assert said["creator"]["name"]
        assert said["isAccessibleForFree"] is True
        assert all(re.match(r"https?://", one["contentUrl"]) for one in said["distribution"])
    head = Head(client.get(f"/data?lang={language}").text)
    assert {one["url"].rpartition("/")[2] for one in head.data[0]["dataset"]} == set(datasets.offered())
    assert client.get(head.links["text/turtle"]).status_code == 200


def test_no_title_breaks_out_of_a_page_or_of_the_rdf(database: str, client: TestClient) -> None:
    evil = '</script><script>alert(1)</script> "quoted" \\ <&> ]]> \u2028 @en'
    kept, known = dict(datasets.offered()), datasets.offered()
    assert isinstance(known, dict)
    column = Column("id", "text", (evil, evil))
    datasets.offer(DataSet("evil", (evil, evil), (evil, evil), (column,), lambda session: iter(()), key="id"))
    try:
        for page in ("/data", "/data/evil"):
            html = client.get(page).text
            assert "<script>alert" not in html
            assert evil in json.dumps(Head(html).data, ensure_ascii=False).replace("\\\\", "\\").replace('\\"', '"')
        for ending in READERS:
            titles = read(client, f"/dataset/evil.{ending}").objects(iri("evil"), DCTERMS.title)
            assert {str(one) for one in titles} == {evil}
    finally:
        known.clear()
        known.update(kept)
