"""Rating schemes as versioned data: what is rated, on which scale, for how long, and what a row of a batch must hold.

A version is proposed by its organisation, approved by an officer and never changed afterwards: a rating keeps the
edition by which it was made. `Definition` is the data; templates to fill in are made from it (`partners.blanks`).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from partners import organisations
from partners.models import Organisation, Scheme, SchemeVersion
from portal.kit import db
from portal.kit.accounts import Officer
from portal.kit.errors import NotFound, PortalError
from record import acts, publication

ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,38})[a-z0-9]")
Title = Annotated[str, Field(min_length=1, max_length=40)]


class DefinitionRefused(PortalError):
    status = 422
    slug = "scheme-definition"
    title = "This is not a scheme that the portal understands."
    remedy = "Correct what is named below. docs/partners.md has a whole example."


class SchemeTaken(PortalError):
    status = 409
    slug = "scheme-taken"
    title = "A scheme of this id belongs to somebody else."
    remedy = "Choose another id."


class SchemeUnnamed(PortalError):
    status = 422
    slug = "scheme-unnamed"
    title = "A scheme needs an id and a name in both languages."
    remedy = "The id is 3 to 40 of a-z, 0-9 and -, such as demo-credit."


class SchemeUnknown(PortalError):
    status = 404
    slug = "scheme-unknown"
    title = "Your organisation has no scheme of this id that is in force."
    remedy = (
        "GET /api/v1/partners lists the schemes. A new one is proposed at /account/schemes and approved at the desk."
    )


class VersionMoved(PortalError):
    status = 409
    slug = "scheme-version-moved"
    title = "This edition was decided on already."
    remedy = "Open the scheme again and see how it stands."


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Grade(_Data):
    """One grade of the scale."""

    code: Annotated[str, Field(min_length=1, max_length=20)]
    meaning: Annotated[str, Field(min_length=1, max_length=100)]
    english_meaning: Annotated[str, Field(max_length=200)] = ""


class Certificate(_Data):
    """The form of a certificate number (证书编号).

    The 15-digit number of 行业信用评价 (商务部、国资委) is year (4), association (3), grade (3) and serial (5), such as
    200700101100035: `grade_at` 7, `grade_digits` {"AA": "011", …}, `year_at` 0.
    """

    pattern: Annotated[str, Field(pattern=r"^[0-9A-Za-z\\d\[\]{},\-()|?+*.]{1,100}$")]
    """A regular expression that the whole number must match."""
    grade_at: Annotated[int, Field(ge=0, le=40)] | None = None
    """Where the grade's digits begin, from 0; null: the number says nothing of the grade."""
    grade_digits: dict[str, Annotated[str, Field(pattern=r"^[0-9A-Z]{1,10}$")]] = Field(default_factory=dict)
    year_at: Annotated[int, Field(ge=0, le=40)] | None = None
    """Where the four digits of the year of the evaluation begin; null: it says none."""
    required: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Self:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError("the pattern of the certificate number is no regular expression") from error
        if re.search(r"[+*}]\)?[+*{]", self.pattern):
            raise ValueError("the pattern of the certificate number must not repeat what repeats")
        return self


class Column(_Data):
    """A further column of the scheme."""

    field: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    title: Title
    english_title: Title
    type: Literal["text", "number", "integer", "date", "choice"] = "text"
    choices: Annotated[list[Title], Field(max_length=100)] = Field(default_factory=list)
    required: bool = False
    public: bool = True
    """Whether it is published; what is not is kept with the batch alone."""

    @model_validator(mode="after")
    def _choices_named(self) -> Self:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("a column of type choice, and no other, names its choices")
        return self


class Definition(_Data):
    """One edition of a scheme."""

    kind: Literal["rating", "process"] = "rating"
    """`process`: counts by entity and period (过程数据), without a grade; the day is the last of the period."""
    grades: Annotated[list[Grade], Field(max_length=40)] = Field(default_factory=list)
    """The scale, the best grade first."""
    validity_months: Annotated[int, Field(ge=1, le=120)] | None = 36
    """How long a rating stands where a row does not say until when; null: until the next."""
    summary: Annotated[str, Field(max_length=2_000)] = ""
    """The method in short, for people; the whole stands in its document."""
    english_summary: Annotated[str, Field(max_length=2_000)] = ""
    certificate: Certificate | None = None
    columns: Annotated[list[Column], Field(max_length=30)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        codes = [grade.code for grade in self.grades]
        if (self.kind == "rating") != bool(codes):
            raise ValueError("a rating names its grades, process data has none")
        if len(set(codes)) != len(codes):
            raise ValueError("two grades have one code")
        titles = [column.title for column in self.columns] + list(TITLES.values())
        if len(set(titles)) != len(titles) or len({c.field for c in self.columns}) != len(self.columns):
            raise ValueError("two columns have one title or field")
        if self.certificate and self.certificate.grade_at is not None:
            if set(self.certificate.grade_digits) != set(codes):
                raise ValueError("the certificate number needs digits for each grade, and for no other")
            if len({len(digits) for digits in self.certificate.grade_digits.values()}) != 1:
                raise ValueError("the digits of all grades must be of one length")
        return self

    def rank(self, code: str) -> tuple[int, int]:
        """Place of a grade on the scale, from 1 (the best), and how many grades there are."""
        codes = [grade.code for grade in self.grades]
        return codes.index(code) + 1, len(codes)


TITLES: Mapping[str, str] = {
    "party_name": "企业名称",
    "entity_code": "统一社会信用代码",
    "grade": "等级",
    "evaluated_on": "评价日期",
    "valid_until": "有效期至",
    "certificate_number": "证书编号",
}
"""Columns that every scheme has, by field: the titles of its template."""

ALIASES: Mapping[str, Sequence[str]] = {
    "party_name": (
        "企业全称", "单位名称", "公司名称", "会员名称", "会员单位", "会员企业", "会员单位名称", "会员企业名称",
        "参评企业", "参评企业名称", "参评单位", "被评价单位", "被评价企业", "经营者名称", "主体名称",
        "机构名称", "市场主体名称", "经营主体名称", "企业", "单位", "公司", "企业名", "名称", "name",
        "entity_name", "company", "company_name", "enterprise", "enterprise_name",
    ),
    "entity_code": (
        "信用代码", "社会信用代码", "统一信用代码", "统一代码", "统一社会代码", "社会统一信用代码",
        "统一社会信用代码证号", "统一社会信用号码", "统一社会信用代码注册号", "代码", "企业代码", "单位代码",
        "机构代码", "税号", "纳税人识别号", "营业执照号", "营业执照号码", "营业执照注册号", "注册号",
        "credit_code", "unified_social_credit_code", "uniform_social_credit_code", "code", "uscc", "uscid",
    ),
    "grade": (
        "信用等级", "评价等级", "评定等级", "信用评价等级", "信用评定等级", "信用级别", "级别", "评级",
        "信用评级", "评价结果", "评定结果", "评级结果", "评价结论", "rating", "credit_rating", "level",
    ),
    "evaluated_on": (
        "评定日期", "评级日期", "评审日期", "认定日期", "评价时间", "评定时间", "评级时间", "认定时间",
        "发证日期", "发证时间", "颁证日期", "日期", "统计期末", "期间截止", "evaluated", "date",
        "evaluation_date", "rating_date", "rated_on",
    ),
    "valid_until": (
        "有效期止", "有效期终", "有效期截止", "有效期结束", "有效期", "有效期限", "有效日期", "证书有效期",
        "证书有效期至", "截止日期", "截止时间", "有效期截止日期", "有效期截止日", "到期日", "到期日期",
        "到期时间", "有效期限至", "有效截止日期", "失效日期", "validity", "valid_to", "expires", "expires_on",
        "expiry", "expiry_date",
    ),
    "certificate_number": (
        "证书号", "证书号码", "证号", "证书编码", "certificate", "certificate_no", "cert_no",
    ),
}  # fmt: skip
"""What else people call these columns."""


def parse(definition: Mapping[str, Any]) -> Definition:
    """A definition as somebody sent it. Raises DefinitionRefused with each fault."""
    try:
        return Definition.model_validate(definition)
    except ValidationError as error:
        faults = [
            {"field": ".".join(str(part) for part in fault["loc"]) or "definition", "message": fault["msg"]}
            for fault in error.errors()[:20]
        ]
        raise DefinitionRefused(errors=faults) from error


def parse_text(text: str) -> Definition:
    """A definition as JSON text. Raises DefinitionRefused."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DefinitionRefused(errors=[{"field": "definition", "message": "This is no JSON."}]) from error
    if not isinstance(said, dict):
        raise DefinitionRefused(errors=[{"field": "definition", "message": "This is no JSON object."}])
    return parse(said)


def definition_of(version: SchemeVersion) -> Definition:
    """What an edition says."""
    return Definition.model_validate(version.definition)


# ---- proposing and approving ----------------------------------------------------------------------------------------


def propose(
    session: Session,
    organisation_id: str,
    scheme_id: str,
    *,
    name: str,
    english_name: str,
    definition: Definition,
    method_paper: str | None = None,
) -> SchemeVersion:
    """A new edition, or a new scheme, for an officer to approve. Raises SchemeTaken, SchemeUnnamed."""
    if not ID.fullmatch(scheme_id) or not name or not english_name:
        raise SchemeUnnamed
    organisations.acting(session, organisation_id)
    scheme = session.get(Scheme, scheme_id, with_for_update=True)
    if scheme is None:
        scheme = Scheme(
            id=scheme_id, organisation_id=organisation_id, name=name, english_name=english_name, current=None,
            created_at=db.now(),
        )  # fmt: skip
        session.add(scheme)
        session.flush()
    elif scheme.organisation_id != organisation_id:
        raise SchemeTaken
    last = max((version.number for version in versions(session, scheme_id)), default=0)
    version = SchemeVersion(
        scheme_id=scheme_id, number=last + 1, definition=definition.model_dump(mode="json"),
        method_paper=method_paper, state="proposed", created_at=db.now(),
    )  # fmt: skip
    session.add(version)
    session.flush()
    return version


def approve(session: Session, officer: Officer | None, scheme_id: str, number: int) -> SchemeVersion:
    """Put an edition into force. Last in its transaction. Raises NotFound, VersionMoved. None: the console."""
    version = _proposed(session, scheme_id, number)
    version.state, version.approved_on = "approved", publication.today()
    version.decided_by = officer.id if officer else None
    session.get_one(Scheme, scheme_id).current = number
    session.flush()
    acts.keep(session, "scheme_approve", about=f"scheme {scheme_id} {number}", by=officer)
    return version


def refuse(session: Session, officer: Officer, scheme_id: str, number: int, reason: str) -> SchemeVersion:
    """Turn an edition down, with the reason that its organisation reads."""
    version = _proposed(session, scheme_id, number)
    version.state, version.reason, version.decided_by = "refused", reason, officer.id
    session.flush()
    acts.keep(session, "scheme_refuse", about=f"scheme {scheme_id} {number}", by=officer, reason=reason)
    return version


def _proposed(session: Session, scheme_id: str, number: int) -> SchemeVersion:
    version = session.get(SchemeVersion, (scheme_id, number), with_for_update=True)
    if version is None:
        raise NotFound
    if version.state != "proposed":
        raise VersionMoved
    return version


# ---- reading --------------------------------------------------------------------------------------------------------


def get(session: Session, scheme_id: str) -> Scheme:
    """Raises NotFound."""
    scheme = session.get(Scheme, scheme_id)
    if scheme is None:
        raise NotFound
    return scheme


def version_of(session: Session, scheme_id: str, number: int) -> SchemeVersion:
    """Raises NotFound."""
    version = session.get(SchemeVersion, (scheme_id, number))
    if version is None:
        raise NotFound
    return version


def versions(session: Session, scheme_id: str) -> list[SchemeVersion]:
    """All editions, the newest first."""
    asked = select(SchemeVersion).where(SchemeVersion.scheme_id == scheme_id)
    return list(session.scalars(asked.order_by(SchemeVersion.number.desc()).limit(200)))


def of(session: Session, organisation_id: str) -> list[Scheme]:
    """An organisation's schemes."""
    asked = select(Scheme).where(Scheme.organisation_id == organisation_id).order_by(Scheme.id).limit(200)
    return list(session.scalars(asked))


def of_all(session: Session, organisation_ids: Sequence[str]) -> dict[str, list[Scheme]]:
    """The schemes in force of these organisations."""
    asked = select(Scheme).where(Scheme.organisation_id.in_(organisation_ids), Scheme.current.is_not(None))
    found: dict[str, list[Scheme]] = {}
    for one in session.scalars(asked.order_by(Scheme.id)):
        found.setdefault(one.organisation_id, []).append(one)
    return found


def in_force(session: Session, organisation: Organisation, scheme_id: str) -> tuple[Scheme, SchemeVersion]:
    """One of the organisation's schemes and its edition in force. Raises SchemeUnknown, also for somebody else's."""
    scheme = session.get(Scheme, scheme_id)
    if scheme is None or scheme.organisation_id != organisation.id or scheme.current is None:
        raise SchemeUnknown
    return scheme, version_of(session, scheme_id, scheme.current)


def proposed(session: Session, *, limit: int = 200) -> list[tuple[Scheme, SchemeVersion]]:
    """Editions that wait for an officer, the oldest first."""
    asked = (
        select(Scheme, SchemeVersion)
        .join(SchemeVersion, SchemeVersion.scheme_id == Scheme.id)
        .where(SchemeVersion.state == "proposed")
        .order_by(SchemeVersion.created_at)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in session.execute(asked)]


EXAMPLE: Mapping[str, Any] = {
    "grades": [
        {"code": "AAA", "meaning": "信用很好", "english_meaning": "Very good"},
        {"code": "AA", "meaning": "信用好", "english_meaning": "Good"},
        {"code": "A", "meaning": "信用较好", "english_meaning": "Fairly good"},
    ],
    "validity_months": 36,
    "summary": "依据……评价办法，从……方面评价。",
    "english_summary": "Assesses …",
    "certificate": {
        "pattern": "[0-9]{15}",
        "grade_at": 7,
        "grade_digits": {"AAA": "111", "AA": "011", "A": "001"},
        "year_at": 0,
    },
    "columns": [
        {"field": "score", "title": "得分", "english_title": "Score", "type": "number", "public": False},
    ],
}
"""What a definition looks like, to begin with."""
