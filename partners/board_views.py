"""Public pages of the rules that industries give themselves (行规行约), and the documents that partners publish."""

from typing import Annotated

from fastapi import Path, Query, Request, Response

from partners import industry_rules, organisations, paper_forms, papers
from portal.kit import db, limits, web
from portal.kit.errors import NotFound
from portal.kit.limits import door

router = limits.router(include_in_schema=False)

HOME = "/partners/rules"
PER_PAGE = 50


@router.get(HOME)
@door(who="anyone", limit="120/minute")
def rules(
    request: Request,
    session: web.ReadingSession,
    *,
    organisation: Annotated[str, Query(max_length=40)] = "",
    before: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
) -> Response:
    of = organisations.get(session, organisation) if organisation else None
    found = industry_rules.public(session, organisation_id=of.id if of else None, before=before, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    return web.page(
        request, "partners/rules.html", rules=shown, of=of, before=before,
        more=shown[-1].rule.id if len(found) > PER_PAGE else None,
    )  # fmt: skip


@router.get("/partners/papers/{paper_id}")
@door(who="anyone", limit="60/minute")
def paper(request: Request, paper_id: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]) -> Response:
    """A document that is published: rules of an industry, the method of a rating. Any other is not there."""
    with db.reading() as session:
        found = papers.get(session, paper_id)
    if not found.public:
        raise NotFound
    return paper_forms.download(found)
