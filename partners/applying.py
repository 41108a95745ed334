"""Public pages on which an organisation applies, or a business claims its file."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, get_args

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.datastructures import FormData

from partners import organisations, paper_forms, papers
from partners.models import OrganisationType
from partners.organisations import Wanted
from portal.kit import db, errors, limits, web
from portal.kit.errors import PortalError
from portal.kit.limits import door

router = limits.router(include_in_schema=False)

HOME = "/partners/apply"


class ApplicationForm(BaseModel):
    """What the form asks for."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    type: OrganisationType
    name: str = Field(default="", max_length=200)
    entity_code: str = Field(default="", max_length=40)
    number: str = Field(default="", max_length=100)
    numbered_by: str = Field(default="", max_length=200)
    about: str = Field(default="", max_length=2_000)
    person: str = Field(min_length=2, max_length=60)
    email: str = Field(min_length=5, max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")

    @model_validator(mode="after")
    def _named(self) -> "ApplicationForm":
        if self.type == "entity" and not self.entity_code:
            raise ValueError("entity_code")
        if self.type != "entity" and len(self.name) < 4:
            raise ValueError("name")
        return self


class ProofMissing(PortalError):
    status = 422
    slug = "standing-proof"
    title = "A proof that you may act for it is missing."
    remedy = "Add a scan of the licence, the registration or the accreditation, or a letter with its seal."


@router.get(HOME)
@door(who="anyone", limit="120/minute")
def form(request: Request) -> Response:
    code = request.query_params.get("code", "")[:40]
    return _page(request, {"type": "entity", "entity_code": code} if code else {"type": "association"})


def _page(request: Request, typed: dict[str, str], refusal: PortalError | None = None) -> Response:
    return web.page(
        request, "partners/apply.html", status=refusal.status if refusal else 200, typed=typed,
        types=get_args(OrganisationType), accepted=papers.ACCEPTED, done=False,
        refused=web.problem(refusal) if refusal else None,
    )  # fmt: skip


async def _read_form(request: Request) -> AsyncIterator[FormData]:
    async with request.form(max_files=1, max_fields=20) as read:
        yield read


_FIELDS = ("type", "name", "entity_code", "number", "numbered_by", "about", "person", "email")


@router.post(HOME)
@door(who="anyone", limit="10/minute;30/hour", body_bytes=paper_forms.MOST_BYTES)
def apply(request: Request, form: Annotated[FormData, Depends(_read_form)]) -> Response:
    """Take an application for an officer to look at. Nothing of it is public."""
    web.refuse_other_sites(request)
    typed = {name: paper_forms.text(form, name)[:2_500] for name in _FIELDS}
    try:
        asked = _checked(typed)
        proof = paper_forms.handed(form, "proof")
        if proof is None:
            raise ProofMissing
        wanted = Wanted(
            type=asked.type, name=asked.name, entity_code=asked.entity_code or None, number=asked.number,
            numbered_by=asked.numbered_by, about=asked.about, contact=f"{asked.person} <{asked.email}>",
        )  # fmt: skip
        with db.writing() as session:
            made = organisations.apply(session, wanted)
            papers.keep_handed(session, proof, organisation_id=made.id)
    except PortalError as refusal:
        return _page(request, typed, refusal)
    return web.page(request, "partners/apply.html", typed={}, types=(), accepted="", done=True, refused=None)


def _checked(typed: dict[str, str]) -> ApplicationForm:
    try:
        return ApplicationForm.model_validate(typed)
    except ValidationError as error:
        faults: list[dict[str, Any]] = [
            {"field": str(fault["loc"][0]) if fault["loc"] else str(fault["ctx"]["error"]), "message": ""}
            for fault in error.errors()
        ]
        raise errors.InvalidInput(errors=faults) from error
