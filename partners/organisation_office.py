"""Members' pages of their organisation: keys, signatures, callbacks, members, schemes."""

import json
from typing import Annotated, Any

from fastapi import Depends, Form, Path, Request, Response
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from partners import callbacks, organisations, paper_forms, papers, programs, schemes
from partners.entrance import to
from portal.kit import accounts, db, errors, gate, keys, limits, web
from portal.kit.accounts import Member, MemberRole
from portal.kit.errors import PortalError
from portal.kit.limits import door
from portal.kit.settings import get_settings

router = limits.router(include_in_schema=False)

HOME = "/account/organisation"
SCHEMES = "/account/schemes"
Prefix = Annotated[str, Path(pattern=r"^[a-z2-7]{8}$")]
Number = Annotated[int, Path(ge=1, le=2**31)]


@router.get(HOME)
@door(who="member", limit="300/minute")
def page(request: Request, member: gate.Member, session: web.ReadingSession) -> Response:
    return _page(request, session, member)


def _page(request: Request, session: Session, member: Member, **values: Any) -> Response:
    refusal: PortalError | None = values.pop("refusal", None)
    organisation = organisations.get(session, member.organisation)
    return web.page(
        request, "account/organisation.html", status=refusal.status if refusal else 200, organisation=organisation,
        keys=keys.of(session, "partner", organisation.id), members=accounts.members(session, organisation.id),
        callbacks=callbacks.newest(session, organisation.id), now=db.now(), scope=programs.SCOPE,
        refused=web.problem(refusal) if refusal else None, **{"shown": None, "what": None, **values},
    )  # fmt: skip


def _once(request: Request, member: Member, session: Session, what: str, shown: str) -> Response:
    """A page with a secret that is shown this once: never kept by a browser, never in an address."""
    session.flush()
    response = _page(request, session, member, what=what, shown=shown)
    response.headers["Cache-Control"] = "no-store"
    return response


# ---- keys -----------------------------------------------------------------------------------------------------------


@router.post(f"{HOME}/keys")
@door(who="member", limit="20/minute", body_bytes=4_000)
def add_key(
    request: Request,
    member: gate.Manager,
    session: web.WritingSession,
    label: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    organisations.acting(session, member.organisation)
    _, text = keys.create(
        session, owner_kind="partner", owner_id=member.organisation, scopes=[programs.SCOPE], label=label.strip()
    )
    return _once(request, member, session, "key", text)


@router.post(f"{HOME}/keys/{{prefix}}/rotate")
@door(who="member", limit="20/minute", body_bytes=4_000)
def rotate_key(request: Request, member: gate.Manager, session: web.WritingSession, prefix: Prefix) -> Response:
    _own_key(session, member, prefix)
    _, text = keys.rotate(session, prefix)
    return _once(request, member, session, "key", text)


@router.post(f"{HOME}/keys/{{prefix}}/revoke")
@door(who="member", limit="20/minute", body_bytes=4_000)
def revoke_key(request: Request, member: gate.Manager, session: web.WritingSession, prefix: Prefix) -> Response:
    _own_key(session, member, prefix)
    keys.revoke(session, prefix)
    return to(HOME)


def _own_key(session: Session, member: Member, prefix: str) -> None:
    if prefix not in {key.prefix for key in keys.of(session, "partner", member.organisation)}:
        raise errors.NotFound


# ---- signatures and callbacks ---------------------------------------------------------------------------------------


@router.post(f"{HOME}/public-key")
@door(who="member", limit="20/minute", body_bytes=8_000)
def public_key(
    request: Request,
    member: gate.Manager,
    public_key: Annotated[str, Form(max_length=2_000)] = "",
    only_signed: Annotated[str, Form(max_length=4)] = "",
) -> Response:
    return _settle(
        request,
        member,
        lambda session: organisations.set_public_key(
            session, member.organisation, public_key, only_signed=bool(only_signed)
        ),
    )


def _settle(request: Request, member: Member, step: Any) -> Response:
    try:
        with db.writing() as session:
            step(session)
    except PortalError as refusal:
        with db.reading() as session:
            return _page(request, session, member, refusal=refusal)
    return to(HOME)


@router.post(f"{HOME}/callback")
@door(who="member", limit="20/minute", body_bytes=8_000)
def callback(request: Request, member: gate.Manager, url: Annotated[str, Form(max_length=500)] = "") -> Response:
    try:
        with db.writing() as session:
            secret = organisations.set_callback(session, member.organisation, url)
            if secret:
                return _once(request, member, session, "callback", secret)
    except PortalError as refusal:
        with db.reading() as session:
            return _page(request, session, member, refusal=refusal)
    return to(HOME)


@router.post(f"{HOME}/callbacks/{{number}}/again")
@door(who="member", limit="60/minute", body_bytes=4_000)
def again(request: Request, member: gate.Manager, session: web.WritingSession, number: Number) -> Response:
    callbacks.again(session, member.organisation, number)
    return to(f"{HOME}#callbacks")


# ---- members --------------------------------------------------------------------------------------------------------


@router.post(f"{HOME}/members")
@door(who="member", limit="20/minute", body_bytes=4_000)
def invite(
    request: Request, member: gate.Manager, session: web.WritingSession, role: Annotated[MemberRole, Form()]
) -> Response:
    """A link that somebody may take a seat with; it is shown once."""
    organisations.acting(session, member.organisation)
    token = organisations.invite(session, member.organisation, role)
    return _once(request, member, session, "invitation", join_address(token))


def join_address(token: str) -> str:
    """Where an invitation is taken."""
    return f"{get_settings().base_url.rstrip('/')}/account/join/{token}"


@router.post(f"{HOME}/members/{{account_id}}/{{step}}")
@door(who="member", limit="30/minute", body_bytes=4_000)
def seat(request: Request, member: gate.Manager, account_id: Number, step: str) -> Response:
    if step not in {"shut", "open"}:
        raise errors.NotFound
    return _settle(
        request,
        member,
        lambda session: organisations.set_seat(
            session, member.organisation, account_id, disabled=step == "shut", by=member.id
        ),
    )


# ---- schemes --------------------------------------------------------------------------------------------------------


@router.get(SCHEMES)
@door(who="member", limit="300/minute")
def schemes_page(request: Request, member: gate.Member, session: web.ReadingSession) -> Response:
    return _schemes_page(request, session, member, {})


def _schemes_page(
    request: Request, session: Session, member: Member, typed: dict[str, str], refusal: PortalError | None = None
) -> Response:
    mine = schemes.of(session, member.organisation)
    editions = {scheme.id: schemes.versions(session, scheme.id) for scheme in mine}
    return web.page(
        request, "account/schemes.html", status=refusal.status if refusal else 200, schemes=mine, editions=editions,
        typed=typed, example=json.dumps(schemes.EXAMPLE, ensure_ascii=False, indent=2),
        refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


@router.post(SCHEMES)
@door(who="member", limit="20/minute", body_bytes=paper_forms.MOST_BYTES + 200_000)
def propose(
    request: Request, member: gate.Manager, form: Annotated[FormData, Depends(paper_forms.members)]
) -> Response:
    """Propose a scheme, or a new edition of one, with the document of its method."""
    typed = {name: paper_forms.text(form, name).strip() for name in ("id", "name", "english_name", "definition")}
    try:
        definition = schemes.parse_text(typed["definition"])
        method = paper_forms.handed(form, "method", public=True)
        with db.writing() as session:
            paper = papers.keep_handed(session, method, organisation_id=member.organisation) if method else None
            schemes.propose(
                session, member.organisation, typed["id"], name=typed["name"][:100],
                english_name=typed["english_name"][:100], definition=definition,
                method_paper=paper.id if paper else None,
            )  # fmt: skip
    except PortalError as refusal:
        with db.reading() as session:
            return _schemes_page(request, session, member, typed, refusal)
    return to(SCHEMES)
