"""The tasks that a message may call, and the queue of each."""

from __future__ import annotations

import inspect
from typing import Any

from booking_tasks.celery import queue_names
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.guard.rules import DEAD_LETTER, PARK, EntryPoint


def entry_points_of(app: Any) -> dict[str, EntryPoint]:
    """Every task of this release, with the one queue from which a message may call it."""
    queues = queue_names()
    others = queues.pop(TASK_PREFIX + "*")
    return {
        name: EntryPoint(
            queue=None if name in (DEAD_LETTER, PARK) else queues.get(name, others),
            arguments=frozenset(inspect.signature(task.run).parameters),
        )
        for name, task in app.tasks.items()
        if name.startswith(TASK_PREFIX)  # Celery's own tasks are not for messages
    }
