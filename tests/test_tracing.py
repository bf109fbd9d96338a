"""With the extra `otel`, the span of a task continues the trace of the sender."""

from __future__ import annotations

import subprocess
import sys

_TRACED = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)

from celery.app.trace import build_tracer
from booking_tasks.celery import app
from booking_tasks.kit.tracing import start_tracing

assert start_tracing()

@app.task(name="tests.traced")
def traced():
    return trace.get_current_span().get_span_context().trace_id

parent = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
# What a worker does with a message's headers: they become the request the task runs under.
run = build_tracer("tests.traced", traced, app=app, eager=True)
seen = run("an id", (), {}, request={"traceparent": parent, "is_eager": True}).retval
assert format(seen, "032x") == "ab" * 16, format(seen, "032x")
assert [span.name for span in spans.get_finished_spans()] == ["run/tests.traced"]
print("one trace")
"""


def test_a_task_continues_the_callers_trace() -> None:
    ran = subprocess.run([sys.executable, "-c", _TRACED], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.strip()) == (0, "one trace"), ran.stderr
