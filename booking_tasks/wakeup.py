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
from booking_tasks.outbox.jobs import JOB_TYPES

log = logger(__name__)

_held: ContextVar[set[str] | None] = ContextVar("kept", default=None)


def wake_or_hold(job_types: set[str]) -> None:
    kept = _held.get()
    if kept is None:
        wake(job_types)
    else:
        kept |= job_types


def hold_wakeups() -> None:
    """Keep what is to be rung until `ring_kept`: whoever waits for an answer gets that first."""
    _held.set(set())


def send_held_wakeups() -> None:
    """Ring what was kept, if anything. What a process that dies before did not ring, the sweep does."""
    kept = _held.get()
    _held.set(None)
    wake(kept or ())


def wake(job_types: Iterable[str]) -> None:
    """Send one message per kind. A broker that is away is logged, and not waited for once per kind:

    the sweep rings again. A ring that nobody hears expires, so that an outage of the workers of one
    queue leaves no endless backlog.
    """
    wanted = sorted(job_types)
    try:
        for kind in wanted:
            send = partial(
                app.send_task,
                TASK_PREFIX + kind,
                queue=JOB_TYPES[kind].queue,
                ignore_result=True,
                expires=settings().wakeup_ttl / timedelta(seconds=1),
            )
            send_with_reconnect(send)
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, the work is safe
        log.warning("wakeup.lost", kinds=wanted, error=type(error).__name__)
