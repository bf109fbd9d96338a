from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.steps import Skipped
from booking_tasks.kit.ids import uuid7
from booking_tasks.meetings import service
from booking_tasks.meetings.rules import (
    AttendanceReport,
    CloseOrder,
    ListedRoom,
    ReportOrder,
    Room,
    RoomObservation,
    RoomOrder,
)
from booking_tasks.models import AttendanceEvidence, Event, Job, ScheduledSession
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import (
    ARGS_TYPES,
    CloseMeeting,
    CloseReason,
    JobType,
    ProvisionMeeting,
    parse_args,
)
from booking_tasks.outbox.jobs import NewJob
from booking_tasks.outbox.pending_wakeups import pending_wakeups
from tests import builders
from tests.builders import NOW, booked_session
from tests.sample_jobs import leased_job, sample_args

URL = "https://meet.example.org/r/1"


def leased(session: ScheduledSession, job_type: str = "provision_meeting", **values: Any) -> LeasedJob[Any]:
    args: dict[str, Any] = {"session_id": session.id, "revision": session.revision}
    args |= {
        name: values.pop(name)
        for name in ("revision", "reason", "reconcile_day", "is_repeat")
        if name in values
    }
    return leased_job(sample_args(job_type, **args), **values)


def room(url: str = URL) -> Room:
    return Room(room_id="room-1", join_url=url)


def events(db: Session, session: ScheduledSession) -> list[str]:
    found = select(Event.type).where(Event.scheduled_session_id == session.id).order_by(Event.position)
    return list(db.scalars(found))


def work(db: Session, session: ScheduledSession, job_type: str) -> list[Any]:
    found = select(Job.args).where(Job.job_type == job_type, Job.subject_id == session.id)
    return [parse_args(ARGS_TYPES[JobType(job_type)], args) for args in db.scalars(found.order_by(Job.key))]


def move(db: Session, ctx: Context, session: ScheduledSession) -> None:
    builders.change_session(
        db,
        session,
        scheduled_start_time=session.scheduled_start_time + timedelta(hours=3),
        scheduled_end_time=session.scheduled_end_time + timedelta(hours=3),
        revision=session.revision + 1,
    )
    outbox.record_event(db, ctx, EventType.SESSION_RESCHEDULED, session=session)


def test_the_order_says_when_and_who_and_nothing_else(db: Session, ctx: Context) -> None:
    session = booked_session(db)
    order = service.order_room(db, ctx, leased(session))
    assert isinstance(order, RoomOrder)
    assert order.key == f"provision_meeting:{session.id}:0"
    assert order.spec.model_dump() == {
        "session_id": session.id,
        "revision": 0,
        "starts_at": session.scheduled_start_time,
        "ends_at": session.scheduled_end_time,
        "requester_user_id": session.requester_user_id,
        "consultant_user_id": session.consultant_user_id,
    }


@pytest.mark.parametrize("status", ["cancelled_by_user", "cancelled_by_consultant", "completed"])
def test_a_session_that_is_over_gets_no_room(db: Session, ctx: Context, status: str) -> None:
    session = booked_session(db, status=status)
    assert service.order_room(db, ctx, leased(session)) == Skipped(f"session is {status}")
    assert work(db, session, "close_meeting") == []


def test_a_room_that_may_have_been_made_for_a_session_since_cancelled_is_closed(
    db: Session, ctx: Context
) -> None:
    session = booked_session(db, status="cancelled_by_user")
    service.order_room(db, ctx, leased(session, send_attempts=1))
    assert [args.reason for args in work(db, session, "close_meeting")] == [CloseReason.MADE_TOO_LATE]
    assert "close_meeting" in pending_wakeups(db)


def test_a_session_that_moved_on_supersedes_the_order(db: Session, ctx: Context) -> None:
    session = booked_session(db, revision=2)
    assert service.order_room(db, ctx, leased(session, revision=1)) == Skipped("superseded")


def test_the_first_link_is_stored_announced_and_leads_to_invites(db: Session, ctx: Context) -> None:
    session = booked_session(db)
    service.store_link(db, ctx, leased(session), room())
    db.refresh(session)
    assert (session.meeting_platform_session_id, session.meeting_platform_join_url) == ("room-1", URL)
    assert (session.revision, session.updated_at) == (0, NOW)
    event = db.scalars(select(Event).where(Event.scheduled_session_id == session.id)).one()
    assert event.type == "session.meeting_ready"
    assert event.before["meeting_platform_join_url"] is None
    assert event.after["meeting_platform_join_url"] == URL
    assert len(work(db, session, "send_invite")) == 2


def test_the_same_link_again_is_no_news(db: Session, ctx: Context) -> None:
    session = booked_session(db)
    service.store_link(db, ctx, leased(session), room())
    service.store_link(db, ctx, leased(session, reconcile_day=NOW.date()), room())
    assert events(db, session) == ["session.meeting_ready"]


def test_a_moved_session_with_its_old_link_doubles_no_invite(db: Session, ctx: Context) -> None:
    session = booked_session(db)
    service.store_link(db, ctx, leased(session), room())
    move(db, ctx, session)
    service.store_link(db, ctx, leased(session), room())
    assert events(db, session) == ["session.meeting_ready", "session.rescheduled", "session.meeting_ready"]
    assert sorted(args.revision for args in work(db, session, "send_invite")) == [0, 0, 1, 1]


def test_another_link_reaches_people_under_a_new_revision(db: Session, ctx: Context) -> None:
    session = booked_session(db)
    service.store_link(db, ctx, leased(session), room())
    service.store_link(db, ctx, leased(session), room("https://meet.example.org/r/2"))
    db.refresh(session)
    assert session.revision == 1
    assert session.revised_at == NOW + timedelta(seconds=1)
    assert session.meeting_platform_join_url == "https://meet.example.org/r/2"
    assert events(db, session) == ["session.meeting_ready", "session.link_changed"]
    assert sorted(args.revision for args in work(db, session, "send_invite")) == [0, 0, 1, 1]
    assert sorted(args.revision for args in work(db, session, "send_reminder")) == [1, 1, 1, 1]


def test_a_link_after_invites_without_one_reaches_people_under_a_new_revision(
    db: Session, ctx: Context
) -> None:
    session = booked_session(db)
    service.record_missing_link(db, ctx, leased(session), "503")
    service.store_link(db, ctx, leased(session), room())
    assert session.revision == 1
    assert events(db, session) == [
        "session.meeting_failed",
        "session.link_changed",
        "session.meeting_ready",
    ]
    assert sorted(args.revision for args in work(db, session, "send_invite")) == [0, 0, 1, 1]


def test_a_link_for_a_session_cancelled_meanwhile_is_dropped_and_its_room_closed(
    db: Session, ctx: Context
) -> None:
    session = booked_session(db, status="cancelled_by_consultant")
    service.store_link(db, ctx, leased(session), room())
    db.refresh(session)
    assert session.meeting_platform_join_url is None
    assert events(db, session) == []
    assert [args.reason for args in work(db, session, "close_meeting")] == [CloseReason.MADE_TOO_LATE]


def test_a_link_for_a_session_moved_meanwhile_is_dropped(db: Session, ctx: Context) -> None:
    session = booked_session(db, revision=1)
    service.store_link(db, ctx, leased(session, revision=0), room())
    db.refresh(session)
    assert session.meeting_platform_join_url is None
    assert events(db, session) == []
    assert work(db, session, "close_meeting") == []


def test_giving_up_is_announced_once_and_people_are_invited_without_a_link(db: Session, ctx: Context) -> None:
    session = booked_session(db)
    service.record_missing_link(db, ctx, leased(session), "the meeting platform answered 422")
    service.record_missing_link(db, ctx, leased(session, reconcile_day=NOW.date()), "again")
    event = db.scalars(select(Event).where(Event.scheduled_session_id == session.id)).one()
    assert (event.type, event.reason) == ("session.meeting_failed", "the meeting platform answered 422")
    assert len(work(db, session, "send_invite")) == 2


@pytest.mark.parametrize(
    "values",
    [{"status": "cancelled_by_user"}, {"meeting_platform_join_url": URL}, {"revision": 1}],
)
def test_giving_up_is_not_announced_when_nobody_waits_for_that_link(
    db: Session, ctx: Context, values: dict[str, Any]
) -> None:
    session = booked_session(db, **values)
    service.record_missing_link(db, ctx, leased(session, revision=0), "503")
    assert events(db, session) == []


def _requested(db: Session, session: ScheduledSession) -> None:
    job = NewJob(ProvisionMeeting(session.id, session.revision), NOW)
    outbox_store.insert_jobs(db, [job])
    db.execute(update(Job).where(Job.key == job.key).values(state="done", send_attempts=1, finished_at=NOW))


def test_only_a_room_that_was_requested_is_closed(db: Session) -> None:
    session = booked_session(db, status="cancelled_by_user")
    job = leased(session, "close_meeting")
    assert service.order_closing(db, job) == Skipped("no room was ever ordered")
    _requested(db, session)
    assert service.order_closing(db, job) == CloseOrder(key=job.key, session_id=session.id)


def test_a_room_seen_on_the_platform_is_closed_whatever_the_ledger_remembers(db: Session) -> None:
    session = booked_session(db, status="completed")
    order = service.order_closing(db, leased(session, "close_meeting", reason=CloseReason.FOUND_ORPHANED))
    assert isinstance(order, CloseOrder)


@pytest.mark.parametrize("status", ["scheduled", "in_progress"])
def test_the_room_of_a_session_that_is_on_is_never_closed(db: Session, status: str) -> None:
    session = booked_session(db, status=status)
    _requested(db, session)
    for reason in CloseReason:
        order = service.order_closing(db, leased(session, "close_meeting", reason=reason))
        assert order == Skipped("the session is still on")


@pytest.mark.parametrize(
    ("status", "start", "is_due"),
    [
        ("in_progress", NOW - timedelta(hours=1), True),
        ("scheduled", NOW - timedelta(hours=1), True),
        ("scheduled", NOW, False),
        ("completed", NOW - timedelta(hours=1), False),
        ("cancelled_by_user", NOW - timedelta(hours=1), False),
    ],
)
def test_attendance_is_requested_until_the_verdict(
    db: Session, ctx: Context, status: str, start: datetime, *, is_due: bool
) -> None:
    session = booked_session(db, start, status=status)
    order = service.order_report(db, ctx, leased(session, "collect_attendance"))
    assert isinstance(order, ReportOrder) == is_due


def test_attendance_of_an_older_revision_is_not_requested(db: Session, ctx: Context) -> None:
    session = booked_session(db, NOW - timedelta(hours=1), status="in_progress", revision=1)
    job = leased(session, "collect_attendance", revision=0)
    assert service.order_report(db, ctx, job) == Skipped("superseded")


def _report(user_id: UUID, *, complete: bool) -> AttendanceReport:
    seen = RoomObservation(id="1", evidence_type="joined", observed_at=NOW, user_id=str(user_id))
    stranger = RoomObservation(id="2", evidence_type="joined", observed_at=NOW, user_id=str(uuid7()))
    return AttendanceReport(complete=complete, observations=(seen, stranger, seen))


def test_a_report_becomes_evidence_once(db: Session, ctx: Context) -> None:
    session = booked_session(db, NOW - timedelta(hours=1), status="in_progress")
    job = leased(session, "collect_attendance")
    report = _report(session.consultant_user_id, complete=True)
    assert service.store_report(db, ctx, job, report) == 2
    assert service.store_report(db, ctx, job, report) == 0
    found = db.scalars(
        select(AttendanceEvidence).where(AttendanceEvidence.scheduled_session_id == session.id)
    )
    assert sorted((one.evidence_type, one.party, one.source, one.external_id) for one in found) == [
        ("joined", "consultant", "platform", "seen:1"),
        ("report_complete", None, "platform", "report_complete"),
    ]
    assert work(db, session, "collect_attendance") == []


def test_an_incomplete_report_is_requested_once_more_before_the_verdict(db: Session, ctx: Context) -> None:
    session = booked_session(db, NOW - timedelta(hours=1), status="in_progress")
    report = _report(session.requester_user_id, complete=False)
    service.store_report(db, ctx, leased(session, "collect_attendance"), report)
    again = db.scalars(select(Job).where(Job.job_type == "collect_attendance")).one()
    assert (again.args["is_repeat"], again.args["revision"]) == (True, 0)
    assert NOW < again.due_at < NOW + ctx.policies.verdict_delay
    service.store_report(db, ctx, leased(session, "collect_attendance", is_repeat=True), report)
    assert len(work(db, session, "collect_attendance")) == 1


def test_no_report_is_no_evidence(db: Session, ctx: Context) -> None:
    session = booked_session(db, NOW - timedelta(hours=1), status="in_progress")
    assert service.store_report(db, ctx, leased(session, "collect_attendance"), None) == 0
    assert db.scalars(select(AttendanceEvidence)).all() == []


def test_comparing_orders_what_is_missing_and_closes_what_is_over(db: Session, ctx: Context) -> None:
    lost = booked_session(db, meeting_platform_join_url=URL)
    abandoned = booked_session(db)
    over = booked_session(db, NOW - timedelta(days=1), status="completed")
    far = booked_session(db, NOW + timedelta(days=91), meeting_platform_join_url=URL)
    waiting = booked_session(db)
    outbox_store.insert_jobs(db, [NewJob(ProvisionMeeting(waiting.id, 0), NOW)])
    stranger = ListedRoom(session_id=uuid7(), starts_at=NOW, ends_at=NOW + timedelta(hours=1))
    ended = ListedRoom(
        session_id=over.id, starts_at=over.scheduled_start_time, ends_at=over.scheduled_end_time
    )
    for _ in range(2):
        found = service.reconcile(db, ctx, [stranger, ended])
        assert found.unknown_rooms == (stranger.session_id,)
    assert work(db, lost, "provision_meeting") == [ProvisionMeeting(lost.id, 0, NOW.date())]
    assert work(db, abandoned, "provision_meeting") == [ProvisionMeeting(abandoned.id, 0, NOW.date())]
    assert work(db, over, "close_meeting") == [
        CloseMeeting(over.id, 0, CloseReason.FOUND_ORPHANED, NOW.date())
    ]
    assert work(db, far, "provision_meeting") == []
    assert work(db, waiting, "provision_meeting") == [ProvisionMeeting(waiting.id, 0)]
    assert db.scalars(select(Job).where(Job.subject_id == stranger.session_id)).all() == []
    assert pending_wakeups(db) >= {"provision_meeting", "close_meeting"}
