"""What changes between preview, application and undo, and that undoing leaves no trace whatever there was."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import AbsencePlanOutcome, CancelSession, RescheduleSession
from booking_tasks.models import AbsencePlanStep, AvailabilitySlot, Job, ScheduledSession, ServiceType
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.absence.scenario import (
    DAY,
    HOUR,
    MINUTE,
    TEN,
    Day,
    apply,
    colleague,
    meeting,
    plan,
    rows,
    shown,
    undo,
)
from tests.invariants import of_rows


def _taken(db: Session, ctx: Context, day: Day) -> None:
    meeting(db, day.stein, day.service_type_id, TEN)


def _moved(db: Session, ctx: Context, day: Day) -> None:
    move = RescheduleSession(message_id=uuid4(), actor="m", session_id=day.first.id, new_start=TEN + 3 * HOUR)
    assert sessions.reschedule(db, ctx, move).result == "done"


def _called_off(db: Session, ctx: Context, day: Day) -> None:
    command = CancelSession(
        message_id=uuid4(), actor="m", session_id=day.first.id, cancelled_by="user", reason="x"
    )
    assert sessions.cancel(db, ctx, command).result == "done"


def _booked(db: Session, ctx: Context, day: Day) -> None:
    meeting(db, day.okafor, day.service_type_id, TEN + 4 * HOUR)


@pytest.mark.parametrize("change", [_taken, _moved, _called_off, _booked])
def test_what_changed_since_the_preview_is_shown_before_anything_is_done(
    db: Session, ctx: Context, day: Day, change: object
) -> None:
    plan_id = plan(db, ctx, day.okafor).plan_id
    assert callable(change)
    change(db, ctx, day)
    before = rows(db)

    outcome = apply(db, ctx, plan_id)

    assert (outcome.result, outcome.code, outcome.state) == ("refused", "plan_outdated", "draft")
    assert rows(db) == before
    again = apply(db, ctx, plan_id)
    assert (again.result, shown(again)) == ("done", shown(outcome))


def test_a_colleague_who_got_other_work_meanwhile_is_no_reason_to_plan_anew(
    db: Session, ctx: Context, day: Day
) -> None:
    plan_id = plan(db, ctx, day.okafor).plan_id
    meeting(db, day.stein, day.service_type_id, TEN + DAY + 2 * HOUR)
    assert apply(db, ctx, plan_id).result == "done"


def states(outcome: AbsencePlanOutcome) -> list[str]:
    return [one.state for one in outcome.steps]


def test_a_session_that_is_called_off_in_the_grace_stays_so_and_its_colleague_is_free(
    db: Session, ctx: Context, day: Day
) -> None:
    plan_id = plan(db, ctx, day.okafor).plan_id
    apply(db, ctx, plan_id)
    _called_off(db, ctx, day)
    assert {
        UUID(args["recipient"])
        for args in db.scalars(select(Job.args).where(Job.job_type == "send_cancellation"))
    } == {
        day.okafor,
        day.first.requester_user_id,
    }

    outcome = undo(db, ctx, plan_id)

    assert states(outcome) == ["overtaken", "undone", "undone"]
    assert of_rows(db) == []
    left = select(AvailabilitySlot).where(AvailabilitySlot.source.in_(("absence", "hold")))
    assert db.execute(left).all() == []
    assert db.get_one(ScheduledSession, day.first.id).status == "cancelled_by_user"


def test_a_second_plan_leaves_alone_what_the_first_has_under_way(db: Session, ctx: Context, day: Day) -> None:
    first, second = plan(db, ctx, day.okafor), plan(db, ctx, day.okafor)
    apply(db, ctx, first.plan_id)
    outcome = apply(db, ctx, second.plan_id)
    assert (outcome.code, outcome.steps) == ("plan_outdated", ())
    under_way = select(AbsencePlanStep).where(AbsencePlanStep.state == "applied")
    assert {one.plan_id for one in db.execute(under_way).scalars()} == {first.plan_id}


# -- whatever the day looks like --------------------------------------------------------------------------


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    starts=st.lists(st.integers(0, 6), min_size=1, max_size=5, unique=True),
    hours_of=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=3),
    limit=st.none() | st.integers(1, 2),
    buffer=st.sampled_from([0, 15]),
)
def test_undone_is_undone_to_the_last_bit_whatever_the_day_looks_like(
    db: Session,
    ctx: Context,
    starts: list[int],
    hours_of: list[tuple[int, int]],
    limit: int | None,
    buffer: int,
) -> None:
    trial = db.begin_nested()
    service_type = builders.service_type(db, max_sessions_per_day=limit, buffer_after_minutes=buffer)
    absent = colleague(db, (TEN - HOUR, 10))
    for start, length in hours_of:
        colleague(db, (TEN + start * HOUR, length))
    agreed = [
        meeting(db, absent, service_type.id, TEN + start * HOUR + (start * 15) * MINUTE) for start in starts
    ]
    before = rows(db, "consultant_availability_slots", "scheduled_sessions", "consultation_requests")

    drafted = plan(db, ctx, absent)
    assert {one.session_id for one in drafted.steps} == {one.id for one in agreed}
    applied = apply(db, ctx, drafted.plan_id)
    assert (applied.result, shown(applied)) == ("done", shown(drafted))
    assert of_rows(db) == []
    undone = undo(db, ctx, drafted.plan_id)
    assert states(undone) == ["undone"] * len(agreed)

    assert rows(db, "consultant_availability_slots", "scheduled_sessions", "consultation_requests") == before
    trial.rollback()
    db.expire_all()


def test_a_service_type_that_is_gone_leaves_nothing_but_to_cancel(
    db: Session, ctx: Context, day: Day
) -> None:
    db.get_one(ServiceType, day.service_type_id).is_active = False
    db.flush()
    assert {one.action for one in plan(db, ctx, day.okafor).steps} == {"cancel"}


def test_what_is_over_before_it_is_planned_affects_nothing(db: Session, ctx: Context, day: Day) -> None:
    later = replace(ctx, now=TEN + timedelta(days=3))
    outcome = plan(db, later, day.okafor)
    assert (outcome.result, outcome.steps) == ("done", ())
