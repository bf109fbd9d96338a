"""Rows with sensible defaults, so that a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from booking_tasks.kit.ids import uuid7
from booking_tasks.models import (
    AvailabilitySlot,
    Consultant,
    ConsultationRequest,
    DirectoryUser,
    ScheduledSession,
    ServiceType,
)

#: A Monday morning, far from any change of clocks.
NOW = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)


def service_type(db: Session, **values: Any) -> ServiceType:
    row = ServiceType(**({"name": f"Algebra {uuid4().hex[:6]}", "default_duration_minutes": 60} | values))
    db.add(row)
    db.flush()
    db.refresh(row)
    return row


def consultant(db: Session, **values: Any) -> Consultant:
    row = Consultant(**({"consultant_user_id": uuid7(), "specializations": ["algebra"]} | values))
    db.add(row)
    db.flush()
    db.refresh(row)
    return row


def user(db: Session, **values: Any) -> DirectoryUser:
    user_id = values.pop("user_id", None) or uuid7()
    row = DirectoryUser(
        **({"user_id": user_id, "name": "Mira Lang", "email": f"{user_id.hex}@example.org"} | values)
    )
    db.add(row)
    db.flush()
    db.refresh(row)
    return row


def window(db: Session, consultant_user_id: UUID, start: datetime, hours: float = 8) -> AvailabilitySlot:
    row = AvailabilitySlot(
        consultant_user_id=consultant_user_id, start_time=start, end_time=start + timedelta(hours=hours)
    )
    db.add(row)
    db.flush()
    return row


def request(db: Session, service_type_id: UUID, **values: Any) -> ConsultationRequest:
    row = ConsultationRequest(
        **(
            {
                "requester_user_id": uuid7(),
                "consultation_service_type_id": service_type_id,
                "requested_at": NOW,
                "deadline_at": NOW + timedelta(hours=48),
            }
            | values
        )
    )
    db.add(row)
    db.flush()
    db.refresh(row)
    return row


def booked_session(
    db: Session, start: datetime = NOW + timedelta(days=2), minutes: int = 60, **values: Any
) -> ScheduledSession:
    """A scheduled session with everything under it: service type, people, request, booked slot."""
    service = service_type(db, default_duration_minutes=minutes)
    consultant_row = consultant(db)
    requester = user(db)
    user(db, user_id=consultant_row.consultant_user_id, name="Dr Okafor", language="en")
    end = start + timedelta(minutes=minutes)
    consultation_request = request(
        db,
        service.id,
        requester_user_id=requester.user_id,
        status="scheduled",
        assigned_consultant_user_id=consultant_row.consultant_user_id,
    )
    row = ScheduledSession(
        **(
            {
                "consultation_request_id": consultation_request.id,
                "requester_user_id": requester.user_id,
                "consultant_user_id": consultant_row.consultant_user_id,
                "consultation_service_type_id": service.id,
                "scheduled_start_time": start,
                "scheduled_end_time": end,
                "revised_at": NOW,
                "created_at": NOW,
            }
            | values
        )
    )
    db.add(row)
    db.flush()
    db.refresh(row)
    consultation_request.scheduled_session_id = row.id
    db.add(
        AvailabilitySlot(
            consultant_user_id=consultant_row.consultant_user_id,
            start_time=start,
            end_time=end,
            status="booked",
            source="session",
            consultation_request_id=consultation_request.id,
            scheduled_session_id=row.id,
            requester_user_id=requester.user_id,
            session_start_time=start,
            session_end_time=end,
        )
    )
    db.flush()
    return row
