"""The report of an entity's file on paper, and the page that confirms one."""

from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from portal.kit import db, i18n, limits, pdf, web
from portal.kit.limits import door
from record import publication, report, report_words

router = limits.router(include_in_schema=False)


@router.api_route("/entities/{code}/report.pdf", methods=["GET", "HEAD"])
@door(who="anyone", limit="30/minute")
def entity_report(request: Request, code: str) -> Response:
    """An entity's file as a PDF. No connection to the database is held while it is made, and none is made for HEAD."""
    with db.reading(one_moment=True) as session:
        now = report.state(session, code)
        if code != now.entity.code:
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"/entities/{quote(now.entity.code)}/report.pdf{query}", status_code=301)
        headers = _headers(now)
        if headers["ETag"] in _known(request):
            return Response(status_code=304, headers=headers)
        if request.method == "HEAD":
            return Response(headers=headers, media_type="application/pdf")
        made = report.make(session, now)
    document = pdf.made("record/report.typ", report_words.written(made), at=made.made_at)
    return Response(document, headers=headers, media_type="application/pdf")


def _headers(now: report.State) -> dict[str, str]:
    day, language = publication.today().isoformat(), i18n.current()
    return {
        "ETag": f'W/"{now.digest}-{language}-{day}"',
        "Cache-Control": "no-cache",
        "Content-Disposition": f'inline; filename="{now.entity.code}-{day}-{language}.pdf"',
        "X-Robots-Tag": "noindex, noarchive",  # a copy that a search engine keeps would outlive what is repaired
    }


def _known(request: Request) -> set[str]:
    return {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}


@router.get("/reports/{token}")
@door(who="anyone", limit="120/minute")
def confirmation(request: Request, session: web.ReadingSession, token: str) -> Response:
    """Whether the portal made the report that this address is printed on, and whether the file has changed since."""
    response = web.page(request, "record/report_confirmed.html", confirmed=report.confirm(session, token))
    response.headers["Cache-Control"] = "no-store"
    return response
