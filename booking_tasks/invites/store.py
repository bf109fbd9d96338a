"""The queries of invites and notices, beside those about their readers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
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
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import JobType, NoticeType
from booking_tasks.requests.confirmation_requests import ConfirmationRequest

_revision = Job.args["revision"].as_integer()


def session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """The current row of a session."""
    return db.get(ScheduledSession, session_id, populate_existing=True)


def request(db: Session, request_id: UUID) -> ConsultationRequest | None:
    """The current row of a request."""
    return db.get(ConsultationRequest, request_id, populate_existing=True)


def offer(db: Session, event_id: UUID) -> TimeOffer | None:
    """The offer of an event: both have the same id."""
    return db.get(TimeOffer, event_id, populate_existing=True)


def held_time(db: Session, request_id: UUID, consultant_user_id: UUID) -> HeldTime | None:
    """The time held for a request while its consultant has not answered."""
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


def is_invited(db: Session, session_id: UUID, recipient: UUID, before: int | None = None) -> bool:
    """Whether an invitation may be in the recipient's calendar, without a later cancellation.

    With `before`, only an invitation of an earlier revision counts.
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


def has_confirmation_request(db: Session, request_id: UUID, session_id: UUID, recipient: UUID) -> bool:
    """Whether the confirmation request that became this session may still be in the recipient's calendar."""
    ended = has_job(db, *_mails(JobType.SEND_CANCELLATION, session_id, recipient), Job.state == JobState.DONE)
    return not ended and has_job(
        db,
        *_confirmation_notices(request_id, recipient),
        Job.args["event_id"].astext == str(session_id),
        Job.send_attempts > 0,
    )


def has_later_cancellation(db: Session, session_id: UUID, recipient: UUID, revision: int) -> bool:
    """Whether there is a cancellation of a later revision for the recipient."""
    return has_job(db, *_mails(JobType.SEND_CANCELLATION, session_id, recipient), _revision > revision)


def _mails(job_type: JobType, subject_id: UUID, recipient: UUID) -> tuple[ColumnElement[bool], ...]:
    to_recipient = Job.args["recipient"].astext == str(recipient)
    # A mail to a mailbox that is not used any more says nothing of the one that is.
    to_present = Job.args["mailbox_id"].astext.is_(None)
    return Job.job_type == job_type, Job.subject_id == subject_id, to_recipient, to_present


def _confirmation_notices(request_id: UUID, consultant_user_id: UUID) -> tuple[ColumnElement[bool], ...]:
    requested = Job.args["notice"].astext == NoticeType.CONFIRMATION_REQUESTED
    return *_mails(JobType.SEND_NOTICE, request_id, consultant_user_id), requested


def is_cancelled_by_absence(db: Session, session_id: UUID) -> bool:
    """Whether the session was cancelled by an absence plan that found no substitute."""
    found = select(AbsencePlanStep.id).where(
        AbsencePlanStep.scheduled_session_id == session_id, AbsencePlanStep.state == StepState.CANCELLED
    )
    return db.execute(found.limit(1)).first() is not None


def proposed_time(db: Session, session_id: UUID | None) -> ProposedTime | None:
    """The time that is proposed instead of a session's own, while its requester has not answered."""
    row = db.execute(
        select(
            AbsencePlanStep.id,
            AbsencePlanStep.consultant_user_id,
            AbsencePlanStep.start_time,
            AbsencePlanStep.end_time,
            AbsencePlanStep.answer_by,
        ).where(
            AbsencePlanStep.scheduled_session_id == session_id, AbsencePlanStep.state == StepState.OFFERED
        )
    ).first()
    id_, who, start, end, until = row if row is not None else (None, None, None, None, None)
    if id_ is None or who is None or start is None or end is None or until is None:
        return None
    return ProposedTime(id_, who, start, end, until)


def proposal(db: Session, proposal_id: UUID) -> AbsencePlanStep | None:
    """The current row of a proposal: the step of an absence plan."""
    return db.get(AbsencePlanStep, proposal_id, populate_existing=True)


def cancelled_at(db: Session, session_id: UUID) -> datetime | None:
    """When a session was cancelled, or None."""
    return db.scalar(
        select(func.max(Event.occurred_at)).where(
            Event.scheduled_session_id == session_id, Event.type == EventType.SESSION_CANCELLED
        )
    )


def time_before(db: Session, event_id: UUID) -> tuple[datetime, datetime] | None:
    """The start and end of a session before an event; None when the event is purged."""
    event = db.get(Event, event_id)
    if event is None:
        return None
    return datetime.fromisoformat(event.before["start"]), datetime.fromisoformat(event.before["end"])


def was_confirmation_requested(db: Session, request_id: UUID, consultant_user_id: UUID) -> bool:
    """Whether a confirmation request may have reached the consultant."""
    return has_job(
        db,
        *_confirmation_notices(request_id, consultant_user_id),
        Job.send_attempts > 0,
    )


@dataclass(frozen=True)
class ConfirmationNotices:
    """The mails of one confirmation request: when the last was due, and whether one was refused or waits."""

    last_due: datetime | None
    were_refused: bool
    are_waiting: bool


def confirmation_notices(db: Session, confirmation: ConfirmationRequest) -> ConfirmationNotices:
    """What became of the mails that took a confirmation request to its consultant."""
    row = db.execute(
        select(
            func.max(Job.due_at),
            func.bool_or(Job.state == JobState.DEAD),
            # With a payload the same bytes go out again, to the address of then.
            func.bool_or(and_(Job.state == JobState.WAITING, Job.payload.is_(None))),
        ).where(
            *_confirmation_notices(confirmation.request_id, confirmation.consultant_user_id),
            Job.args["event_id"].astext == str(confirmation.id),
        )
    ).one()
    return ConfirmationNotices(row[0], bool(row[1]), bool(row[2]))


def requests_to_confirm(db: Session, consultant_user_id: UUID, now: datetime) -> list[UUID]:
    """The requests for which time of a consultant is held, in order of ids."""
    slot = AvailabilitySlot
    found = select(slot.consultation_request_id).where(
        slot.consultant_user_id == consultant_user_id,
        slot.status == SlotStatus.HELD,
        slot.start_time > now,
        slot.consultation_request_id.is_not(None),
    )
    return sorted({one for one in db.execute(found).scalars() if one is not None})


def is_request_being_changed(db: Session, request_id: UUID) -> bool:
    """Keep the request as it is until this transaction ends; True when another one is changing it."""
    kept = db.execute(
        select(ConsultationRequest.id)
        .where(ConsultationRequest.id == request_id)
        .with_for_update(read=True, key_share=True, skip_locked=True)
    )
    return kept.first() is None


def is_confirmation_request_in_flight(db: Session, request_id: UUID, consultant_user_id: UUID) -> bool:
    """Whether a worker may be sending a confirmation request at this moment."""
    return has_job(
        db,
        *_confirmation_notices(request_id, consultant_user_id),
        Job.state.in_(IN_FLIGHT),
    )
