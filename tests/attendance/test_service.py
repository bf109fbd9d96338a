"""Evidence, the look at the grace time, the verdict and its correction, on a real database."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from booking_tasks.attendance import service
from booking_tasks.context import Context
from booking_tasks.contracts import Observation, RecordAttendance, RecordOutcome
from booking_tasks.enums import RefusalCode
from booking_tasks.models import AttendanceEvidence, ConsultationRequest, Event, Job, ScheduledSession
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.job_args import CollectAttendance
from booking_tasks.outbox.jobs import NewJob
from tests.builders import NOW, booked_session

START = NOW
END = NOW + timedelta(minutes=60)
DELAY = timedelta(minutes=15)

Observed = Literal["attended", "absent"] | None


def running(db: Session, **values: Any) -> ScheduledSession:
    return booked_session(db, start=START, **({"status": "in_progress"} | values))


def later(ctx: Context, instant: datetime) -> Context:
    return replace(ctx, now=instant)


def seen(
    evidence_type: Any, minutes: float, party: Any = None, external_id: str | None = None
) -> Observation:
    return Observation(
        evidence_type=evidence_type,
        observed_at=START + timedelta(minutes=minutes),
        party=party,
        external_id=external_id or uuid4().hex,
    )


def evidence(session_id: UUID, *observations: Observation, source: str = "platform") -> RecordAttendance:
    return RecordAttendance(
        message_id=uuid4(), actor="platform", session_id=session_id, source=source, observations=observations
    )


def both_attended() -> tuple[Observation, ...]:
    return (
        seen("joined", 1, "requester"),
        seen("left", 59, "requester"),
        seen("joined", 0, "consultant"),
        seen("left", 60, "consultant"),
    )


def outcome(
    session_id: UUID, notes: str | None = None, requester: Observed = None, consultant: Observed = None
) -> RecordOutcome:
    return RecordOutcome.model_validate(
        {
            "message_id": uuid4(),
            "actor": "staff",
            "session_id": session_id,
            "notes": notes,
            "requester_attendance": requester,
            "consultant_attendance": consultant,
        }
    )


def events(db: Session, session_id: UUID) -> list[Event]:
    return list(
        db.scalars(select(Event).where(Event.scheduled_session_id == session_id).order_by(Event.position))
    )


def judged(db: Session, ctx: Context, *observations: Observation) -> ScheduledSession:
    session = running(db)
    if observations:
        service.record_attendance(db, ctx, evidence(session.id, *observations))
    assert service.judge_due(db, later(ctx, END + DELAY), 10) == 1
    return session


# -- evidence ------------------------------------------------------------------------------------------


def test_the_same_observation_twice_is_one_row(db: Session, ctx: Context) -> None:
    session = running(db)
    message = evidence(session.id, seen("joined", 1, "requester", "a"), seen("left", 5, "requester", "b"))
    assert service.record_attendance(db, ctx, message).recorded == 2
    more = evidence(session.id, seen("left", 5, "requester", "b"), seen("room_closed", 9, None, "c"))
    assert service.record_attendance(db, ctx, more).recorded == 1
    again = service.record_attendance(db, ctx, more)
    assert (again.result, again.recorded) == ("already_done", 0)


def test_an_id_belongs_to_its_source(db: Session, ctx: Context) -> None:
    session = running(db)
    one = seen("joined", 1, "requester", "a")
    service.record_attendance(db, ctx, evidence(session.id, one))
    other = service.record_attendance(db, ctx, evidence(session.id, one, source="report"))
    assert other.recorded == 1


def test_evidence_of_an_unknown_session_is_refused(db: Session, ctx: Context) -> None:
    answer = service.record_attendance(db, ctx, evidence(uuid4(), seen("room_opened", 0)))
    assert (answer.result, answer.code) == ("refused", "unknown_session")


def test_evidence_after_the_verdict_is_kept_and_changes_nothing(db: Session, ctx: Context) -> None:
    session = judged(db, ctx)
    answer = service.record_attendance(db, ctx, evidence(session.id, *both_attended()))
    assert (answer.result, answer.recorded) == ("done", 4)
    assert service.judge_due(db, later(ctx, END + timedelta(days=1)), 10) == 0
    db.refresh(session)
    assert session.status == "attendance_unknown"
    assert len(db.scalars(select(AttendanceEvidence.id)).all()) == 4


# -- the look at the grace time -------------------------------------------------------------------------


def test_a_side_that_a_watched_room_has_not_seen_is_written_down(db: Session, ctx: Context) -> None:
    session = running(db)
    service.record_attendance(db, ctx, evidence(session.id, seen("joined", 1, "consultant")))
    grace = later(ctx, START + timedelta(minutes=10))
    assert service.check_attendance(db, grace, session.id, session.revision) is None
    (event,) = events(db, session.id)
    assert (event.type, event.after) == ("session.side_missing", {"missing": ["requester"]})
    assert db.scalars(select(Job).where(Job.job_type == "publish_event")).all() == []


def test_a_room_nobody_watched_misses_nobody(db: Session, ctx: Context) -> None:
    session = running(db)
    grace = later(ctx, START + timedelta(minutes=10))
    assert service.check_attendance(db, grace, session.id, session.revision) is None
    assert events(db, session.id) == []


@pytest.mark.parametrize(
    ("values", "revision", "minutes"),
    [
        ({"status": "cancelled_by_user"}, 0, 10),
        ({"status": "completed"}, 0, 10),
        ({"revision": 1}, 0, 10),
        ({}, 0, 60),
    ],
)
def test_a_cancelled_moved_or_ended_session_is_not_looked_at(
    db: Session, ctx: Context, values: dict[str, Any], revision: int, minutes: int
) -> None:
    session = running(db, **values)
    service.record_attendance(db, ctx, evidence(session.id, seen("room_opened", 0)))
    checked = later(ctx, START + timedelta(minutes=minutes))
    assert service.check_attendance(db, checked, session.id, revision) is not None
    assert events(db, session.id) == []


# -- the verdict -------------------------------------------------------------------------------------------


def test_a_session_that_both_attended_is_completed(db: Session, ctx: Context) -> None:
    session = judged(db, ctx, *both_attended())
    db.refresh(session)
    assert session.status == "completed"
    assert (session.requester_attendance, session.consultant_attendance) == ("attended", "attended")
    assert session.judged_at == session.updated_at == END + DELAY
    request = db.get_one(ConsultationRequest, session.consultation_request_id, populate_existing=True)
    assert (request.status, request.status_reason) == ("completed", "completed")
    (event,) = events(db, session.id)
    assert event.type == "session.completed"
    assert event.before == {"status": "in_progress", "request_status": "scheduled"}
    assert event.after == {
        "status": "completed",
        "request_status": "completed",
        "requester_attendance": "attended",
        "consultant_attendance": "attended",
        "presence": {
            "requester": [["2027-03-01T09:01:00+00:00", "2027-03-01T09:59:00+00:00"]],
            "consultant": [["2027-03-01T09:00:00+00:00", "2027-03-01T10:00:00+00:00"]],
        },
        "observations": 4,
    }


def test_the_verdict_closes_the_room_and_is_published(db: Session, ctx: Context) -> None:
    session = judged(db, ctx, *both_attended())
    kinds = db.scalars(
        select(Job.job_type).where(Job.subject_id.in_([session.id, events(db, session.id)[0].id]))
    )
    assert sorted(kinds) == ["close_meeting", "publish_event"]


@pytest.mark.parametrize(
    ("observations", "status", "type_"),
    [
        ([seen("joined", 1, "requester")], "no_show_consultant", "session.no_show"),
        ([seen("joined", 1, "consultant")], "no_show_user", "session.no_show"),
        ([seen("room_opened", 0)], "no_show_consultant", "session.no_show"),
        ([], "attendance_unknown", "session.attendance_unknown"),
    ],
)
def test_every_other_verdict_is_announced_too(
    db: Session, ctx: Context, observations: list[Observation], status: str, type_: str
) -> None:
    session = judged(db, ctx, *observations)
    db.refresh(session)
    assert session.status == status
    (event,) = events(db, session.id)
    assert (event.type, event.after["status"]) == (type_, status)
    request = db.get_one(ConsultationRequest, session.consultation_request_id, populate_existing=True)
    assert (request.status, request.status_reason) == ("completed", status)


def test_no_verdict_before_the_delay_is_over(db: Session, ctx: Context) -> None:
    running(db)
    assert service.judge_due(db, later(ctx, END + DELAY - timedelta(seconds=1)), 10) == 0
    assert service.judge_due(db, later(ctx, END + DELAY), 10) == 1


@pytest.mark.parametrize("status", ["scheduled", "cancelled_by_user", "cancelled_by_consultant", "completed"])
def test_only_a_session_that_took_place_is_judged(db: Session, ctx: Context, status: str) -> None:
    running(db, status=status)
    assert service.judge_due(db, later(ctx, END + timedelta(days=1)), 10) == 0


def test_the_verdict_waits_for_the_platforms_report_but_not_for_ever(db: Session, ctx: Context) -> None:
    session = running(db)
    outbox_store.insert_jobs(db, [NewJob(CollectAttendance(session.id, session.revision), END)])
    db.execute(text("UPDATE jobs SET attempts = 2"))
    assert service.judge_due(db, later(ctx, END + 4 * DELAY - timedelta(seconds=1)), 10) == 0
    assert service.judge_due(db, later(ctx, END + 4 * DELAY), 10) == 1


@pytest.mark.parametrize(
    "tried",
    [
        "state = 'waiting'",
        "attempts = 1",
        "attempts = 2, state = 'leased', lease_token = id, lease_until = 'infinity'",
    ],
)
def test_after_an_outage_the_verdict_waits_until_the_report_was_requested(
    db: Session, ctx: Context, tried: str
) -> None:
    session = running(db)
    outbox_store.insert_jobs(db, [NewJob(CollectAttendance(session.id, session.revision), END)])
    db.execute(text(f"UPDATE jobs SET {tried}"))
    assert service.judge_due(db, later(ctx, END + 40 * DELAY), 10) == 0


def test_the_verdict_does_not_wait_for_a_report_that_was_fetched_or_is_of_an_old_date(
    db: Session, ctx: Context
) -> None:
    session = running(db, revision=1)
    outbox_store.insert_jobs(db, [NewJob(CollectAttendance(session.id, 0), END)])
    outbox_store.insert_jobs(db, [NewJob(CollectAttendance(session.id, 1), END)])
    db.execute(text("UPDATE jobs SET state = 'done', finished_at = now() WHERE args ->> 'revision' = '1'"))
    assert service.judge_due(db, later(ctx, END + DELAY), 10) == 1


def test_sessions_that_wait_for_a_report_do_not_hold_up_others(db: Session, ctx: Context) -> None:
    waiting = running(db)
    outbox_store.insert_jobs(db, [NewJob(CollectAttendance(waiting.id, 0), END)])
    other = running(db)
    assert service.judge_due(db, later(ctx, END + DELAY), 1) == 1
    db.refresh(other)
    assert other.status == "attendance_unknown"


def test_a_verdict_is_reached_once(db: Session, ctx: Context) -> None:
    session = judged(db, ctx, *both_attended())
    assert service.judge_due(db, later(ctx, END + DELAY), 10) == 0
    assert len(events(db, session.id)) == 1


# -- notes and corrections ----------------------------------------------------------------------------------


def test_notes_are_kept_and_their_text_stays_out_of_the_history(db: Session, ctx: Context) -> None:
    session = judged(db, ctx, *both_attended())
    answer = service.record_outcome(db, ctx, outcome(session.id, notes="Confidential"))
    assert answer.result == "done"
    db.refresh(session)
    assert session.outcome_notes == "Confidential"
    event = events(db, session.id)[-1]
    assert (event.type, event.before, event.after) == (
        "session.outcome_recorded",
        {"notes_length": None},
        {"notes_length": 12},
    )


def test_the_same_notes_again_are_already_done(db: Session, ctx: Context) -> None:
    session = judged(db, ctx, *both_attended())
    service.record_outcome(db, ctx, outcome(session.id, notes="Quadratics"))
    assert service.record_outcome(db, ctx, outcome(session.id, notes="Quadratics")).result == "already_done"
    assert [event.type for event in events(db, session.id)] == [
        "session.completed",
        "session.outcome_recorded",
    ]


def test_a_correction_judges_anew_and_tells_what_was_before(db: Session, ctx: Context) -> None:
    session = judged(db, ctx, seen("joined", 1, "consultant"))
    answer = service.record_outcome(
        db, later(ctx, END + timedelta(days=1)), outcome(session.id, requester="attended")
    )
    assert (answer.result, answer.status) == ("done", "completed")
    event = events(db, session.id)[-1]
    assert event.type == "session.attendance_corrected"
    assert event.before == {
        "status": "no_show_user",
        "requester_attendance": "absent",
        "consultant_attendance": "attended",
    }
    assert event.after == {
        "status": "completed",
        "requester_attendance": "attended",
        "consultant_attendance": "attended",
    }
    request = db.get_one(ConsultationRequest, session.consultation_request_id, populate_existing=True)
    assert (request.status, request.status_reason) == ("completed", "completed")
    db.refresh(session)
    assert session.judged_at == END + DELAY


def test_a_correction_may_turn_completed_into_a_no_show(db: Session, ctx: Context) -> None:
    session = judged(db, ctx, *both_attended())
    answer = service.record_outcome(db, ctx, outcome(session.id, consultant="absent"))
    assert answer.status == "no_show_consultant"


def test_a_correction_of_one_side_that_settles_nothing_is_kept(db: Session, ctx: Context) -> None:
    session = judged(db, ctx)
    answer = service.record_outcome(db, ctx, outcome(session.id, requester="attended"))
    assert (answer.result, answer.status) == ("done", "attendance_unknown")
    answer = service.record_outcome(db, ctx, outcome(session.id, consultant="attended"))
    assert (answer.result, answer.status) == ("done", "completed")


def test_a_correction_that_changes_nothing_is_already_done(db: Session, ctx: Context) -> None:
    session = judged(db, ctx, *both_attended())
    answer = service.record_outcome(db, ctx, outcome(session.id, requester="attended"))
    assert answer.result == "already_done"
    assert len(events(db, session.id)) == 1


@pytest.mark.parametrize(
    ("status", "notes", "requester", "code"),
    [
        ("scheduled", "early", None, "not_ended"),
        ("scheduled", None, "attended", "not_ended"),
        ("in_progress", None, "attended", "not_ended"),
        ("in_progress", "both", "attended", "not_ended"),
        ("cancelled_by_user", "late", None, "cancelled"),
        ("cancelled_by_consultant", None, "absent", "cancelled"),
    ],
)
def test_an_outcome_of_a_session_without_one_is_refused_whole(
    db: Session, ctx: Context, status: str, notes: str | None, requester: Observed, code: str
) -> None:
    session = running(db, status=status)
    answer = service.record_outcome(db, ctx, outcome(session.id, notes, requester))
    assert (answer.result, answer.code) == ("refused", code)
    db.refresh(session)
    assert (session.outcome_notes, session.requester_attendance, events(db, session.id)) == (None, None, [])


def test_notes_may_be_taken_while_the_session_runs(db: Session, ctx: Context) -> None:
    session = running(db)
    assert service.record_outcome(db, ctx, outcome(session.id, notes="Homework")).result == "done"


def test_an_outcome_of_an_unknown_session_is_refused(db: Session, ctx: Context) -> None:
    assert service.record_outcome(db, ctx, outcome(uuid4(), notes="x")).code == RefusalCode.UNKNOWN_SESSION
