"""Deleting old rows: oldest first, up to a limit, without rows that others have locked.

The instants of finishing, receiving and recording are the database's real time and compared with it
(statement_timestamp, which an index can serve; clock_timestamp it cannot).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session

from booking_tasks.enums import JobState, RequestStatus, StepState
from booking_tasks.models import (
    AbsencePlan,
    AbsencePlanStep,
    AssignmentBatch,
    AttendanceEvidence,
    Base,
    ConsultantLeave,
    ConsultationRequest,
    DeadLetter,
    Event,
    InboxMessage,
    Job,
    ParkedMessage,
    ScheduledSession,
    ScheduleRun,
    SessionMailbox,
)
from booking_tasks.states import OPEN

_REAL_TIME = func.statement_timestamp()


def delete_jobs(db: Session, age: timedelta, limit: int) -> int:
    """Delete finished jobs, those that wait for a person only at twice the age; returns how many.

    The jobs of an open session stay: they show who was invited and whether there is a room, when the session
    is moved or cancelled.
    """
    decided = Job.state.not_in((JobState.UNCERTAIN, JobState.DEAD))
    is_open = exists().where(ScheduledSession.id == Job.subject_id, ScheduledSession.status.in_(OPEN))
    old = select(Job.id).where(
        Job.finished_at < _REAL_TIME - age,
        or_(decided, Job.finished_at < _REAL_TIME - 2 * age),
        ~is_open,
    )
    return _delete(db, Job, (Job.id,), old.order_by(Job.finished_at), limit)


def delete_inbox(db: Session, age: timedelta, limit: int) -> int:
    """Delete answered messages; returns how many."""
    old = select(InboxMessage.message_id).where(InboxMessage.finished_at < _REAL_TIME - age)
    key = (InboxMessage.message_id,)
    return _delete(db, InboxMessage, key, old.order_by(InboxMessage.finished_at), limit)


def delete_events(db: Session, before: datetime, limit: int) -> int:
    """Delete events from before an instant; returns how many."""
    old = select(Event.id).where(Event.occurred_at < before).order_by(Event.occurred_at)
    return _delete(db, Event, (Event.id,), old, limit)


def delete_evidence(db: Session, age: timedelta, limit: int) -> int:
    """Delete the evidence of sessions that are judged or cancelled; returns how many."""
    old = (
        select(AttendanceEvidence.id)
        .join(ScheduledSession, ScheduledSession.id == AttendanceEvidence.scheduled_session_id)
        .where(AttendanceEvidence.recorded_at < _REAL_TIME - age, ScheduledSession.status.not_in(OPEN))
        .order_by(AttendanceEvidence.recorded_at)
    )
    return _delete(db, AttendanceEvidence, (AttendanceEvidence.id,), old, limit)


def delete_mailboxes(db: Session, before: datetime, limit: int) -> int:
    """Delete what mailboxes hold of what has ended, last written to before an instant; returns how many."""
    box, session, request = SessionMailbox, ScheduledSession, ConsultationRequest
    is_open = exists().where(session.id == box.scheduled_session_id, session.status.in_(OPEN))
    is_to_confirm = exists().where(
        request.id == box.consultation_request_id, request.status == RequestStatus.PENDING_CONFIRMATION
    )
    old = (
        select(box.id)
        .where(func.coalesce(box.updated_at, box.created_at) < before, ~is_open, ~is_to_confirm)
        .order_by(box.created_at)
    )
    return _delete(db, box, (box.id,), old, limit)


def delete_leaves(db: Session, before: datetime, limit: int) -> int:
    """Delete leaves that ended before an instant, up to a zone's offset; returns how many."""
    old = select(ConsultantLeave.id).where(ConsultantLeave.end_local < before.replace(tzinfo=None))
    key = (ConsultantLeave.id,)
    return _delete(db, ConsultantLeave, key, old.order_by(ConsultantLeave.end_local), limit)


def delete_assignment_batches(db: Session, before: datetime, limit: int) -> int:
    """Delete batches planned before an instant; the decisions keep their part; returns how many."""
    old = select(AssignmentBatch.id).where(AssignmentBatch.planned_at < before)
    key = (AssignmentBatch.id,)
    return _delete(db, AssignmentBatch, key, old.order_by(AssignmentBatch.planned_at), limit)


def delete_absence_plans(db: Session, before: datetime, limit: int) -> int:
    """Delete absence plans made before an instant, unless one is in progress; returns how many."""
    under_way = exists().where(
        AbsencePlanStep.plan_id == AbsencePlan.id,
        AbsencePlanStep.state.in_((StepState.APPLIED, StepState.OFFERED)),
    )
    old = select(AbsencePlan.id).where(AbsencePlan.planned_at < before, ~under_way)
    return _delete(db, AbsencePlan, (AbsencePlan.id,), old.order_by(AbsencePlan.planned_at), limit)


def delete_dead_letters(db: Session, age: timedelta, limit: int) -> int:
    """Delete dead letters; returns how many."""
    old = select(DeadLetter.id).where(DeadLetter.received_at < _REAL_TIME - age)
    return _delete(db, DeadLetter, (DeadLetter.id,), old.order_by(DeadLetter.received_at), limit)


def delete_parked_messages(db: Session, age: timedelta, limit: int) -> int:
    """Delete parked messages; returns how many."""
    old = select(ParkedMessage.id).where(ParkedMessage.received_at < _REAL_TIME - age)
    return _delete(db, ParkedMessage, (ParkedMessage.id,), old.order_by(ParkedMessage.received_at), limit)


def delete_schedule_runs(db: Session, before: date, limit: int) -> int:
    """Delete runs of daily work due before a day; returns how many."""
    key = (ScheduleRun.schedule, ScheduleRun.due_day)
    old = select(*key).where(ScheduleRun.due_day < before).order_by(ScheduleRun.due_day)
    return _delete(db, ScheduleRun, key, old, limit)


def _delete(
    db: Session, model: type[Base], key: tuple[Any, ...], old: Select[*tuple[Any, ...]], limit: int
) -> int:
    # A CTE runs once; a subquery may run again and lock more.
    chosen = select(old.limit(limit).with_for_update(skip_locked=True, of=model).cte("old"))
    named: ColumnElement[Any] = key[0] if len(key) == 1 else tuple_(*key)
    gone = db.execute(
        delete(model).where(named.in_(chosen)).returning(*key).execution_options(synchronize_session=False)
    )
    return len(gone.all())
