"""Attendance's tasks on committed databases: rivals, the ledger, the public door."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from booking_tasks.attendance import tasks
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.models import Event, Job, ScheduledSession
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.job_args import CheckAttendance
from booking_tasks.outbox.jobs import NewJob
from tests.builders import NOW, booked_session

START = NOW
VERDICT_AT = NOW + timedelta(minutes=75)


@pytest.fixture
def stepped(own_database: str, valkey: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database of this test's own whose business clock stands at the verdict's time."""
    monkeypatch.setenv("BOOKING_CLOCK", "stepped")
    settings.cache_clear()
    with transaction() as db:
        clock.step(db, START + timedelta(minutes=10))
    yield
    settings.cache_clear()


def at_verdict_time() -> None:
    with transaction() as db:
        clock.step(db, VERDICT_AT)


def running(count: int = 1) -> list[UUID]:
    with transaction() as db:
        return [booked_session(db, start=START, status="in_progress").id for _ in range(count)]


def announced(db: Session) -> list[str]:
    return list(db.scalars(select(Event.type).order_by(Event.position)))


def message(session_id: UUID, *observations: dict[str, Any]) -> dict[str, Any]:
    return {
        "message_id": str(uuid4()),
        "actor": "platform",
        "session_id": str(session_id),
        "source": "platform",
        "observations": list(observations),
    }


def test_evidence_comes_in_by_message_and_leads_to_the_verdict(stepped: None) -> None:
    (session_id,) = running()
    sent = message(
        session_id,
        {
            "evidence_type": "joined",
            "party": "consultant",
            "observed_at": START.isoformat(),
            "external_id": "1",
        },
    )
    assert tasks.record_attendance(request=sent)["recorded"] == 1
    assert tasks.record_attendance(request=sent)["recorded"] == 1, "a repeat gets the stored answer"
    at_verdict_time()
    assert tasks.judge_sessions() == 1
    with transaction() as db:
        assert db.get_one(ScheduledSession, session_id).status == "no_show_user"
        assert announced(db) == ["session.no_show"]


def test_a_batch_is_not_the_end_of_the_sweep(stepped: None, monkeypatch: pytest.MonkeyPatch) -> None:
    running(5)
    at_verdict_time()
    monkeypatch.setattr(tasks, "_BATCH", 2)
    assert tasks.judge_sessions() == 5


def test_two_sweeps_at_once_reach_each_verdict_once(stepped: None) -> None:
    running(12)
    at_verdict_time()
    counts: list[int] = []
    sweeps = [Thread(target=lambda: counts.append(tasks.judge_sessions())) for _ in range(4)]
    for sweep in sweeps:
        sweep.start()
    for sweep in sweeps:
        sweep.join()
    with transaction() as db:
        assert sum(counts) == 12
        assert announced(db) == ["session.attendance_unknown"] * 12


def test_a_session_that_somebody_holds_is_judged_the_next_time(stepped: None) -> None:
    held, free = running(2)
    at_verdict_time()
    with transaction() as db:
        db.execute(text("SELECT FROM scheduled_sessions WHERE id = :id FOR KEY SHARE"), {"id": held})
        assert tasks.judge_sessions() == 1
    with transaction() as db:
        assert db.get_one(ScheduledSession, free).status == "attendance_unknown"
        assert db.get_one(ScheduledSession, held).status == "in_progress"
    assert tasks.judge_sessions() == 1


def test_the_check_at_the_grace_time_runs_from_the_ledger(stepped: None) -> None:
    [session_id] = running()
    with transaction() as db:
        cancelled = booked_session(db, start=START, status="cancelled_by_user").id
        for one in (session_id, cancelled):
            outbox_store.insert_jobs(db, [NewJob(CheckAttendance(one, 0), START + timedelta(minutes=10))])
    tasks.record_attendance(
        request=message(
            session_id,
            {
                "evidence_type": "joined",
                "party": "requester",
                "observed_at": START.isoformat(),
                "external_id": "1",
            },
        )
    )
    assert tasks.check_attendance() == 2
    with transaction() as db:
        assert announced(db) == ["session.side_missing"]
        states = {job.subject_id: job.state for job in db.scalars(select(Job))}
        assert states == {session_id: "done", cancelled: "skipped"}


def test_a_malformed_observation_is_answered_with_the_field_at_fault(stepped: None) -> None:
    (session_id,) = running()
    answer = tasks.record_attendance(
        request=message(
            session_id,
            {"evidence_type": "joined", "observed_at": datetime.now(UTC).isoformat(), "external_id": "1"},
        )
    )
    assert (answer["result"], answer["code"]) == ("refused", "invalid")
    assert answer["errors"][0]["field"] == "observations.0"
