"""A session keeps its length when it moves, whatever the service type says by now."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy.orm import Session

from booking_tasks.absence import service as absence
from booking_tasks.context import Context
from booking_tasks.contracts import ReassignSession, RescheduleSession
from booking_tasks.enums import RefusalCode
from booking_tasks.models import ConsultantPolicy, ScheduledSession, ServiceType
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.absence.scenario import DAY, HOUR, MINUTE, TEN, apply, colleague, meeting, plan
from tests.invariants import of_rows

#: What the service type, or the consultant for it, says now; the sessions were booked with 60 minutes.
CHANGED = (30, 90)


@pytest.fixture(params=CHANGED)
def session(request: pytest.FixtureRequest, db: Session) -> ScheduledSession:
    """A session of an hour at 10:00, booked before its service type was given another length."""
    service_type = builders.service_type(db, default_duration_minutes=60)
    booked = meeting(db, colleague(db, (TEN, 1)), service_type.id, TEN)
    service_type.default_duration_minutes = request.param
    db.flush()
    return booked


def move(db: Session, ctx: Context, session: ScheduledSession, hours: float) -> tuple[str, str | None]:
    command = RescheduleSession(
        message_id=uuid4(), actor="desk", session_id=session.id, new_start=TEN + hours * HOUR
    )
    outcome = sessions.reschedule(db, ctx, command)
    return outcome.result, outcome.code


def length_of(session: ScheduledSession) -> float:
    return (session.scheduled_end_time - session.scheduled_start_time) / MINUTE


def test_a_moved_session_is_as_long_as_before(db: Session, ctx: Context, session: ScheduledSession) -> None:
    builders.window(db, session.consultant_user_id, TEN + DAY, 1)
    assert move(db, ctx, session, 24) == ("done", None)
    assert (session.scheduled_start_time, length_of(session)) == (TEN + DAY, 60)
    assert of_rows(db) == []


@pytest.mark.parametrize("hours", [0.75, 1.5])
def test_hours_that_are_too_short_for_the_session_are_refused(
    db: Session, ctx: Context, session: ScheduledSession, hours: float
) -> None:
    builders.window(db, session.consultant_user_id, TEN + DAY, hours)
    assert move(db, ctx, session, 24) == (("refused", "slot_not_free") if hours < 1 else ("done", None))
    assert length_of(session) == 60


def test_minutes_a_day_are_counted_at_the_length_of_the_session(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    builders.window(db, session.consultant_user_id, TEN + DAY, 8)
    db.get_one(ServiceType, session.consultation_service_type_id).max_minutes_per_day = 59
    db.flush()
    assert move(db, ctx, session, 24) == ("refused", "limit_reached")
    db.get_one(ServiceType, session.consultation_service_type_id).max_minutes_per_day = 60
    db.flush()
    assert move(db, ctx, session, 24) == ("done", None)


def test_the_best_colleague_takes_it_at_its_length(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    who = colleague(db, (TEN, 1))
    command = ReassignSession(message_id=uuid4(), actor="desk", session_id=session.id, reason="ill")
    outcome = absence.reassign(db, ctx, command)
    assert (outcome.result, outcome.consultant_user_id, length_of(session)) == ("done", who, 60)


def test_an_absence_plan_keeps_the_length_with_a_colleague_and_at_another_time(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    who = session.consultant_user_id
    service_type = session.consultation_service_type_id
    builders.window(db, who, TEN + 2 * HOUR, 1)
    other = meeting(db, who, service_type, TEN + 2 * HOUR)
    stein = colleague(db, (TEN, 1), (TEN + DAY, 1))
    outcome = plan(db, ctx, who)
    assert [
        (one.session_id, one.action, one.consultant_user_id, one.start, one.end) for one in outcome.steps
    ] == [
        (session.id, "reassign", stein, TEN, TEN + HOUR),
        (other.id, "propose", stein, TEN + DAY, TEN + DAY + HOUR),
    ]
    assert apply(db, ctx, outcome.plan_id).result == "done"
    assert of_rows(db) == []


def test_who_declared_another_length_is_not_chosen(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    who = colleague(db, (TEN, 2))
    policy = ConsultantPolicy(
        consultant_user_id=who,
        consultation_service_type_id=session.consultation_service_type_id,
        duration_minutes=45,
    )
    db.add(policy)
    db.flush()
    command = ReassignSession(message_id=uuid4(), actor="desk", session_id=session.id, reason="ill")
    assert absence.reassign(db, ctx, command).code == RefusalCode.NOBODY_CAN
    policy.duration_minutes = 60
    db.flush()
    assert absence.reassign(db, ctx, command).result == "done"
