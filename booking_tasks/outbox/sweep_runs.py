"""When each sweep last succeeded, and when a beat last published its message."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.models import SweepRun


def record_sweep(db: Session, sweep: str, published_at: datetime | None) -> None:
    """Record that a sweep succeeded now. A tick that ran late never replaces a newer one."""
    new = insert(SweepRun).values(
        sweep=sweep, published_at=published_at, succeeded_at=func.statement_timestamp()
    )
    newest = func.greatest(SweepRun.published_at, new.excluded.published_at)
    changed = {"published_at": newest, "succeeded_at": new.excluded.succeeded_at}
    db.execute(new.on_conflict_do_update(index_elements=["sweep"], set_=changed))


def record_publish(db: Session, sweep: str, ago: timedelta) -> None:
    """Record that a beat published a sweep's message. A sweep that has never succeeded has no row yet."""
    newest = func.greatest(SweepRun.published_at, func.statement_timestamp() - ago)
    db.execute(update(SweepRun).where(SweepRun.sweep == sweep).values(published_at=newest))
