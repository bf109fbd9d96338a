"""Ringing: telling workers that jobs of a kind are due. A lost ring costs seconds, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from booking_tasks import clock
from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.database import rings, transaction
from booking_tasks.jobs.rules import KINDS
from booking_tasks.logs import logger
from booking_tasks.occasion import Occasion
from booking_tasks.queues import promptly
from booking_tasks.settings import settings
from booking_tasks.stopping import stopping

log = logger(__name__)

_kept: ContextVar[set[str] | None] = ContextVar("kept", default=None)


@contextmanager
def occasion(
    actor: str, door: str, message_id: UUID | None = None, on: Connection | None = None
) -> Iterator[tuple[Session, Occasion]]:
    """One transaction with its moment; after the commit, the bells of what became due ring."""
    with transaction(on) as db:
        yield (
            db,
            Occasion(
                now=clock.now(db),
                actor=actor,
                door=door,
                message_id=message_id,
                policies=settings().policies,
            ),
        )
    _hear(rings(db))


def _hear(kinds: set[str]) -> None:
    kept = _kept.get()
    if kept is None:
        ring(kinds)
    else:
        kept |= kinds


def keep_rings() -> None:
    """Keep what is to be rung until `ring_kept`: whoever waits for an answer gets that first."""
    _kept.set(set())


def ring_kept() -> None:
    """Ring what was kept, if anything. What a process that dies before did not ring, the sweep does."""
    kept = _kept.get()
    _kept.set(None)
    ring(kept or ())


def one_by_one(subjects: Iterable[UUID], step: Callable[[Session, Occasion, UUID], object]) -> int:
    """A sweep's step for each subject, in a transaction of its own; returns how many came through.

    One that fails is logged and left to a later tick: those behind it do not wait for it.
    """
    done = 0
    for subject in subjects:
        if stopping():
            break
        try:
            with occasion("sweep", "sweep") as (db, moment):
                step(db, moment, subject)
            done += 1
        except Exception:  # what one subject trips over keeps no other waiting; the next sweep tries it again
            log.exception("sweep.step_failed", step=step.__name__, subject=str(subject))
    return done


def ring(kinds: Iterable[str]) -> None:
    """Send one message per kind. A broker that is away is logged, and not waited for once per kind:

    the sweep rings again. A ring that nobody hears expires, so that an outage of the workers of one
    queue leaves no endless backlog.
    """
    wanted = sorted(kinds)
    try:
        for kind in wanted:
            send = partial(
                app.send_task,
                TASK_PREFIX + kind,
                queue=KINDS[kind].queue,
                ignore_result=True,
                expires=settings().bell_life / timedelta(seconds=1),
            )
            promptly(send)
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, the work is safe
        log.warning("doorbell.lost", kinds=wanted, error=type(error).__name__)
