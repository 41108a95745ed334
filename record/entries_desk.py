"""Officers' pages for typing records in: the form, how the public will see it, and what was published."""

from typing import Annotated, Any

from fastapi import Depends, Request, Response

from portal.kit import db, errors, gate, limits, web
from portal.kit.accounts import Officer
from portal.kit.errors import PortalError
from portal.kit.limits import door
from record import decisions, entering, entities, kinds, publication
from record.desk import Seq, back_to
from record.entering import EntryRefused
from record.views import label

router = limits.router(include_in_schema=False)

HOME = "/desk/entries"
NEW = f"{HOME}/new/{{kind}}"
EDIT = f"{HOME}/{{seq}}/edit"
FORM_BYTES = 1_000_000
"""Four long texts in Chinese, as a browser encodes them."""


async def _read_form(request: Request, officer: gate.CaseOfficer) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


Typed = Annotated[dict[str, str], Depends(_read_form)]


def _known(kind: str) -> str:
    if kind not in kinds.DAYS or kinds.KINDS[kind].command is None:
        raise errors.NotFound
    return kind


@router.get(HOME)
@door(who="officer", limit="300/minute")
def choose(request: Request, officer: gate.CaseOfficer, code: str = "") -> Response:
    return web.page(request, "desk/entries.html", kinds=[kind.name for kind in kinds.FED], code=code.strip()[:40])


@router.get(NEW)
@door(who="officer", limit="300/minute")
def new(request: Request, officer: gate.CaseOfficer, kind: str, code: str = "") -> Response:
    return _form(request, _known(kind), {entering.PARTY: code[:40], "authority": officer.department})


@router.post(NEW)
@door(who="officer", limit="60/minute", body_bytes=FORM_BYTES)
def enter(request: Request, officer: gate.CaseOfficer, typed: Typed, kind: str) -> Response:
    return _answer(request, officer, _known(kind), typed)


@router.get(f"{HOME}/{{seq}}")
@door(who="officer", limit="300/minute")
def one(request: Request, officer: gate.CaseOfficer, session: web.ReadingSession, seq: Seq) -> Response:
    entry = entering.own(session, officer, seq)
    return web.page(
        request, "desk/entry.html", entry=entry, shown=publication.get(session, seq),
        entity=entities.get(session, str(entry.entity_code)),
    )  # fmt: skip


@router.get(EDIT)
@door(who="officer", limit="300/minute")
def edit(request: Request, officer: gate.CaseOfficer, session: web.ReadingSession, seq: Seq) -> Response:
    entry = entering.correctable(session, officer, seq)
    if entry.superseded_by is not None:
        return back_to(EDIT.format(seq=entry.superseded_by))
    return _form(request, entry.kind, entering.typed_of(entry), base=seq)


@router.post(EDIT)
@door(who="officer", limit="60/minute", body_bytes=FORM_BYTES)
def correct(request: Request, officer: gate.CaseOfficer, typed: Typed, seq: Seq) -> Response:
    with db.reading() as session:
        kind = entering.correctable(session, officer, seq).kind
    return _answer(request, officer, kind, typed, base=seq)


def _answer(
    request: Request, officer: Officer, kind: str, typed: dict[str, str], *, base: int | None = None
) -> Response:
    """The page after a step: `publish` appends, `change` goes back to the form, all else shows what it comes to."""
    step = typed.get("step")
    if step == "change":
        return _form(request, kind, typed, base=base)
    try:
        if step == "publish":
            with db.writing() as session:
                return back_to(f"{HOME}/{entering.publish(session, officer, kind, typed, base=base)}")
        with db.reading() as session:
            draft = entering.check(session, officer, kind, typed, base=base)
    except EntryRefused as refusal:
        return _form(request, kind, typed, base=base, refusal=refusal)
    typed[entering.PARTY] = draft.entity.code
    return web.page(
        request, "desk/entry_preview.html", kind=kind, draft=draft, typed=typed, base=base,
        names=[entering.PARTY, entering.REASON, *(field.name for field in entering.fields(kind))],
    )  # fmt: skip


def _form(
    request: Request,
    kind: str,
    typed: dict[str, str],
    *,
    base: int | None = None,
    refusal: EntryRefused | None = None,
) -> Response:
    faults = {name: _told(fault) for name, fault in refusal.faults.items()} if refusal else {}
    return web.page(
        request, "desk/entry_form.html", status=_status(refusal) if refusal else 200, kind=kind,
        fields=entering.fields(kind), typed=typed, base=base, faults=faults,
        refused=web.problem(refusal) if refusal else None, before=refusal.values.get("number") if refusal else None,
    )  # fmt: skip


def _told(fault: str | PortalError) -> dict[str, Any]:
    return web.problem(fault) if isinstance(fault, PortalError) else {"title": label("reason", fault), "remedy": ""}


def _status(refusal: EntryRefused) -> int:
    elsewhere = any(isinstance(fault, decisions.NotYourDistrict) for fault in refusal.faults.values())
    return decisions.NotYourDistrict.status if elsewhere else refusal.status
