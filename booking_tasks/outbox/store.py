"""Rows of events and jobs, appended together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from booking_tasks.kit.ids import uuid7
from booking_tasks.outbox.jobs import NewJob

_WRITTEN_DOWN = text("SELECT write_down(:event, :jobs)").bindparams(
    bindparam("event", type_=JSONB(none_as_null=True)), bindparam("jobs", type_=JSONB)
)


def add(db: Session, jobs: Iterable[NewJob], event: Mapping[str, Any] | None = None) -> list[NewJob]:
    """Write the jobs whose keys are new, and `event`, a row of `events` as JSON; returns those jobs."""
    wanted = {job.key: job for job in jobs}
    if not wanted and event is None:
        return []
    made = db.execute(_WRITTEN_DOWN, {"event": event, "jobs": rows(wanted.values())})
    return [wanted[key] for key in made.scalars()]


def rows(jobs: Iterable[NewJob]) -> list[dict[str, Any]]:
    """Jobs as JSON, each with a new id: what `write_down` and `book_start` take."""
    return [
        {
            "id": str(uuid7()),
            "key": job.key,
            "kind": job.kind,
            "subject_id": str(job.subject_id),
            "revision": job.revision,
            "recipient": None if job.recipient is None else str(job.recipient),
            "detail": job.detail,
            "due_at": job.due_at.isoformat(),
        }
        for job in jobs
    ]
