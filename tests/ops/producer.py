"""Messages as any producer sends them."""

from __future__ import annotations

from typing import Any

from celery import Celery

from booking_tasks.kit.queues import declared_queues


def send(broker: str, queue: str, task: str, **arguments: Any) -> None:
    """Put one message into a queue."""
    with Celery("producer", broker=broker, set_as_current=False) as app:
        app.conf.update(task_queues=declared_queues(broker), task_create_missing_queues=False)
        app.send_task(task, kwargs=arguments, queue=queue, ignore_result=True)
