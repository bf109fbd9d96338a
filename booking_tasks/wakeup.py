"""Wake-up messages: they tell workers that jobs of a type are due. A lost one costs seconds, nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from datetime import timedelta
from functools import partial

from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.kit.logs import logger
from booking_tasks.kit.queues import send_with_reconnect
from booking_tasks.kit.settings import settings
from booking_tasks.outbox.job_args import JobType
from booking_tasks.outbox.jobs import JOB_TYPES

log = logger(__name__)

_held: ContextVar[set[JobType] | None] = ContextVar("held_wakeups", default=None)


def wake(job_types: Iterable[JobType]) -> None:
    """Send one wake-up message for each job type, or hold it while `hold_wakeups` is in effect.

    A broker that is away is logged and not tried for the remaining types, because the sweep wakes the workers
    later. A message that no worker takes expires, so that an outage of one queue's workers leaves no backlog.
    """
    held = _held.get()
    if held is not None:
        held.update(job_types)
        return
    ordered = sorted(job_types)
    try:
        for job_type in ordered:
            send = partial(
                app.send_task,
                TASK_PREFIX + job_type,
                queue=JOB_TYPES[job_type].queue,
                ignore_result=True,
                expires=settings().wakeup_ttl / timedelta(seconds=1),
            )
            send_with_reconnect(send)
    except Exception as error:  # noqa: BLE001 - any error of the broker's client: the jobs are in the database
        log.warning("wakeup.lost", job_types=ordered, error=type(error).__name__)


def hold_wakeups() -> None:
    """Hold wake-ups until `send_held_wakeups`, so that a caller gets the answer first."""
    _held.set(set())


def send_held_wakeups() -> None:
    """Send the wake-ups that are held. If the process dies before, the sweep wakes the workers."""
    held = _held.get()
    _held.set(None)
    wake(held or ())
