"""Traces across services (extra `otel`): the span of a task continues the caller's `traceparent`.

OpenTelemetry's own configuration decides where spans are sent (`OTEL_*`, or `opentelemetry-instrument`).
"""

from __future__ import annotations

from importlib.util import find_spec


def start_tracing() -> bool:
    """Instrument the tasks of this process when the extra is installed; returns whether it is.

    Called in each pool process: exporters do not survive a fork.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.instrumentation.celery") is None:
        return False
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415 - an extra

    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
    return True
