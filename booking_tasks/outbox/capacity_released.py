"""Recording that time of people became free, in the transaction that frees it.

The job names the consultant. Which starts that makes bookable is evaluated when the job runs, from the slot
ledger as it is then: a freed hour may also lift the limit of a whole week. When such a job is lost, or time
becomes free by the clock or by hand, the sweep over waiting requests finds it seconds later.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.kit.ids import uuid7
from booking_tasks.outbox import store as jobs
from booking_tasks.outbox.job_args import JobType, OfferTime
from booking_tasks.outbox.jobs import NewJob
from booking_tasks.outbox.pending_wakeups import wake_after_commit


def record_capacity_released(db: Session, ctx: Context, people: Iterable[UUID], reason: str) -> None:
    """Insert a job for each of these people who is a consultant; `reason` is for the job's reader.

    A requester whose time became free is named too: they may be a consultant, who is then free as well.
    """
    consultants = jobs.consultants_among(db, set(people))
    released = [NewJob(OfferTime(who, reason, uuid7()), ctx.now) for who in consultants]
    if released:
        jobs.insert_jobs(db, released)
        wake_after_commit(db, {JobType.OFFER_TIME})
