"""Work that runs once a day: the process that inserts the day's row does the run."""

from __future__ import annotations

from datetime import UTC, date, datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.models import ScheduleRun
from booking_tasks.sql import query

#: Finds a row unless the run of this UTC day is claimed.
RUN_IS_OPEN = query(__package__, "run_is_open")


def has_run_today(db: Session, schedule: str, now: datetime) -> bool:
    """Whether the run of this UTC day is claimed. A hint that saves work: `claim_daily_run` decides."""
    found = select(ScheduleRun.schedule).where(
        ScheduleRun.schedule == schedule, ScheduleRun.due_day == _day(now)
    )
    return db.execute(found).first() is not None


def claim_daily_run(db: Session, schedule: str, now: datetime) -> bool:
    """Claim the run of this UTC day; False when it is claimed.

    A concurrent caller waits for the end of this transaction: if it fails, that caller or a later tick gets
    the run.
    """
    claim = insert(ScheduleRun).values(schedule=schedule, due_day=_day(now))
    claim = claim.on_conflict_do_nothing(index_elements=["schedule", "due_day"])
    return db.execute(claim.returning(ScheduleRun.schedule)).first() is not None


def _day(now: datetime) -> date:
    return now.astimezone(UTC).date()
