"""`/metrics`: what an operator asks first, in Prometheus's text format. From this machine, or with a token."""

import hmac
import ipaddress
import threading
import time
from collections.abc import Iterable, Sequence

import structlog
from fastapi import Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from portal.kit import db, jobs, limits, storage
from portal.kit.area import Area
from portal.kit.errors import NotFound
from portal.kit.limits import door
from portal.kit.measured import Measure, requests_as_text
from portal.kit.settings import get_settings

KEPT_SECONDS = 15.0
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

router = limits.router()
log = structlog.get_logger()


class _Kept:
    """What was measured last, for all threads."""

    lock = threading.Lock()
    of = ""
    """The database it was measured in."""
    until = float("-inf")
    text = b""


@router.get("/metrics", include_in_schema=False)
@door(who="anyone", limit="600/minute")
def metrics(request: Request) -> Response:
    """Figures for operators. Raises NotFound for strangers."""
    if not _may_read(request):
        raise NotFound
    content = requests_as_text() + _measured(request.app.state.areas)
    return Response(content, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


def _may_read(request: Request) -> bool:
    token = get_settings().metrics_token
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if token is not None and scheme.lower() == "bearer":
        return hmac.compare_digest(given.encode(), token.get_secret_value().encode())
    return request.client is not None and _is_loopback(request.client.host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _measured(areas: Sequence[Area]) -> bytes:
    with _Kept.lock:
        database = get_settings().resolved_database_url
        if time.monotonic() >= _Kept.until or _Kept.of != database:
            _Kept.text = _as_text(_all(areas))
            _Kept.of, _Kept.until = database, time.monotonic() + KEPT_SECONDS
        return _Kept.text


def _all(areas: Sequence[Area]) -> Iterable[Measure]:
    shared = limits.shared_counts()
    yield Measure("limits_away", "1 while limits are counted by each process alone.", bool(shared and shared.away))
    yield Measure("storage_away", "1 while object storage does not answer.", storage.is_away())
    if get_settings().role == "public":
        return  # the officers' side has the tables that the others are counted in
    for name, measure in (("jobs", _jobs), *((area.name, area.measures) for area in areas if area.measures)):
        try:
            with db.reading() as session:
                yield from list(measure(session))
            failed = False
        except (SQLAlchemyError, OSError) as error:
            log.warning("measures.failed", area=name, error=type(error).__name__)
            failed = True
        yield Measure("measure_failed", "1 where figures could not be had.", failed, {"area": name})


def _jobs(session: Session) -> Sequence[Measure]:
    found = [Measure("jobs_failed", "Jobs that were given up.", jobs.failed(session))]
    for queue, standing in jobs.standings(session).items():
        labels = {"queue": queue}
        found.append(Measure("jobs_waiting", "Jobs that are due and not begun.", standing.waiting, labels))
        found.append(Measure("jobs_oldest_seconds", "Age of the oldest of them.", standing.oldest_seconds, labels))
    return found


class _Families:
    """What prometheus-client asks for."""

    def __init__(self, measures: Iterable[Measure]) -> None:
        self._families: dict[str, GaugeMetricFamily] = {}
        for one in measures:
            family = self._families.get(one.name)
            if family is None:
                family = GaugeMetricFamily(f"portal_{one.name}", one.about, labels=list(one.labels))
                self._families[one.name] = family
            family.add_metric(list(one.labels.values()), float(one.value))

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._families.values()


def _as_text(measures: Iterable[Measure]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Families(measures))
    return bytes(generate_latest(registry))
