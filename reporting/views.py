"""The pages with which anybody tells of something: what it is, the form, a preview, and the receipt.

Nothing is kept between them but sealed files: what was typed travels in the pages themselves, so it works without
JavaScript, and nothing of somebody who changes their mind stays behind.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Request, Response
from sqlalchemy.orm import Session

from portal.kit import db, limits, links, qr, web
from portal.kit.errors import PortalError
from portal.kit.limits import door
from portal.kit.multipart import Sent, SentFile, reading
from portal.kit.settings import get_settings
from record import entities, publication
from record.codes import DISTRICTS
from record.entities import EntityNotFound
from record.listed import Listed
from reporting import attachments, files, floods, forms, intake, vault
from reporting.attachments import Examined
from reporting.files import Waiting
from reporting.forms import MOST_FILES, Draft, NotComplete
from reporting.matters import SERVICES
from search import results
from search.engine import Filters
from search.query import Refused

router = limits.router(include_in_schema=False)

FORM_HOLDS = timedelta(hours=12)
FORM_BYTES = 64_000_000
WRITE_LIMIT = "10/minute;60/hour"
"""For one caller: an office or a whole building may share an address."""


def private(response: Response) -> Response:
    """A page that holds what somebody is telling: no cache keeps it, no other site learns where it was left for."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@dataclass(slots=True)
class Form:
    """What travels from page to page."""

    draft: Draft
    waiting: list[Waiting] = field(default_factory=list)
    ticket: str = ""
    once: str = ""
    """Signed random text by which this form is known when it arrives a second time."""
    betrayed: dict[str, Examined] = field(default_factory=dict)
    """What was found in files that came just now, by their ids."""
    refused_files: list[Examined] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self._form_text():
            self.once = links.make("tip.once", secrets.token_hex(16))
        if not self.ticket:
            self.ticket = floods.ticket()

    def _form_text(self) -> str | None:
        try:
            return str(links.read("tip.once", self.once, FORM_HOLDS)) if self.once else None
        except PortalError:
            return None

    @property
    def text(self) -> str:
        return self._form_text() or ""

    @classmethod
    def of(cls, sent: Sent) -> "Form":
        """The form as it came back, without files that were taken out of it."""
        fields = sent.fields
        waiting = []
        for place in range(1, MOST_FILES + 1):
            number, name = fields.get(f"file{place}", ""), fields.get(f"filename{place}", "")
            if number and f"without{place}" in fields:
                files.unstage(number[:36])
            elif number:
                waiting.append(Waiting(number[:36], name[:200]))
        return cls(Draft.of(fields), waiting, fields.get("ticket", ""), fields.get("once", ""))

    def take(self, sent: Sequence[SentFile]) -> None:
        """Examine files that came with the form, and keep the good ones sealed."""
        room = MOST_FILES - len(self.waiting)
        found = attachments.examine([(one.name, one.data) for one in sent[:room]])
        good = [one for one in found if one.refusal is None]
        self.refused_files = [one for one in found if one.refusal is not None]
        for kept, one in zip(files.stage(good), good, strict=True) if good else ():
            self.waiting.append(kept)
            self.betrayed[kept.id] = replace(one, data=b"", cleaned=b"" if one.cleaned is not None else None)


def _page(request: Request, template: str, session: Session, form: Form, **values: Any) -> Response:
    refusal: PortalError | None = values.pop("refusal", None)
    return private(
        web.page(
            request,
            f"reporting/{template}",
            status=refusal.status if refusal else 200,
            form=form,
            draft=form.draft,
            refused=web.problem(refusal) if refusal else None,
            services=SERVICES,
            districts=DISTRICTS,
            faults={one["field"]: one["message"] for one in refusal.errors} if refusal else {},
            entity=_chosen(session, form.draft),
            allowed=attachments.ALLOWED,
            most_files=MOST_FILES,
            today=publication.today(),
            **values,
        )
    )


def _chosen(session: Session, draft: Draft) -> Any:
    """The entity that was chosen, if the register knows it."""
    try:
        return entities.get(session, draft.entity_code) if draft.entity_code not in ("", "none") else None
    except EntityNotFound:
        return None


# ---- before the form ------------------------------------------------------------------------------------------------


@router.get("/report")
@door(who="anyone", limit="300/minute")
def start(request: Request, session: web.ReadingSession, code: str = "") -> Response:
    """What kind it is, told apart with a plain question."""
    entity = _chosen(session, Draft(entity_code=code[:40]))
    return web.page(request, "reporting/start.html", entity=entity, examples=SERVICES)


@router.get("/report/sign")
@door(who="anyone", limit="120/minute")
def sign(request: Request, session: web.ReadingSession, code: str) -> Response:
    """A sign for the door of an entity: a QR code that opens the form with the entity filled in."""
    entity = entities.get(session, code[:40])
    address = f"{get_settings().base_url}/report?code={entity.code}"
    return web.page(request, "reporting/sign.html", entity=entity, address=address, code=qr.svg(address))


@router.get("/report/new")
@door(who="anyone", limit="120/minute")
def new(request: Request, session: web.ReadingSession, kind: str = "report", code: str = "") -> Response:
    draft = Draft(
        kind=kind if kind in ("report", "complaint") else "report",
        entity_code=code[:40],
        service="consumer" if kind == "complaint" else "",
    )
    return _page(request, "form.html", session, Form(draft))


# ---- the form -------------------------------------------------------------------------------------------------------


@router.post("/report/preview")
@door(who="anyone", limit="30/minute", body_bytes=FORM_BYTES)
def preview(request: Request, sent: Annotated[Sent, reading(files=MOST_FILES)]) -> Response:
    """Exactly what will be sent; or the form again, with what it lacks."""
    web.refuse_other_sites(request)
    form = Form.of(sent)
    try:
        form.take(sent.files)
    except PortalError as refusal:
        with db.reading() as session:
            return _page(request, "form.html", session, form, refusal=refusal)
    with db.reading() as session:
        try:
            forms.read(form.draft)
        except NotComplete as refusal:
            return _page(request, "form.html", session, form, refusal=refusal)
        if form.refused_files:
            return _page(request, "form.html", session, form)
        return _preview(request, session, form)


def _preview(request: Request, session: Session, form: Form, refusal: PortalError | None = None) -> Response:
    candidates = _candidates(session, form.draft)
    return _page(request, "preview.html", session, form, refusal=refusal, candidates=candidates)


def _candidates(session: Session, draft: Draft) -> list[Listed]:
    """Entities that a name may mean, for the reporter to choose from: none is guessed."""
    if not draft.entity or draft.entity_code not in ("", "none"):
        return []
    try:
        return [one.entity for one in results.find(session, draft.entity, Filters(), limit=5).found]
    except Refused:
        return []


@router.post("/report/edit")
@door(who="anyone", limit="60/minute", body_bytes=100_000)
def edit(request: Request, session: web.ReadingSession, sent: Annotated[Sent, reading(files=0)]) -> Response:
    """Back from the preview to the form, with everything in it."""
    return _page(request, "form.html", session, Form.of(sent))


@router.post("/report/send")
@door(who="anyone", limit=WRITE_LIMIT, body_bytes=100_000)
def send(request: Request, sent: Annotated[Sent, reading(files=0)]) -> Response:
    """Take it, and show the receipt: the one time that anybody sees it."""
    web.refuse_other_sites(request)
    form = Form.of(sent)
    try:
        taken = intake.submit(
            forms.read(form.draft), form.waiting, via="portal", form=form.text,
            proof=sent.fields.get("proof") or None, ticket=form.ticket,
        )  # fmt: skip
    except NotComplete as refusal:
        with db.reading() as session:
            return _page(request, "form.html", session, form, refusal=refusal)
    except PortalError as refusal:
        if isinstance(refusal, files.FilesGone):
            form.waiting = []
        if isinstance(refusal, floods.ProofRefused | links.LinkExpired | links.LinkRefused):
            form.ticket = floods.ticket()
        with db.reading() as session:
            return _preview(request, session, form, refusal)
    return private(
        web.page(
            request,
            "reporting/receipt.html",
            taken=taken,
            grouped=vault.grouped(taken.digits),
            code=qr.svg(taken.digits),
            kind=form.draft.kind,
            word=bool(form.draft.word),
        )
    )
