"""Rows with sensible defaults, so that a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, select
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
from booking_tasks.states import CANCELLED, REQUEST_STEPS, SESSION_STEPS, Steps

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
    """A request of any status: it is inserted with an initial one and takes the allowed steps from there."""
    status = values.pop("status", "pending")
    values["status"] = "scheduled" if status in {"scheduled", "completed"} else "pending"
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
    take_steps(db, row, status)
    db.refresh(row)
    return row


def take_steps(db: Session, row: ConsultationRequest | ScheduledSession, status: str) -> None:
    """Change the status by allowed steps, the shortest way; a session that is cancelled loses its booking."""
    steps = REQUEST_STEPS if isinstance(row, ConsultationRequest) else SESSION_STEPS
    if status in CANCELLED:
        own = AvailabilitySlot.scheduled_session_id == row.id
        db.execute(delete(AvailabilitySlot).where(own))
    for one in _way(steps, row.status, status):
        row.status = one
        db.flush()


def change_session(db: Session, session: ScheduledSession, **values: Any) -> None:
    """Change a session and, where it is about persons or times, its booking with it."""
    status = values.pop("status", None)
    for name, value in values.items():
        setattr(session, name, value)
    db.flush()
    own = AvailabilitySlot.scheduled_session_id == session.id
    slot = db.execute(select(AvailabilitySlot).where(own)).scalar_one_or_none()
    span = session.scheduled_start_time, session.scheduled_end_time
    if slot is not None:
        slot.consultant_user_id, slot.requester_user_id = (
            session.consultant_user_id,
            session.requester_user_id,
        )
        if (slot.session_start_time, slot.session_end_time) != span:
            slot.start_time, slot.end_time = slot.session_start_time, slot.session_end_time = span
        db.flush()
    if status is not None:
        take_steps(db, session, status)


def _way(steps: Steps, before: str, after: str) -> list[str]:
    """The statuses behind `before` on the shortest way to `after`."""
    ways: dict[str, list[str]] = {before: []}
    frontier = [before]
    while after not in ways:
        assert frontier, f"no way leads from {before} to {after}"
        found = {one: [*ways[way], one] for way in frontier for one in steps[way] if one not in ways}
        ways |= found
        frontier = list(found)
    return ways[after]


def booking(session: ScheduledSession, **values: Any) -> AvailabilitySlot:
    """The booked slot of a session, not added yet."""
    return AvailabilitySlot(
        **(
            {
                "consultant_user_id": session.consultant_user_id,
                "start_time": session.scheduled_start_time,
                "end_time": session.scheduled_end_time,
                "status": "booked",
                "source": "session",
                "consultation_request_id": session.consultation_request_id,
                "scheduled_session_id": session.id,
                "requester_user_id": session.requester_user_id,
                "session_start_time": session.scheduled_start_time,
                "session_end_time": session.scheduled_end_time,
            }
            | values
        )
    )


def booked_session(
    db: Session, start: datetime = NOW + timedelta(days=2), minutes: int = 60, **values: Any
) -> ScheduledSession:
    """A session with everything under it: service type, people, request, and booked slot."""
    status = values.pop("status", "scheduled")
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
    db.add(booking(row))
    db.flush()
    take_steps(db, row, status)
    return row
