"""The catalogue in RDF: DCAT-AP 3.0.1, one graph for any of its forms.

Terms come from the EU's published authority tables where there is one. What stands behind a `#` in an address belongs
to the document before it, so that no node is nameless and two documents merge into one graph without doubles.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from rdflib import Graph, Literal, Namespace, URIRef
from rdflib.namespace import DCAT, DCTERMS, FOAF, RDF, RDFS, SKOS, VCARD, XSD

from opendata import catalog, descriptors, snapshots
from opendata.models import Snapshot
from opendata.snapshots import Manifest
from portal.kit.datasets import DataSet, Names
from portal.kit.settings import get_settings

ADMS = Namespace("http://www.w3.org/ns/adms#")
DCATAP = Namespace("http://data.europa.eu/r5r/")
HYDRA = Namespace("http://www.w3.org/ns/hydra/core#")
SPDX = Namespace("http://spdx.org/rdf/terms#")
PREFIXES = {
    "adms": ADMS, "dcat": DCAT, "dcatap": DCATAP, "dct": DCTERMS, "foaf": FOAF, "hydra": HYDRA, "rdfs": RDFS,
    "skos": SKOS, "spdx": SPDX, "vcard": VCARD, "xsd": XSD,
}  # fmt: skip

_EU = "http://publications.europa.eu/resource/authority"
_IANA = "http://www.iana.org/assignments/media-types"
PROFILE = URIRef("https://semiceu.github.io/DCAT-AP/releases/3.0.1")
LICENCE = URIRef(f"{_EU}/licence/CC_BY_4_0")
PUBLIC = URIRef(f"{_EU}/access-right/PUBLIC")
DAILY = URIRef(f"{_EU}/frequency/DAILY")
CHINESE, ENGLISH = URIRef(f"{_EU}/language/ZHO"), URIRef(f"{_EU}/language/ENG")
CHINA = URIRef(f"{_EU}/country/CHN")
_CSV, _JSON = URIRef(f"{_EU}/file-type/CSV"), URIRef(f"{_EU}/file-type/JSON")
_PARQUET = URIRef(f"{_EU}/file-type/PARQUET")
_GZIP = URIRef(f"{_IANA}/application/gzip")
_SHA256 = SPDX.checksumAlgorithm_sha256
_THEMES = URIRef(f"{_EU}/data-theme")
_CONCEPTS: dict[URIRef, Names] = {
    URIRef(f"{_EU}/data-theme/GOVE"): ("政府与公共部门", "Government and public sector"),
    URIRef(f"{_EU}/data-theme/ECON"): ("经济与财政", "Economy and finance"),
}
_AVAILABLE = URIRef(f"{_EU}/planned-availability/AVAILABLE")
_LOCAL_AUTHORITY = URIRef("http://purl.org/adms/publishertype/LocalAuthority")
_MORE_CONCEPTS: dict[URIRef, Names] = {
    _AVAILABLE: ("可长期获取", "available"),
    _LOCAL_AUTHORITY: ("地方机关", "Local Authority"),
}
KEYWORD: Names = ("市场监管", "market supervision")


@dataclass(frozen=True, slots=True)
class FileForm:
    """What a form of file is called where catalogues are exchanged."""

    name: Names
    file_type: URIRef
    media_type: URIRef | None = None
    """None: IANA knows none."""
    compressed: URIRef | None = None
    conforms_to: URIRef | None = None


FILE_FORMS: dict[str, FileForm] = {
    "csv": FileForm(
        ("CSV", "CSV"), _CSV, URIRef(f"{_IANA}/text/csv"), None, URIRef("https://www.rfc-editor.org/info/rfc4180")
    ),
    "csv.gz": FileForm(
        ("CSV（gzip压缩）", "CSV, packed with gzip"), _CSV, URIRef(f"{_IANA}/text/csv"), _GZIP,
        URIRef("https://www.rfc-editor.org/info/rfc4180"),
    ),
    "jsonl": FileForm(("JSON行", "JSON lines"), _JSON, conforms_to=URIRef("https://jsonlines.org/")),
    "parquet": FileForm(
        ("Parquet", "Parquet"), _PARQUET, URIRef(f"{_IANA}/application/vnd.apache.parquet"), None,
        URIRef("https://parquet.apache.org/docs/file-format/"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Service:
    """A way to query what the catalogue holds."""

    name: str
    titles: Names
    about: Names
    endpoint: str
    description: str
    """Address of what describes it to programs."""
    conforms_to: str


CKAN = Service(
    "ckan", ("CKAN动作接口", "CKAN Action API"),
    ("按CKAN约定查询目录和各数据集的数据行。", "Catalogue and rows of each data set, asked as CKAN is asked."),
    "/api/3/action", "/api/3/action/help_show?name=datastore_search", "https://docs.ckan.org/en/2.11/api/",
)  # fmt: skip
JSON_API = Service(
    "json-api", ("JSON接口", "JSON API"),
    ("查询市场主体、公示记录及其变更，并可验证存证。", "Entities, published records and their changes, each with its proof."),
    "/api/v1", "/api/v1/openapi.json", "https://spec.openapis.org/oas/v3.1.0",
)  # fmt: skip
RECONCILIATION = Service(
    "reconciliation", ("名称匹配服务", "Reconciliation service"),
    ("把名称与统一社会信用代码对应起来，可用于OpenRefine。", "Finds the credit codes of names, from OpenRefine for one."),
    "/reconcile", "/reconcile", "https://www.w3.org/community/reports/reconciliation/CG-FINAL-specs-0.2-20230410/",
)  # fmt: skip
SERVICES = (CKAN, JSON_API, RECONCILIATION)

Shown = tuple[DataSet, tuple[Snapshot, Manifest] | None]


def catalogue_iri() -> URIRef:
    """The catalogue's name."""
    return URIRef(f"{descriptors.base()}/catalog")


def iri_of(data_set: DataSet) -> URIRef:
    """A data set's name; what stands there is its description, in the form that is asked for."""
    return URIRef(f"{descriptors.base()}/dataset/{catalog.id_of(data_set.name)}")


def service_iri(service: Service) -> URIRef:
    """A service's name."""
    return catalogue_iri() + f"#{service.name}"


def _new() -> Graph:
    graph = Graph(bind_namespaces="none")
    for prefix, namespace in PREFIXES.items():
        graph.bind(prefix, namespace)
    return graph


def _both(graph: Graph, node: URIRef, term: URIRef, names: Names) -> None:
    graph.add((node, term, Literal(names[0], lang="zh")))
    graph.add((node, term, Literal(names[1], lang="en")))


def _link(graph: Graph, node: URIRef, term: URIRef, to: URIRef, *, kind: URIRef) -> None:
    """Say what `to` is, too: the shapes ask for the kind of each node that is pointed at."""
    graph.add((node, term, to))
    graph.add((to, RDF.type, kind))


def _moment(value: datetime) -> Literal:
    return Literal(value)


def one(listed: Shown) -> Graph:
    """The description of one data set, with its record, its files, and the services that it is asked by."""
    graph = _new()
    _publisher(graph)
    services = {CKAN} | ({JSON_API} if listed[0].kind else set())
    for service in SERVICES:
        if service in services:
            _service(graph, service)
    _data_set(graph, *listed)
    _record(graph, *listed)
    return graph


def whole(listed: Sequence[Shown], *, changed_at: datetime) -> Graph:
    """The catalogue with these data sets. `changed_at`: when any of its data sets last changed."""
    graph = _new()
    me = catalogue_iri()
    graph.add((me, RDF.type, DCAT.Catalog))
    department = get_settings().department
    _both(graph, me, DCTERMS.title, (f"{department}开放数据目录", "Open data of the city's market regulator"))
    _both(graph, me, DCTERMS.description, (
        "本市市场主体登记与监管公示的全部数据集，免费使用。",
        "Every data set on the city's market entities and their supervision, free to use.",
    ))  # fmt: skip
    _publisher(graph)
    graph.add((me, DCTERMS.publisher, publisher_iri()))
    graph.add((me, DCTERMS.creator, publisher_iri()))
    graph.add((me, DCTERMS.issued, _moment(catalog.BEGINNING)))
    graph.add((me, DCTERMS.modified, _moment(changed_at)))
    _link(graph, me, FOAF.homepage, URIRef(f"{descriptors.base()}/data"), kind=FOAF.Document)
    _link(graph, me, DCTERMS.license, LICENCE, kind=DCTERMS.LicenseDocument)
    _link(graph, me, DCTERMS.spatial, CHINA, kind=DCTERMS.Location)
    for language in (CHINESE, ENGLISH):
        _link(graph, me, DCTERMS.language, language, kind=DCTERMS.LinguisticSystem)
    _link(graph, me, DCAT.themeTaxonomy, _THEMES, kind=SKOS.ConceptScheme)
    _both(graph, _THEMES, DCTERMS.title, ("数据主题", "Data theme"))
    for service in SERVICES:
        _service(graph, service)
        graph.add((me, DCAT.service, service_iri(service)))
    for each in listed:
        _data_set(graph, *each)
        graph.add((me, DCAT.dataset, iri_of(each[0])))
        graph.add((me, DCAT.record, _record(graph, *each)))
    return graph


# ---- who, and by which way ------------------------------------------------------------------------------------------


def publisher_iri() -> URIRef:
    """The department's name."""
    return catalogue_iri() + "#publisher"


def _publisher(graph: Graph) -> None:
    me, settings = publisher_iri(), get_settings()
    graph.add((me, RDF.type, FOAF.Agent))
    graph.add((me, FOAF.name, Literal(settings.department, lang="zh")))
    graph.add((me, FOAF.homepage, URIRef(f"{descriptors.base()}/")))
    _concept(graph, me, DCTERMS.type, _LOCAL_AUTHORITY)
    if settings.contact_address:
        contact = _contact_iri()
        graph.add((contact, RDF.type, VCARD.Organization))
        graph.add((contact, RDF.type, VCARD.Kind))
        graph.add((contact, VCARD.fn, Literal(settings.department, lang="zh")))
        graph.add((contact, VCARD.hasEmail, URIRef(f"mailto:{settings.contact_address}")))


def _contact_iri() -> URIRef:
    return catalogue_iri() + "#contact"


def _concept(graph: Graph, node: URIRef, term: URIRef, concept: URIRef) -> None:
    _link(graph, node, term, concept, kind=SKOS.Concept)
    _both(graph, concept, SKOS.prefLabel, (_CONCEPTS | _MORE_CONCEPTS)[concept])


def _service(graph: Graph, service: Service) -> None:
    me, base = service_iri(service), descriptors.base()
    graph.add((me, RDF.type, DCAT.DataService))
    _both(graph, me, DCTERMS.title, service.titles)
    _both(graph, me, DCTERMS.description, service.about)
    graph.add((me, DCTERMS.publisher, publisher_iri()))
    graph.add((me, DCAT.endpointURL, URIRef(base + service.endpoint)))
    graph.add((me, DCAT.endpointDescription, URIRef(base + service.description)))
    _link(graph, me, DCAT.landingPage, URIRef(f"{base}/developers"), kind=FOAF.Document)
    _link(graph, me, DCTERMS.conformsTo, URIRef(service.conforms_to), kind=DCTERMS.Standard)
    _link(graph, me, DCTERMS.license, LICENCE, kind=DCTERMS.LicenseDocument)
    _link(graph, me, DCTERMS.accessRights, PUBLIC, kind=DCTERMS.RightsStatement)
    if get_settings().contact_address:
        graph.add((me, DCAT.contactPoint, _contact_iri()))


# ---- a data set -----------------------------------------------------------------------------------------------------


def _data_set(graph: Graph, data_set: DataSet, made: tuple[Snapshot, Manifest] | None) -> None:
    me, page = iri_of(data_set), f"{descriptors.base()}/data/{data_set.name}"
    graph.add((me, RDF.type, DCAT.Dataset))
    _both(graph, me, DCTERMS.title, data_set.titles)
    _both(graph, me, DCTERMS.description, data_set.about)
    graph.add((me, DCTERMS.identifier, Literal(page)))
    _both(graph, me, DCAT.keyword, KEYWORD)
    _both(graph, me, DCAT.keyword, data_set.titles)
    graph.add((me, DCTERMS.publisher, publisher_iri()))
    graph.add((me, DCTERMS.creator, publisher_iri()))
    if get_settings().contact_address:
        graph.add((me, DCAT.contactPoint, _contact_iri()))
    for theme in _CONCEPTS:
        _concept(graph, me, DCAT.theme, theme)
    _link(graph, me, DCTERMS.language, CHINESE, kind=DCTERMS.LinguisticSystem)
    _link(graph, me, DCTERMS.accrualPeriodicity, DAILY, kind=DCTERMS.Frequency)
    _link(graph, me, DCTERMS.accessRights, PUBLIC, kind=DCTERMS.RightsStatement)
    _link(graph, me, DCTERMS.spatial, CHINA, kind=DCTERMS.Location)
    _link(graph, me, DCAT.landingPage, URIRef(page), kind=FOAF.Document)
    graph.add((me, DCTERMS.issued, _moment(catalog.BEGINNING)))
    if made is None:
        return
    _link(graph, me, FOAF.page, URIRef(f"{page}/datapackage.json"), kind=FOAF.Document)
    if data_set.kind:
        graph.add((me, DCTERMS.relation, URIRef(f"{descriptors.base()}/data/withdrawn.csv")))
    _state(graph, me, *made)
    _files(graph, data_set, *made)
    _ways_to_ask(graph, data_set)


def _state(graph: Graph, me: URIRef, snapshot: Snapshot, manifest: Manifest) -> None:
    """As of which entry of the ledger, when, and how far the rows reach."""
    graph.add((me, DCTERMS.modified, _moment(snapshot.changed_at)))
    graph.add((me, DCAT.version, Literal(str(snapshot.seq))))
    provenance = me + "#provenance"
    _link(graph, me, DCTERMS.provenance, provenance, kind=DCTERMS.ProvenanceStatement)
    _both(graph, provenance, RDFS.label, (
        f"取自公示台账，截至序号{snapshot.seq}，共{manifest.rows}行；撤下的记录在数分钟内从文件中移除。",
        f"Taken from the public ledger as of entry {snapshot.seq}, {manifest.rows} rows; "
        "what is withdrawn leaves the files within minutes.",
    ))  # fmt: skip
    if manifest.newest:
        period = me + "#period"
        _link(graph, me, DCTERMS.temporal, period, kind=DCTERMS.PeriodOfTime)
        graph.add((period, DCAT.endDate, Literal(date.fromisoformat(manifest.newest))))


def _files(graph: Graph, data_set: DataSet, snapshot: Snapshot, manifest: Manifest) -> None:
    page = f"{descriptors.base()}/data/{data_set.name}"
    for form, size in descriptors.downloads(manifest):
        sha256 = manifest.whole.get(form) or manifest.parts[0].files[form].sha256
        node = _distribution(graph, data_set, form.replace(".", "-"), f"{page}.{form}", snapshot)
        _file(graph, node, form, (data_set.titles, ("", "")), size, sha256)
    if len(manifest.parts) > 1:
        for part in manifest.parts:
            file = part.files["parquet"]
            address = f"{page}/parts/{part.name}.parquet"
            node = _distribution(graph, data_set, f"part-{part.name}", address, snapshot)
            said = (f"，分片{part.name}", f", part {part.name}")
            _file(graph, node, "parquet", (data_set.titles, said), file.size, file.sha256)


def _distribution(graph: Graph, data_set: DataSet, name: str, address: str, snapshot: Snapshot) -> URIRef:
    node = iri_of(data_set) + f"#{name}"
    graph.add((iri_of(data_set), DCAT.distribution, node))
    graph.add((node, RDF.type, DCAT.Distribution))
    graph.add((node, DCAT.accessURL, URIRef(address)))
    graph.add((node, DCAT.downloadURL, URIRef(address)))
    graph.add((node, DCTERMS.issued, _moment(snapshot.made_at)))
    graph.add((node, DCTERMS.modified, _moment(snapshot.changed_at)))
    _licensed(graph, node)
    return node


def _licensed(graph: Graph, node: URIRef) -> None:
    _link(graph, node, DCTERMS.license, LICENCE, kind=DCTERMS.LicenseDocument)
    _concept(graph, node, DCATAP.availability, _AVAILABLE)


def _file(graph: Graph, node: URIRef, form: str, titles: tuple[Names, Names], size: int | None, sha256: str) -> None:
    known = FILE_FORMS[form]
    first, rest = titles
    _both(graph, node, DCTERMS.title, (
        f"{first[0]}（{known.name[0]}{rest[0]}）", f"{first[1]} ({known.name[1]}{rest[1]})",
    ))  # fmt: skip
    _link(graph, node, DCTERMS.language, CHINESE, kind=DCTERMS.LinguisticSystem)
    _link(graph, node, DCTERMS.format, known.file_type, kind=DCTERMS.MediaTypeOrExtent)
    if known.media_type:
        _link(graph, node, DCAT.mediaType, known.media_type, kind=DCTERMS.MediaType)
    if known.compressed:
        _link(graph, node, DCAT.compressFormat, known.compressed, kind=DCTERMS.MediaType)
    if known.conforms_to:
        _link(graph, node, DCTERMS.conformsTo, known.conforms_to, kind=DCTERMS.Standard)
    if size is not None:
        graph.add((node, DCAT.byteSize, Literal(size, datatype=XSD.nonNegativeInteger)))
    checksum = node + "-checksum"
    _link(graph, node, SPDX.checksum, checksum, kind=SPDX.Checksum)
    _link(graph, checksum, SPDX.algorithm, _SHA256, kind=SPDX.ChecksumAlgorithm)
    graph.add((checksum, SPDX.checksumValue, Literal(sha256, datatype=XSD.hexBinary)))


def _ways_to_ask(graph: Graph, data_set: DataSet) -> None:
    """The services as distributions, so that who holds a data set's description finds them."""
    resource = catalog.resource_id(data_set.name, catalog.DATASTORE_FORM)
    asked = [(CKAN, f"/api/3/action/datastore_search?resource_id={resource}")]
    if data_set.kind:
        asked.append((JSON_API, "/api/v1/changes"))
    for service, address in asked:
        node = iri_of(data_set) + f"#{service.name}"
        graph.add((iri_of(data_set), DCAT.distribution, node))
        graph.add((node, RDF.type, DCAT.Distribution))
        _both(graph, node, DCTERMS.title, (
            f"{data_set.titles[0]}（{service.titles[0]}）", f"{data_set.titles[1]} ({service.titles[1]})",
        ))  # fmt: skip
        graph.add((node, DCAT.accessURL, URIRef(descriptors.base() + address)))
        graph.add((node, DCAT.accessService, service_iri(service)))
        graph.add((service_iri(service), DCAT.servesDataset, iri_of(data_set)))
        _link(graph, node, DCTERMS.format, _JSON, kind=DCTERMS.MediaTypeOrExtent)
        _licensed(graph, node)


def _record(graph: Graph, data_set: DataSet, made: tuple[Snapshot, Manifest] | None) -> URIRef:
    """The catalogue's record of a data set."""
    record = iri_of(data_set) + "#record"
    graph.add((record, RDF.type, DCAT.CatalogRecord))
    graph.add((record, FOAF.primaryTopic, iri_of(data_set)))
    graph.add((record, DCTERMS.issued, _moment(catalog.BEGINNING)))
    graph.add((record, DCTERMS.modified, _moment(made[0].changed_at if made else catalog.BEGINNING)))
    _link(graph, record, DCTERMS.conformsTo, PROFILE, kind=DCTERMS.Standard)
    for language in (CHINESE, ENGLISH):
        _link(graph, record, DCTERMS.language, language, kind=DCTERMS.LinguisticSystem)
    return record


# ---- pages ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of the catalogue this is, and where the others are."""

    me: str
    first: str
    last: str
    previous: str | None
    next: str | None
    items: int
    a_page: int


def paged(graph: Graph, paging: Paging) -> None:
    """Say where the other pages are, in Hydra's words of today and in the older ones that harvesters still read."""
    me = URIRef(paging.me)
    for kind in (HYDRA.PagedCollection, HYDRA.PartialCollectionView):
        graph.add((me, RDF.type, kind))
    graph.add((catalogue_iri(), HYDRA.view, me))
    links: Iterable[tuple[str, str | None]] = (
        ("first", paging.first), ("last", paging.last), ("previous", paging.previous), ("next", paging.next)
    )  # fmt: skip
    for name, address in links:
        if address:
            graph.add((me, HYDRA[name], URIRef(address)))
            graph.add((me, HYDRA[f"{name}Page"], Literal(address)))
    graph.add((me, HYDRA.totalItems, Literal(paging.items)))
    graph.add((me, HYDRA.itemsPerPage, Literal(paging.a_page)))
