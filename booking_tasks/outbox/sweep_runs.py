"""When each sweep last succeeded, and when a beat published the tick that it ran for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func
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
