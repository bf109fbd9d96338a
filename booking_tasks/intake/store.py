"""Reads and inserts requests."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from booking_tasks.contracts import SubmitRequest
from booking_tasks.enums import RequestStatus, SlotStatus
from booking_tasks.models import AvailabilitySlot, Consultant, ConsultationRequest
from booking_tasks.requests.store import request_row


def consultant_exists(db: Session, consultant_user_id: UUID) -> bool:
    """Return whether there is such a consultant, bookable or not."""
    return db.get(Consultant, consultant_user_id) is not None


def request_exists(db: Session, request_id: UUID) -> bool:
    """Return whether there is such a request."""
    return db.get(ConsultationRequest, request_id) is not None


def unanswered_requests(db: Session, now: datetime, limit: int) -> list[UUID]:
    """Return requests that wait for a consultant and whose hold is over."""
    live_hold = exists().where(
        AvailabilitySlot.consultation_request_id == ConsultationRequest.id,
        AvailabilitySlot.status == SlotStatus.HELD,
        AvailabilitySlot.held_until > now,
    )
    return list(
        db.execute(
            select(ConsultationRequest.id)
            .where(ConsultationRequest.status == RequestStatus.PENDING_CONFIRMATION, ~live_hold)
            .limit(limit)
        ).scalars()
    )


def overdue_requests(db: Session, now: datetime, limit: int) -> list[UUID]:
    """Return waiting requests whose deadline or whose preferred time is over."""
    return list(
        db.execute(
            select(ConsultationRequest.id)
            .where(
                ConsultationRequest.status.in_(("pending", "pending_assignment")),
                or_(
                    ConsultationRequest.deadline_at <= now,
                    ConsultationRequest.preferred_end_time <= now,
                ),
            )
            .limit(limit)
        ).scalars()
    )


def build_request(
    command: SubmitRequest, *, requested_at: datetime, deadline_at: datetime
) -> ConsultationRequest:
    """Return the request of a command, not inserted yet."""
    return ConsultationRequest(
        id=command.request_id,
        requester_user_id=command.requester_user_id,
        company_id=command.company_id,
        consultation_service_type_id=command.service_type_id,
        preferred_consultant_user_id=command.preferred_consultant_user_id,
        preferred_start_time=command.preferred_start,
        preferred_end_time=command.preferred_end,
        required_specializations=list(command.required_specializations),
        excluded_consultant_user_ids=list(command.excluded_consultant_user_ids),
        languages=list(command.languages),
        preferred_fallback=command.fallback,
        fallback_after=command.fallback_after,
        request_details=command.details,
        status="pending",
        requested_at=requested_at,
        deadline_at=deadline_at,
        replaces_request_id=command.replaces_request_id,
    )


def insert_request(db: Session, new: ConsultationRequest) -> ConsultationRequest | None:
    """Insert a new request and return it; None when its id is in use."""
    added = insert(ConsultationRequest).values(request_row(new)).on_conflict_do_nothing(index_elements=["id"])
    return db.execute(added.returning(ConsultationRequest)).scalar_one_or_none()
