"""Logs: constant event names plus fields. Never personal data, an address, a query string, a key or a receipt."""

import logging
import sys

import structlog

from portal.kit.settings import get_settings

_PROCESSORS: list[structlog.typing.Processor] = []
"""One list for the life of the process: loggers keep the one they first saw, and tests look into it."""


def configure() -> None:
    """Send this process's log to standard error, one event a line."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if get_settings().log_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    _PROCESSORS[:] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        renderer,
    ]
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
