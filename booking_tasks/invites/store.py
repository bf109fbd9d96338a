"""What invites and notices read beside the people they go to."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from booking_tasks.enums import JobState, SlotStatus, StepState
from booking_tasks.invites.rules import HeldTime, ProposedTime
from booking_tasks.jobs.store import IN_FLIGHT, has_job
from booking_tasks.models import (
    AbsencePlanStep,
    AvailabilitySlot,
    ConsultationRequest,
    Event,
    Job,
    ScheduledSession,
    TimeOffer,
)
from booking_tasks.outbox.job_args import JobType, NoticeType

_revision = Job.args["revision"].as_integer()


def session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """A consultation as it stands now."""
    return db.get(ScheduledSession, session_id, populate_existing=True)


def request(db: Session, request_id: UUID) -> ConsultationRequest | None:
    """A request as it stands now."""
    return db.get(ConsultationRequest, request_id, populate_existing=True)


def offer(db: Session, event_id: UUID) -> TimeOffer | None:
    """The offer that an event told of: they have one id."""
    return db.get(TimeOffer, event_id, populate_existing=True)


def held_time(db: Session, request_id: UUID, consultant_user_id: UUID) -> HeldTime | None:
    """The time kept for a request while its consultant has not answered."""
    row = db.execute(
        select(
            AvailabilitySlot.session_start_time,
            AvailabilitySlot.session_end_time,
            AvailabilitySlot.held_until,
        )
        .where(
            AvailabilitySlot.consultation_request_id == request_id,
            AvailabilitySlot.consultant_user_id == consultant_user_id,
            AvailabilitySlot.status == SlotStatus.HELD,
        )
        .order_by(AvailabilitySlot.held_until.desc())
        .limit(1)
    ).first()
    start, end, until = row if row is not None else (None, None, None)
    if start is None or end is None or until is None:
        return None
    return HeldTime(start, end, until)


def still_invited(db: Session, session_id: UUID, recipient: UUID, before: int | None = None) -> bool:
    """Whether an invitation may stand in the recipient's calendar: one that no cancellation took out again.

    With `before`, one of an earlier revision than that.
    """
    last = (
        select(func.max(_revision))
        .where(*_mails(JobType.SEND_CANCELLATION, session_id, recipient), Job.state == JobState.DONE)
        .scalar_subquery()
    )
    conditions = [Job.send_attempts > 0, or_(last.is_(None), _revision >= last)]
    if before is not None:
        conditions.append(_revision < before)
    return has_job(db, *_mails(JobType.SEND_INVITE, session_id, recipient), *conditions)


def question_stands(db: Session, request_id: UUID, session_id: UUID, recipient: UUID) -> bool:
    """Whether the question that became this session may stand in the recipient's calendar, unended."""
    ended = has_job(db, *_mails(JobType.SEND_CANCELLATION, session_id, recipient), Job.state == JobState.DONE)
    return not ended and has_job(
        db,
        *_confirmation_notices(request_id, recipient),
        Job.args["event_id"].astext == str(session_id),
        Job.send_attempts > 0,
    )


def later_cancellation(db: Session, session_id: UUID, recipient: UUID, revision: int) -> bool:
    """Whether the recipient is to hear of a later end, which says it all."""
    return has_job(db, *_mails(JobType.SEND_CANCELLATION, session_id, recipient), _revision > revision)


def _mails(job_type: JobType, subject_id: UUID, recipient: UUID) -> tuple[ColumnElement[bool], ...]:
    to_recipient = Job.args["recipient"].astext == str(recipient)
    return Job.job_type == job_type, Job.subject_id == subject_id, to_recipient


def _confirmation_notices(request_id: UUID, consultant_user_id: UUID) -> tuple[ColumnElement[bool], ...]:
    requested = Job.args["notice"].astext == NoticeType.CONFIRMATION_REQUESTED
    return *_mails(JobType.SEND_NOTICE, request_id, consultant_user_id), requested


def ended_by_absence(db: Session, session_id: UUID) -> bool:
    """Whether the session ended because its consultant is away and nobody could keep it."""
    found = select(AbsencePlanStep.id).where(
        AbsencePlanStep.scheduled_session_id == session_id, AbsencePlanStep.state == StepState.CANCELLED
    )
    return db.execute(found.limit(1)).first() is not None


def proposed_time(db: Session, session_id: UUID | None) -> ProposedTime | None:
    """The time that is proposed instead of a session's own, while its requester has not answered."""
    row = db.execute(
        select(
            AbsencePlanStep.consultant_user_id,
            AbsencePlanStep.start_time,
            AbsencePlanStep.end_time,
            AbsencePlanStep.answer_by,
        ).where(
            AbsencePlanStep.scheduled_session_id == session_id, AbsencePlanStep.state == StepState.OFFERED
        )
    ).first()
    who, start, end, until = row if row is not None else (None, None, None, None)
    if who is None or start is None or end is None or until is None:
        return None
    return ProposedTime(who, start, end, until)


def time_before(db: Session, event_id: UUID) -> tuple[datetime, datetime] | None:
    """When a session was to be before an event changed it; None when the history no longer has it."""
    event = db.get(Event, event_id)
    if event is None:
        return None
    return datetime.fromisoformat(event.before["start"]), datetime.fromisoformat(event.before["end"])


def asking_tried(db: Session, request_id: UUID, consultant_user_id: UUID) -> bool:
    """Whether a notice that asks the consultant about the request may have reached them."""
    return has_job(
        db,
        *_confirmation_notices(request_id, consultant_user_id),
        Job.send_attempts > 0,
    )


def asking_in_flight(db: Session, request_id: UUID, consultant_user_id: UUID) -> bool:
    """Whether a worker may be sending such a notice at this moment."""
    return has_job(
        db,
        *_confirmation_notices(request_id, consultant_user_id),
        Job.state.in_(IN_FLIGHT),
    )
