"""What a reporter may send: read, checked, and turned into what is sealed. The page and the API share every check."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any, Literal, get_args

from portal.kit.errors import PortalError
from portal.kit.i18n import gettext
from record import publication
from record.districts import DISTRICTS
from reporting.matters import SERVICES
from reporting.models import Kind

LONGEST_DESCRIPTION = 4_000
MOST_FILES = 10
EARLIEST = date(2000, 1, 1)
Originals = Literal["keep", "drop"]


class NotComplete(PortalError):
    status = 422
    slug = "tip-not-complete"
    title = "Something is missing, or cannot be used as it is."
    remedy = "Correct what is marked below. Nothing that you entered is lost."


@dataclass(frozen=True, slots=True)
class Draft:
    """The form as it was typed: every field a text, empty where nothing was entered."""

    kind: str = ""
    service: str = ""
    entity: str = ""
    """A name or code, as the reporter knows it."""
    entity_code: str = ""
    """The entity that was chosen; `none`: none of those that were found."""
    description: str = ""
    happened_on: str = ""
    district: str = ""
    place: str = ""
    named: str = ""
    """`yes` or `no`."""
    name: str = ""
    phone: str = ""
    email: str = ""
    publish: str = ""
    """Complaints: whether it may be published (同意公示投诉信息), `yes` or `no`."""
    mediation: str = ""
    """Complaints: whether another body may mediate (同意委托调解), `yes` or `no`."""
    word: str = ""
    """With which a reward can be claimed later."""
    originals: str = ""
    """`drop`: only the copies without metadata are sent."""

    @classmethod
    def of(cls, typed: Mapping[str, str]) -> "Draft":
        """What a form brought, without what nobody asked for."""
        found = {field.name: typed.get(field.name, "").replace("\r\n", "\n").strip() for field in fields(cls)}
        return cls(**found)

    def entered(self) -> dict[str, str]:
        """Fields that are not empty: what a preview carries along."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who a reporter is, as they say. Sealed apart from everything else."""

    name: str
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Telling:
    """What a reporter tells, checked."""

    kind: Kind
    service: str
    entity_code: str | None
    entity: str
    description: str
    happened_on: date | None
    district: str | None
    place: str
    reporter: Reporter | None
    publish: bool | None = None
    mediation: bool | None = None
    word: str = ""
    originals: Originals = "keep"


def read(draft: Draft) -> Telling:
    """What a draft says. Raises NotComplete with a sentence for each field that needs one."""
    faults: dict[str, str] = {}
    _check_choices(draft, faults)
    _check_words(draft, faults)
    happened_on = _day(draft.happened_on, faults)
    reporter = _reporter(draft, faults)
    if faults:
        raise NotComplete(errors=[{"field": name, "message": sentence} for name, sentence in faults.items()])
    complaint = draft.kind == "complaint"
    return Telling(
        kind="complaint" if complaint else "report",
        service=draft.service,
        entity_code=draft.entity_code if draft.entity_code not in ("", "none") else None,
        entity=draft.entity,
        description=draft.description,
        happened_on=happened_on,
        district=draft.district or None,
        place=draft.place,
        reporter=reporter,
        publish=draft.publish == "yes" if complaint else None,
        mediation=draft.mediation == "yes" if complaint else None,
        word="" if complaint else draft.word,
        originals="drop" if draft.originals == "drop" else "keep",
    )


def _check_choices(draft: Draft, faults: dict[str, str]) -> None:
    if draft.kind not in get_args(Kind):
        faults["kind"] = gettext("Choose whether it is a violation that you saw, or a dispute of your own.")
    if draft.service not in SERVICES:
        faults["service"] = gettext("Choose what it is about; “Something else” is fine.")
    if draft.district and draft.district not in DISTRICTS:
        faults["district"] = gettext("Choose one of the districts in the list, or leave it open.")
    if draft.kind == "complaint":
        for field in ("publish", "mediation"):
            if getattr(draft, field) not in ("yes", "no"):
                faults[field] = gettext("The law's form asks this. Choose yes or no; both are fine.")


_LENGTHS = {"entity": 200, "place": 300, "name": 50, "phone": 30, "email": 254, "entity_code": 18}


def _check_words(draft: Draft, faults: dict[str, str]) -> None:
    if len(draft.description) < 10:
        faults["description"] = gettext("Say in a sentence or two what happened: at least 10 characters.")
    if len(draft.description) > LONGEST_DESCRIPTION:
        faults["description"] = gettext(
            "This is %(length)s characters long; 4,000 fit. Put the rest into a text file and attach it.",
            length=len(draft.description),
        )
    for name, most in _LENGTHS.items():
        if len(getattr(draft, name)) > most:
            faults[name] = gettext("This is too long: %(most)s characters fit.", most=most)
    if draft.word and not 4 <= len(draft.word) <= 40:
        faults["word"] = gettext("The word must have 4 to 40 characters.")
    if _RECEIPT_LIKE.search(draft.description):
        faults["description"] = gettext("This looks like a receipt number. Never write it down here; remove it.")
    for name, value in asdict(draft).items():
        if name not in faults and _CONTROL.search(value):
            faults[name] = gettext("This holds characters that cannot be shown. Type it again.")


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_RECEIPT_LIKE = re.compile(r"(?<!\d)\d{4} \d{4} \d{4} \d{4}(?!\d)")


def _day(typed: str, faults: dict[str, str]) -> date | None:
    if not typed:
        return None
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        faults["happened_on"] = gettext("Write the day as year-month-day, such as 2026-03-15, or leave it open.")
        return None
    if not EARLIEST <= day <= publication.today():
        faults["happened_on"] = gettext("This day is still to come, or too long ago.")
        return None
    return day


def _reporter(draft: Draft, faults: dict[str, str]) -> Reporter | None:
    if draft.kind != "complaint" and draft.named != "yes":
        if draft.named not in ("", "no"):
            faults["named"] = gettext("Choose whether you give your name.")
        return None
    if not draft.name:
        faults["name"] = gettext("Enter your name.")
    if not (draft.phone or draft.email):
        faults["phone"] = gettext("Enter a telephone number or a mail address, so that you can be reached.")
    if draft.phone and not re.fullmatch(r"[+\d][\d ()\-]{4,28}", draft.phone):
        faults["phone"] = gettext("Write the telephone number in digits, such as 138 0000 0000.")
    if draft.email and not re.fullmatch(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+", draft.email):
        faults["email"] = gettext("Write the mail address in full, such as name@example.cn.")
    return Reporter(draft.name, draft.phone, draft.email)


def from_json(body: Mapping[str, Any]) -> Draft:
    """The draft that an API body comes to (`reporting.api.TipIn`)."""
    reporter = body.get("reporter") or {}
    answers = {True: "yes", False: "no", None: ""}
    plain = ("kind", "service", "entity_code", "description", "district", "place")
    return Draft(
        **{name: str(body.get(name) or "").strip() for name in plain},
        entity=str(body.get("entity") or "").strip(),
        happened_on=str(body.get("happened_on") or ""),
        named="yes" if reporter else "no",
        **{name: str(reporter.get(name) or "").strip() for name in ("name", "phone", "email")},
        publish=answers[body.get("consent_to_publish")],
        mediation=answers[body.get("consent_to_mediation")],
        word=str(body.get("claim_word") or "").strip(),
    )
