"""What becomes of an offer: accepted, declined, not answered, withdrawn."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.assignment.booking import book_or_hold
from booking_tasks.assignment.rules import Candidate
from booking_tasks.availability.service import Refusal
from booking_tasks.batch import service as batch
from booking_tasks.context import Context
from booking_tasks.contracts import (
    AcceptOffer,
    CancelRequest,
    ConfirmRequest,
    DeclineOffer,
    HoldSlot,
)
from booking_tasks.enums import RefusalCode
from booking_tasks.holds import service as holds
from booking_tasks.intake import service as intake
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AssignmentCredit, ScheduledSession, TimeOffer
from booking_tasks.offers import service as offers
from tests import builders
from tests.builders import NOW
from tests.waiting.waiting_scenario import HOUR, START, WaitingScenario

HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
def room(db: Session, ctx: Context) -> WaitingScenario:
    return WaitingScenario(db, ctx)


# -- answers -----------------------------------------------------------------------------------------------


def test_an_accepted_offer_is_the_session_however_often_it_is_accepted(room: WaitingScenario) -> None:
    request = room.waits()
    room.frees()
    room.offers()
    taken = room.answers(AcceptOffer, request)
    assert (taken.result, taken.status, taken.start) == ("done", "scheduled", START)
    again = room.answers(AcceptOffer, request)
    assert (again.result, again.session_id) == ("already_done", taken.session_id)
    assert room.answers(DeclineOffer, request).code == "offer_over"
    assert room.facts() == [("booked", START)]
    assert room.db.scalar(select(func.count()).select_from(ScheduledSession)) == 1
    assert [int(one) for one in room.db.scalars(select(AssignmentCredit.amount))] == [1]


def test_where_the_consultant_confirms_an_accepted_offer_asks_them_and_the_time_stays_kept(
    db: Session, ctx: Context
) -> None:
    room = WaitingScenario(db, ctx, requires_confirmation=True)
    request = room.waits()
    room.frees()
    room.offers()
    assert room.answers(AcceptOffer, request).status == "pending_confirmation"
    room.later(minutes=31)  # longer than the offer stood
    assert room.sweeps() == 0
    confirmed = intake.confirm(
        db,
        room.ctx,
        ConfirmRequest(message_id=uuid4(), actor="x", request_id=request.id, consultant_user_id=room.who),
    )
    assert (confirmed.result, room.facts()) == ("done", [("booked", START)])


def test_a_declined_offer_goes_to_the_next_and_its_request_waits_on_for_another_start(
    room: WaitingScenario,
) -> None:
    first, second = (room.waits(waiting_since=NOW - timedelta(hours=hours)) for hours in (2, 1))
    room.frees()
    room.offers()
    assert room.answers(DeclineOffer, first, reason="too early").result == "done"
    assert room.answers(DeclineOffer, first).result == "already_done"
    assert room.answers(AcceptOffer, first).code == "offer_over"
    assert (first.status, room.facts()) == ("pending_assignment", [])
    assert room.history(first)[-1] == "request.offer_declined"
    assert assignment.assign(room.db, room.ctx, first.id).reason == "offer_declined"  # not that start again
    assert room.offers() == second.id
    room.frees(START + timedelta(days=1))
    assert room.offers() == first.id
    assert room.db.scalars(select(func.sum(AssignmentCredit.amount))).one() == 2  # who declined gave it back


def test_who_declined_what_there_is_changes_nothing_of_a_batch_and_others_get_it(
    room: WaitingScenario,
) -> None:
    request = room.waits()
    room.frees()
    room.offers()
    room.answers(DeclineOffer, request)
    assignment.assign(room.db, room.ctx, request.id)
    plan = batch.plan_batch(*batch.read_batch(room.db, room.ctx), timedelta(seconds=1), time.monotonic)
    assert (plan.request_ids_to_apply, plan.unchanged) == ([], [request.id])
    second = builders.request(room.db, room.service_type.id, status="pending_assignment", waiting_since=NOW)
    plan = batch.plan_batch(*batch.read_batch(room.db, room.ctx), timedelta(seconds=1), time.monotonic)
    assert plan.request_ids_to_apply == [second.id]
    assert plan.apply(room.db, room.ctx, second.id).result == "offered"


def test_another_token_can_do_nothing(room: WaitingScenario) -> None:
    request, other = room.waits(), room.waits()
    room.frees(hours=2)
    room.offers()
    room.offers()
    for contract in (AcceptOffer, DeclineOffer):
        assert room.answers(contract, request, hold_token=uuid4()).code == "unknown_offer"
        assert (
            room.answers(contract, request, hold_token=room.offer(other).hold_token).code == "unknown_offer"
        )
        assert room.answers(contract, request, request_id=uuid4()).code == "unknown_offer"


# -- no answer ---------------------------------------------------------------------------------------------


def test_the_clock_alone_ends_an_offer_and_others_take_its_start_with_every_sweep_dead(
    room: WaitingScenario,
) -> None:
    request = room.waits()
    room.frees()
    room.offers()
    shop = HoldSlot(
        message_id=uuid4(),
        actor="shop",
        request_id=uuid7(),
        requester_user_id=uuid7(),
        service_type_id=room.service_type.id,
        consultant_user_id=room.who,
        start=START,
    )
    room.later(minutes=30, microseconds=-1)
    assert holds.hold_slot(room.db, room.ctx, shop).code == RefusalCode.SLOT_TAKEN
    room.later(microseconds=1)
    assert room.answers(AcceptOffer, request).code == RefusalCode.OFFER_EXPIRED
    assert room.answers(DeclineOffer, request).code == "offer_expired"
    assert holds.hold_slot(room.db, room.ctx, shop).result == "done"
    assert room.sweeps() == 1
    assert room.offer(request).state == "lapsed"
    assert len(room.facts()) == 1  # the other's hold stays


def test_what_nobody_answered_for_goes_to_the_next_and_is_never_offered_to_them_again(
    room: WaitingScenario,
) -> None:
    first, second = (room.waits(waiting_since=NOW - timedelta(hours=hours)) for hours in (2, 1))
    room.frees()
    assert room.offers() == first.id
    room.later(minutes=30)
    assert [room.sweeps(), room.sweeps()] == [1, 0]
    assert room.noted()["hold_released"] == 1
    assert room.offers() == second.id
    room.later(minutes=30)
    room.sweeps()
    room.later(hours=24)
    assert room.offers() is None
    for request in (first, second):
        assert assignment.assign(room.db, room.ctx, request.id).result in {"waiting", "nothing"}
        assert room.notices(request) == {"time_offered": 1}
        assert room.history(request)[1:] == ["request.offered", "request.offer_lapsed"]


def test_who_did_not_answer_is_left_in_peace_for_a_while(room: WaitingScenario) -> None:
    request = room.waits()
    room.frees(hours=8)
    room.offers()
    room.later(minutes=30)
    room.sweeps()
    assert room.offers() is None
    assert assignment.waiting_request_ids(room.db, room.ctx) == []
    assert assignment.assign(room.db, room.ctx, request.id).result == "nothing"
    room.later(minutes=30)
    assert room.offers() == request.id
    assert room.offer(request).start_time == START + HALF_AN_HOUR


def test_an_offer_to_a_request_that_an_older_release_served_is_withdrawn(room: WaitingScenario) -> None:
    request = room.waits()
    room.frees(hours=3)
    room.offers()
    other = builders.consultant(room.db).consultant_user_id
    room.frees(START + 4 * HOUR, who=other)
    request.waiting_since = None  # what a release that knows no offers sees
    span = (START + 4 * HOUR, START + 5 * HOUR)
    taken = book_or_hold(
        room.db, room.ctx, request, room.service_type, Candidate(other, False, 0), span, None
    )
    assert isinstance(taken, assignment.Assignment)
    room.later(minutes=30)
    assert room.sweeps() == 1
    assert (room.offer(request).state, room.facts(), request.status) == ("withdrawn", [], "scheduled")
    assert "request.offer_lapsed" not in room.history(request)


# -- ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lapse_first", [True, False])
def test_at_its_deadline_a_request_with_an_offer_is_rejected_and_notified_once(
    room: WaitingScenario, lapse_first: bool
) -> None:
    request = room.waits(deadline_at=NOW + timedelta(minutes=20))
    room.frees()
    room.offers()
    room.later(minutes=20)
    if lapse_first:
        room.sweeps()
    assert [intake.give_up(room.db, room.ctx, request.id) for _ in range(2)] == [True, False]
    assert room.sweeps() == 0
    assert (request.status, room.facts()) == ("rejected", [])
    assert room.history(request)[1:] == ["request.offered", "request.offer_lapsed", "request.rejected"]
    assert room.notices(request) == {"time_offered": 1, "request_rejected": 1}
    assert room.answers(AcceptOffer, request).code == "offer_expired"


def test_a_withdrawn_request_frees_what_was_offered_to_it(room: WaitingScenario) -> None:
    first, second = (room.waits(waiting_since=NOW - timedelta(hours=hours)) for hours in (2, 1))
    room.frees()
    room.offers()
    intake.cancel(room.db, room.ctx, CancelRequest(message_id=uuid4(), actor="mira", request_id=first.id))
    assert (first.status, room.offer(first).state, room.facts()) == ("cancelled", "withdrawn", [])
    assert room.answers(AcceptOffer, first).code == "offer_over"
    assert room.noted()["hold_released"] == 1
    assert room.offers() == second.id


# -- what the database refuses -----------------------------------------------------------------------------


def _copy(offer: TimeOffer, **values: Any) -> TimeOffer:
    same = {
        "consultation_request_id": offer.consultation_request_id,
        "consultant_user_id": offer.consultant_user_id,
        "start_time": offer.start_time,
        "end_time": offer.end_time,
        "hold_token": uuid4(),
        "offered_at": NOW,
        "offered_until": NOW + HALF_AN_HOUR,
    }
    return TimeOffer(**(same | values))


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"start_time": START + timedelta(minutes=1)}, "uq_time_offers_open"),
        ({"state": "lapsed", "ended_at": NOW}, "uq_time_offers_once"),
        ({"start_time": START - timedelta(minutes=1), "offered_until": START}, "ck_time_offers_times"),
    ],
)
def test_the_database_refuses_a_second_open_offer_and_the_same_start_twice(
    room: WaitingScenario, values: dict[str, Any], refusal: str
) -> None:
    request = room.waits()
    room.frees()
    room.offers()
    room.db.add(_copy(room.offer(request), **values))
    with pytest.raises(IntegrityError, match=refusal):
        room.db.flush()


def test_a_start_that_was_declined_is_refused_by_the_database_whoever_offers_it(
    room: WaitingScenario,
) -> None:
    request = room.waits()
    room.frees()
    room.offers()
    room.answers(DeclineOffer, request)
    assert offers.offer_start(room.db, room.ctx, request, room.who, START) == Refusal("offered_before")
    assert (room.facts(), room.history(request)[-1]) == ([], "request.offer_declined")
