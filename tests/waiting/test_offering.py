"""Freed time is offered to the best of those who wait, one after the other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.assignment.explaining import explain
from booking_tasks.context import Context
from booking_tasks.contracts import (
    DeclineRequest,
    ExplainAssignment,
)
from booking_tasks.intake import service as intake
from booking_tasks.models import AssignmentDecision, Consultant, Event, TimeOffer
from booking_tasks.timeline.service import timeline_of
from tests import builders
from tests.builders import NOW
from tests.waiting.waiting_scenario import HOUR, START, WaitingScenario

HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
def room(db: Session, ctx: Context) -> WaitingScenario:
    return WaitingScenario(db, ctx)


# -- asking ------------------------------------------------------------------------------------------------


def test_freed_time_is_held_for_a_waiting_request_with_one_notice(room: WaitingScenario) -> None:
    request = room.waits()
    room.frees()
    assert [room.offers(), room.offers()] == [request.id, None]
    assert (request.status, room.facts()) == ("pending_assignment", [("held", START)])
    offer = room.offer(request)
    assert (offer.state, offer.start_time, offer.end_time) == ("open", START, START + HOUR)
    assert offer.offered_until == NOW + HALF_AN_HOUR
    assert room.history(request) == ["request.waiting", "request.offered"]
    assert room.notices(request) == {"time_offered": 1}
    event = room.db.get_one(Event, offer.id)
    assert (event.consultant_user_id, event.after["hold_token"]) == (room.who, str(offer.hold_token))
    assert event.after["offered_until"] == offer.offered_until.isoformat()


def test_the_choice_and_the_offer_are_shown_in_the_timeline_and_explained(room: WaitingScenario) -> None:
    request = room.waits()
    room.frees()
    room.offers()
    decision = room.db.scalars(
        select(AssignmentDecision).where(
            AssignmentDecision.consultation_request_id == request.id, AssignmentDecision.reason == "offered"
        )
    ).one()
    assert (decision.consultant_user_id, decision.start_time) == (room.who, START)
    explained = explain(room.db, room.ctx, ExplainAssignment(request_id=request.id)).decisions
    assert [one.reason for one in explained] == ["no_free_time", "offered"]
    (considered,) = explained[1].candidates
    assert (considered.consultant_user_id, considered.terms["preference"]) == (room.who, 0)
    timeline = timeline_of(room.db, request.id)
    assert timeline is not None
    texts = [entry.text for entry in timeline.entries]
    assert any(text.startswith(f"offered: consultant {room.who}") for text in texts)
    assert any(text.startswith("request.offered by ") and str(START.date()) in text for text in texts)


@pytest.mark.parametrize(
    ("deadline", "start", "until"),
    [
        (NOW + timedelta(minutes=20), START, NOW + timedelta(minutes=20)),
        (NOW + timedelta(hours=48), NOW + timedelta(minutes=10), NOW + timedelta(minutes=10)),
    ],
)
def test_an_offer_stands_neither_past_its_start_nor_past_the_deadline(
    room: WaitingScenario, deadline: Any, start: Any, until: Any
) -> None:
    request = room.waits(deadline_at=deadline)
    room.frees(start)
    assert room.offers() == request.id
    assert room.offer(request).offered_until == until


def test_the_next_best_request_gets_the_next_start_until_nothing_is_left(room: WaitingScenario) -> None:
    first, second, third = (room.waits(waiting_since=NOW - timedelta(hours=hours)) for hours in (3, 2, 1))
    room.frees(hours=2)
    assert [room.offers() for _ in range(3)] == [first.id, second.id, None]
    assert room.facts() == [("held", START), ("held", START + HOUR)]
    assert room.noted()["more"] == 2  # after each of them, what is left is looked at again
    assert room.history(third) == ["request.waiting"]


def test_whose_consultant_it_is_and_who_knows_them_go_before_who_waits_longer(room: WaitingScenario) -> None:
    room.frees(START - 4 * HOUR)
    friend = builders.request(room.db, room.service_type.id)
    assert assignment.assign(room.db, room.ctx, friend.id).result == "scheduled"
    longest = room.waits(waiting_since=NOW - timedelta(hours=9))
    known = room.waits(waiting_since=NOW - timedelta(hours=2), requester_user_id=friend.requester_user_id)
    preferring = room.waits(preferred_consultant_user_id=room.who)
    room.frees(hours=3)
    assert [room.offers() for _ in range(3)] == [preferring.id, known.id, longest.id]
    decision = room.db.scalars(
        select(AssignmentDecision)
        .where(AssignmentDecision.consultation_request_id == known.id)
        .order_by(AssignmentDecision.id.desc())
        .limit(1)
    ).one()
    assert decision.candidates[0]["terms"]["continuity"] == 1


def test_a_consultant_at_their_capacity_is_not_offered(room: WaitingScenario) -> None:
    room.frees(START - 4 * HOUR)
    served = builders.request(room.db, room.service_type.id)
    assert assignment.assign(room.db, room.ctx, served.id).result == "scheduled"
    room.waits()
    room.frees()
    room.db.get_one(Consultant, room.who).assignment_capacity = 1
    room.db.flush()
    assert room.offers() is None
    room.db.get_one(Consultant, room.who).assignment_capacity = 2
    room.db.flush()
    assert room.offers() is not None


def test_a_request_that_the_time_does_not_suit_gets_no_offer(room: WaitingScenario) -> None:
    other = builders.consultant(room.db, specializations=["law"]).consultant_user_id
    room.waits(required_specializations=["law"])
    room.waits(excluded_consultant_user_ids=[room.who])
    room.waits(requester_user_id=room.who)
    room.waits(preferred_start_time=START + HALF_AN_HOUR)
    room.waits(preferred_end_time=START + HALF_AN_HOUR)
    elsewhere = builders.consultant(room.db).consultant_user_id
    room.frees(START + HALF_AN_HOUR, who=elsewhere)
    busy = builders.request(room.db, room.service_type.id)
    assert assignment.assign(room.db, room.ctx, busy.id).result == "scheduled"
    room.waits(requester_user_id=busy.requester_user_id)
    room.waits(deadline_at=NOW + timedelta(minutes=1))
    builders.request(room.db, builders.service_type(room.db).id)  # not told to wait: they are assigned
    room.frees()
    room.later(minutes=1)
    assert room.offers() is None
    assert room.offers(other) is None


def test_a_consultant_who_takes_no_bookings_is_not_offered(room: WaitingScenario) -> None:
    room.waits()
    who = builders.consultant(room.db, is_available_for_booking=False).consultant_user_id
    room.frees(who=who)
    assert room.offers(who) is None


def test_an_inactive_service_type_is_not_offered(room: WaitingScenario) -> None:
    room.waits()
    room.frees()
    room.service_type.is_active = False
    room.db.flush()
    assert room.offers() is None


def test_where_the_service_type_books_freed_time_is_booked_at_once(db: Session, ctx: Context) -> None:
    room = WaitingScenario(db, ctx, waiting_list="book")
    request = room.waits()
    room.frees()
    assert room.offers() == request.id
    assert (request.status, room.facts()) == ("scheduled", [("booked", START)])
    assert db.scalar(select(func.count()).select_from(TimeOffer)) == 0


def test_where_it_is_booked_at_once_confirmation_is_still_requested(db: Session, ctx: Context) -> None:
    room = WaitingScenario(db, ctx, waiting_list="book", requires_confirmation=True)
    request = room.waits()
    room.frees()
    assert room.offers() == request.id
    assert (request.status, request.assigned_consultant_user_id) == ("pending_confirmation", room.who)


# -- the sweep over those who wait -------------------------------------------------------------------------


def test_the_sweep_offers_as_well_and_leaves_alone_who_has_an_offer(room: WaitingScenario) -> None:
    request = room.waits()
    room.frees(hours=4)
    assert assignment.waiting_request_ids(room.db, room.ctx) == [request.id]
    assert assignment.assign(room.db, room.ctx, request.id).result == "offered"
    assert assignment.waiting_request_ids(room.db, room.ctx) == []
    assert assignment.assign(room.db, room.ctx, request.id).result == "nothing"
    assert room.offers() is None
    assert room.notices(request) == {"time_offered": 1}


def test_a_request_without_a_waiting_notice_is_booked_without_an_offer(room: WaitingScenario) -> None:
    room.waits()
    room.frees()
    not_evaluated = builders.request(room.db, room.service_type.id)
    assert assignment.assign(room.db, room.ctx, not_evaluated.id).result == "scheduled"


def test_after_a_decline_in_the_first_run_the_next_consultant_gets_the_request(
    db: Session, ctx: Context
) -> None:
    room = WaitingScenario(db, ctx, requires_confirmation=True)
    room.frees()
    room.frees(who=builders.consultant(db).consultant_user_id)
    request = builders.request(db, room.service_type.id)
    assert assignment.assign(db, ctx, request.id).result == "confirmation_requested"
    consultant = request.assigned_consultant_user_id
    assert consultant is not None
    intake.decline(
        db,
        ctx,
        DeclineRequest(message_id=uuid4(), actor="x", request_id=request.id, consultant_user_id=consultant),
    )
    assert assignment.assign(db, ctx, request.id).result == "confirmation_requested"
