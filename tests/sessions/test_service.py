"""Agreeing, moving, cancelling and starting, each with its history and what follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import CancelSession, RescheduleSession, SessionOutcome
from booking_tasks.models import (
    AvailabilitySlot,
    Consultant,
    ConsultationRequest,
    Event,
    Job,
    ScheduledSession,
    ServiceType,
)
from booking_tasks.sessions import service
from tests import builders
from tests.builders import NOW

START = NOW + timedelta(days=2)


@pytest.fixture
def session(db: Session) -> ScheduledSession:
    """A session of one hour in a window of eight."""
    row = builders.booked_session(db, start=START)
    builders.window(db, row.consultant_user_id, START - timedelta(hours=2))
    return row


def move(db: Session, ctx: Context, session_id: UUID, hours: float) -> SessionOutcome:
    command = RescheduleSession(
        message_id=uuid4(), actor="mira", session_id=session_id, new_start=START + timedelta(hours=hours)
    )
    return service.reschedule(db, ctx, command)


def cancel(db: Session, ctx: Context, session_id: UUID, by: str = "user") -> SessionOutcome:
    command = CancelSession.model_validate(
        {
            "message_id": uuid4(),
            "actor": "mira",
            "session_id": session_id,
            "cancelled_by": by,
            "reason": "ill",
        }
    )
    return service.cancel(db, ctx, command)


def events_of(db: Session, session: ScheduledSession) -> list[Event]:
    return list(
        db.execute(
            select(Event).where(Event.scheduled_session_id == session.id).order_by(Event.position)
        ).scalars()
    )


def jobs_of(db: Session, session: ScheduledSession, job_type: str) -> list[Job]:
    return list(
        db.execute(
            select(Job)
            .where(Job.subject_id == session.id, Job.job_type == job_type)
            .order_by(Job.due_at, Job.key)
        ).scalars()
    )


def facts_of(db: Session, session: ScheduledSession) -> list[AvailabilitySlot]:
    return list(
        db.execute(
            select(AvailabilitySlot).where(AvailabilitySlot.scheduled_session_id == session.id)
        ).scalars()
    )


@pytest.mark.parametrize("hours", [3, 0.5, -0.5])
def test_a_move_takes_the_new_time_and_frees_the_old_also_when_they_overlap(
    db: Session, ctx: Context, session: ScheduledSession, hours: float
) -> None:
    outcome = move(db, ctx, session.id, hours)
    assert (outcome.result, outcome.revision, outcome.start) == ("done", 1, START + timedelta(hours=hours))
    [reservation] = facts_of(db, session)
    assert reservation.start_time == START + timedelta(hours=hours)
    [event] = events_of(db, session)
    assert (event.type, event.before["revision"], event.after["revision"]) == ("session.rescheduled", 0, 1)


def test_a_move_plans_new_reminders_and_tells_the_platform(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    move(db, ctx, session.id, 3)
    assert [job.args["revision"] for job in jobs_of(db, session, "provision_meeting")] == [1]
    assert len(jobs_of(db, session, "send_reminder")) == 4
    assert {job.args["revision"] for job in jobs_of(db, session, "send_reminder")} == {1}
    assert jobs_of(db, session, "send_invite") == []  # no link yet: the invite follows it


def test_a_move_with_a_link_is_notified_at_once(db: Session, ctx: Context, session: ScheduledSession) -> None:
    session.meeting_platform_join_url = "https://meet.example.org/r"
    move(db, ctx, session.id, 3)
    recipients = {UUID(job.args["recipient"]) for job in jobs_of(db, session, "send_invite")}
    assert recipients == {session.requester_user_id, session.consultant_user_id}


def test_a_refused_move_leaves_the_session_and_its_slot_where_they_were(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    [before] = facts_of(db, session)
    assert move(db, ctx, session.id, 20).code == "slot_not_free"
    assert move(db, ctx, session.id, 0.1).code == "slot_not_free"
    [after] = facts_of(db, session)
    assert (after.id, session.revision, session.scheduled_start_time) == (before.id, 0, START)
    assert events_of(db, session) == []


@pytest.mark.parametrize(
    "code", ["not_available_for_booking", "service_not_offered", "service_type_inactive"]
)
def test_a_move_is_refused_with_the_true_cause_where_the_hours_are_free(
    db: Session, ctx: Context, session: ScheduledSession, code: str
) -> None:
    consultant = db.get_one(Consultant, session.consultant_user_id)
    if code == "not_available_for_booking":
        consultant.is_available_for_booking = False
    elif code == "service_not_offered":
        consultant.service_type_ids = []
    else:
        db.get_one(ServiceType, session.consultation_service_type_id).is_active = False
    db.flush()
    assert move(db, ctx, session.id, 3).code == code
    assert session.scheduled_start_time == START


def test_a_move_onto_a_neighbour_is_refused_as_taken(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    other = builders.booked_session(db, start=START + timedelta(days=30))
    builders.change_session(
        db,
        other,
        consultant_user_id=session.consultant_user_id,
        scheduled_start_time=START + timedelta(hours=2),
        scheduled_end_time=START + timedelta(hours=3),
    )
    assert move(db, ctx, session.id, 1.5).code == "slot_taken"
    assert len(facts_of(db, session)) == 1


def test_a_move_to_where_it_is_changes_nothing(db: Session, ctx: Context, session: ScheduledSession) -> None:
    assert move(db, ctx, session.id, 0).result == "already_done"
    assert session.revision == 0


@pytest.mark.parametrize("by", ["user", "consultant"])
def test_a_cancellation_frees_the_time_and_tells_both_sides(
    db: Session, ctx: Context, session: ScheduledSession, by: str
) -> None:
    outcome = cancel(db, ctx, session.id, by)
    assert (outcome.result, outcome.status, outcome.revision) == ("done", f"cancelled_by_{by}", 1)
    assert facts_of(db, session) == []
    assert db.get_one(ConsultationRequest, session.consultation_request_id).status == "cancelled"
    assert len(jobs_of(db, session, "send_cancellation")) == 2
    assert len(jobs_of(db, session, "close_meeting")) == 1
    [event] = events_of(db, session)
    assert (event.actor, event.reason, event.before["status"]) == ("test", "ill", "scheduled")


def test_cancelling_one_session_leaves_anothers_jobs_untouched(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    other = builders.booked_session(db, start=START)
    builders.window(db, other.consultant_user_id, START - timedelta(hours=2))
    move(db, ctx, other.id, 1)
    before = [(job.id, job.state, job.due_at) for job in jobs_of(db, other, "send_reminder")]
    cancel(db, ctx, session.id)
    assert [(job.id, job.state, job.due_at) for job in jobs_of(db, other, "send_reminder")] == before


def test_the_same_cancellation_again_is_already_done_and_another_is_refused(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    cancel(db, ctx, session.id)
    assert cancel(db, ctx, session.id).result == "already_done"
    assert cancel(db, ctx, session.id, "consultant").code == "already_ended"
    assert move(db, ctx, session.id, 1).code == "already_ended"
    assert session.revision == 1


def test_what_has_begun_can_neither_be_moved_nor_cancelled(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    begun = replace(ctx, now=START)
    assert move(db, begun, session.id, 1).code == "already_started"
    assert service.start_due_sessions(db, begun) == 1
    assert cancel(db, begun, session.id).code == "already_started"
    assert service.start_due_sessions(db, begun) == 0


def test_an_unknown_session_is_refused(db: Session, ctx: Context) -> None:
    assert move(db, ctx, uuid4(), 1).code == "unknown_session"
    assert cancel(db, ctx, uuid4()).code == "unknown_session"


@pytest.mark.parametrize(
    "table", ["consultation_requests", "scheduled_sessions", "consultant_availability_slots"]
)
def test_the_database_refuses_an_unknown_status(db: Session, session: ScheduledSession, table: str) -> None:
    with pytest.raises(IntegrityError, match=f"ck_{table}_"):
        db.execute(text(f"UPDATE {table} SET status = 'confirmed'"))


def test_the_time_of_a_revision_always_moves_forward(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    first = session.revised_at
    move(db, ctx, session.id, 1)
    second = session.revised_at
    move(db, ctx, session.id, 2)
    assert first < second < session.revised_at
