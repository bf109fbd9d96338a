"""The queries about waiting requests: who waits, whom they know, and earlier offers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from booking_tasks.assignment.store import awaiting_assignment
from booking_tasks.enums import RequestStatus
from booking_tasks.models import (
    Consultant,
    ConsultationRequest,
    ScheduledSession,
    ServiceType,
    TimeOffer,
)


def consultant(db: Session, consultant_user_id: UUID) -> Consultant | None:
    """The consultant, read anew."""
    return db.get(Consultant, consultant_user_id, populate_existing=True)


def waiting_requests(db: Session, now: datetime) -> Sequence[ConsultationRequest]:
    """Every waiting request that may get an offer. Locks nothing."""
    found = select(ConsultationRequest).where(
        *awaiting_assignment(now),
        ConsultationRequest.waiting_since.is_not(None),
        or_(ConsultationRequest.preferred_end_time.is_(None), ConsultationRequest.preferred_end_time > now),
    )
    return db.execute(found.execution_options(populate_existing=True)).scalars().all()


def active_service_types(db: Session, ids: Collection[UUID]) -> dict[UUID, ServiceType]:
    """The active service types among these."""
    found = select(ServiceType).where(ServiceType.id.in_(ids), ServiceType.is_active)
    return {one.id: one for one in db.execute(found).scalars()}


def familiarity(
    db: Session, consultant_user_id: UUID, requests: Collection[ConsultationRequest]
) -> dict[UUID, float]:
    """Request -> 1.0 when its requester had this consultant before, 0.5 when its company had."""
    people = set(
        db.execute(
            select(ScheduledSession.requester_user_id).where(
                ScheduledSession.consultant_user_id == consultant_user_id,
                ScheduledSession.requester_user_id.in_({one.requester_user_id for one in requests}),
                ScheduledSession.status.not_like("cancelled%"),
            )
        ).scalars()
    )
    companies = set(
        db.execute(
            select(ConsultationRequest.company_id).where(
                ConsultationRequest.assigned_consultant_user_id == consultant_user_id,
                ConsultationRequest.company_id.in_({one.company_id for one in requests if one.company_id}),
                ConsultationRequest.status.in_((RequestStatus.SCHEDULED, RequestStatus.COMPLETED)),
            )
        ).scalars()
    )
    return {
        one.id: 1.0 if one.requester_user_id in people else 0.5
        for one in requests
        if one.requester_user_id in people or one.company_id in companies
    }


def offered_starts(
    db: Session, requests: Collection[UUID], consultant_user_id: UUID
) -> dict[UUID, frozenset[datetime]]:
    """The starts of the consultant that each request was offered before."""
    rows = db.execute(
        select(TimeOffer.consultation_request_id, TimeOffer.start_time).where(
            TimeOffer.consultation_request_id.in_(requests),
            TimeOffer.consultant_user_id == consultant_user_id,
        )
    )
    found: dict[UUID, set[datetime]] = defaultdict(set)
    for request_id, start in rows:
        found[request_id].add(start)
    return {request_id: frozenset(starts) for request_id, starts in found.items()}
