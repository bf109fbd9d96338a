"""An event of the history as other services hear it."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.events import service
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import Event
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.workflow import PUBLISHED
from tests.builders import NOW, booked_session, request, service_type

DOC = Path(__file__).parents[2] / "docs" / "events.md"


def test_a_session_event_has_the_attributes_that_cloudevents_requires(db: Session, ctx: Context) -> None:
    session = booked_session(db)
    event_id = outbox.record_event(
        db,
        ctx,
        EventType.SESSION_STARTED,
        session=session,
        before={"status": "scheduled"},
        after={"status": "in_progress", "revision": 2},
    )
    event = service.cloud_event(db, event_id, "/booking", "org.example.booking")
    assert event is not None
    assert event.model_dump(mode="json") == {
        "specversion": "1.0",
        "id": str(event_id),
        "source": "/booking",
        "type": "org.example.booking.session.started.v1",
        "subject": str(session.id),
        "time": NOW.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "request_id": str(session.consultation_request_id),
            "session_id": str(session.id),
            "consultant_user_id": str(session.consultant_user_id),
            "position": db.scalars(select(Event.position)).one(),
            "before": {"status": "scheduled"},
            "after": {"status": "in_progress", "revision": 2},
        },
    }


def test_before_there_is_a_session_the_subject_is_the_request(db: Session, ctx: Context) -> None:
    new_request = request(db, service_type(db).id)
    event_id = outbox.record_event(db, ctx, EventType.REQUEST_SUBMITTED, request=new_request)
    event = service.cloud_event(db, event_id, "/booking", "booking")
    assert event is not None
    assert (event.subject, event.data["session_id"], event.data["consultant_user_id"]) == (
        str(new_request.id),
        None,
        None,
    )


def test_reasons_names_addresses_and_links_stay_inside(db: Session, ctx: Context) -> None:
    session = booked_session(db)
    event_id = outbox.record_event(
        db,
        ctx.on_behalf_of("Mira Lang"),
        EventType.SESSION_CANCELLED,
        session=session,
        reason="canary: ill since Monday",
        before={"name": "canary Mira Lang"},
        after={
            "mail": "canary@example.org",
            "link": "https://meet.example.org/canary",
            "tags": ["canary in a list"],
            "start": (NOW + timedelta(days=1)).isoformat(),
        },
    )
    event = service.cloud_event(db, event_id, "/booking", "booking")
    assert event is not None
    text = event.model_dump_json()
    assert "canary" not in text
    assert "Mira" not in text
    assert event.data["after"]["start"] == "2027-03-02T09:00:00+00:00"


def test_an_event_that_retention_took_is_nothing(db: Session) -> None:
    assert service.cloud_event(db, uuid7(), "/booking", "booking") is None


def test_the_document_lists_just_what_is_published() -> None:
    listed = re.findall(
        r"^\| `((?:request|session)\.[a-z_]+)` \|", DOC.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(listed) == len(set(listed))
    assert set(listed) == PUBLISHED
