"""Pages about one entity, and lists of published entries."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated
from urllib.parse import quote

from fastapi import Path as InPath
from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from sqlalchemy.orm import Session
from starlette.datastructures import QueryParams

from portal.kit import db, errors, i18n, limits, shapes, web
from portal.kit.area import Area, Freshness, Panel
from portal.kit.limits import door
from record import browsing, codes, entities, feeds, kinds, ledger, profile, publication, signed

router = limits.router(include_in_schema=False)

TABLES = {
    "district": codes.DISTRICTS,
    "industry": codes.INDUSTRY_SECTIONS,
    "division": codes.INDUSTRY_DIVISIONS,
    "type": codes.ENTITY_TYPES,
    "status": codes.ENTITY_STATUSES,
    "listed": codes.LISTS,
    "kind": {kind.name: kind.labels for kind in kinds.KINDS.values()},
    "day": kinds.DAYS,
    "field": kinds.FIELDS,
    "registered": kinds.REGISTERED,
    "gravity": kinds.GRAVITIES,
    "finding": kinds.FINDINGS,
    "state": kinds.STATES,
    "reason": feeds.REASONS,
}


def label(table: str, value: str | None) -> str:
    """What `value` of one of the code tables is called in the visitor's language; the value itself when unknown."""
    return codes.label(TABLES[table], value, i18n.current()) or value or ""


def said(entry: publication.Published) -> list[tuple[str, str]]:
    """What an entry says, field by field, in the order and the language in which it is shown."""
    if entry.kind == "registration":
        return [
            (label("registered", name), f"{_was(name, old)} → {_was(name, new)}") for name, old, new in _moved(entry)
        ]
    headline = kinds.HEADLINES[entry.kind]
    left_out = {headline, "party_name", "penalty"}
    rows = []
    for field in kinds.FIELDS:
        value = entry.payload.get(field)
        if value and field not in left_out:
            text = "、".join(value) if isinstance(value, list) else str(value)
            rows.append(
                (label("field", field), label(field, text) if field in {"gravity", "state", "finding"} else text)
            )
    return rows


def _moved(entry: publication.Published) -> list[tuple[str, str | None, str | None]]:
    changed = entry.payload.get("changed") or {}
    return [(name, *changed[name]) for name in kinds.REGISTERED if name in changed]


def _was(name: str, value: str | None) -> str:
    return (label(name, value) if name in {"type", "status", "district", "industry"} else value) or "—"


def headline(entry: publication.Published) -> str:
    """What an entry is about, in one line."""
    if entry.kind == "registration":
        moved = _moved(entry)
        if all(old is None for _, old, _ in moved):
            return i18n.gettext("Newly registered")
        return "、".join(label("registered", name) for name, _, _ in moved)
    line = str(entry.payload.get(kinds.HEADLINES[entry.kind]) or "")
    grade = entry.payload.get("grade") if entry.kind == "evaluation" else None
    return f"{grade} · {line}" if grade else line


@pass_context
def _show_panel(context: Context, panel: Panel) -> Markup:
    """A panel of another area, as that renders it."""
    template = context.environment.get_template(panel.template)
    return Markup(template.render(request=context["request"], language=context["language"], **panel.values))  # noqa: S704 rendered with autoescape


web.offer_to_templates(
    show_panel=_show_panel, said=said, headline=headline, label=label, made_up_data=profile.made_up_data
)


@router.get("/entities/{code}")
@door(who="anyone", limit="300/minute")
def entity(request: Request, session: web.ReadingSession, code: str) -> Response:
    file = profile.read(session, code)
    if code != file.entity.code:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/entities/{quote(file.entity.code)}{query}", status_code=301)
    areas: Sequence[Area] = request.app.state.areas
    panels = [panel for area in areas if area.panels for panel in area.panels(session, file.entity.code)]
    elsewhere = {kind for area in areas for kind in area.panelled_kinds} if panels else set()
    return web.page(request, "record/entity.html", file=file, today=db.now(), panels=panels, elsewhere=elsewhere)


# ---- an entity's entries, and lists ---------------------------------------------------------------------------------

PER_PAGE = 20


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


@router.get("/entities/{code}/records/{kind}")
@door(who="anyone", limit="300/minute")
def entity_records(request: Request, session: web.ReadingSession, code: str, kind: str) -> Response:
    if kind not in kinds.SHOWN:
        raise errors.NotFound
    entity = entities.get(session, code)
    before = _number(request.query_params.get("before"))
    found = publication.of_entity(session, entity.code, kind, before=before, limit=PER_PAGE)
    total = publication.counts(session, entity.code).get(kind, 0)
    more = found[-1].seq if len(found) == PER_PAGE else None
    return web.page(
        request, "record/entries.html", entity=entity, kind=kind, entries=found, total=total, more=more, before=before
    )


@router.get("/entities/{code}/feed.atom")
@door(who="anyone", limit="300/minute")
def feed(request: Request, session: web.ReadingSession, code: str) -> Response:
    """An entity's published record as an Atom feed (RFC 4287); what is withdrawn is gone from it."""
    entity = entities.get(session, code)
    page = web.page(
        request,
        "record/feed.atom",
        entity=entity,
        entries=publication.newest(session, entity.code),
        moment=shapes.moment,
    )
    return Response(page.body, media_type="application/atom+xml")


def _filters(kind: str, query: QueryParams) -> browsing.Filters:
    """What a list's address asks for. What cannot be is left out: the address may be old."""
    district = query.get("district")
    return browsing.Filters(
        kind,
        district if district in codes.DISTRICTS else None,
        query.get("authority", "")[:200].strip() or None,
        query.get("act", "")[:200].strip() or None,
        _day(query.get("since")),
        _day(query.get("until")),
    )


def _seen_last(query: QueryParams) -> tuple[date, int] | None:
    day, _, seq = query.get("before", "").partition("_")
    last, number = _day(day), _number(seq)
    return (last, number) if last and number is not None else None


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text and len(text) == 10 else None
    except ValueError:
        return None


@router.get("/records/{kind}")
@door(who="anyone", limit="300/minute")
def records(request: Request, session: web.ReadingSession, kind: str) -> Response:
    """Published entries of one kind. Lists that entities stand on are at /lists/."""
    if kind not in kinds.SHOWN:
        raise errors.NotFound
    if kinds.KINDS[kind].listing:
        return RedirectResponse(f"/lists/{kind}", status_code=301)
    return _browse(request, session, kind)


@router.get("/lists/{kind}")
@door(who="anyone", limit="300/minute")
def lists(request: Request, session: web.ReadingSession, kind: str) -> Response:
    """Who stands on a list today."""
    if kind not in kinds.SHOWN or not kinds.KINDS[kind].listing:
        raise errors.NotFound
    return _browse(request, session, kind)


def _browse(request: Request, session: web.ReadingSession, kind: str) -> Response:
    asked = _filters(kind, request.query_params)
    before = _seen_last(request.query_params)
    lines = browsing.browse(session, asked, before=before, limit=PER_PAGE)
    last = lines[-1].entry if len(lines) == PER_PAGE else None
    return web.page(
        request,
        "record/browse.html",
        kind=kind,
        asked=asked,
        before=before,
        lines=lines,
        total=browsing.count(session, asked),
        more=f"{last.occurred_on}_{last.seq}" if last else None,
        districts=codes.DISTRICTS,
        authorities=browsing.authorities(session, kind),
        acts=browsing.acts(session, kind),
    )


@router.get("/ledger")
@door(who="anyone", limit="300/minute")
def the_ledger(request: Request, session: web.ReadingSession) -> Response:
    """What the ledger is, its signed head, and how anyone can check both."""
    return web.page(request, "record/ledger.html", head=signed.head(session))


@router.get("/ledger/{seq}")
@door(who="anyone", limit="300/minute")
def proof(request: Request, session: web.ReadingSession, seq: Annotated[int, InPath(ge=0, le=2**53)]) -> Response:
    """What proves that an entry is in the ledger, and how anyone can check it."""
    head = ledger.head(session)
    if not 0 <= seq < head.size:
        raise errors.NotFound
    leaf = ledger.read_tile(session, 0, seq // 256)[seq % 256]
    path = ledger.inclusion(session, seq, head.size)
    return web.page(request, "record/proof.html", seq=seq, head=head, leaf=leaf, steps=path)


def freshness(session: Session) -> Sequence[Freshness]:
    """How fresh the register and the record are."""
    soon, at_once = i18n.gettext("Within 5 seconds of its file"), i18n.gettext("At once")
    newest = ledger.recorded_at(session, ledger.size(session) - 1)
    return (
        Freshness(i18n.gettext("Register"), entities.last_changed(session), soon),
        Freshness(i18n.gettext("Supervision record"), newest, at_once),
    )
