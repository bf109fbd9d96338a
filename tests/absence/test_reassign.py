"""Reassignment of a session: who has it then, who is notified, and who may have it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking_tasks.absence import service
from booking_tasks.absence.substitutes import substitutes_at_session_time
from booking_tasks.attendance import store as attendance
from booking_tasks.context import Context
from booking_tasks.contracts import CancelSession, ReassignOutcome, ReassignSession
from booking_tasks.credits import service as fairness
from booking_tasks.enums import RefusalCode
from booking_tasks.models import (
    AssignmentCredit,
    AssignmentDecision,
    AttendanceEvidence,
    AvailabilitySlot,
    ConsultantPolicy,
    ConsultationRequest,
    Event,
    Job,
    ScheduledSession,
    ServiceType,
)
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.builders import NOW
from tests.invariants import of_rows

START = NOW + timedelta(days=2)
LINK = "https://meet.example.org/r/1"


@pytest.fixture
def session(db: Session) -> ScheduledSession:
    """A session of one hour, with a link and a decision behind it."""
    row = builders.booked_session(db, start=START, meeting_platform_join_url=LINK)
    builders.window(db, row.consultant_user_id, START - timedelta(hours=2))
    db.add(
        AssignmentDecision(
            consultation_request_id=row.consultation_request_id,
            decided_at=NOW,
            policy_version="1",
            reason="chosen",
            inputs={},
            candidates=[],
        )
    )
    db.flush()
    return row


def colleague(db: Session, hours: float = 8, **values: object) -> UUID:
    """Another consultant, who works at the session's time."""
    who = builders.consultant(db, **values).consultant_user_id
    builders.user(db, user_id=who, name="Dr Stein")
    if hours:
        builders.window(db, who, START - timedelta(hours=2), hours)
    return who


def reassign(
    db: Session, ctx: Context, session: ScheduledSession, who: UUID | None, reason: str = "ill"
) -> ReassignOutcome:
    command = ReassignSession(
        message_id=uuid4(), actor="desk", session_id=session.id, consultant_user_id=who, reason=reason
    )
    return service.reassign(db, ctx, command)


def reservations(db: Session) -> dict[UUID, int]:
    """The number of holds and bookings of each consultant."""
    rows = db.execute(
        select(AvailabilitySlot.consultant_user_id).where(AvailabilitySlot.status.in_(("held", "booked")))
    ).scalars()
    found: dict[UUID, int] = {}
    for who in rows:
        found[who] = found.get(who, 0) + 1
    return found


def jobs_of(db: Session, session: ScheduledSession, job_type: str) -> set[tuple[int, UUID | None]]:
    """(revision, recipient) of the jobs of a type."""
    rows = db.scalars(select(Job.args).where(Job.subject_id == session.id, Job.job_type == job_type))
    return {(args["revision"], UUID(args["recipient"]) if "recipient" in args else None) for args in rows}


def test_the_time_the_row_and_the_request_go_to_the_new_consultant(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    former, who = session.consultant_user_id, colleague(db)

    outcome = reassign(db, ctx, session, who)

    assert (outcome.result, outcome.consultant_user_id, outcome.revision) == ("done", who, 1)
    assert (outcome.start, outcome.end) == (START, START + timedelta(hours=1))
    assert reservations(db) == {who: 1}
    assert of_rows(db) == []
    [event] = db.execute(select(Event).where(Event.type == "session.reassigned")).scalars()
    assert (event.consultant_user_id, event.reason) == (who, "ill")
    assert event.before["consultant_user_id"] == str(former)
    decision = db.execute(select(AssignmentDecision).where(AssignmentDecision.reason == "reassigned"))
    assert decision.scalar_one().inputs["former_consultant_user_id"] == str(former)


def test_the_former_one_gets_the_end_and_the_others_an_update_at_the_new_revision(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    former, who = session.consultant_user_id, colleague(db)
    reassign(db, ctx, session, who)

    both = {(1, session.requester_user_id), (1, who)}
    assert jobs_of(db, session, "send_cancellation") == {(1, former)}
    assert jobs_of(db, session, "send_invite") == both
    assert jobs_of(db, session, "send_reminder") == both
    for job_type in ("provision_meeting", "check_attendance", "collect_attendance"):
        assert jobs_of(db, session, job_type) == {(1, None)}


def test_without_a_link_yet_the_update_follows_the_link(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    session.meeting_platform_join_url = None
    reassign(db, ctx, session, colleague(db))

    assert jobs_of(db, session, "send_invite") == set()
    assert jobs_of(db, session, "provision_meeting") == {(1, None)}


def test_to_whose_it_is_already_changes_nothing(db: Session, ctx: Context, session: ScheduledSession) -> None:
    assert reassign(db, ctx, session, session.consultant_user_id).result == "already_done"
    assert session.revision == 0
    assert db.execute(select(Event)).first() is None


def _service_type(db: Session, session: ScheduledSession) -> ServiceType:
    return db.get_one(ServiceType, session.consultation_service_type_id)


def test_who_is_no_candidate_for_the_request_is_refused_with_the_first_reason(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    request = db.get_one(ConsultationRequest, session.consultation_request_id)
    request.required_specializations = ["algebra"]
    away = colleague(db, is_available_for_booking=False)
    unskilled = colleague(db, specializations=["fencing"])
    declined = colleague(db)
    request.excluded_consultant_user_ids = [declined]
    themselves = colleague(db)
    db.flush()

    assert reassign(db, ctx, session, away).code == "not_available_for_booking"
    assert reassign(db, ctx, session, unskilled).code == "missing_specialization"
    assert reassign(db, ctx, session, declined).code == "excluded"
    request.requester_user_id = themselves
    refused = reassign(db, ctx, session, themselves)
    assert (refused.code, refused.errors[0].field) == ("is_the_requester", "consultant_user_id")
    assert session.revision == 0


def test_whose_time_it_is_not_is_refused_and_the_session_stays_where_it_was(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    [before] = db.execute(select(AvailabilitySlot.id).where(AvailabilitySlot.status == "booked"))
    resting, busy, hurried = colleague(db, hours=0), colleague(db), colleague(db)
    other = builders.booked_session(db, start=START)
    builders.change_session(db, other, consultant_user_id=busy)

    assert reassign(db, ctx, session, resting).code == "slot_not_free"
    assert reassign(db, ctx, session, busy).code == "slot_taken"
    _service_type(db, session).minimum_notice_minutes = 3 * 24 * 60
    db.flush()
    assert reassign(db, ctx, session, hurried).code == "notice_too_short"
    _service_type(db, session).minimum_notice_minutes = 0
    _service_type(db, session).horizon_days = 1
    db.flush()
    assert reassign(db, ctx, session, hurried).code == "beyond_horizon"
    assert reassign(db, ctx, session, uuid4()).code == "unknown_consultant"
    own = AvailabilitySlot.scheduled_session_id == session.id
    assert db.execute(select(AvailabilitySlot.id).where(own)).all() == [before]
    assert (session.revision, jobs_of(db, session, "send_invite")) == (0, set())


def test_what_began_or_ended_or_never_was_cannot_be_reassigned(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    who = colleague(db)
    stranger = ReassignSession(
        message_id=uuid4(), actor="desk", session_id=uuid4(), consultant_user_id=who, reason="ill"
    )
    assert service.reassign(db, ctx, stranger).code == RefusalCode.UNKNOWN_SESSION
    assert reassign(db, replace(ctx, now=START), session, who).code == RefusalCode.ALREADY_STARTED
    command = CancelSession(
        message_id=uuid4(), actor="mira", session_id=session.id, cancelled_by="user", reason="x"
    )
    sessions.cancel(db, ctx, command)
    assert reassign(db, ctx, session, who).code == "already_ended"


def test_without_a_name_the_best_who_can_takes_it_and_the_decision_says_why_nobody_else(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    resting, served, free = colleague(db, hours=0), colleague(db), colleague(db)
    other = builders.request(db, session.consultation_service_type_id)
    fairness.grant_credit(db, ctx, other, served)

    former = session.consultant_user_id
    outcome = reassign(db, ctx, session, None)

    assert (outcome.result, outcome.consultant_user_id) == ("done", free)
    decision = db.execute(select(AssignmentDecision).where(AssignmentDecision.reason == "reassigned"))
    reasons = {one["consultant_user_id"]: one["rejected"] for one in decision.scalar_one().candidates}
    assert reasons[str(resting)] == "slot_not_free"
    assert reasons[str(served)] is reasons[str(free)] is None
    assert str(former) not in reasons


def test_each_reason_of_the_choice_is_the_code_that_naming_the_consultant_is_refused_with(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    without_hours, on_leave, booked = colleague(db, hours=0), colleague(db), colleague(db)
    booked_without_hours, booked_shortly_after = colleague(db, hours=0), colleague(db)
    db.add(
        AvailabilitySlot(
            consultant_user_id=on_leave,
            start_time=START,
            end_time=START + timedelta(hours=1),
            status="unavailable",
            source="leave",
        )
    )
    for who, start in (
        (booked, START),
        (booked_without_hours, START),
        (booked_shortly_after, START + timedelta(minutes=90)),
    ):
        other = builders.booked_session(db, start=start)
        builders.change_session(db, other, consultant_user_id=who)
    _service_type(db, session).buffer_after_minutes = 45
    db.flush()
    codes = {
        without_hours: "slot_not_free",
        on_leave: "slot_not_free",
        booked: "slot_taken",
        booked_without_hours: "slot_taken",
        booked_shortly_after: "slot_taken",
    }

    request = db.get_one(ConsultationRequest, session.consultation_request_id)
    found = substitutes_at_session_time(db, ctx, session, request)

    assert {one.consultant_user_id: one.rejected for one in found if one.consultant_user_id in codes} == codes
    assert {who: reassign(db, ctx, session, who).code for who in codes} == codes


def test_nobody_is_chosen_who_confirms_or_is_there_for_another_length_but_either_may_be_named(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    confirming, short = colleague(db), colleague(db)
    service_type_id = session.consultation_service_type_id
    db.add(
        ConsultantPolicy(
            consultant_user_id=confirming,
            consultation_service_type_id=service_type_id,
            requires_confirmation=True,
        )
    )
    db.add(
        ConsultantPolicy(
            consultant_user_id=short, consultation_service_type_id=service_type_id, duration_minutes=30
        )
    )
    db.flush()

    assert reassign(db, ctx, session, None).code == "nobody_can"
    assert session.revision == 0
    assert reassign(db, ctx, session, confirming).result == "done"
    assert reassign(db, ctx, session, short).end == START + timedelta(minutes=30)
    assert of_rows(db) == []


def test_a_to_b_to_a_leaves_it_with_a_at_the_second_revision(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    first, second = session.consultant_user_id, colleague(db)
    reassign(db, ctx, session, second)
    outcome = reassign(db, ctx, session, first)

    assert (outcome.consultant_user_id, outcome.revision) == (first, 2)
    assert reservations(db) == {first: 1}
    assert of_rows(db) == []
    assert jobs_of(db, session, "send_cancellation") == {(1, first), (2, second)}


def test_a_consultant_seen_before_the_session_was_theirs_is_not_who_is_judged(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    def seen(party: str, at: object, name: str) -> None:
        db.add(
            AttendanceEvidence(
                scheduled_session_id=session.id,
                evidence_type="joined",
                party=party,
                observed_at=at,
                source="rooms",
                external_id=name,
            )
        )
        db.flush()

    early = START - timedelta(minutes=10)
    seen("consultant", early, "one")
    seen("requester", early, "two")
    reassign(db, replace(ctx, now=START - timedelta(minutes=5)), session, colleague(db))
    seen("consultant", START, "three")

    found = attendance.observations(db, [session.id])[session.id]
    assert sorted((one.party, one.at) for one in found) == [("consultant", START), ("requester", early)]


def test_the_credit_for_the_session_goes_with_it(
    db: Session, ctx: Context, session: ScheduledSession
) -> None:
    request = db.get_one(ConsultationRequest, session.consultation_request_id)
    former, who = session.consultant_user_id, colleague(db)
    fairness.grant_credit(db, ctx, request, former)

    def balance() -> dict[UUID, int]:
        rows = db.execute(
            select(AssignmentCredit.consultant_user_id, func.sum(AssignmentCredit.amount))
            .where(AssignmentCredit.consultation_request_id == request.id)
            .group_by(AssignmentCredit.consultant_user_id)
        )
        return {one: int(total) for one, total in rows}

    reassign(db, ctx, session, who)
    assert balance() == {former: 0, who: 1}
    reassign(db, ctx, session, former)
    assert balance() == {former: 1, who: 0}
