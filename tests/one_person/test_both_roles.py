"""A consultant who is a requester elsewhere is neither offered nor booked then; nor the other way round."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.availability import service as availability
from booking_tasks.batch import service as batch
from booking_tasks.context import Context
from booking_tasks.contracts import CancelSession, ConfirmHold, PlanAbsence, ReassignSession, SearchSlots
from booking_tasks.models import AssignmentDecision, ConsultationRequest, ScheduledSession, TimeOffer
from booking_tasks.waiting import offering
from tests import builders
from tests.batch.batches import plan_of
from tests.builders import NOW
from tests.one_person.two_roles import TwoRoles
from tests.refusals.world import HOUR, START


@pytest.fixture
def people(db: Session, ctx: Context) -> TwoRoles:
    return TwoRoles(db, ctx)


def test_a_search_offers_no_start_at_which_the_consultant_is_a_requester(people: TwoRoles) -> None:
    assert START in people.found(people.both)

    people.asks()

    found = people.found(people.both)
    assert START not in found
    assert START + HOUR in found


def test_a_search_for_a_requester_has_neither_themselves_nor_a_start_at_which_they_consult(
    people: TwoRoles,
) -> None:
    people.consults()
    whole: Any = people.run(SearchSlots)

    found: Any = people.run(SearchSlots, requester_user_id=people.both)

    free = [one for one in whole.starts if one.consultant_user_id == people.other]
    assert list(found.starts) == [one for one in free if one.start >= START + HOUR]
    assert people.found(people.both, requester_user_id=people.both) == []


def test_the_pages_of_a_search_for_a_requester_are_everything_once(people: TwoRoles) -> None:
    people.consults(1)
    whole: Any = people.run(SearchSlots, requester_user_id=people.both)
    pages: list[Any] = [people.run(SearchSlots, requester_user_id=people.both, limit=1)]
    while pages[-1].next:
        after = pages[-1].next
        pages.append(people.run(SearchSlots, requester_user_id=people.both, limit=1, after=after))

    assert [one for page in pages for one in page.starts] == list(whole.starts)
    assert len(whole.starts) == 4
    assert [len(page.starts) for page in pages] == [1] * 4


def test_a_search_for_a_requester_says_why_nothing_suits_them(people: TwoRoles) -> None:
    people.consults()
    nothing: dict[str, Any] = {"requester_user_id": people.both, "end": START + HOUR}

    busy: Any = people.run(SearchSlots, **nothing)
    alone: Any = people.run(SearchSlots, consultant_user_ids=[people.both], **nothing)

    assert (busy.empty_reason, busy.counts) == ("requester_busy", {"requester_busy": 1})
    assert alone.empty_reason == "no_consultant"


def test_a_consultant_is_not_held_or_booked_while_they_are_a_requester(people: TwoRoles) -> None:
    people.asks()

    assert people.hold_of(people.somebody, people.both).code == "slot_taken"
    assert people.hold_of(people.somebody, people.both, 0.5).code == "slot_taken"
    assert people.hold_of(people.somebody, people.both, 1).result == "done"


def test_a_requester_is_not_held_or_booked_while_they_consult(people: TwoRoles) -> None:
    people.consults()

    assert people.hold_of(people.both, people.other).code == "requester_busy"
    assert people.hold_of(people.both, people.other, 0.5).code == "requester_busy"
    assert people.hold_of(people.both, people.other, 1).result == "done"


@pytest.mark.parametrize("asks_first", [True, False])
def test_of_two_holds_in_both_roles_the_second_is_refused(people: TwoRoles, asks_first: bool) -> None:
    pairs = [(people.both, people.other), (people.somebody, people.both)]
    first, second = pairs if asks_first else reversed(pairs)
    held = people.hold_of(*first)

    assert people.hold_of(*second).code == ("slot_taken" if asks_first else "requester_busy")
    confirmed: Any = people.run(ConfirmHold, request_id=held.request_id, hold_token=held.hold_token)
    assert confirmed.result == "done"
    people.check()


@pytest.mark.parametrize("asks_first", [True, False])
def test_a_hold_that_is_over_keeps_nobody_in_the_other_role(people: TwoRoles, asks_first: bool) -> None:
    pairs = [(people.both, people.other), (people.somebody, people.both)]
    first, second = pairs if asks_first else reversed(pairs)
    people.hold_of(*first, minutes=10)
    people.later(minutes=10)

    assert people.hold_of(*second).result == "done"


def test_a_request_is_not_assigned_to_a_consultant_who_is_a_requester_then(people: TwoRoles) -> None:
    people.asks()

    waits = people.submitted(people.somebody, people.both)
    assert (waits.status, waits.reason) == ("pending_assignment", "no_free_time")
    booked = people.submitted(people.somebody, people.both, length=2)
    assert (booked.status, booked.start) == ("scheduled", START + HOUR)


def test_the_request_of_a_consultant_is_not_assigned_while_they_consult(people: TwoRoles) -> None:
    people.consults()

    waits = people.submitted(people.both, people.other)
    assert (waits.status, waits.reason) == ("pending_assignment", "requester_busy")
    booked = people.submitted(people.both, people.other, length=2)
    assert (booked.status, booked.start) == ("scheduled", START + HOUR)


def test_no_start_is_tried_at_which_the_requester_consults(people: TwoRoles) -> None:
    people.consults()
    waits = people.submitted(people.both, people.other)

    found = select(AssignmentDecision.candidates).where(
        AssignmentDecision.consultation_request_id == waits.request_id
    )
    [candidates] = people.db.execute(found).scalars()
    reasons = {one["consultant_user_id"]: one["rejected"] for one in candidates}
    assert reasons == {str(people.other): "requester_busy", str(people.both): "is_the_requester"}


def test_a_series_has_a_conflict_where_its_consultant_is_a_requester(people: TwoRoles) -> None:
    people.asks()

    outcome = people.series(people.somebody, people.both, 0, 1)
    assert [(one.start, one.code) for one in outcome.conflicts] == [(START, "slot_taken")]
    assert people.series(people.somebody, people.both, 1, 2).result == "done"


def test_a_series_has_a_conflict_where_its_requester_consults(people: TwoRoles) -> None:
    people.consults()

    outcome = people.series(people.both, people.other, 0, 1)
    assert [(one.start, one.code) for one in outcome.conflicts] == [(START, "requester_busy")]
    assert people.series(people.both, people.other, 1, 2).result == "done"


def test_a_session_is_not_moved_to_where_its_consultant_is_a_requester(people: TwoRoles) -> None:
    people.asks()
    session_id = people.consults(2)

    assert people.moved(session_id, 0).code == "slot_taken"
    assert people.moved(session_id, 0.5).code == "slot_taken"
    assert people.moved(session_id, 1).result == "done"
    people.check()


def test_a_session_is_not_moved_to_where_its_requester_consults(people: TwoRoles) -> None:
    people.consults()
    session_id = people.asks(2)

    assert people.moved(session_id, 0).code == "requester_busy"
    assert people.moved(session_id, 0.5).code == "requester_busy"
    assert people.moved(session_id, 1).result == "done"
    people.check()


def test_a_session_moves_over_its_own_time_in_both_roles(people: TwoRoles) -> None:
    session_id = people.asks()

    assert people.moved(session_id, 0.5).result == "done"
    assert people.found(people.both)[0] == START + 1.5 * HOUR
    assert people.occupied(people.both) == people.occupied(people.other) == [(HOUR / 2, 1.5 * HOUR)]


def test_a_session_is_not_reassigned_to_a_consultant_who_is_a_requester_then(people: TwoRoles) -> None:
    third = people.other_consultant()
    session_id = people.booked(people.somebody, third)
    people.asks()

    named: Any = people.run(ReassignSession, session_id=session_id, consultant_user_id=people.both)
    best: Any = people.run(ReassignSession, session_id=session_id)

    assert (named.code, best.code) == ("slot_taken", "nobody_can")


def test_a_session_is_not_reassigned_to_its_requester(people: TwoRoles) -> None:
    session_id = people.asks()

    named: Any = people.run(ReassignSession, session_id=session_id, consultant_user_id=people.both)
    best: Any = people.run(ReassignSession, session_id=session_id)

    assert (named.code, best.code) == ("is_the_requester", "nobody_can")


def _planned(people: TwoRoles, who: Any, **values: Any) -> Any:
    return people.run(PlanAbsence, plan_id=uuid4(), consultant_user_id=who, reason="ill", **values)


def test_an_absence_plan_leaves_a_consultant_alone_who_is_a_requester_then(people: TwoRoles) -> None:
    third = people.other_consultant()
    people.booked(people.somebody, third)
    people.asks()

    [step] = _planned(people, third).steps

    assert step.action == "propose"
    assert step.start == START + HOUR


def test_an_absence_plan_proposes_no_time_at_which_the_requester_consults(people: TwoRoles) -> None:
    third = people.other_consultant()
    people.booked(people.both, third)
    people.booked(people.somebody, people.other)  # so that no colleague has the session's own time
    people.consults(1)

    [step] = _planned(people, third).steps

    assert (step.action, step.start) == ("propose", START + 2 * HOUR)


def test_an_absence_plan_does_not_hand_a_session_to_its_requester(people: TwoRoles) -> None:
    session_id = people.asks()

    chosen = [{"session_id": session_id, "consultant_user_id": people.both}]
    [step] = _planned(people, people.other, chosen=chosen).steps

    assert step.consultant_user_id != people.both
    assert step.reason == "is_the_requester"


def _waiting(people: TwoRoles, requester: Any, **values: Any) -> ConsultationRequest:
    defaults = {
        "requester_user_id": requester,
        "waiting_since": NOW,
        "status": "pending_assignment",
        "preferred_start_time": START,
        "preferred_end_time": START + HOUR,
    }
    return builders.request(people.db, people.service.id, **defaults | values)


def test_the_waiting_list_offers_no_time_at_which_the_consultant_is_a_requester(people: TwoRoles) -> None:
    people.asks()
    _waiting(people, people.somebody)

    assert offering.offer_released_time(people.db, people.ctx, people.both) is None

    later = _waiting(people, people.somebody, preferred_end_time=START + 2 * HOUR)
    assert offering.offer_released_time(people.db, people.ctx, people.both) == later.id
    [offer] = people.db.execute(select(TimeOffer)).scalars()
    assert offer.start_time == START + HOUR


def test_the_waiting_list_offers_no_time_at_which_the_requester_consults(people: TwoRoles) -> None:
    people.consults()
    _waiting(people, people.both)

    assert offering.offer_released_time(people.db, people.ctx, people.other) is None

    later = _waiting(people, people.both, preferred_end_time=START + 2 * HOUR)
    assert offering.offer_released_time(people.db, people.ctx, people.other) == later.id
    [offer] = people.db.execute(select(TimeOffer)).scalars()
    assert offer.start_time == START + HOUR


def _applied(people: TwoRoles) -> batch.BatchPlan:
    plan = batch.store_plan(people.db, people.ctx, plan_of(people.db, people.ctx))
    for request_id in plan.request_ids_to_apply:
        plan.apply(people.db, people.ctx, request_id)
    return plan


@pytest.mark.parametrize("asks", [True, False])
def test_a_batch_plans_nobody_who_is_somewhere_else(people: TwoRoles, asks: bool) -> None:
    if asks:
        people.asks()
    else:
        people.consults()
    requester, consultant = (people.somebody, people.both) if asks else (people.both, people.other)
    criteria = {"preferred_consultant_user_id": consultant, "preferred_fallback": "only"}
    waits = _waiting(people, requester, waiting_since=None, **criteria)

    plan = _applied(people)

    assert plan.solution.objective.served == 0
    assert waits.status_reason == ("no_free_time" if asks else "requester_busy")


def test_a_batch_does_not_plan_one_person_in_both_roles_at_once(people: TwoRoles) -> None:
    """Each request by itself could have its start; the plan has one of them, and that one is booked."""
    criteria = {"preferred_fallback": "only", "waiting_since": None}
    requests = [
        _waiting(people, people.somebody, preferred_consultant_user_id=people.both, **criteria),
        _waiting(people, people.both, preferred_consultant_user_id=people.other, **criteria),
    ]

    plan = _applied(people)

    assert plan.solution.objective.served == 1
    for one in requests:
        people.db.refresh(one)
    assert sorted(one.status for one in requests) == ["pending_assignment", "scheduled"]
    people.check()


def test_the_buffer_of_a_consultant_keeps_their_own_request_away(people: TwoRoles) -> None:
    people.service.buffer_after_minutes = 30
    people.db.flush()
    people.consults()

    assert people.hold_of(people.both, people.other, 1).code == "requester_busy"
    assert people.hold_of(people.both, people.other, 1.5).result == "done"


def test_a_cancelled_session_frees_its_requester_to_consult(people: TwoRoles) -> None:
    session_id = people.asks()
    row = people.session_row(session_id)
    people.run(CancelSession, session_id=row.id, cancelled_by="user")

    assert people.hold_of(people.somebody, people.both).result == "done"
    people.check()


def test_free_time_excludes_the_hours_in_which_a_consultant_is_a_requester(people: TwoRoles) -> None:
    people.asks()

    found = availability.free_time(people.db, people.ctx, START, START + 4 * HOUR, [people.both])

    assert list(found[people.both]) == [(START + HOUR, START + 4 * HOUR)]
    assert people.db.query(ScheduledSession).count() == 1
