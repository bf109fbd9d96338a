"""Limits, scores and turns within a batch, and what no batch ever does."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.assignment import rules, service
from booking_tasks.assignment.evaluation import criteria_of
from booking_tasks.batch import scoring as batch_scoring
from booking_tasks.batch import service as batch
from booking_tasks.context import Context
from booking_tasks.kit.time_zones import zone
from booking_tasks.models import (
    Consultant,
    ConsultantPolicy,
    ConsultationRequest,
    ScheduledSession,
)
from tests import builders
from tests.batch.batches import HOUR, TOMORROW, consultant, run, sessions
from tests.builders import NOW


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
def test_limits_hold_within_a_batch(db: Session, ctx: Context, limits: dict[str, int], served: int) -> None:
    service_type = builders.service_type(db, **limits)
    consultant(db)
    for _ in range(6):
        builders.request(db, service_type.id, preferred_end_time=TOMORROW + 8 * HOUR)
    plan = run(db, ctx)

    assert plan.solution.objective.served == plan.solution.bound.served == served
    assert len(sessions(db)) == served


def test_what_is_already_booked_counts_for_the_limits_of_a_batch(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    who = consultant(db)
    db.add(
        ConsultantPolicy(
            consultant_user_id=who, consultation_service_type_id=service_type.id, max_sessions_per_day=3
        )
    )
    db.flush()
    for number in range(5):
        builders.request(
            db, service_type.id, requested_at=NOW + number * HOUR, preferred_end_time=TOMORROW + 8 * HOUR
        )
    early = builders.request(db, service_type.id)
    service.assign(db, ctx, early.id)
    plan = run(db, ctx)

    assert plan.solution.objective.served == 2
    assert len(sessions(db)) == 3


def test_limits_over_all_kinds_and_a_capacity_hold_within_a_batch(db: Session, ctx: Context) -> None:
    service_types = [builders.service_type(db) for _ in range(2)]
    daily, capped = consultant(db, max_sessions_per_day=3), consultant(db, assignment_capacity=1)
    for number in range(8):
        builders.request(
            db,
            service_types[number % 2].id,
            requested_at=NOW + number * HOUR,
            preferred_end_time=TOMORROW + 8 * HOUR,
        )
    plan = run(db, ctx)

    assert plan.solution.objective.served == plan.solution.bound.served == 4
    consultant_places = [one.consultant_user_id for one in sessions(db).values()]
    assert (consultant_places.count(daily), consultant_places.count(capped)) == (3, 1)


def test_a_pair_is_worth_what_a_single_evaluation_would_score(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db, assignment_weights={"local_time": 5})
    company = uuid4()
    builders.user(db, user_id=(requester := uuid4()), time_zone="America/New_York")
    first = consultant(db, specializations=["algebra", "law"], priority_tier=1, time_zone="Asia/Tokyo")
    consultant(db, TOMORROW + HOUR, specializations=["algebra"])
    builders.request(
        db, service_type.id, company_id=company, status="completed", assigned_consultant_user_id=first
    )
    builders.request(
        db,
        service_type.id,
        requester_user_id=requester,
        company_id=company,
        required_specializations=["algebra"],
        preferred_consultant_user_id=first,
        preferred_end_time=TOMORROW + 9 * HOUR,
    )
    snapshot, _ = batch.read_batch(db, ctx)
    score_inputs, problem, claim = snapshot.score_inputs, snapshot.problem, snapshot.claims[0]
    criteria = criteria_of(snapshot.requests[0])
    circumstances = score_inputs.circumstances(criteria, claim.low, claim.latest)
    turns = batch_scoring.queue_positions_of(problem, service_type.id, score_inputs.balances[service_type.id])
    openings = problem.matching(claim)
    weights = score_inputs.weights[service_type.id]

    assert len(openings) > 20
    for opening, share in zip(
        openings, score_inputs.pair_scores(problem, openings, circumstances, turns), strict=True
    ):
        one = score_inputs.profiles[problem.consultants[problem.consultant_places[opening]]]
        terms = rules.score_terms(
            one,
            problem.starts[opening],
            problem.ends[opening],
            zone(one.time_zone),
            turns[opening],
            circumstances,
        )
        assert share * sum(weights.by_term().values()) == pytest.approx(rules.total_score(terms, weights))


def test_what_equal_consultants_get_in_one_batch_differs_by_one_at_most(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    people = [consultant(db) for _ in range(3)]
    for number in range(8):
        builders.request(db, service_type.id, requested_at=NOW + number * HOUR)
    run(db, ctx)

    consultant_places = [one.consultant_user_id for one in sessions(db).values()]
    assert sorted(consultant_places.count(who) for who in people) == [2, 3, 3]


_OFFERS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.integers(1, 3),
        st.sampled_from(["algebra", "law"]),
        st.sampled_from([None, 1, 2]),
    ),
    min_size=1,
    max_size=3,
)
_WISHES = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 4), st.sampled_from([[], ["algebra"]]), st.integers(0, 2)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_OFFERS, _WISHES)
def test_nobody_is_unqualified_over_a_limit_or_double(
    db: Session, ctx: Context, offers: list[Any], all_criteria: list[Any]
) -> None:
    """And one more free hour never serves fewer: the same queue, with a window that is longer."""
    served = []
    for longer in (0, 1):
        savepoint = db.begin_nested()
        service_type = builders.service_type(db, default_duration_minutes=45, slot_step_minutes=15)
        people = [uuid4() for _ in range(3)]
        for start, hours, able, limit in offers:
            who = consultant(db, TOMORROW + start * HOUR, hours + longer, specializations=[able])
            if limit:
                db.add(
                    ConsultantPolicy(
                        consultant_user_id=who,
                        consultation_service_type_id=service_type.id,
                        max_sessions_per_day=limit,
                    )
                )
        for start, hours, needs, requester in all_criteria:
            builders.request(
                db,
                service_type.id,
                requester_user_id=people[requester],
                required_specializations=needs,
                preferred_start_time=TOMORROW + start * HOUR,
                preferred_end_time=TOMORROW + (start + hours) * HOUR,
            )
        db.flush()
        plan = run(db, ctx)
        found = sessions(db)
        _check(db, service_type.id)
        assert len(found) == plan.solution.objective.served
        served.append(len(found))
        savepoint.rollback()
    assert served[0] <= served[1]


def _check(db: Session, service_type: UUID) -> None:
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
