"""The transaction of an edge: one database session with its Context, and wake-ups after the commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.logs import logger
from booking_tasks.kit.settings import settings
from booking_tasks.kit.shutdown import is_requested
from booking_tasks.outbox.pending_wakeups import pending_wakeups
from booking_tasks.wakeup import wake_or_hold

log = logger(__name__)


@contextmanager
def unit_of_work(
    actor: str, entry_point: str, message_id: UUID | None = None, on: Connection | None = None
) -> Iterator[tuple[Session, Context]]:
    """One transaction with its moment; after the commit, the bells of what became due ring."""
    with transaction(on) as db:
        yield (
            db,
            Context(
                now=clock.now(db),
                actor=actor,
                entry_point=entry_point,
                message_id=message_id,
                policies=settings().policies,
            ),
        )
    wake_or_hold(pending_wakeups(db))


def for_each_in_own_transaction(
    subjects: Iterable[UUID], step: Callable[[Session, Context, UUID], object]
) -> int:
    """A sweep's step for each subject, in a transaction of its own; returns how many came through.

    One that fails is logged and left to a later tick: those behind it do not wait for it.
    """
    done = 0
    for subject in subjects:
        if is_requested():
            break
        try:
            with unit_of_work("sweep", "sweep") as (db, ctx):
                step(db, ctx, subject)
            done += 1
        except Exception:  # what one subject trips over keeps no other waiting; the next sweep tries it again
            log.exception("sweep.step_failed", step=step.__name__, subject=str(subject))
    return done
