"""What a request stores as text: every instant in UTC, whatever offset its sender wrote."""

from __future__ import annotations

import json
import re
from datetime import timedelta, timezone
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.assignment import service
from booking_tasks.context import Context
from booking_tasks.contracts import SubmitRequest
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AssignmentDecision, Event
from tests import builders
from tests.builders import NOW

#: An hour ahead of UTC.
AHEAD = timezone(timedelta(hours=1))
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)")


def test_the_instants_of_a_decision_and_its_events_are_all_in_utc(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    preferred, other = (builders.consultant(db).consultant_user_id for _ in range(2))
    start = (NOW + timedelta(days=1)).astimezone(AHEAD)
    builders.window(db, other, start)
    command = SubmitRequest(
        message_id=uuid4(),
        actor="mira",
        request_id=uuid7(),
        requester_user_id=uuid7(),
        service_type_id=service_type.id,
        preferred_consultant_user_id=preferred,
        preferred_start=start,
        preferred_end=start + timedelta(hours=3),
    )
    assert service.submit(db, ctx, command).status == "scheduled"

    decision = db.scalars(select(AssignmentDecision)).one()
    assert decision.inputs["preferred_window"] == decision.inputs["window"]
    events = [event.after for event in db.scalars(select(Event))]
    stored = INSTANT.findall(json.dumps([decision.inputs, decision.candidates, events]))
    assert len(stored) >= 7
    assert [one for one in stored if not one.endswith("+00:00")] == []
