"""What waits is planned together and taken one by one, with a certificate of how good the plan was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from booking_tasks.assignment import batch, batch_reading, batch_scoring, matching, scoring, service
from booking_tasks.assignment.looking import wish_of
from booking_tasks.assignment.tasks import assign_waiting
from booking_tasks.database import if_alone, transaction
from booking_tasks.models import (
    AssignmentBatch,
    AssignmentDecision,
    AvailabilitySlot,
    Consultant,
    ConsultantPolicy,
    ConsultationRequest,
    ScheduledSession,
)
from booking_tasks.occasion import Occasion
from booking_tasks.zones import zone
from tests import builders
from tests.builders import NOW

TOMORROW = NOW + timedelta(days=1)
HOUR = timedelta(hours=1)


def plan_of(db: Session, moment: Occasion) -> batch.Planned:
    look, others = batch.look(db, moment)
    return batch.planned(look, others, timedelta(seconds=60), lambda: 0.0)


def run(db: Session, moment: Occasion) -> batch.Planned:
    """The whole sweep, in the test's transaction."""
    plan = batch.keep(db, moment, plan_of(db, moment))
    for request_id in plan.to_do:
        plan.apply(db, moment, request_id)
    batch.finish(db, moment, plan)
    return plan


def sessions(db: Session) -> dict[UUID, ScheduledSession]:
    return {one.consultation_request_id: one for one in db.scalars(select(ScheduledSession))}


def decisions(db: Session, request: ConsultationRequest) -> list[AssignmentDecision]:
    found = select(AssignmentDecision).where(AssignmentDecision.consultation_request_id == request.id)
    return list(db.scalars(found.order_by(AssignmentDecision.id)))


def consultant(db: Session, start: datetime = TOMORROW, hours: float = 8, **values: Any) -> UUID:
    who = builders.consultant(db, **values).consultant_user_id
    builders.window(db, who, start, hours)
    return who


@contextmanager
def counted(db: Session) -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_: Any, __: Any, statement: str, *rest: Any) -> None:
        sent.append(statement)

    event.listen(db.get_bind(), "before_cursor_execute", note)
    yield sent
    event.remove(db.get_bind(), "before_cursor_execute", note)


def test_all_are_served_where_one_after_the_other_would_leave_somebody(db: Session, moment: Occasion) -> None:
    """The first in the queue takes anything; alone it would take the only hour that suits the second."""
    kind = builders.service_type(db)
    consultant(db, hours=2)
    easy = builders.request(db, kind.id)
    strict = builders.request(
        db, kind.id, requested_at=NOW + HOUR,
        preferred_start_time=TOMORROW, preferred_end_time=TOMORROW + HOUR,
    )  # fmt: skip
    plan = run(db, moment)

    assert {one.scheduled_start_time for one in sessions(db).values()} == {TOMORROW, TOMORROW + HOUR}
    assert sessions(db)[strict.id].scheduled_start_time == TOMORROW
    assert plan.answer.proven
    [stored] = decisions(db, easy)
    assert (stored.reason, stored.start_time) == ("chosen", TOMORROW + HOUR)
    certificate = stored.inputs["batch"]
    assert certificate["id"] == str(plan.batch_id)
    assert (certificate["requests"], certificate["served"], certificate["served_bound"]) == (2, 2, 2)


def test_a_batch_keeps_its_certificate_and_says_who_is_left_and_why(db: Session, moment: Occasion) -> None:
    kind = builders.service_type(db)
    consultant(db, hours=1)
    first, second = (builders.request(db, kind.id, requested_at=NOW + n * HOUR) for n in range(2))
    nobody = builders.request(db, kind.id, required_specializations=["law"])
    plan = run(db, moment)

    [row] = db.scalars(select(AssignmentBatch))
    assert (row.requests, row.pairs, row.served, row.served_bound, row.applied) == (3, 2, 1, 1, 1)
    assert (row.score, row.is_complete, row.timed_out, row.finished_at) == (row.score_bound, True, False, NOW)
    assert row.left == {"outmatched": [str(second.id)], "no_start": [str(nobody.id)]}
    assert (first.status, second.status, nobody.status) == (
        "scheduled", "pending_assignment", "pending_assignment",
    )  # fmt: skip
    assert (second.status_reason, nobody.status_reason) == ("no_free_time", "missing_specialization")
    [stored] = decisions(db, second)
    assert stored.inputs["batch"]["id"] == str(plan.batch_id)
    assert [one["rejected"] for one in stored.candidates] == ["no_free_time"]


def test_a_batch_that_changes_nothing_leaves_no_row_but_turns_the_queue(
    db: Session, moment: Occasion
) -> None:
    kind = builders.service_type(db)
    request = builders.request(db, kind.id)
    run(db, moment)
    later = Occasion(now=NOW + HOUR, actor="sweep", door="sweep")
    with counted(db) as sent:
        plan = run(db, later)

    assert plan.to_do == []
    assert not [one for one in sent if one.startswith("INSERT")]
    assert len(decisions(db, request)) == 1
    db.refresh(request)
    assert request.updated_at == later.now


def test_an_empty_queue_costs_one_look(db: Session, moment: Occasion) -> None:
    with counted(db) as sent:
        run(db, moment)

    assert len([one for one in sent if not one.startswith("SAVEPOINT")]) == 1


@pytest.mark.parametrize("many", [2, 12])
def test_reading_and_planning_take_as_many_statements_for_many_as_for_few(
    db: Session, moment: Occasion, many: int
) -> None:
    kind = builders.service_type(db, max_sessions_per_day=3)
    for _ in range(many):
        consultant(db)
        builders.request(db, kind.id, preferred_start_time=TOMORROW, preferred_end_time=TOMORROW + 8 * HOUR)
    with counted(db) as sent:
        assert plan_of(db, moment).answer.objective.served == many

    assert len(sent) == 13


@pytest.mark.parametrize(
    ("limits", "served"),
    [
        ({"max_sessions_per_day": 2}, 2),
        ({"max_sessions_per_week": 3}, 3),
        ({"max_minutes_per_day": 150}, 2),
        ({"max_minutes_per_week": 240}, 4),
        ({}, 6),
    ],
)
def test_limits_hold_within_a_batch(
    db: Session, moment: Occasion, limits: dict[str, int], served: int
) -> None:
    kind = builders.service_type(db, **limits)
    consultant(db)
    for _ in range(6):
        builders.request(db, kind.id, preferred_end_time=TOMORROW + 8 * HOUR)
    plan = run(db, moment)

    assert plan.answer.objective.served == plan.answer.bound.served == served
    assert len(sessions(db)) == served


def test_what_is_already_booked_counts_for_the_limits_of_a_batch(db: Session, moment: Occasion) -> None:
    kind = builders.service_type(db)
    who = consultant(db)
    db.add(
        ConsultantPolicy(consultant_user_id=who, consultation_service_type_id=kind.id, max_sessions_per_day=3)
    )
    db.flush()
    for number in range(5):
        builders.request(
            db, kind.id, requested_at=NOW + number * HOUR, preferred_end_time=TOMORROW + 8 * HOUR
        )
    early = builders.request(db, kind.id)
    service.assign(db, moment, early.id)
    plan = run(db, moment)

    assert plan.answer.objective.served == 2
    assert len(sessions(db)) == 3


def test_limits_over_all_kinds_and_a_capacity_hold_within_a_batch(db: Session, moment: Occasion) -> None:
    kinds = [builders.service_type(db) for _ in range(2)]
    daily, capped = consultant(db, max_sessions_per_day=3), consultant(db, assignment_capacity=1)
    for number in range(8):
        builders.request(
            db, kinds[number % 2].id, requested_at=NOW + number * HOUR, preferred_end_time=TOMORROW + 8 * HOUR
        )
    plan = run(db, moment)

    assert plan.answer.objective.served == plan.answer.bound.served == 4
    whose = [one.consultant_user_id for one in sessions(db).values()]
    assert (whose.count(daily), whose.count(capped)) == (3, 1)


def test_a_pair_is_worth_what_a_single_look_would_score_there(db: Session, moment: Occasion) -> None:
    kind = builders.service_type(db, assignment_weights={"local_time": 5})
    company = uuid4()
    builders.user(db, user_id=(requester := uuid4()), time_zone="America/New_York")
    first = consultant(db, specializations=["algebra", "law"], priority_tier=1, time_zone="Asia/Tokyo")
    consultant(db, TOMORROW + HOUR, specializations=["algebra"])
    builders.request(db, kind.id, company_id=company, status="completed", assigned_consultant_user_id=first)
    builders.request(
        db, kind.id, requester_user_id=requester, company_id=company, required_specializations=["algebra"],
        preferred_consultant_user_id=first, preferred_end_time=TOMORROW + 9 * HOUR,
    )  # fmt: skip
    look, _ = batch.look(db, moment)
    scene, ground, claim = look.scene, look.ground, look.claims[0]
    wish = wish_of(look.requests[0])
    about = scene.about(wish, claim.low, claim.latest)
    turns = batch_scoring.turns_of(ground, kind.id, scene.standings[kind.id])
    openings = ground.matching(claim)
    weights = scene.weights[kind.id]

    assert len(openings) > 20
    for opening, share in zip(openings, scene.worth(ground, openings, about, turns), strict=True):
        one = scene.profiles[ground.consultants[ground.whose[opening]]]
        terms = scoring.terms_of(
            one, ground.starts[opening], ground.ends[opening], zone(one.time_zone), turns[opening], about
        )
        assert share * sum(weights.by_term().values()) == pytest.approx(scoring.total(terms, weights))


def test_what_equal_consultants_get_in_one_batch_differs_by_one_at_most(
    db: Session, moment: Occasion
) -> None:
    kind = builders.service_type(db)
    people = [consultant(db) for _ in range(3)]
    for number in range(8):
        builders.request(db, kind.id, requested_at=NOW + number * HOUR)
    run(db, moment)

    whose = [one.consultant_user_id for one in sessions(db).values()]
    assert sorted(whose.count(who) for who in people) == [2, 3, 3]


def test_requests_of_one_requester_are_not_served_at_the_same_time(db: Session, moment: Occasion) -> None:
    kind = builders.service_type(db)
    for _ in range(2):
        consultant(db, hours=1)
    requester = uuid4()
    for _ in range(2):
        builders.request(db, kind.id, requester_user_id=requester)
    plan = run(db, moment)

    assert plan.answer.objective.served == len(sessions(db)) == 1


def test_buffers_are_kept_between_what_is_planned_together(db: Session, moment: Occasion) -> None:
    kind = builders.service_type(db, buffer_after_minutes=30)
    consultant(db, hours=3)
    for _ in range(3):
        builders.request(db, kind.id)
    run(db, moment)

    starts = sorted(one.scheduled_start_time for one in sessions(db).values())
    assert starts in ([TOMORROW, TOMORROW + 1.5 * HOUR], [TOMORROW, TOMORROW + 2 * HOUR])


def test_a_start_that_is_lost_meanwhile_is_replaced_by_the_next_one(db: Session, moment: Occasion) -> None:
    kind = builders.service_type(db)
    consultant(db, hours=2)
    request = builders.request(db, kind.id)
    plan = batch.keep(db, moment, plan_of(db, moment))
    rival = builders.request(db, kind.id)
    service.assign(db, moment, rival.id)
    assert plan.apply(db, moment, request.id).result == "scheduled"

    assert sessions(db)[rival.id].scheduled_start_time == TOMORROW
    assert sessions(db)[request.id].scheduled_start_time == TOMORROW + HOUR


def test_a_consultant_who_stops_meanwhile_gets_nobody(db: Session, moment: Occasion) -> None:
    kind = builders.service_type(db)
    row = builders.consultant(db)
    builders.window(db, row.consultant_user_id, TOMORROW)
    request = builders.request(db, kind.id, required_specializations=["algebra"])
    plan = batch.keep(db, moment, plan_of(db, moment))
    row.specializations = ["law"]
    db.flush()
    assert plan.apply(db, moment, request.id).reason == "missing_specialization"


def test_a_request_that_was_changed_meanwhile_is_looked_at_anew(db: Session, moment: Occasion) -> None:
    kind = builders.service_type(db)
    who = consultant(db, hours=2)
    request = builders.request(db, kind.id)
    plan = batch.keep(db, moment, plan_of(db, moment))
    request.excluded_consultant_user_ids = [who]
    request.updated_at = NOW + timedelta(minutes=1)
    db.flush()
    assert plan.apply(db, moment, request.id).reason == "excluded"
    request.status = "cancelled"
    assert plan.apply(db, moment, request.id).result == "nothing"


def test_who_must_confirm_is_asked_and_their_time_held(db: Session, moment: Occasion) -> None:
    kind = builders.service_type(db, requires_confirmation=True)
    consultant(db, NOW, hours=2)
    request = builders.request(db, kind.id)
    run(db, moment)

    assert request.status == "pending_confirmation"
    held = db.scalars(select(AvailabilitySlot).where(AvailabilitySlot.status == "held")).one()
    assert held.session_start_time == NOW + timedelta(minutes=30)


def test_a_kind_that_is_no_longer_offered_is_said_to_be_so(db: Session, moment: Occasion) -> None:
    kind = builders.service_type(db, is_active=False)
    request = builders.request(db, kind.id)
    run(db, moment)

    assert request.status_reason == "service_type_inactive"


def test_a_requester_who_is_busy_gets_another_start_or_is_told_so(db: Session, moment: Occasion) -> None:
    kind = builders.service_type(db)
    consultant(db, hours=3)
    busy = builders.booked_session(db, TOMORROW, minutes=90)
    later = builders.request(db, kind.id, requester_user_id=busy.requester_user_id)
    never = builders.request(
        db, kind.id, requester_user_id=busy.requester_user_id, preferred_end_time=TOMORROW + 1.5 * HOUR
    )
    run(db, moment)

    assert sessions(db)[later.id].scheduled_start_time >= busy.scheduled_end_time
    assert (never.status, never.status_reason) == ("pending_assignment", "requester_busy")


def test_without_the_solver_a_batch_is_served_greedily(
    db: Session, moment: Occasion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "has_solver", lambda: False)
    kind = builders.service_type(db)
    consultant(db, hours=2)
    for _ in range(2):
        builders.request(db, kind.id)
    plan = run(db, moment)

    assert plan.answer.method == db.scalars(select(AssignmentBatch)).one().method == "greedy"
    assert len(sessions(db)) == 2


def test_a_batch_with_too_many_starts_for_all_still_serves_everybody(
    db: Session, moment: Occasion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each looks at few starts, but not all at the same ones; the preferred consultant's among them."""
    monkeypatch.setattr(batch_reading, "PAIRS_MOST", 80)
    kind = builders.service_type(db)
    for _ in range(4):
        consultant(db, hours=8)
    wanted = consultant(db, TOMORROW + timedelta(days=5))
    requests = [builders.request(db, kind.id, requested_at=NOW + n * timedelta(minutes=1)) for n in range(20)]
    requests[-1].preferred_consultant_user_id = wanted
    db.flush()
    plan = run(db, moment)

    assert len(plan.look.batch.pair_scores) <= 80
    assert plan.answer.objective.served > 15  # four times the four that all of them could have together
    assert len(sessions(db)) == 20
    assert sessions(db)[requests[-1].id].consultant_user_id == wanted


_OFFERS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(1, 3), st.sampled_from(["algebra", "law"]),
              st.sampled_from([None, 1, 2])),
    min_size=1, max_size=3,
)  # fmt: skip
_WISHES = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 4), st.sampled_from([[], ["algebra"]]), st.integers(0, 2)),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_OFFERS, _WISHES)
def test_nobody_is_unqualified_over_a_limit_or_double(
    db: Session, moment: Occasion, offers: list[Any], wishes: list[Any]
) -> None:
    """And one more free hour never serves fewer: the same queue, with a window that is longer."""
    served = []
    for longer in (0, 1):
        savepoint = db.begin_nested()
        kind = builders.service_type(db, default_duration_minutes=45, slot_step_minutes=15)
        people = [uuid4() for _ in range(3)]
        for start, hours, able, limit in offers:
            who = consultant(db, TOMORROW + start * HOUR, hours + longer, specializations=[able])
            if limit:
                db.add(ConsultantPolicy(
                    consultant_user_id=who, consultation_service_type_id=kind.id, max_sessions_per_day=limit
                ))  # fmt: skip
        for start, hours, needs, requester in wishes:
            builders.request(
                db, kind.id, requester_user_id=people[requester], required_specializations=needs,
                preferred_start_time=TOMORROW + start * HOUR,
                preferred_end_time=TOMORROW + (start + hours) * HOUR,
            )  # fmt: skip
        db.flush()
        plan = run(db, moment)
        found = sessions(db)
        _check(db, kind.id)
        assert len(found) == plan.answer.objective.served
        served.append(len(found))
        savepoint.rollback()
    assert served[0] <= served[1]


def _check(db: Session, kind: UUID) -> None:
    """The constraints keep people from being double; skills, wishes and limits are looked at here."""
    for request in db.scalars(select(ConsultationRequest).where(ConsultationRequest.status == "scheduled")):
        session = db.get_one(ScheduledSession, request.scheduled_session_id)
        one = db.get_one(Consultant, session.consultant_user_id)
        assert set(request.required_specializations) <= set(one.specializations)
        assert request.preferred_start_time is not None
        assert request.preferred_end_time is not None
        assert request.preferred_start_time <= session.scheduled_start_time
        assert session.scheduled_end_time <= request.preferred_end_time
    for policy in db.scalars(select(ConsultantPolicy)):
        having = [one for one in sessions(db).values() if one.consultant_user_id == policy.consultant_user_id]
        assert len(having) <= (policy.max_sessions_per_day or 99)


@pytest.mark.usefixtures("valkey")
def test_the_sweep_serves_what_waits_and_two_sweeps_do_not_both_plan(own_database: str) -> None:
    with transaction() as db:
        kind = builders.service_type(db)
        start = datetime.now(TOMORROW.tzinfo) + timedelta(days=1)
        consultant(db, start)
        requests = [builders.request(db, kind.id, deadline_at=start).id for _ in range(3)]
    with if_alone("assign_waiting", timedelta(minutes=1)) as alone:
        assert alone
        assert assign_waiting() == 0
    assert assign_waiting() == 3
    with transaction() as db:
        assert set(sessions(db)) == set(requests)
    assert assign_waiting() == 0
