"""Which tasks a message may call, and from where."""

from __future__ import annotations

import inspect
from typing import Any

from booking_tasks.celery import routes
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.guard.rules import BURY, PARK, Door


def doors_of(app: Any) -> dict[str, Door]:
    """Every task that a message may call, with the one queue it is taken from."""
    queues = {name: route["queue"] for name, route in routes().items()}
    others = queues.pop(TASK_PREFIX + "*")
    return {
        name: Door(
            queue=None if name in (BURY, PARK) else queues.get(name, others),
            arguments=frozenset(inspect.signature(task.run).parameters),
        )
        for name, task in app.tasks.items()
        if name.startswith(TASK_PREFIX)  # Celery's own tasks are not for messages
    }
