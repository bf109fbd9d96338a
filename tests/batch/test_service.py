"""What waits is planned together and taken one by one, with a certificate of how good the plan was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from booking_tasks.assignment import service
from booking_tasks.batch import matching
from booking_tasks.batch import reading as batch_reading
from booking_tasks.batch import service as batch
from booking_tasks.batch.tasks import assign_waiting
from booking_tasks.context import Context
from booking_tasks.kit.database import transaction, try_lock
from booking_tasks.kit.settings import settings
from booking_tasks.models import (
    AssignmentBatch,
    AvailabilitySlot,
    ConsultantPolicy,
)
from tests import builders
from tests.batch.batches import HOUR, TOMORROW, consultant, decisions, plan_of, run, sessions
from tests.builders import NOW
from tests.conftest import DIRECT_AND_POOLED


@contextmanager
def counted(db: Session) -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_: Any, __: Any, statement: str, *rest: Any) -> None:
        sent.append(statement)

    event.listen(db.get_bind(), "before_cursor_execute", note)
    yield sent
    event.remove(db.get_bind(), "before_cursor_execute", note)


def test_all_are_served_where_one_after_the_other_would_leave_somebody(db: Session, ctx: Context) -> None:
    """The first in the queue takes anything; alone it would take the only hour that suits the second."""
    service_type = builders.service_type(db)
    consultant(db, hours=2)
    easy = builders.request(db, service_type.id)
    strict = builders.request(
        db,
        service_type.id,
        requested_at=NOW + HOUR,
        preferred_start_time=TOMORROW,
        preferred_end_time=TOMORROW + HOUR,
    )
    plan = run(db, ctx)

    assert {one.scheduled_start_time for one in sessions(db).values()} == {TOMORROW, TOMORROW + HOUR}
    assert sessions(db)[strict.id].scheduled_start_time == TOMORROW
    assert plan.solution.is_optimal
    [stored] = decisions(db, easy)
    assert (stored.reason, stored.start_time) == ("chosen", TOMORROW + HOUR)
    certificate = stored.inputs["batch"]
    assert certificate["id"] == str(plan.batch_id)
    assert (certificate["requests"], certificate["served"], certificate["served_bound"]) == (2, 2, 2)


def test_a_batch_keeps_its_certificate_and_says_who_is_left_and_why(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    consultant(db, hours=1)
    first, second = (builders.request(db, service_type.id, requested_at=NOW + n * HOUR) for n in range(2))
    nobody = builders.request(db, service_type.id, required_specializations=["law"])
    plan = run(db, ctx)

    [row] = db.scalars(select(AssignmentBatch))
    assert (row.requests, row.pairs, row.served, row.served_bound, row.applied) == (3, 2, 1, 1, 1)
    assert (row.score, row.is_complete, row.timed_out, row.finished_at) == (row.score_bound, True, False, NOW)
    assert row.left == {"outmatched": [str(second.id)], "no_start": [str(nobody.id)]}
    assert (first.status, second.status, nobody.status) == (
        "scheduled",
        "pending_assignment",
        "pending_assignment",
    )
    assert (second.status_reason, nobody.status_reason) == ("no_free_time", "missing_specialization")
    [stored] = decisions(db, second)
    assert stored.inputs["batch"]["id"] == str(plan.batch_id)
    assert [one["rejected"] for one in stored.candidates] == ["no_free_time"]


def test_a_batch_that_changes_nothing_leaves_no_row_but_turns_the_queue(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    request = builders.request(db, service_type.id)
    run(db, ctx)
    later = Context(now=NOW + HOUR, actor="sweep", entry_point="sweep")
    with counted(db) as sent:
        plan = run(db, later)

    assert plan.request_ids_to_apply == []
    assert not [one for one in sent if one.startswith("INSERT")]
    assert len(decisions(db, request)) == 1
    db.refresh(request)
    assert request.updated_at == later.now


def test_an_empty_queue_costs_one_query(db: Session, ctx: Context) -> None:
    with counted(db) as sent:
        run(db, ctx)

    assert len([one for one in sent if not one.startswith("SAVEPOINT")]) == 1


@pytest.mark.parametrize("many", [2, 12])
def test_reading_and_planning_take_as_many_statements_for_many_as_for_few(
    db: Session, ctx: Context, many: int
) -> None:
    service_type = builders.service_type(db, max_sessions_per_day=3)
    for _ in range(many):
        consultant(db)
        builders.request(
            db, service_type.id, preferred_start_time=TOMORROW, preferred_end_time=TOMORROW + 8 * HOUR
        )
    with counted(db) as sent:
        assert plan_of(db, ctx).solution.objective.served == many

    assert len(sent) == 13


def test_requests_of_one_requester_are_not_served_at_the_same_time(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    for _ in range(2):
        consultant(db, hours=1)
    requester = uuid4()
    for _ in range(2):
        builders.request(db, service_type.id, requester_user_id=requester)
    plan = run(db, ctx)

    assert plan.solution.objective.served == len(sessions(db)) == 1


def test_buffers_are_kept_between_what_is_planned_together(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db, buffer_after_minutes=30)
    consultant(db, hours=3)
    for _ in range(3):
        builders.request(db, service_type.id)
    run(db, ctx)

    starts = sorted(one.scheduled_start_time for one in sessions(db).values())
    assert starts in ([TOMORROW, TOMORROW + 1.5 * HOUR], [TOMORROW, TOMORROW + 2 * HOUR])


def test_a_start_that_is_lost_meanwhile_is_replaced_by_the_next_one(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    consultant(db, hours=2)
    request = builders.request(db, service_type.id)
    plan = batch.store_plan(db, ctx, plan_of(db, ctx))
    rival = builders.request(db, service_type.id)
    service.assign(db, ctx, rival.id)
    assert plan.apply(db, ctx, request.id).result == "scheduled"

    assert sessions(db)[rival.id].scheduled_start_time == TOMORROW
    assert sessions(db)[request.id].scheduled_start_time == TOMORROW + HOUR


def test_a_consultant_who_stops_meanwhile_gets_nobody(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    row = builders.consultant(db)
    builders.window(db, row.consultant_user_id, TOMORROW)
    request = builders.request(db, service_type.id, required_specializations=["algebra"])
    plan = batch.store_plan(db, ctx, plan_of(db, ctx))
    row.specializations = ["law"]
    db.flush()
    assert plan.apply(db, ctx, request.id).reason == "missing_specialization"


def test_confirmation_is_requested_when_it_became_required_after_the_plan(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    who = consultant(db)
    request = builders.request(db, service_type.id)
    plan = batch.store_plan(db, ctx, plan_of(db, ctx))
    db.add(
        ConsultantPolicy(
            consultant_user_id=who, consultation_service_type_id=service_type.id, requires_confirmation=True
        )
    )
    db.flush()
    assert plan.apply(db, ctx, request.id).result == "confirmation_requested"

    held = db.scalars(select(AvailabilitySlot).where(AvailabilitySlot.status == "held")).one()
    assert (request.status, held.consultant_user_id) == ("pending_confirmation", who)
    assert sessions(db) == {}


def test_a_consultant_who_takes_fewer_since_the_plan_gets_no_more(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    row = builders.consultant(db)
    builders.window(db, row.consultant_user_id, TOMORROW)
    requests = [builders.request(db, service_type.id) for _ in range(2)]
    plan = batch.store_plan(db, ctx, plan_of(db, ctx))
    row.assignment_capacity = 1
    db.flush()
    became = [plan.apply(db, ctx, one.id) for one in requests]

    assert [(one.result, one.reason) for one in became] == [
        ("scheduled", None),
        ("waiting", "at_capacity"),
    ]


def test_a_request_that_was_changed_meanwhile_is_looked_at_anew(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    who = consultant(db, hours=2)
    request = builders.request(db, service_type.id)
    plan = batch.store_plan(db, ctx, plan_of(db, ctx))
    request.excluded_consultant_user_ids = [who]
    request.updated_at = NOW + timedelta(minutes=1)
    db.flush()
    assert plan.apply(db, ctx, request.id).reason == "excluded"
    request.status = "cancelled"
    assert plan.apply(db, ctx, request.id).result == "nothing"


def test_confirmation_is_requested_and_the_time_held(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db, requires_confirmation=True)
    consultant(db, NOW, hours=2)
    request = builders.request(db, service_type.id)
    run(db, ctx)

    assert request.status == "pending_confirmation"
    held = db.scalars(select(AvailabilitySlot).where(AvailabilitySlot.status == "held")).one()
    assert held.session_start_time == NOW + timedelta(minutes=30)


def test_a_service_type_that_is_no_longer_offered_is_the_reason(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db, is_active=False)
    request = builders.request(db, service_type.id)
    run(db, ctx)

    assert request.status_reason == "service_type_inactive"


def test_a_requester_who_is_busy_gets_another_start_or_that_reason(db: Session, ctx: Context) -> None:
    service_type = builders.service_type(db)
    consultant(db, hours=3)
    busy = builders.booked_session(db, TOMORROW, minutes=90)
    later = builders.request(db, service_type.id, requester_user_id=busy.requester_user_id)
    never = builders.request(
        db,
        service_type.id,
        requester_user_id=busy.requester_user_id,
        preferred_end_time=TOMORROW + 1.5 * HOUR,
    )
    run(db, ctx)

    assert sessions(db)[later.id].scheduled_start_time >= busy.scheduled_end_time
    assert (never.status, never.status_reason) == ("pending_assignment", "requester_busy")


def test_without_the_solver_a_batch_is_served_greedily(
    db: Session, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "has_solver", lambda: False)
    service_type = builders.service_type(db)
    consultant(db, hours=2)
    for _ in range(2):
        builders.request(db, service_type.id)
    plan = run(db, ctx)

    assert plan.solution.method == db.scalars(select(AssignmentBatch)).one().method == "greedy"
    assert len(sessions(db)) == 2


def test_a_batch_with_too_many_starts_for_all_still_serves_everybody(
    db: Session, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each looks at few starts, but not all at the same ones; the preferred consultant's among them."""
    monkeypatch.setattr(batch_reading, "PAIRS_MOST", 80)
    service_type = builders.service_type(db)
    for _ in range(4):
        consultant(db, hours=8)
    preferred = consultant(db, TOMORROW + timedelta(days=5))
    requests = [
        builders.request(db, service_type.id, requested_at=NOW + n * timedelta(minutes=1)) for n in range(20)
    ]
    requests[-1].preferred_consultant_user_id = preferred
    db.flush()
    plan = run(db, ctx)

    assert len(plan.snapshot.batch.pair_scores) <= 80
    assert plan.solution.objective.served > 15  # four times the four that all of them could have together
    assert len(sessions(db)) == 20
    assert sessions(db)[requests[-1].id].consultant_user_id == preferred


@DIRECT_AND_POOLED
@pytest.mark.usefixtures("valkey")
def test_the_sweep_serves_what_waits_and_two_sweeps_do_not_both_plan(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKING_DATABASE_POOL_SIZE", "2")  # the least that is accepted
    settings.cache_clear()
    with transaction() as db:
        service_type = builders.service_type(db)
        start = datetime.now(TOMORROW.tzinfo) + timedelta(days=1)
        consultant(db, start)
        requests = [builders.request(db, service_type.id, deadline_at=start).id for _ in range(3)]
    with try_lock("assign_waiting", timedelta(minutes=1)) as independent_bound:
        assert independent_bound
        assert assign_waiting() == 0
    assert assign_waiting() == 3
    with transaction() as db:
        assert set(sessions(db)) == set(requests)
    assert assign_waiting() == 0
