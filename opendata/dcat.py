"""The catalogue in RDF: DCAT-AP 3.0.1, one graph for any of its forms.

Terms come from the EU's published authority tables where there is one. What stands behind a `#` in an address belongs
to the document before it, so that no node is nameless and two documents merge into one graph without doubles.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from rdflib import Graph, Literal, URIRef
from rdflib.namespace import DCTERMS, FOAF, RDF, RDFS, SKOS, XSD

from opendata import catalog, descriptors
from opendata.dcat_terms import (
    AVAILABLE,
    CHINA,
    CHINESE,
    CKAN,
    CONCEPTS,
    DAILY,
    DCAT,
    DCATAP,
    ENGLISH,
    FILE_FORMS,
    HYDRA,
    JSON,
    JSON_API,
    KEYWORD,
    LICENCE,
    LOCAL_AUTHORITY,
    PREFIXES,
    PROFILE,
    PUBLIC,
    SERVICES,
    SHA256,
    SPDX,
    THEME_SCHEME,
    THEMES,
    VCARD,
    Service,
)
from opendata.models import Snapshot
from opendata.snapshots import Manifest
from portal.kit.datasets import DataSet, Names
from portal.kit.settings import get_settings

Shown = tuple[DataSet, tuple[Snapshot, Manifest] | None]


@dataclass(frozen=True, slots=True)
class Download:
    """One file of a data set."""

    name: str
    """Behind the `#` of the data set's name."""
    form: str
    address: str
    size: int | None
    sha256: str | None
    part: str | None = None
    """The part that it holds; None: all rows."""


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


def _moment(value: datetime) -> Literal:
    return Literal(value.astimezone(UTC))


def _both(graph: Graph, node: URIRef, term: URIRef, names: Names) -> None:
    graph.add((node, term, Literal(names[0], lang="zh")))
    graph.add((node, term, Literal(names[1], lang="en")))


def _link(graph: Graph, node: URIRef, term: URIRef, to: URIRef, *, kind: URIRef) -> None:
    """Say what `to` is, too: the shapes ask for the kind of each node that is pointed at."""
    graph.add((node, term, to))
    graph.add((to, RDF.type, kind))


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
    _link(graph, me, DCAT.themeTaxonomy, THEME_SCHEME, kind=SKOS.ConceptScheme)
    _both(graph, THEME_SCHEME, DCTERMS.title, ("数据主题", "Data theme"))
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
    _concept(graph, me, DCTERMS.type, LOCAL_AUTHORITY)
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
    _both(graph, concept, SKOS.prefLabel, CONCEPTS[concept])


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
    for kind in (DCAT.Dataset, DCAT.Resource):  # the shapes ask for the latter of what a record is about
        graph.add((me, RDF.type, kind))
    _both(graph, me, DCTERMS.title, data_set.titles)
    _both(graph, me, DCTERMS.description, data_set.about)
    graph.add((me, DCTERMS.identifier, Literal(page)))
    _both(graph, me, DCAT.keyword, KEYWORD)
    _both(graph, me, DCAT.keyword, data_set.titles)
    graph.add((me, DCTERMS.publisher, publisher_iri()))
    graph.add((me, DCTERMS.creator, publisher_iri()))
    if get_settings().contact_address:
        graph.add((me, DCAT.contactPoint, _contact_iri()))
    for theme in THEMES:
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
    for file in downloads(data_set, made[1]):
        _file(graph, data_set, made[0], file)
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


def downloads(data_set: DataSet, manifest: Manifest) -> list[Download]:
    """All its files: the whole in each form, and where the whole has many parts, each as Parquet."""
    page = f"{descriptors.base()}/data/{data_set.name}"
    found = [
        Download(form.replace(".", "-"), form, f"{page}.{form}", file.size, file.sha256)
        for form, file in descriptors.downloads(manifest).items()
    ]
    for each in manifest.parts if len(manifest.parts) > 1 else ():
        file, address = each.files["parquet"], f"{page}/parts/{each.name}.parquet"
        found.append(Download(f"part-{each.name}", "parquet", address, file.size, file.sha256, each.name))
    return found


def _file(graph: Graph, data_set: DataSet, snapshot: Snapshot, file: Download) -> None:
    node, form = iri_of(data_set) + f"#{file.name}", FILE_FORMS[file.form]
    graph.add((iri_of(data_set), DCAT.distribution, node))
    graph.add((node, RDF.type, DCAT.Distribution))
    part = (f"，分片{file.part}", f", part {file.part}") if file.part else ("", "")
    _both(graph, node, DCTERMS.title, (
        f"{data_set.titles[0]}（{form.name[0]}{part[0]}）", f"{data_set.titles[1]} ({form.name[1]}{part[1]})",
    ))  # fmt: skip
    graph.add((node, DCAT.accessURL, URIRef(file.address)))
    graph.add((node, DCAT.downloadURL, URIRef(file.address)))
    graph.add((node, DCTERMS.issued, _moment(snapshot.made_at)))
    graph.add((node, DCTERMS.modified, _moment(snapshot.changed_at)))
    _licensed(graph, node)
    _link(graph, node, DCTERMS.language, CHINESE, kind=DCTERMS.LinguisticSystem)
    _link(graph, node, DCTERMS.format, form.file_type, kind=DCTERMS.MediaTypeOrExtent)
    if form.media_type:
        _link(graph, node, DCAT.mediaType, form.media_type, kind=DCTERMS.MediaType)
    if form.compressed:
        _link(graph, node, DCAT.compressFormat, form.compressed, kind=DCTERMS.MediaType)
    if form.conforms_to:
        _link(graph, node, DCTERMS.conformsTo, form.conforms_to, kind=DCTERMS.Standard)
    if file.size is not None:
        graph.add((node, DCAT.byteSize, Literal(file.size, datatype=XSD.nonNegativeInteger)))
    if file.sha256:
        checksum = node + "-checksum"
        _link(graph, node, SPDX.checksum, checksum, kind=SPDX.Checksum)
        _link(graph, checksum, SPDX.algorithm, SHA256, kind=SPDX.ChecksumAlgorithm)
        graph.add((checksum, SPDX.checksumValue, Literal(file.sha256, datatype=XSD.hexBinary)))


def _licensed(graph: Graph, node: URIRef) -> None:
    _link(graph, node, DCTERMS.license, LICENCE, kind=DCTERMS.LicenseDocument)
    _concept(graph, node, DCATAP.availability, AVAILABLE)


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
        _link(graph, node, DCTERMS.format, JSON, kind=DCTERMS.MediaTypeOrExtent)
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
