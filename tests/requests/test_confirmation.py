"""The three ways into `pending_confirmation`: assigned, a confirmed hold, an accepted offer. They agree."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.context import Context
from booking_tasks.contracts import AcceptOffer, ConfirmHold, HoldSlot
from booking_tasks.holds import service as holds
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ConsultationRequest, Event
from booking_tasks.outbox.event_types import EventType
from booking_tasks.requests import service
from tests import builders
from tests.builders import NOW
from tests.waiting.waiting_scenario import START, WaitingScenario


def assigned(room: WaitingScenario, **values: object) -> ConsultationRequest:
    """A new request whose consultant the assignment chose and asked."""
    request = builders.request(room.db, room.service_type.id, **values)
    room.frees()
    assert assignment.assign(room.db, room.ctx, request.id).result == "confirmation_requested"
    return request


def held(room: WaitingScenario, **values: object) -> ConsultationRequest:
    """A request whose requester chose the start, held it and confirmed the hold."""
    room.frees()
    command = HoldSlot(
        message_id=uuid4(),
        actor="mira",
        request_id=uuid7(),
        requester_user_id=uuid7(),
        service_type_id=room.service_type.id,
        consultant_user_id=room.who,
        start=START,
    )
    outcome = holds.hold_slot(room.db, room.ctx, command)
    assert outcome.hold_token is not None
    request = room.db.get_one(ConsultationRequest, command.request_id)
    _set(room.db, request, values)
    confirmed = ConfirmHold(
        message_id=uuid4(), actor="mira", request_id=request.id, hold_token=outcome.hold_token
    )
    assert holds.confirm_hold(room.db, room.ctx, confirmed).result == "done"
    return request


def offered(room: WaitingScenario, **values: object) -> ConsultationRequest:
    """A request that waited, was offered time and took it."""
    request = room.waits()
    room.frees()
    room.offers()
    _set(room.db, request, values)
    assert room.answers(AcceptOffer, request).result == "done"
    return request


def _set(db: Session, request: ConsultationRequest, values: dict[str, object]) -> None:
    if values:
        db.execute(update(ConsultationRequest).where(ConsultationRequest.id == request.id).values(values))
        db.refresh(request)


Way = Callable[..., ConsultationRequest]
every_way = pytest.mark.parametrize("way", [assigned, held, offered])


@pytest.fixture
def room(db: Session, ctx: Context) -> WaitingScenario:
    return WaitingScenario(db, ctx, requires_confirmation=True)


def _event(db: Session, request: ConsultationRequest) -> Event:
    return db.scalars(
        select(Event).where(
            Event.consultation_request_id == request.id,
            Event.type == EventType.REQUEST_CONFIRMATION_REQUESTED,
        )
    ).one()


@every_way
def test_the_reason_of_the_status_before_is_cleared(room: WaitingScenario, way: Way) -> None:
    request = way(room, status_reason="no_free_time")
    room.db.refresh(request)

    assert (request.status, request.status_reason) == ("pending_confirmation", None)
    assert request.assigned_consultant_user_id == room.who
    assert request.updated_at == room.ctx.now


@every_way
def test_a_request_without_a_deadline_gets_one(room: WaitingScenario, way: Way) -> None:
    request = way(room, deadline_at=None)
    room.db.refresh(request)

    assert request.deadline_at == NOW + room.ctx.policies.assignment_deadline


@pytest.mark.parametrize("way", [assigned, offered])
def test_a_deadline_that_is_there_stays(room: WaitingScenario, way: Way) -> None:
    request = way(room, deadline_at=NOW + timedelta(hours=30))
    room.db.refresh(request)

    assert request.deadline_at == NOW + timedelta(hours=30)


def test_the_end_of_a_hold_does_not_end_the_request_that_it_becomes(room: WaitingScenario) -> None:
    request = held(room)
    room.db.refresh(request)

    assert request.deadline_at == NOW + room.ctx.policies.assignment_deadline


@every_way
def test_the_event_has_the_status_of_the_row_and_instants_in_utc(
    room: WaitingScenario, way: Way, db: Session
) -> None:
    request = way(room)
    before = {assigned: "pending", held: "pending", offered: "pending_assignment"}[way]
    event = _event(db, request)

    assert event.before == {"status": before}
    assert event.after["status"] == "pending_confirmation"
    assert event.after["start"] == START.isoformat()
    assert all(event.after[name].endswith("+00:00") for name in ("start", "end", "until"))


@every_way
def test_the_event_is_in_utc_where_the_database_session_is_not(
    room: WaitingScenario, way: Way, db: Session
) -> None:
    db.execute(text("SET LOCAL TIME ZONE 'Europe/Vienna'"))
    event = _event(db, way(room))

    assert all(event.after[name].endswith("+00:00") for name in ("start", "end", "until"))


def test_a_request_that_waits_gets_the_deadline_that_it_lacks(room: WaitingScenario) -> None:
    request = builders.request(room.db, room.service_type.id, deadline_at=None)

    assert assignment.is_assignable(room.db, room.ctx, request)
    assert request.deadline_at is None, "a predicate does not write"
    service.ensure_deadline(room.ctx, request)
    assert request.deadline_at == request.requested_at + room.ctx.policies.assignment_deadline
