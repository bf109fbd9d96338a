"""Rows of events and jobs, appended together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.instants import to_iso
from booking_tasks.models import Consultant
from booking_tasks.outbox.jobs import NewJob

_APPEND_EVENT = text("SELECT append_event_v1(:event, :jobs)").bindparams(
    bindparam("event", type_=JSONB(none_as_null=True)), bindparam("jobs", type_=JSONB)
)


def insert_jobs(db: Session, jobs: Iterable[NewJob], event: Mapping[str, Any] | None = None) -> list[NewJob]:
    """Insert the jobs whose keys are new, and `event`, a row of `events` as JSON; returns those jobs."""
    new_jobs = {job.key: job for job in jobs}
    if not new_jobs and event is None:
        return []
    made = db.execute(_APPEND_EVENT, {"event": event, "jobs": rows(new_jobs.values())})
    return [new_jobs[key] for key in made.scalars()]


def consultants_among(db: Session, people: Collection[UUID]) -> list[UUID]:
    """Those of the people who are consultants, in order of ids."""
    found = select(Consultant.consultant_user_id).where(Consultant.consultant_user_id.in_(people))
    return list(db.execute(found.order_by(Consultant.consultant_user_id)).scalars())


def rows(jobs: Iterable[NewJob]) -> list[dict[str, Any]]:
    """Jobs as JSON, each with a new id: what `append_event_v1` and `book_start_v3` take."""
    return [
        {
            "id": str(uuid7()),
            "key": job.args.key,
            "job_type": job.args.job_type,
            "subject_id": str(job.args.subject_id),
            "args": job.args.to_json(),
            "due_at": to_iso(job.due_at),
        }
        for job in jobs
    ]
