"""The questions that consultants were asked, and what became of each: read from the history.

A question is an event, `request.confirmation_requested`; its id names the question in links and calendars.
What leads the request out of `pending_confirmation` ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from booking_tasks.models import Event
from booking_tasks.outbox.event_types import EventType

ASKED = EventType.REQUEST_CONFIRMATION_REQUESTED

#: `withdrawn` is whatever ended it beside the consultant's answer or silence.
Resolution = Literal["open", "accepted", "declined", "unanswered", "withdrawn"]
_RESOLUTIONS: dict[str, Resolution] = {
    EventType.SESSION_SCHEDULED: "accepted",
    EventType.REQUEST_DECLINED: "declined",
    EventType.REQUEST_UNANSWERED: "unanswered",
}


@dataclass(frozen=True)
class ConfirmationRequest:
    """One consultant asked once about one request. `end` is None for those of a release that kept none.

    `ended_by` is the door of what ended it, `ended_at` the moment.
    """

    id: UUID
    request_id: UUID
    consultant_user_id: UUID
    requested_at: datetime
    start: datetime | None
    end: datetime | None
    resolution: Resolution = "open"
    ended_at: datetime | None = None
    ended_by: str | None = None


def confirmation_request(db: Session, confirmation_request_id: UUID) -> ConfirmationRequest | None:
    """The question of this id."""
    event = db.get(Event, confirmation_request_id)
    if event is None or event.type != ASKED:
        return None
    return _question(db, event)


def latest_confirmation_request(
    db: Session, request_id: UUID, before: UUID | None = None
) -> ConfirmationRequest | None:
    """What was asked last about a request; or last before the event `before`."""
    asked = select(Event).where(Event.consultation_request_id == request_id, Event.type == ASKED)
    if before is not None:
        position = select(Event.position).where(Event.id == before).scalar_subquery()
        asked = asked.where(Event.position < position)
    event = db.execute(asked.order_by(Event.position.desc()).limit(1)).scalar_one_or_none()
    return None if event is None else _question(db, event)


def open_confirmation_request(
    db: Session, request_id: UUID, consultant_user_id: UUID
) -> ConfirmationRequest | None:
    """What this consultant is asked about a request now."""
    asked = latest_confirmation_request(db, request_id)
    if asked is None or asked.resolution != "open" or asked.consultant_user_id != consultant_user_id:
        return None
    return asked


def declining_consultants(db: Session, request_id: UUID) -> set[UUID]:
    """Those who were asked about a request and said no, or nothing in time."""
    found = db.execute(
        select(Event.consultant_user_id).where(
            Event.consultation_request_id == request_id,
            Event.type.in_((EventType.REQUEST_DECLINED, EventType.REQUEST_UNANSWERED)),
        )
    )
    return {who for who in found.scalars() if who is not None}


def _question(db: Session, event: Event) -> ConfirmationRequest | None:
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


def _resolution(db: Session, requested: Event) -> dict[str, Any]:
    waited = "pending_confirmation"
    ended = db.execute(
        select(Event.type, Event.occurred_at, Event.entry_point)
        .where(
            Event.consultation_request_id == requested.consultation_request_id,
            Event.position > requested.position,
            or_(
                Event.before["status"].astext == waited,
                Event.before["request_status"].astext == waited,
                Event.type == ASKED,
            ),
        )
        .order_by(Event.position)
        .limit(1)
    ).first()
    if ended is None:
        return {}
    resolution = _RESOLUTIONS.get(ended.type, "withdrawn")
    return {"resolution": resolution, "ended_at": ended.occurred_at, "ended_by": ended.entry_point}


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
