"""The queries of the meetings room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, any_, exists, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Session

from booking_tasks.identity import uuid7
from booking_tasks.meetings.rules import Evidence, KnownSession
from booking_tasks.models import AttendanceEvidence, Event, Job, ScheduledSession

#: Where evidence from the meeting platform says it comes from.
PLATFORM = "platform"
_ROWS_AT_ONCE = 1000


def session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """The session as it stands now, read anew."""
    return db.get(ScheduledSession, session_id, populate_existing=True)


def locked_session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """The session as it stands now, locked against every other change until the transaction ends."""
    return db.execute(
        select(ScheduledSession)
        .where(ScheduledSession.id == session_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def was_ordered(db: Session, session_id: UUID) -> bool:
    """Whether a room for the session may ever have been asked for."""
    return _any(db, Job.kind == "provision_meeting", Job.subject_id == session_id, Job.sendings > 0)


def has_invites(db: Session, session_id: UUID, revision: int) -> bool:
    """Whether invites of this revision exist, sent or still to be sent."""
    return _any(db, Job.kind == "send_invite", Job.subject_id == session_id, Job.revision == revision)


def has_event(db: Session, type_: str, session_id: UUID, revision: int) -> bool:
    """Whether this was written down for this revision of the session."""
    found = select(Event.id).where(
        Event.scheduled_session_id == session_id,
        Event.type == type_,
        Event.after["revision"].as_integer() == revision,
    )
    return db.execute(found.limit(1)).first() is not None


def _any(db: Session, *conditions: ColumnElement[bool]) -> bool:
    return db.execute(select(Job.id).where(*conditions).limit(1)).first() is not None


def add_evidence(db: Session, session_id: UUID, evidence: Sequence[Evidence]) -> int:
    """Write what is new among the platform's observations of a session; returns how many were."""
    written = 0
    for first in range(0, len(evidence), _ROWS_AT_ONCE):
        rows = [
            {
                "id": uuid7(),
                "scheduled_session_id": session_id,
                "kind": one.kind,
                "party": one.party,
                "observed_at": one.observed_at,
                "source": PLATFORM,
                "external_id": one.external_id,
            }
            for one in evidence[first : first + _ROWS_AT_ONCE]
        ]
        new = insert(AttendanceEvidence).values(rows)
        new = new.on_conflict_do_nothing(index_elements=["scheduled_session_id", "source", "external_id"])
        written += len(db.execute(new.returning(AttendanceEvidence.id)).all())
    return written


def sessions_to_compare(
    db: Session, listed: Iterable[UUID], start: datetime, end: datetime
) -> list[KnownSession]:
    """The sessions whose rooms are listed, and those scheduled to start from `start` until before `end`."""
    being_changed = exists().where(
        Job.subject_id == ScheduledSession.id,
        Job.kind.in_(("provision_meeting", "close_meeting")),
        Job.settled_at.is_(None),
    )
    ids = literal(list(listed), ARRAY(PG_UUID(as_uuid=True)))
    rows = db.execute(
        select(
            ScheduledSession.id,
            ScheduledSession.revision,
            ScheduledSession.status,
            ScheduledSession.scheduled_start_time.label("starts_at"),
            ScheduledSession.scheduled_end_time.label("ends_at"),
            ScheduledSession.meeting_platform_join_url.is_not(None).label("linked"),
            (~being_changed).label("settled"),
        )
        .where(
            or_(
                ScheduledSession.id == any_(ids),
                and_(
                    ScheduledSession.status == "scheduled",
                    ScheduledSession.scheduled_start_time >= start,
                    ScheduledSession.scheduled_start_time < end,
                ),
            )
        )
        .order_by(ScheduledSession.id)
    )
    return [KnownSession(**row) for row in rows.mappings()]
