"""One consultant, one service type and free hours: what the smallest refusals need."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from booking_tasks.assignment import explaining
from booking_tasks.assignment import service as assignment
from booking_tasks.calendars import service as calendars
from booking_tasks.celery import app
from booking_tasks.context import Context
from booking_tasks.contracts import (
    ExplainAssignment,
    ExportUser,
    HoldSlot,
    ListCalendarFeeds,
    Outcome,
    PreviewAvailability,
    Query,
    SearchSlots,
)
from booking_tasks.forgetting import export
from booking_tasks.hours import preview
from booking_tasks.inbox import receiver
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ConsultationRequest, ScheduledSession, TimeOffer
from booking_tasks.search import service as search
from booking_tasks.waiting import offering
from tests import builders
from tests.builders import NOW

START = NOW + timedelta(days=1)
HOUR = timedelta(hours=1)

QUERIES: dict[type[Query[Any]], Any] = {
    ExplainAssignment: explaining.explain,
    SearchSlots: search.search_slots,
    PreviewAvailability: preview.preview_availability,
    ListCalendarFeeds: calendars.list_calendar_feeds,
    ExportUser: export.export_user,
}


def use_case(contract: type[Query[Any]]) -> Any:
    """The function that answers a command or a query."""
    app.loader.import_default_modules()
    return QUERIES.get(contract) or receiver._use_cases[contract.task]


class World:
    """A consultant with four free hours tomorrow."""

    def __init__(self, db: Session, ctx: Context, **values: Any) -> None:
        self.db, self.ctx = db, ctx
        self.service = builders.service_type(db, **values)
        self.who = builders.consultant(db).consultant_user_id
        builders.window(db, self.who, START, hours=4)

    def run(self, contract: type[Query[Any]], **values: Any) -> Outcome:
        """The outcome of a message with these values; those it needs beside them have a default."""
        defaults = {
            "message_id": uuid4(),
            "actor": "mira",
            "request_id": uuid7(),
            "requester_user_id": uuid7(),
            "consultant_user_id": self.who,
            "service_type_id": self.service.id,
            "session_id": uuid7(),
            "hold_token": uuid4(),
            "start": START,
            "reason": "ill",
        }
        needed = {name for name, field in contract.model_fields.items() if field.is_required()}
        chosen = {name: value for name, value in defaults.items() if name in needed}
        outcome: Outcome = use_case(contract)(self.db, self.ctx, contract.model_validate(chosen | values))
        return outcome

    def later(self, **by: float) -> None:
        self.ctx = replace(self.ctx, now=self.ctx.now + timedelta(**by))

    def hold(self, **values: Any) -> dict[str, Any]:
        """A held start, as the request and the token that the other commands of a hold need."""
        outcome: Any = self.run(HoldSlot, **values)
        assert outcome.result == "done", outcome
        return {"request_id": outcome.request_id, "hold_token": outcome.hold_token}

    def pending(self) -> ConsultationRequest:
        """A request that waits for its consultant to confirm."""
        self.service.requires_confirmation = True
        self.db.flush()
        request = builders.request(self.db, self.service.id)
        assignment.assign(self.db, self.ctx, request.id)
        assert request.status == "pending_confirmation"
        return request

    def offered(self) -> dict[str, Any]:
        """A request that was told to wait and then was offered the start, and its token."""
        builders.consultant(self.db)
        request = builders.request(self.db, self.service.id, waiting_since=NOW, status="pending_assignment")
        offering.offer_released_time(self.db, self.ctx, self.who)
        offer = self.db.query(TimeOffer).filter_by(consultation_request_id=request.id).one()
        return {"request_id": request.id, "hold_token": offer.hold_token}

    def session(self, start: datetime = START, **values: Any) -> ScheduledSession:
        """A session of somebody with the consultant, which has its hour of the free ones."""
        row = builders.booked_session(self.db, start, **values)
        builders.window(self.db, row.consultant_user_id, START, hours=4)
        return row

    def other_consultant(self, **values: Any) -> UUID:
        """Another consultant with the same free hours."""
        who = builders.consultant(self.db, **values).consultant_user_id
        builders.window(self.db, who, START, hours=4)
        return who


def withdrawn(world: World) -> World:
    """The same world, whose service type is not offered any more."""
    world.service.is_active = False
    world.db.flush()
    return world
