"""Members' pages of ratings: what stands in one's own file, replies and disputes; and, for raters, the answers."""

from typing import Annotated, Literal

from fastapi import Depends, Form, Path, Request, Response
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from partners import acceptance, disputes, organisations, paper_forms, papers
from partners.entrance import to
from partners.models import Dispute
from portal.kit import db, errors, gate, limits, web
from portal.kit.accounts import Member
from portal.kit.errors import PortalError
from portal.kit.limits import door
from record import entities, evaluations, publication

router = limits.router(include_in_schema=False)

HOME = "/account/ratings"
DISPUTES = "/account/disputes"

Seq = Annotated[int, Path(ge=0, le=2**53)]
Number = Annotated[int, Path(ge=1, le=2**31)]
Words = Annotated[str, Form(min_length=5, max_length=4_000)]


@router.get(HOME)
@door(who="member", limit="300/minute")
def ratings(request: Request, member: gate.Member, session: web.ReadingSession) -> Response:
    return _ratings_page(request, session, member)


def _ratings_page(
    request: Request, session: Session, member: Member, refusal: PortalError | None = None, about: int | None = None
) -> Response:
    organisation = organisations.get(session, member.organisation)
    own = organisation.type == "entity" and organisation.entity_code
    found = evaluations.of_entity(session, str(organisation.entity_code)) if own else []
    seqs = [one.seq for one in found]
    return web.page(
        request, "account/ratings.html", status=refusal.status if refusal else 200, organisation=organisation,
        ratings=found, replies=disputes.replies(session, seqs), about=disputes.of_entries(session, seqs),
        disputes=disputes.of(session, organisation.id), accepted=papers.ACCEPTED, today=publication.today(),
        refused=web.problem(refusal) if refusal else None, refused_about=about,
    )  # fmt: skip


@router.post(f"{HOME}/{{seq}}/reply")
@door(who="member", limit="30/minute", body_bytes=12_000)
def reply(
    request: Request,
    member: gate.Member,
    session: web.WritingSession,
    seq: Seq,
    words: Annotated[str, Form(max_length=1_000)] = "",
) -> Response:
    disputes.reply(session, member.organisation, seq, words)
    return to(f"{HOME}#rating-{seq}")


@router.post(f"{HOME}/{{seq}}/dispute")
@door(who="member", limit="20/minute", body_bytes=paper_forms.MOST_BYTES)
def dispute(
    request: Request, member: gate.Member, seq: Seq, form: Annotated[FormData, Depends(paper_forms.members)]
) -> Response:
    """Object to a rating, with a file that proves it if there is one."""
    grounds = paper_forms.text(form, "grounds").strip()
    if not 10 <= len(grounds) <= 4_000:
        raise errors.InvalidInput
    try:
        proof = paper_forms.handed(form)
        with db.writing() as session:
            kept = papers.keep_handed(session, proof, organisation_id=member.organisation) if proof else None
            opened = disputes.open_(session, member.organisation, seq, grounds, kept.id if kept else None)
    except PortalError as refusal:
        with db.reading() as session:
            return _ratings_page(request, session, member, refusal, seq)
    return to(f"{DISPUTES}/{opened.id}")


@router.get(f"{DISPUTES}/{{number}}")
@door(who="member", limit="300/minute")
def one(request: Request, member: gate.Member, session: web.ReadingSession, number: Number) -> Response:
    return _dispute_page(request, session, member, disputes.seen_by(session, member.organisation, number))


def _dispute_page(
    request: Request, session: Session, member: Member, found: Dispute, refusal: PortalError | None = None
) -> Response:
    return web.page(
        request, "account/dispute.html", status=refusal.status if refusal else 200, dispute=found,
        entry=publication.get(session, found.entry_seq), clocks=disputes.clocks_of(session, found),
        entity=entities.get(session, found.entity_code), is_rater=found.rater_id == member.organisation,
        paper=papers.get(session, found.paper_id) if found.paper_id else None,
        refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


@router.post(f"{DISPUTES}/{{number}}/{{step}}")
@door(who="member", limit="30/minute", body_bytes=20_000)
def step(
    request: Request,
    member: gate.Member,
    *,
    number: Number,
    step: Literal["answer", "concede", "take-back"],
    words: Annotated[str, Form(max_length=4_000)] = "",
) -> Response:
    """The rater answers or withdraws its rating; the entity takes its objection back."""
    if step != "take-back" and len(words.strip()) < 5:
        raise errors.InvalidInput
    try:
        with db.writing() as session:
            if step == "answer":
                disputes.answer(session, member.organisation, number, words.strip())
            elif step == "concede":
                disputes.concede(session, member.organisation, number, words.strip())
            else:
                disputes.take_back(session, member.organisation, number)
    except PortalError as refusal:
        with db.reading() as session:
            found = disputes.seen_by(session, member.organisation, number)
            return _dispute_page(request, session, member, found, refusal)
    return to(f"{DISPUTES}/{number}")


@router.get(f"{DISPUTES}/{{number}}/paper")
@door(who="member", limit="60/minute")
def paper(request: Request, member: gate.Member, number: Number) -> Response:
    """What the entity handed in as a proof, for both sides."""
    with db.reading() as session:
        found = disputes.seen_by(session, member.organisation, number)
        if found.paper_id is None:
            raise errors.NotFound
        kept = papers.get(session, found.paper_id)
    return paper_forms.download(kept)


@router.post("/account/evaluations/{entry_id}/withdraw")
@door(who="member", limit="60/minute", body_bytes=12_000)
def withdraw(
    request: Request,
    member: gate.Member,
    session: web.WritingSession,
    *,
    entry_id: Annotated[str, Path(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")],
    reason: Annotated[str, Form(min_length=5, max_length=2_000)],
) -> Response:
    """Withdraw one of one's own evaluations, with the reason."""
    organisations.acting(session, member.organisation)
    acceptance.withdraw_one(session, member.organisation, entry_id, reason.strip())
    return to("/account/published")


@router.get("/account/published")
@door(who="member", limit="120/minute")
def published(request: Request, member: gate.Member, session: web.ReadingSession) -> Response:
    """The organisation's own evaluations that stand, the latest first; `code`: of one entity."""
    code = request.query_params.get("code", "")[:40].strip()
    before = request.query_params.get("before", "")
    found, more = acceptance.published_by(
        session, member.organisation, code=code or None, before=int(before) if before.isdigit() else None
    )
    return web.page(request, "account/published.html", published=found, more=more, code=code)
