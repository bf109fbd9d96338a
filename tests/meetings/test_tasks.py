"""The jobs of the meetings package against the local platform: real HTTP, real rows, real wake-ups."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from booking_tasks.jobs import service as job_service
from booking_tasks.jobs.rules import JobFilter
from booking_tasks.jobs.tasks import recover_jobs
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.settings import settings
from booking_tasks.meetings import tasks
from booking_tasks.models import AttendanceEvidence, Event, Job, ScheduledSession
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.servers import wait_until
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.unit_of_work import unit_of_work
from tests import builders
from tests.builders import booked_session

HOUR = timedelta(hours=1)


def _soon() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)


def booked(start: datetime | None = None, **values: Any) -> UUID:
    """A session that has just been agreed, with the jobs that follow."""
    with unit_of_work("test", "booking") as (db, ctx):
        session = booked_session(db, start or _soon(), **values)
        outbox.record_event(db, ctx, EventType.SESSION_SCHEDULED, session=session)
        return session.id


def cancel(session_id: UUID) -> None:
    with unit_of_work("test", "booking") as (db, ctx):
        session = db.get_one(ScheduledSession, session_id)
        builders.take_steps(db, session, "cancelled_by_user")
        outbox.record_event(db, ctx, EventType.SESSION_CANCELLED, session=session)


def move(session_id: UUID) -> datetime:
    with unit_of_work("test", "booking") as (db, ctx):
        session = db.get_one(ScheduledSession, session_id)
        start, end = session.scheduled_start_time + HOUR, session.scheduled_end_time + HOUR
        builders.change_session(
            db,
            session,
            scheduled_start_time=start,
            scheduled_end_time=end,
            revision=session.revision + 1,
        )
        outbox.record_event(db, ctx, EventType.SESSION_RESCHEDULED, session=session)
        return session.scheduled_start_time


def stored(session_id: UUID) -> ScheduledSession:
    with transaction() as db:
        return db.get_one(ScheduledSession, session_id)


def states(job_type: str) -> list[str]:
    """The state of every job of a type, in the order they were inserted."""
    with transaction() as db:
        return list(db.scalars(select(Job.state).where(Job.job_type == job_type).order_by(Job.id)))


def arguments(job_type: str, name: str) -> list[Any]:
    """One argument of every job of a type, in the order they were inserted."""
    with transaction() as db:
        return [
            args[name]
            for args in db.scalars(select(Job.args).where(Job.job_type == job_type).order_by(Job.id))
        ]


def invited_revisions() -> set[int]:
    with transaction() as db:
        return {
            args["revision"] for args in db.scalars(select(Job.args).where(Job.job_type == "send_invite"))
        }


def events() -> list[str]:
    with transaction() as db:
        return list(db.scalars(select(Event.type).order_by(Event.position)))


def run(job_type: str, task: Callable[[], int]) -> None:
    """Run a kind until nothing of it is to be done."""

    def all_settled() -> bool:
        task()
        return all(state in {"done", "skipped", "dead", "uncertain"} for state in states(job_type))

    wait_until(all_settled, f"the end of every {job_type}")


def provision() -> None:
    run("provision_meeting", tasks.provision_meeting)


def close() -> None:
    run("close_meeting", tasks.close_meeting)


def calls(platform: FakeMeetingPlatform, method: str) -> list[tuple[str | None, int | None]]:
    return [
        (call["idempotency_key"], call["status"]) for call in platform.ledger() if call["method"] == method
    ]


def while_it_works(
    platform: FakeMeetingPlatform,
    work: Callable[[], object],
    task: Callable[[], int] = tasks.provision_meeting,
) -> None:
    """Run a task; when the platform has done its part but has not answered yet, do `work`."""
    before = len(platform.ledger())
    platform.control(delay_seconds=60)
    worker = threading.Thread(target=task)
    worker.start()
    try:
        wait_until(lambda: len(platform.ledger()) > before, "the call at the platform")
        work()
    finally:
        platform.control(delay_seconds=0)
        worker.join()


def test_the_link_comes_after_two_failed_tries(platform: FakeMeetingPlatform) -> None:
    session_id = booked()
    platform.control(fail_next=2, status=503)
    provision()
    key = f"provision_meeting:{session_id}:0"
    assert calls(platform, "PUT") == [(key, 503), (key, 503), (key, 201)]
    session, room = stored(session_id), platform.rooms()[session_id]
    assert session.meeting_platform_session_id == room["room_id"]
    assert session.meeting_platform_join_url == room["join_url"]
    assert events() == ["session.scheduled", "session.meeting_ready"]
    assert invited_revisions() == {0}


def test_a_lost_reply_is_repeated_under_the_same_key_and_gives_one_room(
    platform: FakeMeetingPlatform,
) -> None:
    session_id = booked()
    platform.control(lose_reply_next=2)
    provision()
    puts = [call for call in platform.ledger() if call["method"] == "PUT"]
    assert [call["status"] for call in puts] == [None, None, 200]
    assert len({(call["idempotency_key"], call["body"]) for call in puts}) == 1
    assert list(platform.rooms()) == [session_id]
    assert events().count("session.meeting_ready") == 1


def test_a_worker_that_vanished_while_sending_leaves_one_room(platform: FakeMeetingPlatform) -> None:
    session_id = booked()
    platform.control(lose_reply_next=1)
    tasks.provision_meeting()
    with transaction() as db:  # as if the worker had died instead of noting the lost reply
        db.execute(
            update(Job)
            .where(Job.job_type == "provision_meeting")
            .values(
                state="sending",
                retry_at=None,
                lease_token=uuid7(),
                lease_until=datetime.now(UTC) - HOUR,
            )
        )
    assert recover_jobs() == 1
    provision()
    assert [status for _, status in calls(platform, "PUT")] == [None, 200]
    assert stored(session_id).meeting_platform_join_url == platform.rooms()[session_id]["join_url"]


def test_a_session_cancelled_before_its_turn_gets_no_room_and_nothing_is_closed(
    platform: FakeMeetingPlatform,
) -> None:
    cancel(booked())
    provision()
    close()
    assert platform.ledger() == []
    assert states("provision_meeting") == ["skipped"]
    assert states("close_meeting") == ["skipped"]


def test_a_session_cancelled_while_the_platform_works_leaves_no_room(platform: FakeMeetingPlatform) -> None:
    session_id = booked()
    while_it_works(platform, lambda: cancel(session_id))
    close()
    assert platform.rooms() == {}
    assert stored(session_id).meeting_platform_join_url is None
    assert states("provision_meeting") == ["done"]
    assert states("close_meeting") == ["done", "done"]
    assert arguments("close_meeting", "reason") == ["session_ended", "made_too_late"]
    assert [status for _, status in calls(platform, "DELETE")] == [204, 404]
    assert "session.meeting_ready" not in events()


def test_a_session_moved_while_the_platform_works_keeps_one_room_at_the_new_time(
    platform: FakeMeetingPlatform,
) -> None:
    session_id = booked()
    moved_to: list[datetime] = []
    while_it_works(platform, lambda: moved_to.append(move(session_id)))
    assert stored(session_id).meeting_platform_join_url is None
    provision()
    rooms = platform.rooms()
    assert list(rooms) == [session_id]
    assert datetime.fromisoformat(rooms[session_id]["starts_at"]) == moved_to[0]
    assert stored(session_id).meeting_platform_join_url == rooms[session_id]["join_url"]
    assert events() == ["session.scheduled", "session.rescheduled", "session.meeting_ready"]
    assert invited_revisions() == {1}


def test_a_move_supersedes_an_order_that_has_not_begun(platform: FakeMeetingPlatform) -> None:
    session_id = booked()
    move(session_id)
    provision()
    assert states("provision_meeting") == ["skipped", "done"]
    assert calls(platform, "PUT") == [(f"provision_meeting:{session_id}:1", 201)]


@pytest.mark.parametrize(
    ("misbehaviour", "reason"),
    [
        ({"fail_next": 1000, "status": 503}, "not_ready"),
        ({"fail_next": 1000, "status": 401}, "login_refused"),
        ({"fail_next": 1000, "status": 429}, "rate_limited"),
        ({"lose_reply_next": 1000}, "reply_lost"),
    ],
)
def test_while_the_platform_is_away_people_are_invited_without_a_link_which_follows(
    platform: FakeMeetingPlatform, monkeypatch: pytest.MonkeyPatch, misbehaviour: dict[str, int], reason: str
) -> None:
    monkeypatch.setenv("BOOKING_JOB_ATTEMPTS", "2")
    settings.cache_clear()
    session_id = booked()
    platform.control(**misbehaviour)
    while len(calls(platform, "PUT")) < 4:
        tasks.provision_meeting()
    with transaction() as db:
        job = db.scalars(select(Job).where(Job.job_type == "provision_meeting")).one()
        assert (job.state, job.put_off_reason) == ("waiting", reason)
    assert events() == ["session.scheduled", "session.meeting_failed"]
    assert invited_revisions() == {0}

    platform.control(fail_next=0, lose_reply_next=0)
    provision()
    assert states("provision_meeting") == ["done"]
    assert stored(session_id).meeting_platform_join_url is not None
    assert events()[2:] == ["session.link_changed", "session.meeting_ready"]
    assert invited_revisions() == {0, 1}


def test_a_room_that_the_platform_refuses_is_dead_and_people_are_invited_without_a_link(
    platform: FakeMeetingPlatform,
) -> None:
    session_id = booked()
    platform.control(fail_next=1, status=422)
    provision()
    assert states("provision_meeting") == ["dead"]
    assert events() == ["session.scheduled", "session.meeting_failed"]
    assert stored(session_id).meeting_platform_join_url is None
    assert invited_revisions() == {0}


def test_a_replay_after_giving_up_brings_the_link_to_people_already_invited(
    platform: FakeMeetingPlatform,
) -> None:
    session_id = booked()
    platform.control(fail_next=1, status=422)
    provision()
    with unit_of_work("ann", "operator") as (db, ctx):
        job_id = db.scalars(select(Job.id).where(Job.job_type == "provision_meeting")).one()
        assert job_service.replay(db, ctx, JobFilter(job_id), "the room is allowed now") == [job_id]
    provision()
    assert stored(session_id).revision == 1
    assert stored(session_id).meeting_platform_join_url is not None
    assert events()[-4:] == [
        "session.meeting_failed",
        "job.replayed",
        "session.link_changed",
        "session.meeting_ready",
    ]
    assert invited_revisions() == {0, 1}


def test_a_cancelled_session_loses_its_room_even_if_the_platform_is_away_at_first(
    platform: FakeMeetingPlatform,
) -> None:
    session_id = booked()
    provision()
    cancel(session_id)
    platform.control(fail_next=1, status=500, lose_reply_next=0)
    close()
    assert platform.rooms() == {}
    assert [status for _, status in calls(platform, "DELETE")] == [500, 204]


def test_closing_a_room_that_is_gone_is_done(platform: FakeMeetingPlatform) -> None:
    session_id = booked()
    provision()
    platform.forget(session_id)
    cancel(session_id)
    close()
    assert states("close_meeting") == ["done"]
    assert calls(platform, "DELETE") == [(f"close_meeting:{session_id}:0:session_ended", 404)]


def test_the_platforms_report_becomes_evidence_once_however_often_it_arrives(
    platform: FakeMeetingPlatform,
) -> None:
    start = datetime.now(UTC) - 2 * HOUR
    session_id = booked(start, status="in_progress")
    session = stored(session_id)
    at = start.isoformat().replace("+00:00", "Z")
    platform.presence(
        session_id,
        [
            {"id": "1", "evidence_type": "room_opened", "observed_at": at},
            {
                "id": "2",
                "evidence_type": "joined",
                "observed_at": at,
                "user_id": str(session.requester_user_id),
            },
            {"id": "3", "evidence_type": "joined", "observed_at": at, "user_id": "a-stranger"},
        ],
    )
    platform.control(repeat_answers=True, fail_next=1)
    run("collect_attendance", tasks.collect_attendance)
    assert states("collect_attendance") == ["done", "done"]
    assert arguments("collect_attendance", "is_repeat") == [False, True]
    assert [status for _, status in calls(platform, "GET")] == [503, 200, 200]
    with transaction() as db:
        found = db.execute(select(AttendanceEvidence.evidence_type, AttendanceEvidence.party)).all()
    assert sorted((job_type, party or "") for job_type, party in found) == [
        ("joined", "requester"),
        ("room_opened", ""),
    ]


def test_a_session_the_platform_does_not_know_yields_no_evidence(platform: FakeMeetingPlatform) -> None:
    booked(datetime.now(UTC) - 2 * HOUR, status="in_progress")
    run("collect_attendance", tasks.collect_attendance)
    assert states("collect_attendance") == ["done"]
    assert calls(platform, "GET") == [(None, 404)]
