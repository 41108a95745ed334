"""Figures about the portal itself, for whoever keeps it running: how long requests take, and what areas measure.

Names of figures and labels are Prometheus's. Nothing about a person, an entity or an address is ever a label, and every
label has few values: routes by their template, statuses by their class.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from portal.kit.settings import metrics_folder

API = "/api/v1"
REQUESTS = CollectorRegistry()
_SECONDS = Histogram(
    "portal_request_seconds",
    "How long answers took, to the last byte.",
    ("route", "method", "status"),
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0),
    registry=REQUESTS,
)


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure: its name without `portal_`, what it is, its value, its labels."""

    name: str
    about: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def answered(path: str, route: str | None, method: str, status: int, seconds: float) -> None:
    """Note one answer. `route`: the template that matched; None: an address that is nobody's."""
    template = "none" if route is None else route if route.startswith(API) or not path.startswith(API) else API + route
    _SECONDS.labels(template, method if method in _METHODS else "other", f"{status // 100}xx").observe(seconds)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


def requests_as_text() -> bytes:
    """What was answered, by all web processes together, in Prometheus's text format."""
    folder = metrics_folder()
    if folder is None:
        return bytes(generate_latest(REQUESTS))
    together = CollectorRegistry()
    MultiProcessCollector(together, path=folder)  # type: ignore[no-untyped-call]
    return bytes(generate_latest(together))
