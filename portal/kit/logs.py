"""Logs: constant event names plus fields. Never personal data, an address, a query string, a key or a receipt."""

import logging
import sys
from typing import TextIO, cast

import structlog

from portal.kit.settings import get_settings

_PROCESSORS: list[structlog.typing.Processor] = []
"""One list for the life of the process: loggers keep the one they first saw, and tests look into it."""


class _StandardError:
    """Standard error, wherever it leads at that moment: loggers live longer than what it is led to for a while."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


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
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _StandardError())),
        cache_logger_on_first_use=True,
    )
