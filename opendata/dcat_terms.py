"""The words in which catalogues are exchanged: namespaces, the EU's authority tables, forms of files, services."""

from dataclasses import dataclass

from rdflib import Namespace, URIRef
from rdflib.namespace import DCTERMS, FOAF, RDFS, SKOS, XSD

from portal.kit.datasets import Names

DCAT = Namespace("http://www.w3.org/ns/dcat#")
"""Open, for rdflib's own lacks what DCAT 3 brought."""
ADMS = Namespace("http://www.w3.org/ns/adms#")
VCARD = Namespace("http://www.w3.org/2006/vcard/ns#")
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
_CSV, JSON = URIRef(f"{_EU}/file-type/CSV"), URIRef(f"{_EU}/file-type/JSON")
_PARQUET = URIRef(f"{_EU}/file-type/PARQUET")
_GZIP = URIRef(f"{_IANA}/application/gzip")
SHA256 = SPDX.checksumAlgorithm_sha256
THEME_SCHEME = URIRef(f"{_EU}/data-theme")
THEMES: dict[URIRef, Names] = {
    URIRef(f"{_EU}/data-theme/GOVE"): ("政府与公共部门", "Government and public sector"),
    URIRef(f"{_EU}/data-theme/ECON"): ("经济与财政", "Economy and finance"),
}
AVAILABLE = URIRef(f"{_EU}/planned-availability/AVAILABLE")
LOCAL_AUTHORITY = URIRef("http://purl.org/adms/publishertype/LocalAuthority")
CONCEPTS: dict[URIRef, Names] = {
    **THEMES,
    AVAILABLE: ("可长期获取", "available"),
    LOCAL_AUTHORITY: ("地方机关", "Local Authority"),
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
        ("CSV，gzip压缩", "CSV, packed with gzip"), _CSV, URIRef(f"{_IANA}/text/csv"), _GZIP,
        URIRef("https://www.rfc-editor.org/info/rfc4180"),
    ),
    "jsonl": FileForm(("JSON行", "JSON lines"), JSON, conforms_to=URIRef("https://jsonlines.org/")),
    "parquet": FileForm(
        ("Parquet", "Parquet"), _PARQUET, URIRef(f"{_IANA}/application/vnd.apache.parquet"), None,
        URIRef("https://parquet.apache.org/docs/file-format/"),
    ),
    "xlsx": FileForm(
        ("Excel工作簿", "Excel workbook"), URIRef(f"{_EU}/file-type/XLSX"),
        URIRef(f"{_IANA}/application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
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
    ("查询市场主体、公示记录及其变更，并可验证存证。", "Entities, records and their changes, each with its proof."),
    "/api/v1", "/api/v1/openapi.json", "https://spec.openapis.org/oas/v3.1.0",
)  # fmt: skip
RECONCILIATION = Service(
    "reconciliation", ("名称匹配服务", "Reconciliation service"),
    ("把名称与统一社会信用代码对应起来，可用于OpenRefine。", "Finds the credit codes of names, also from OpenRefine."),
    "/reconcile", "/reconcile", "https://www.w3.org/community/reports/reconciliation/CG-FINAL-specs-0.2-20230410/",
)  # fmt: skip
SERVICES = (CKAN, JSON_API, RECONCILIATION)
