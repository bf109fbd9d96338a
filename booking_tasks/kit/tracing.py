"""Traces across services (extra `otel`): a task's span continues the caller's `traceparent`.

Where spans go is OpenTelemetry's own configuration (`OTEL_*`, or `opentelemetry-instrument`).
"""

from __future__ import annotations

from importlib.util import find_spec


def start_tracing() -> bool:
    """Instrument this process's tasks when the extra is installed; whether it is.

    Called in each pool process: exporters do not survive a fork.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.instrumentation.celery") is None:
        return False
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415 - an extra

    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
    return True
