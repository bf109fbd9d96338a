"""Evidence and verdicts: queries, locks, guarded updates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.attendance.rules import Seen
from booking_tasks.contracts import Observation
from booking_tasks.identity import uuid7
from booking_tasks.models import AttendanceEvidence, ConsultationRequest, Job, ScheduledSession


def session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """The session as it stands."""
    return db.get(ScheduledSession, session_id, populate_existing=True)


def locked_session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """The session, held against every other change until the transaction ends."""
    return db.get(ScheduledSession, session_id, populate_existing=True, with_for_update=True)


def sessions_to_judge(db: Session, now: datetime, delay: timedelta, limit: int) -> list[ScheduledSession]:
    """Sessions whose verdict is due, longest over first, locked; those that others hold are left out.

    Due is `delay` after the end once the platform's report has been fetched or given up, and four
    times as long after the end in any case.
    """
    collecting = exists().where(
        Job.kind == "collect_attendance",
        Job.subject_id == ScheduledSession.id,
        Job.revision == ScheduledSession.revision,
        Job.settled_at.is_(None),
    )
    due = (
        select(ScheduledSession)
        .where(
            ScheduledSession.status == "in_progress",
            ScheduledSession.scheduled_end_time <= now - delay,
            or_(ScheduledSession.scheduled_end_time <= now - 4 * delay, ~collecting),
        )
        .order_by(ScheduledSession.scheduled_end_time)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(db.scalars(due))


def observations(db: Session, session_ids: Iterable[UUID]) -> dict[UUID, list[Seen]]:
    """What was seen of each session's room; an empty list where nothing was."""
    found: dict[UUID, list[Seen]] = defaultdict(list)
    rows = db.execute(
        select(
            AttendanceEvidence.scheduled_session_id,
            AttendanceEvidence.kind,
            AttendanceEvidence.observed_at,
            AttendanceEvidence.source,
            AttendanceEvidence.party,
        ).where(AttendanceEvidence.scheduled_session_id.in_(set(session_ids)))
    )
    for session_id, kind, at, source, party in rows:
        found[session_id].append(Seen(kind, at, source, party))
    return found


def add_evidence(db: Session, session_id: UUID, source: str, seen: Iterable[Observation]) -> int:
    """Keep observations of an existing session; how many of them were new."""
    rows = [
        {
            "id": uuid7(),
            "scheduled_session_id": session_id,
            "kind": one.kind,
            "party": one.party,
            "observed_at": one.observed_at,
            "source": source,
            "external_id": one.external_id,
        }
        for one in seen
    ]
    if not rows:
        return 0
    kept = db.execute(
        insert(AttendanceEvidence)
        .values(rows)
        .on_conflict_do_nothing(index_elements=["scheduled_session_id", "source", "external_id"])
        .returning(AttendanceEvidence.id)
    )
    return len(kept.all())


def changed_session(db: Session, session_id: UUID, expected: str, **values: Any) -> ScheduledSession:
    """Change a session that the caller holds locked and that has the expected status; the row after."""
    return db.execute(
        update(ScheduledSession)
        .where(ScheduledSession.id == session_id, ScheduledSession.status == expected)
        .values(**values)
        .returning(ScheduledSession)
        .execution_options(populate_existing=True, synchronize_session=False)
    ).scalar_one()


def ended_request(db: Session, request_id: UUID, verdict: str, now: datetime) -> str | None:
    """Complete the request of a judged session, with the verdict as reason; its status before.

    A request that is completed already only takes on the corrected verdict. None: neither of both.
    """
    before = db.execute(
        select(ConsultationRequest.status)
        .where(
            ConsultationRequest.id == request_id, ConsultationRequest.status.in_(("scheduled", "completed"))
        )
        .with_for_update()
    ).scalar_one_or_none()
    if before is not None:
        db.execute(
            update(ConsultationRequest)
            .where(ConsultationRequest.id == request_id, ConsultationRequest.status == before)
            .values(status="completed", status_reason=verdict, updated_at=now)
            .execution_options(synchronize_session="fetch")
        )
    return before
