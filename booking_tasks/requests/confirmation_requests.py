"""The confirmation requests sent to consultants, and how each was resolved: read from the events.

A confirmation request is an event, `request.confirmation_requested`; links and calendar entries use the id
of the event. The event that takes the request out of `pending_confirmation` resolves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from booking_tasks.enums import RequestStatus, Resolution
from booking_tasks.models import Event
from booking_tasks.outbox.event_types import EventType

_RESOLUTIONS: dict[str, Resolution] = {
    EventType.SESSION_SCHEDULED: Resolution.ACCEPTED,
    EventType.REQUEST_DECLINED: Resolution.DECLINED,
    EventType.REQUEST_UNANSWERED: Resolution.UNANSWERED,
}


@dataclass(frozen=True)
class ConfirmationRequest:
    """One consultant, asked once to confirm one request.

    `start` and `end` are None for an event that does not have them. `resolved_by` is the entry point of the
    event that resolved it, `resolved_at` its instant.
    """

    id: UUID
    request_id: UUID
    consultant_user_id: UUID
    requested_at: datetime
    start: datetime | None
    end: datetime | None
    resolution: Resolution = Resolution.OPEN
    resolved_at: datetime | None = None
    resolved_by: str | None = None


def confirmation_request(db: Session, confirmation_request_id: UUID) -> ConfirmationRequest | None:
    """Return the confirmation request of this id."""
    event = db.get(Event, confirmation_request_id)
    if event is None or event.type != EventType.REQUEST_CONFIRMATION_REQUESTED:
        return None
    return _from_event(db, event)


def latest_confirmation_request(
    db: Session, request_id: UUID, before: UUID | None = None
) -> ConfirmationRequest | None:
    """Return the last confirmation request of a request, or the last one before the event `before`."""
    sent = select(Event).where(
        Event.consultation_request_id == request_id,
        Event.type == EventType.REQUEST_CONFIRMATION_REQUESTED,
    )
    if before is not None:
        position = select(Event.position).where(Event.id == before).scalar_subquery()
        sent = sent.where(Event.position < position)
    event = db.execute(sent.order_by(Event.position.desc()).limit(1)).scalar_one_or_none()
    return None if event is None else _from_event(db, event)


def open_confirmation_request(
    db: Session, request_id: UUID, consultant_user_id: UUID
) -> ConfirmationRequest | None:
    """Return the confirmation request of a request that waits for this consultant's answer."""
    latest = latest_confirmation_request(db, request_id)
    if (
        latest is None
        or latest.resolution != Resolution.OPEN
        or latest.consultant_user_id != consultant_user_id
    ):
        return None
    return latest


def declining_consultants(db: Session, request_id: UUID) -> set[UUID]:
    """Return the consultants who declined a request or did not answer in time."""
    found = db.execute(
        select(Event.consultant_user_id).where(
            Event.consultation_request_id == request_id,
            Event.type.in_((EventType.REQUEST_DECLINED, EventType.REQUEST_UNANSWERED)),
        )
    )
    return {who for who in found.scalars() if who is not None}


def _from_event(db: Session, event: Event) -> ConfirmationRequest | None:
    if event.consultation_request_id is None or event.consultant_user_id is None:
        return None
    return ConfirmationRequest(
        id=event.id,
        request_id=event.consultation_request_id,
        consultant_user_id=event.consultant_user_id,
        requested_at=event.occurred_at,
        start=_instant(event.after.get("start")),
        end=_instant(event.after.get("end")),
        **_resolution(db, event),
    )


def _resolution(db: Session, sent: Event) -> dict[str, Any]:
    """Return how, when and by which entry point the confirmation request was resolved, if it was."""
    waiting = RequestStatus.PENDING_CONFIRMATION
    event = db.execute(
        select(Event.type, Event.occurred_at, Event.entry_point)
        .where(
            Event.consultation_request_id == sent.consultation_request_id,
            Event.position > sent.position,
            or_(
                Event.before["status"].astext == waiting,
                Event.before["request_status"].astext == waiting,
                Event.type == EventType.REQUEST_CONFIRMATION_REQUESTED,
            ),
        )
        .order_by(Event.position)
        .limit(1)
    ).first()
    if event is None:
        return {}
    return {
        "resolution": _RESOLUTIONS.get(event.type, Resolution.WITHDRAWN),
        "resolved_at": event.occurred_at,
        "resolved_by": event.entry_point,
    }


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
