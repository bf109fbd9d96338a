"""Once-a-day work: whoever writes the day's row does the day's run."""

from __future__ import annotations

from datetime import UTC, date, datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.models import ScheduleRun


def has_run_today(db: Session, schedule: str, now: datetime) -> bool:
    """Whether the run of this UTC day is taken already. A hint to save work: `first_today` decides."""
    found = select(ScheduleRun.schedule).where(
        ScheduleRun.schedule == schedule, ScheduleRun.due_day == _day(now)
    )
    return db.execute(found).first() is not None


def claim_daily_run(db: Session, schedule: str, now: datetime) -> bool:
    """Take the run of this UTC day; False when it is taken.

    A rival waits for this transaction's end: if it fails, the rival or a later tick gets the run.
    """
    taken = insert(ScheduleRun).values(schedule=schedule, due_day=_day(now))
    taken = taken.on_conflict_do_nothing(index_elements=["schedule", "due_day"])
    return db.execute(taken.returning(ScheduleRun.schedule)).first() is not None


def _day(now: datetime) -> date:
    return now.astimezone(UTC).date()
