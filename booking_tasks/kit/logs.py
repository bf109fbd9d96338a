"""Logs as JSON lines with ids; they contain no names, addresses or message bodies."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

import structlog

from booking_tasks.kit.redaction import without_rows


def configure_logging(level: int = logging.INFO, *, final: bool = True) -> None:
    """Send the records of structlog and of the libraries through one JSON formatter to standard error.

    Only when `final`, loggers cache this configuration on first use.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_rows,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=final,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.captureWarnings(True)  # they would be plain text otherwise
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").setLevel(logging.WARNING)
    logging.getLogger("httpx2").setLevel(logging.WARNING)


def _without_rows(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in ("event", "exception", "error"):
        if isinstance(entry.get(name), str):
            entry[name] = without_rows(entry[name])
    return entry


def logger(name: str) -> Any:
    """Return a structlog logger for one module."""
    return structlog.get_logger(name)
