"""Noting that time became free, in the transaction that frees it: those who wait are asked at once.

What is noted is whose time it is. Which starts that makes bookable is decided anew, from the ledger as it
then is, by the one judge: a freed hour may also lift the limit of a whole week. A note that is lost, or time
that is freed by the clock or by hand, costs seconds: the sweep over those who wait looks everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.kit.ids import uuid7
from booking_tasks.outbox import store as jobs
from booking_tasks.outbox.jobs import NewJob
from booking_tasks.outbox.pending_wakeups import wake_after_commit


def record_capacity_released(db: Session, ctx: Context, consultants: Iterable[UUID], reason: str) -> None:
    """Time of these consultants is free that was not; `because` is a word for the job's reader."""
    wanted = [
        NewJob("offer_time", who, ctx.now, detail=f"freed:{reason}:{uuid7()}")
        for who in sorted(set(consultants))
    ]
    if wanted:
        jobs.insert_jobs(db, wanted)
        wake_after_commit(db, {"offer_time"})
