"""What invites and notices read beside the people they go to."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.invites.rules import HeldTime
from booking_tasks.jobs.store import exists_where
from booking_tasks.models import AvailabilitySlot, ConsultationRequest, Job, ScheduledSession

_ASKING = "confirmation_wanted:%"


def session(db: Session, session_id: UUID) -> ScheduledSession | None:
    """A consultation as it stands now."""
    return db.get(ScheduledSession, session_id, populate_existing=True)


def request(db: Session, request_id: UUID) -> ConsultationRequest | None:
    """A request as it stands now."""
    return db.get(ConsultationRequest, request_id, populate_existing=True)


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
            AvailabilitySlot.status == "held",
        )
        .order_by(AvailabilitySlot.held_until.desc())
        .limit(1)
    ).first()
    start, end, until = row if row is not None else (None, None, None)
    if start is None or end is None or until is None:
        return None
    return HeldTime(start, end, until)


def earlier_invite_tried(db: Session, session_id: UUID, recipient: UUID, revision: int) -> bool:
    """Whether an invitation of an earlier revision may have reached the recipient."""
    return exists_where(
        db,
        Job.kind == "send_invite",
        Job.subject_id == session_id,
        Job.recipient == recipient,
        Job.revision < revision,
        Job.sendings > 0,
    )


def asking_tried(db: Session, request_id: UUID, consultant_user_id: UUID) -> bool:
    """Whether a notice that asks the consultant about the request may have reached them."""
    return exists_where(
        db,
        Job.kind == "send_notice",
        Job.subject_id == request_id,
        Job.recipient == consultant_user_id,
        Job.detail.like(_ASKING),
        Job.sendings > 0,
    )


def asking_in_flight(db: Session, request_id: UUID, consultant_user_id: UUID) -> bool:
    """Whether a worker may be sending such a notice at this moment."""
    return exists_where(
        db,
        Job.kind == "send_notice",
        Job.subject_id == request_id,
        Job.recipient == consultant_user_id,
        Job.detail.like(_ASKING),
        Job.state.in_(("leased", "sending")),
    )
