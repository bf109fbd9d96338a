"""The service with one more task that does nothing: `celery -A benchmarks.noop_worker worker`."""

from __future__ import annotations

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX

app.loader.import_default_modules()


@app.task(name=TASK_PREFIX + "do_nothing", ignore_result=False)  # type: ignore[untyped-decorator]
def do_nothing() -> int:
    """What every task costs: the broker there, the worker, the result back."""
    return 0
