"""The transaction of an edge: one database session with its Context, and wake-ups after the commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.kit import clock
from booking_tasks.kit.database import finds_a_row, transaction
from booking_tasks.kit.logs import logger
from booking_tasks.kit.settings import settings
from booking_tasks.kit.shutdown import is_requested
from booking_tasks.outbox.pending_wakeups import pending_wakeups
from booking_tasks.wakeup import wake

log = logger(__name__)


@contextmanager
def unit_of_work(
    actor: str,
    entry_point: str,
    message_id: UUID | None = None,
    on: Connection | None = None,
    *,
    one_snapshot: bool = False,
) -> Iterator[tuple[Session, Context]]:
    """Open one transaction with its Context, and wake workers for its jobs after the commit.

    With `one_snapshot` all its statements see the rows of one instant, and a row that another transaction has
    changed since is a serialization failure (40001): the whole transaction is to be run again.
    """
    with transaction(on) as db:
        if one_snapshot:
            db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        now = clock.now(db)
        yield db, Context(now, actor, entry_point, message_id, settings().policies)
    wake(pending_wakeups(db))


def finds_any(statement: TextClause, **values: object) -> bool:
    """Whether a sweep may have work: `statement` finds all that the sweep would find, and perhaps more.

    It decides nothing and locks nothing: the statements of the sweep do. It saves a tick without work the
    transactions, which cost ten times as much. It may read the relation `clock` (`clock.with_clock`).
    """
    return finds_a_row(clock.with_clock(statement.text), values)


def for_each_in_own_transaction(
    subjects: Iterable[UUID], step: Callable[[Session, Context, UUID], object]
) -> int:
    """Run a sweep's step for each subject in its own transaction; returns how many succeeded.

    A step that fails is logged and left to the next sweep, so that it does not delay the subjects after it.
    """
    done = 0
    for subject in subjects:
        if is_requested():
            break
        try:
            with unit_of_work("sweep", "sweep") as (db, ctx):
                step(db, ctx, subject)
            done += 1
        except Exception:  # any error of one subject: the next sweep tries it again
            log.exception("sweep.step_failed", step=step.__name__, subject=str(subject))
    return done
