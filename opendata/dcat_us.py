"""The catalogue as `/data.json`: Project Open Data's metadata 1.1, which DCAT-US 3.0's one obligation fulfils too."""

from collections.abc import Iterable
from typing import Any

from opendata import catalog, dcat, descriptors
from opendata.dcat import Download, Shown
from opendata.dcat_terms import FILE_FORMS, KEYWORD
from opendata.models import Snapshot
from opendata.snapshots import MEDIA_TYPES, Manifest
from portal.kit.datasets import DataSet
from portal.kit.settings import get_settings
from portal.kit.shapes import moment

_SCHEMA = "https://project-open-data.cio.gov/v1.1/schema"


def document(listed: Iterable[Shown]) -> dict[str, Any]:
    """All data sets. Without PORTAL_CONTACT_ADDRESS there is no contact in it, which 1.1 asks for."""
    return {
        "@context": f"{_SCHEMA}/catalog.jsonld",
        "@id": f"{descriptors.base()}/data.json",
        "@type": "dcat:Catalog",
        "conformsTo": _SCHEMA,
        "describedBy": f"{_SCHEMA}/catalog.json",
        "dataset": [_data_set(*one) for one in listed],
    }


def _data_set(data_set: DataSet, made: tuple[Snapshot, Manifest] | None) -> dict[str, Any]:
    settings = get_settings()
    page = f"{descriptors.base()}/data/{data_set.name}"
    said: dict[str, Any] = {
        "@type": "dcat:Dataset", "title": " / ".join(data_set.titles), "description": "\n\n".join(data_set.about),
        "keyword": list(dict.fromkeys([*KEYWORD, *data_set.titles])), "modified":
        moment(made[0].changed_at if made else catalog.BEGINNING), "issued": moment(catalog.BEGINNING), "publisher":
        {"@type": "org:Organization", "name": settings.department}, "identifier": page, "accessLevel": "public",
        "license": descriptors.LICENCE["path"], "accrualPeriodicity": "R/P1D", "language": ["zh"], "landingPage": page,
        "theme": ["GOVE", "ECON"],
    }  # fmt: skip
    if settings.contact_address:
        said["contactPoint"] = {
            "@type": "vcard:Contact", "fn": settings.department, "hasEmail": f"mailto:{settings.contact_address}"
        }  # fmt: skip
    if made:
        said |= {
            "describedBy": f"{page}/datapackage.json", "describedByType": "application/json", "distribution":
            [_distribution(data_set, file) for file in dcat.downloads(data_set, made[1])],
        }  # fmt: skip
    return said


def _distribution(data_set: DataSet, file: Download) -> dict[str, Any]:
    name = FILE_FORMS[file.form].name[1]
    part = f", part {file.part}" if file.part else ""
    return {
        "@type": "dcat:Distribution", "title": f"{data_set.titles[1]} ({name}{part})", "downloadURL": file.address,
        "mediaType": MEDIA_TYPES[file.form].partition(";")[0], "format": name,
    }  # fmt: skip
