"""Dead and uncertain jobs are decided by people: run again or left undone, and it is written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.jobs import service
from booking_tasks.jobs.rules import JobFilter
from booking_tasks.models import Event, Job
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.pending_wakeups import pending_wakeups
from tests import builders


def job(db: Session, subject: UUID, state: str = "dead", **values: Any) -> Job:
    settled = db.scalar(select(func.now())) if state not in ("waiting", "leased", "sending") else None
    row = Job(
        **(
            {
                "key": uuid4().hex,
                "job_type": "send_invite",
                "subject_id": subject,
                "due_at": builders.NOW,
                "state": state,
                "finished_at": settled,
                "attempts": 8,
                "send_attempts": 1,
                "last_error": "550 no",
                "payload": b"message",
            }
            | values
        )
    )
    db.add(row)
    db.flush()
    return row


def decisions(db: Session) -> list[Event]:
    return list(db.scalars(select(Event).where(Event.type.like("job.%")).order_by(Event.position)))


def test_a_replayed_job_has_fresh_tries_its_key_and_its_bytes_and_wakes_the_workers(
    db: Session, ctx: Context
) -> None:
    session = builders.booked_session(db)
    row = job(db, session.id)
    assert service.replay(db, ctx.on_behalf_of("ann"), JobFilter(job_id=row.id), "mailbox open") == [row.id]
    db.refresh(row)
    assert (row.state, row.attempts, row.send_attempts, row.finished_at) == ("waiting", 0, 1, None)
    assert row.payload == b"message"
    assert pending_wakeups(db) >= {"send_invite"}
    [event] = decisions(db)
    assert (event.type, event.actor, event.reason) == ("job.replayed", "ann", "mailbox open")
    assert event.scheduled_session_id == session.id
    assert event.before == {
        "job": str(row.id),
        "job_type": "send_invite",
        "state": "dead",
        "attempts": 8,
        "send_attempts": 1,
        "error": "550 no",
    }


def test_a_discarded_job_ends_as_skipped_and_forgets_what_it_would_have_sent(
    db: Session, ctx: Context
) -> None:
    session = builders.booked_session(db)
    row = job(db, session.id, "uncertain")
    assert service.discard(db, ctx.on_behalf_of("ann"), JobFilter(job_id=row.id), "informed by phone") == [
        row.id
    ]
    db.refresh(row)
    assert (row.state, row.payload) == ("skipped", None)
    assert row.last_error == "discarded by ann: informed by phone"
    [event] = decisions(db)
    assert (event.type, event.before["state"], event.before["error"]) == (
        "job.discarded",
        "uncertain",
        "550 no",
    )
    assert service.replay(db, ctx, JobFilter(job_id=row.id), "after all") == []


@pytest.mark.parametrize("state", ["waiting", "done", "skipped"])
def test_only_what_waits_for_a_person_is_decided(db: Session, ctx: Context, state: str) -> None:
    row = job(db, builders.booked_session(db).id, state)
    which = JobFilter(job_id=row.id)
    assert service.replay(db, ctx, which, "try") == service.discard(db, ctx, which, "try") == []
    assert decisions(db) == []


def test_a_filter_means_exactly_the_jobs_that_fit_it(db: Session, ctx: Context) -> None:
    session, other = builders.booked_session(db), builders.booked_session(db)
    event = outbox.record_event(db, ctx, EventType.SESSION_SCHEDULED, session=session)
    request = session.consultation_request_id
    mine = [
        job(db, session.id),
        job(db, request, job_type="send_notice"),
        job(db, event, job_type="publish_event"),
    ]
    theirs = job(db, other.id, "uncertain")
    real = db.scalar(select(func.now())) or datetime.now(UTC)

    def found(**filters: Any) -> set[UUID]:
        listed = service.jobs_matching(db, JobFilter(**filters), 100)
        return {one.id for one in listed if one.key in {row.key for row in [*mine, theirs]}}

    assert found() == {row.id for row in [*mine, theirs]}
    assert found(about=request) == {row.id for row in mine}
    assert found(about=session.id) == {mine[0].id, mine[2].id}
    assert found(job_type="send_notice") == {mine[1].id}
    assert found(state="uncertain") == {theirs.id}
    assert found(since=real + timedelta(minutes=1)) == set()
    assert found(job_type="send_invite", state="dead") == {mine[0].id}
    assert set(service.replay(db, ctx, JobFilter(about=request), "all of it")) == {row.id for row in mine}
    assert {one.consultation_request_id for one in decisions(db)} == {request}


def test_a_limit_takes_the_oldest(db: Session, ctx: Context) -> None:
    session = builders.booked_session(db)
    late = job(db, session.id, due_at=builders.NOW + timedelta(days=1))
    early = job(db, session.id)
    assert service.discard(db, ctx, JobFilter(about=session.id), "one", limit=1) == [early.id]
    assert service.discard(db, ctx, JobFilter(about=session.id), "next", limit=1) == [late.id]
