"""Reads and inserts evidence, and locks the sessions that it is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.attendance.rules import EvidenceItem
from booking_tasks.enums import JobState, SessionStatus
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AttendanceEvidence, Event, Job, ScheduledSession
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import JobType

#: PostgreSQL takes 65,535 values in one statement; a row has seven.
_ROWS_AT_ONCE = 1000


def session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """Return the session."""
    return db.get(ScheduledSession, session_id, populate_existing=True)


def locked_session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """Return the session, locked for change."""
    return db.get(ScheduledSession, session_id, populate_existing=True, with_for_update=True)


def sessions_to_judge(db: Session, now: datetime, delay: timedelta, limit: int) -> list[ScheduledSession]:
    """Return sessions whose verdict is due, the earliest end first, locked; locked ones are skipped.

    Due is `delay` after the end once the platform's report has been fetched or given up. Four times as
    long after the end, a report that was asked for twice in vain is waited for no longer; one that
    nobody came to ask for, as after an outage of our own, still is.
    """
    collecting = exists().where(
        Job.job_type == JobType.COLLECT_ATTENDANCE,
        Job.subject_id == ScheduledSession.id,
        Job.args["revision"].as_integer() == ScheduledSession.revision,
        Job.finished_at.is_(None),
    )
    hopeful = collecting.where(or_(Job.attempts < 2, Job.state != JobState.WAITING))
    due = (
        select(ScheduledSession)
        .where(
            ScheduledSession.status == SessionStatus.IN_PROGRESS,
            ScheduledSession.scheduled_end_time <= now - delay,
            or_(and_(ScheduledSession.scheduled_end_time <= now - 4 * delay, ~hopeful), ~collecting),
        )
        .order_by(ScheduledSession.scheduled_end_time)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(db.scalars(due))


def observations(db: Session, session_ids: Iterable[UUID]) -> dict[UUID, list[EvidenceItem]]:
    """Return the evidence of each session; an empty list where there is none.

    Evidence of a former consultant, from before the session was reassigned, is left out.
    """
    since = (
        select(func.max(Event.occurred_at))
        .where(
            Event.scheduled_session_id == AttendanceEvidence.scheduled_session_id,
            Event.type == EventType.SESSION_REASSIGNED,
        )
        .scalar_subquery()
    )
    found: dict[UUID, list[EvidenceItem]] = defaultdict(list)
    rows = db.execute(
        select(
            AttendanceEvidence.scheduled_session_id,
            AttendanceEvidence.evidence_type,
            AttendanceEvidence.observed_at,
            AttendanceEvidence.source,
            AttendanceEvidence.party,
        ).where(
            AttendanceEvidence.scheduled_session_id.in_(set(session_ids)),
            or_(
                AttendanceEvidence.party.is_distinct_from("consultant"),
                since.is_(None),
                AttendanceEvidence.observed_at >= since,
            ),
        )
    )
    for session_id, evidence_type, at, source, party in rows:
        found[session_id].append(EvidenceItem(evidence_type, at, source, party))
    return found


class Observed(Protocol):
    """One observation of any source; `external_id` identifies it there."""

    @property
    def evidence_type(self) -> str: ...
    @property
    def party(self) -> str | None: ...
    @property
    def observed_at(self) -> datetime: ...
    @property
    def external_id(self) -> str: ...


def insert_evidence(db: Session, session_id: UUID, source: str, seen: Iterable[Observed]) -> int:
    """Insert observations of an existing session; return how many of them were new."""
    kept, observed = 0, list(seen)
    for first in range(0, len(observed), _ROWS_AT_ONCE):
        rows = [
            {
                "id": uuid7(),
                "scheduled_session_id": session_id,
                "evidence_type": one.evidence_type,
                "party": one.party,
                "observed_at": one.observed_at,
                "source": source,
                "external_id": one.external_id,
            }
            for one in observed[first : first + _ROWS_AT_ONCE]
        ]
        new = insert(AttendanceEvidence).values(rows)
        new = new.on_conflict_do_nothing(index_elements=["scheduled_session_id", "source", "external_id"])
        kept += len(db.execute(new.returning(AttendanceEvidence.id)).all())
    return kept
