"""What harvesters ask of the catalogue in RDF: pages, filters, forms; and what was written, kept while it holds.

Parameters, pages of 100 and Hydra's terms are those of ckanext-dcat, whose harvester is the one that people have.
"""

import hashlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from rdflib import Graph
from sqlalchemy import select
from sqlalchemy.orm import Session

from opendata import catalog, dcat, dcat_us
from opendata.catalog import QueryWrong
from opendata.dcat import Paging, Shown
from opendata.dcat_terms import PREFIXES
from opendata.models import Snapshot
from portal.kit import i18n
from portal.kit.errors import InvalidInput, NotFound, PortalError
from portal.kit.settings import get_settings

A_PAGE = 100
KEPT_BYTES = 32_000_000
"""How much written RDF a process keeps."""
PROFILES = ("euro_dcat_ap", "euro_dcat_ap_2", "euro_dcat_ap_3")
"""ckanext-dcat's names of the profiles that DCAT-AP 3.0.1 fulfils."""


@dataclass(frozen=True, slots=True)
class RdfForm:
    """One way to write RDF."""

    media_type: str
    writer: str
    """rdflib's name of it."""


RDF_FORMS: dict[str, RdfForm] = {
    "ttl": RdfForm("text/turtle", "turtle"),
    "rdf": RdfForm("application/rdf+xml", "xml"),
    "xml": RdfForm("application/rdf+xml", "xml"),
    "n3": RdfForm("text/n3", "n3"),
    "jsonld": RdfForm("application/ld+json", "json-ld"),
}


class FormUnknown(PortalError):
    status = 404
    slug = "rdf-form-unknown"
    title = "The catalogue is not written in this form."
    remedy = "Ask for .ttl, .rdf, .xml, .n3 or .jsonld."


class FormsRefused(PortalError):
    status = 406
    slug = "rdf-form-not-acceptable"
    title = "None of the forms that you accept is served here."
    remedy = "Accept text/turtle, application/rdf+xml, application/ld+json, text/n3 or text/html."


class NoSuchPage(PortalError):
    status = 404
    slug = "no-such-page"
    title = "The catalogue does not have so many pages."
    remedy = "Ask for a page from 1 to %(last)s, or begin with the first and follow hydra:next."


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the catalogue is asked for."""

    page: int = 1
    q: str = ""
    fq: tuple[str, ...] = ()
    modified_since: datetime | None = None

    def address(self, form: str) -> str:
        """Where it stands."""
        said = [("page", str(self.page))]
        if self.modified_since:
            said.append(("modified_since", self.modified_since.isoformat().replace("+00:00", "Z")))
        said += [("q", self.q)] if self.q else []
        said += [("fq", text) for text in self.fq]
        return f"{dcat.catalogue_iri()}.{form}?{urlencode(said)}"


def form_of(ending: str) -> RdfForm:
    """Raises FormUnknown."""
    found = RDF_FORMS.get(ending)
    if found is None:
        raise FormUnknown
    return found


def moment_of(text: str) -> datetime | None:
    """A day or a moment of ISO 8601, UTC unless it says otherwise; empty: None. Raises InvalidInput."""
    if not text:
        return None
    # a plus sign in an address arrives as a space
    written = re.sub(r" (\d\d:?\d\d)$", r"+\1", text.strip())
    try:
        found = datetime.fromisoformat(written)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        said = i18n.gettext("Write a day or a moment as ISO 8601 does: 2026-01-31 or 2026-01-31T08:00:00Z.")
        raise InvalidInput(errors=[{"field": "modified_since", "message": said}]) from None


def profiles_known(text: str) -> None:
    """Raises InvalidInput unless each profile (names between commas or spaces) is one that is served."""
    if not set(re.split(r"[,\s]+", text.strip())) <= {"", *PROFILES}:
        said = i18n.gettext("Ask for one of %(profiles)s, or for none.", profiles=", ".join(PROFILES))
        raise InvalidInput(errors=[{"field": "profiles", "message": said}])


# ---- the state that answers depend on -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class State:
    """What the catalogue is made of at one moment."""

    digest: str
    """Another whenever anything that a description says has changed."""
    changed_at: datetime
    """When a data set that is shown last changed. One may have been hidden since: only `digest` is a validator."""


def state_of(session: Session) -> State:
    """Read without the manifests, so that an answer that is kept costs next to nothing."""
    settings = get_settings()
    known = {
        name: (seq, changed_at.astimezone(UTC))
        for name, seq, changed_at in session.execute(select(Snapshot.data_set, Snapshot.seq, Snapshot.changed_at))
    }
    digest = hashlib.sha256(repr((settings.base_url, settings.department, settings.contact_address)).encode())
    changed_at = catalog.BEGINNING
    for one in catalog.shown_sets(session).values():
        made = known.get(one.name)
        digest.update(repr((one.name, one.titles, one.about, made and (made[0], made[1].isoformat()))).encode())
        changed_at = max(changed_at, made[1]) if made else changed_at
    return State(digest.hexdigest(), changed_at)


class Kept:
    """Answers by what was asked and of which state, those that nobody asked for longest given up first."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[tuple[str, ...], bytes] = OrderedDict()
        self._changing = threading.Lock()
        self._making = threading.Lock()

    def get(self, key: tuple[str, ...], make: Callable[[], bytes]) -> bytes:
        """The answer, made if it is not there: one at a time, so that nothing is made twice."""
        found = self._known(key)
        if found is not None:
            return found
        with self._making:
            found = self._known(key)
            if found is None:
                found = make()
                self._keep(key, found)
            return found

    def _known(self, key: tuple[str, ...]) -> bytes | None:
        with self._changing:
            found = self._answers.get(key)
            if found is not None:
                self._answers.move_to_end(key)
            return found

    def _keep(self, key: tuple[str, ...], answer: bytes) -> None:
        with self._changing:
            self._answers[key] = answer
            self._bytes += len(answer)
            while self._bytes > self._most_bytes:
                _, oldest = self._answers.popitem(last=False)
                self._bytes -= len(oldest)


_kept = Kept(KEPT_BYTES)


def etag(state: State, *asked: str) -> str:
    """A strong validator of what is written for this question out of this state."""
    return f'"{hashlib.sha256(repr((state.digest, asked)).encode()).hexdigest()[:32]}"'


# ---- writing --------------------------------------------------------------------------------------------------------


def catalogue(session: Session, state: State, asked: Asked, ending: str) -> bytes:
    """One page of the catalogue. Raises FormUnknown, NoSuchPage, InvalidInput for filters that cannot be understood."""
    form = form_of(ending)

    def make() -> bytes:
        listed = _listed(session, asked)
        last = max(1, -(-len(listed) // A_PAGE))
        if asked.page > last:
            raise NoSuchPage(last=last)
        start = (asked.page - 1) * A_PAGE
        graph = dcat.whole(listed[start : start + A_PAGE], changed_at=state.changed_at)
        dcat.paged(graph, _paging(asked, ending, len(listed), last))
        return _written(graph, form)

    return _kept.get((state.digest, "catalogue", asked.address(ending)), make)


def _listed(session: Session, asked: Asked) -> Sequence[Shown]:
    """What is shown and answers, by name."""
    listed = sorted(catalog.shown(session), key=lambda one: one[0].name)
    if asked.q or asked.fq:
        packages = [catalog.package(*one) for one in listed]
        try:
            names = {one["name"] for one in catalog.search(packages, asked.q, asked.fq, "name asc")}
        except QueryWrong as error:
            raise InvalidInput(errors=[{"field": "fq", "message": str(error)}]) from error
        listed = [one for one in listed if one[0].name in names]
    since = asked.modified_since
    if since:
        listed = [one for one in listed if (one[1][0].changed_at if one[1] else catalog.BEGINNING) >= since]
    return listed


def _paging(asked: Asked, ending: str, items: int, last: int) -> Paging:
    def address(page: int) -> str:
        return replace(asked, page=page).address(ending)

    return Paging(
        me=address(asked.page), first=address(1), last=address(last), items=items, a_page=A_PAGE,
        previous=address(asked.page - 1) if asked.page > 1 else None,
        next=address(asked.page + 1) if asked.page < last else None,
    )  # fmt: skip


def named(session: Session, name: str) -> str:
    """The name of a data set that is shown, by its name or its id. Raises NotFound."""
    for one in catalog.shown_sets(session).values():
        if name in (one.name, catalog.id_of(one.name)):
            return one.name
    raise NotFound


def data_set(session: Session, state: State, name: str, ending: str) -> bytes:
    """One data set, by its name. Raises FormUnknown, NotFound."""
    form = form_of(ending)

    def make() -> bytes:
        return _written(dcat.one(catalog.shown_one(session, name)), form)

    return _kept.get((state.digest, "dataset", name, form.writer), make)


def for_dcat_us(session: Session, state: State) -> bytes:
    """All data sets as `/data.json` has them."""

    def make() -> bytes:
        document = dcat_us.document(catalog.shown(session))
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    return _kept.get((state.digest, "data.json"), make)


def _written(graph: Graph, form: RdfForm) -> bytes:
    if form.writer == "json-ld":
        context = {prefix: str(namespace) for prefix, namespace in PREFIXES.items()}
        return graph.serialize(format=form.writer, context=context, auto_compact=False, encoding="utf-8")
    return graph.serialize(format=form.writer, encoding="utf-8")
