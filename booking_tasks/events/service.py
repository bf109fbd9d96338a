"""One event of the history as a CloudEvent for other services."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.contracts import CloudEvent
from booking_tasks.events import store
from booking_tasks.kit.redaction import redacted


def cloud_event(db: Session, event_id: UUID, source: str, type_prefix: str) -> CloudEvent | None:
    """The event as other services receive it, or None when it is purged.

    It holds ids, states, instants and numbers only: free text, names, addresses and links become their
    length, and the reason of a person is not published.
    """
    event = store.event_by_id(db, event_id)
    if event is None:
        return None
    return CloudEvent(
        id=event.id,
        source=source,
        type=f"{type_prefix}.{event.type}.v1",
        subject=str(event.scheduled_session_id or event.consultation_request_id),
        time=event.occurred_at,
        data={
            "request_id": _text(event.consultation_request_id),
            "session_id": _text(event.scheduled_session_id),
            "consultant_user_id": _text(event.consultant_user_id),
            "position": event.position,
            "before": redacted(event.before),
            "after": redacted(event.after),
        },
    )


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
