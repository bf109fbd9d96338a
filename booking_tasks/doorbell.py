"""Ringing: telling workers that jobs of a kind are due. A lost ring costs seconds, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
from booking_tasks.settings import settings

log = logger(__name__)


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
    ring(rings(db))


def ring(kinds: Iterable[str]) -> None:
    """Send one message per kind. A broker that is away is logged: the sweep rings again."""
    for kind in sorted(kinds):
        try:
            app.send_task(TASK_PREFIX + kind, queue=KINDS[kind].queue, ignore_result=True)
        except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, the work is safe
            log.warning("doorbell.lost", kind=kind, error=type(error).__name__)
