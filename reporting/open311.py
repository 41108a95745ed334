"""Open311 GeoReport v2 over the same intake: what its shapes are here, and what of a case they show.

A request's id is the public number of the case. It shows service, district and status, never what was told, about whom,
or by whom; lists hold only what came this way. The receipt is returned once, in a field of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal
from xml.etree import ElementTree

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.kit.errors import PortalError
from record import codes, districts, entities, publication
from record.entities import EntityNotFound
from record.publication import CITY_TIME
from reporting import cases
from reporting.forms import LONGEST_DESCRIPTION, Draft
from reporting.intake import Taken
from reporting.matters import SERVICES
from reporting.models import TipCase

Format = Literal["json", "xml"]
SERVED = {code: service for code, service in SERVICES.items() if code != "consumer"}
"""A dispute of one's own needs consents that these shapes have no place for: that is for the form."""
LONGEST_SPAN = timedelta(days=90)
MOST = 1_000


class LocationMissing(PortalError):
    status = 400
    slug = "open311-location"
    title = "A location is needed: lat and long, address_string, or address_id."
    remedy = "For a shop on the internet send its web address as address_string; address_id may be a credit code."


class ServiceUnknown(PortalError):
    status = 404
    slug = "open311-service"
    title = "There is no service with this code."
    remedy = "Take one of the codes that services lists."


class NoSuchRequest(PortalError):
    status = 404
    slug = "open311-request"
    title = "There is no request with this id."
    remedy = "Check the id; it has a check digit."


class DatesRefused(PortalError):
    status = 400
    slug = "open311-dates"
    title = "These dates cannot be used."
    remedy = "Send start_date and end_date as 2026-03-15T00:00:00+08:00, at most 90 days apart."


# ---- what is shown --------------------------------------------------------------------------------------------------


def discovery(base_url: str, contact: str) -> dict[str, Any]:
    """The description of this endpoint."""
    formats = ["text/xml", "application/json"]
    endpoint = {
        "specification": "http://wiki.open311.org/GeoReport_v2", "url": f"{base_url}/open311/v2",
        "changeset": "2026-11-23T00:00:00+08:00", "type": "production", "formats": formats,
    }  # fmt: skip
    return {
        "changeset": "2026-11-23T00:00:00+08:00", "contact": contact, "key_service": f"{base_url}/developers",
        "endpoints": [endpoint],
    }  # fmt: skip


def services(language: str) -> list[dict[str, Any]]:
    """What can be reported."""
    at = language == "en"
    return [
        {
            "service_code": code, "service_name": service.name[at], "description": service.examples[at],
            "metadata": False, "type": "realtime", "keywords": ",".join(service.keywords), "group": "market",
        }
        for code, service in SERVED.items()
    ]  # fmt: skip


def shown(case: TipCase, language: str) -> dict[str, Any]:
    """What everybody may see of a case: days, not times, so that nobody learns when somebody sat down to write."""
    service = SERVICES[case.service].name[language == "en"]
    place = codes.label(codes.DISTRICTS, case.district, "en" if language == "en" else "zh")
    return {
        "service_request_id": cases.number_of(case), "status": "closed" if case.closed_on else "open",
        "status_notes": cases.PUBLIC[case.state][language == "en"], "service_name": service,
        "service_code": case.service, "description": None, "agency_responsible": case.department,
        "service_notice": None, "requested_datetime": _instant(case.received_on),
        "updated_datetime": _instant(case.changed_at.astimezone(CITY_TIME).date()),
        "expected_datetime": _instant(case.due_on) if case.due_on else None, "address": place,
        "address_id": case.district, "zipcode": None, "lat": None, "long": None, "media_url": None,
    }  # fmt: skip


def _instant(day: date) -> str:
    return datetime(day.year, day.month, day.day, tzinfo=CITY_TIME).isoformat()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is asked for."""

    numbers: Sequence[str] = ()
    services: Sequence[str] = ()
    status: str = ""
    start: str = ""
    end: str = ""
    most: int = MOST


def requests(session: Session, wanted: Wanted) -> list[TipCase]:
    """Cases by number, or those that came this way, the newest first. Raises DatesRefused."""
    if wanted.numbers:
        found = (cases.by_number(session, number) for number in wanted.numbers[:50])
        return [case for case in found if case is not None]
    first, last = _span(wanted)
    asked = select(TipCase).where(TipCase.via == "open311", TipCase.received_on.between(first, last))
    if wanted.services:
        asked = asked.where(TipCase.service.in_(wanted.services[:50]))
    if wanted.status:
        is_open = TipCase.closed_on.is_(None)
        asked = asked.where(is_open if wanted.status == "open" else ~is_open)
    newest = asked.order_by(TipCase.received_on.desc(), TipCase.id.desc())
    return list(session.scalars(newest.limit(min(max(wanted.most, 1), MOST))))


def _span(wanted: Wanted) -> tuple[date, date]:
    try:
        last = _day(wanted.end) if wanted.end else publication.today()
        first = _day(wanted.start) if wanted.start else last - LONGEST_SPAN
    except ValueError as error:
        raise DatesRefused from error
    if wanted.start and not wanted.end:
        last = min(first + LONGEST_SPAN, publication.today())
    if not timedelta(0) <= last - first <= LONGEST_SPAN:
        raise DatesRefused
    return first, last


def _day(text: str) -> date:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "+"))
    return (moment.astimezone(CITY_TIME) if moment.tzinfo else moment).date()


# ---- what is sent ---------------------------------------------------------------------------------------------------


def draft_of(session: Session, sent: Mapping[str, str]) -> Draft:
    """The form that a request comes to. Raises ServiceUnknown, LocationMissing."""
    if sent.get("service_code") not in SERVED:
        raise ServiceUnknown
    point = " ".join(filter(None, (sent.get("lat"), sent.get("long")))) if sent.get("lat") and sent.get("long") else ""
    address, address_id = sent.get("address_string", "").strip(), sent.get("address_id", "").strip()
    if not (point or address or address_id):
        raise LocationMissing
    entity_code, place = _entity(session, address_id)
    named = " ".join(filter(None, (sent.get("first_name"), sent.get("last_name"))))
    reachable = sent.get("phone") or sent.get("email")
    media = f"\n{sent['media_url']}" if sent.get("media_url") else ""
    told = Draft.of(
        {
            "kind": "report", "service": sent["service_code"],
            "description": (sent.get("description", "") + media)[: LONGEST_DESCRIPTION + 1], "entity_code": entity_code,
            "place": " · ".join(filter(None, (address, place, point)))[:300],
            "district": districts.of_address(address) or (address_id if address_id in districts.DISTRICTS else ""),
            "named": "yes" if named and reachable else "no",
        }
    )  # fmt: skip
    if told.named == "yes":
        told = replace(told, name=named[:50], phone=sent.get("phone", "")[:30], email=sent.get("email", "")[:254])
    return told


def _entity(session: Session, address_id: str) -> tuple[str, str]:
    """An address may be named by the credit code of whoever is registered there."""
    if not address_id:
        return "", ""
    try:
        return entities.get(session, address_id[:40]).code, ""
    except EntityNotFound:
        return "", "" if address_id in districts.DISTRICTS else address_id


def taken(done: Taken) -> list[dict[str, Any]]:
    """The answer to a request that was taken."""
    return [
        {
            "service_request_id": done.case_number, "service_notice": None, "account_id": None,
            "receipt": done.digits,
        }
    ]  # fmt: skip


# ---- XML ------------------------------------------------------------------------------------------------------------

_OF_LISTS = {"services": "service", "service_requests": "request", "errors": "error", "endpoints": "endpoint",
             "formats": "format"}  # fmt: skip


def xml(root: str, content: Any) -> bytes:
    """The same content as XML: lists become elements of their own, nothing becomes an empty element."""
    made = ElementTree.Element(root)
    _fill(made, root, content)
    found: bytes = ElementTree.tostring(made, encoding="utf-8", xml_declaration=True)
    return found


def _fill(element: ElementTree.Element, name: str, content: Any) -> None:
    if isinstance(content, Mapping):
        for key, value in content.items():
            _fill(ElementTree.SubElement(element, key), key, value)
    elif isinstance(content, list):
        for each in content:
            _fill(ElementTree.SubElement(element, _OF_LISTS[name]), _OF_LISTS[name], each)
    elif content is not None:
        element.text = str(content).lower() if isinstance(content, bool) else _printable(str(content))


def _printable(text: str) -> str:
    return "".join(char for char in text if char in "\t\n\r" or char >= " ")
