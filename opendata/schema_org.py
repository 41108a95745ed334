"""Data sets in schema.org's words, inside their pages: what search engines for data read (Google's required fields)."""

from collections.abc import Iterable
from typing import Any

from opendata import dcat, descriptors
from opendata.dcat import Download, Shown
from opendata.dcat_terms import KEYWORD
from opendata.models import Snapshot
from opendata.snapshots import MEDIA_TYPES, Manifest
from portal.kit import i18n
from portal.kit.datasets import DataSet
from portal.kit.settings import get_settings
from portal.kit.shapes import moment

LONGEST = 5_000
"""Characters of a description that Google reads; at least 50 are asked for."""


def data_set(one: DataSet, made: tuple[Snapshot, Manifest] | None) -> dict[str, Any]:
    """One data set, in the page's language."""
    english = i18n.current() == "en"
    said: dict[str, Any] = {
        "@context": "https://schema.org/", **_named(one), "description": _description(one), "license":
        descriptors.LICENCE["path"], "creator": publisher(), "publisher": publisher(), "isAccessibleForFree": True,
        "inLanguage": "zh", "identifier": str(dcat.iri_of(one)), "keywords": [KEYWORD[english],
        one.titles[english]], "alternateName": one.titles[not english], "includedInDataCatalog":
        {"@id": str(dcat.catalogue_iri()), "@type": "DataCatalog", "name": i18n.gettext("Open data"), "url":
        f"{descriptors.base()}/data"}, "variableMeasured": [column.titles[english] for column in one.columns],
    }  # fmt: skip
    if made:
        snapshot, manifest = made
        said |= {"dateModified": moment(snapshot.changed_at), "version": str(snapshot.seq), "distribution":
                 [_download(file) for file in dcat.downloads(one, manifest)]}  # fmt: skip
        if manifest.newest:
            said["temporalCoverage"] = f"../{manifest.newest}"
    return said


def data_catalogue(listed: Iterable[Shown]) -> dict[str, Any]:
    """All data sets by name, in the page's language; each is described in its own page."""
    return {
        "@context": "https://schema.org/", "@type": "DataCatalog", "@id": str(dcat.catalogue_iri()), "name":
        i18n.gettext("Open data"), "url": f"{descriptors.base()}/data", "description":
        i18n.gettext("Every data set of this portal as files, queries and changes, free to use."), "license":
        descriptors.LICENCE["path"], "publisher": publisher(), "isAccessibleForFree": True, "dataset":
        [_named(one) | {"description": _description(one), "license": descriptors.LICENCE["path"], "creator":
                        publisher()} for one, _ in listed],
    }  # fmt: skip


def publisher() -> dict[str, Any]:
    """The department; with its address for questions where the operator named one."""
    settings = get_settings()
    said: dict[str, Any] = {"@type": "GovernmentOrganization", "name": settings.department, "url":
                            f"{descriptors.base()}/"}  # fmt: skip
    if settings.contact_address:
        said["contactPoint"] = {"@type": "ContactPoint", "email": settings.contact_address}
    return said


def _named(one: DataSet) -> dict[str, Any]:
    return {
        "@type": "Dataset", "@id": str(dcat.iri_of(one)), "name": one.titles[i18n.current() == "en"],
        "url": f"{descriptors.base()}/data/{one.name}",
    }  # fmt: skip


def _description(one: DataSet) -> str:
    """With its columns' names, so that a short sentence in Chinese is long enough."""
    english = i18n.current() == "en"
    columns = (", " if english else "、").join(column.titles[english] for column in one.columns)
    return i18n.gettext("%(about)s Columns: %(columns)s. Written anew every night, free to use under CC BY 4.0.",
                        about=one.about[english], columns=columns)[:LONGEST]  # fmt: skip


def _download(file: Download) -> dict[str, Any]:
    said: dict[str, Any] = {
        "@type": "DataDownload", "contentUrl": file.address, "encodingFormat":
        MEDIA_TYPES[file.form].partition(";")[0], "name": file.address.rpartition("/")[2],
    }  # fmt: skip
    if file.sha256:
        said["sha256"] = file.sha256
    return said if file.size is None else said | {"contentSize": f"{file.size} B"}
