"""What is forgotten, and what is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import (
    AbsencePlan,
    AbsencePlanStep,
    AssignmentBatch,
    AttendanceEvidence,
    Base,
    ConsultantLeave,
    DeadLetter,
    Event,
    InboxMessage,
    Job,
    ScheduleRun,
)
from booking_tasks.retention import service
from booking_tasks.retention.rules import Retention
from tests.builders import NOW, booked_session, consultant

AGES = Retention(
    jobs=timedelta(days=90),
    inbox=timedelta(days=30),
    events=timedelta(days=730),
    evidence=timedelta(days=180),
    dead_letters=timedelta(days=30),
    details=timedelta(days=365),
    requests=timedelta(days=1095),
    people=timedelta(days=1095),
    decisions=timedelta(days=365),
    credits=timedelta(days=730),
    hours=timedelta(days=90),
)


def purge(db: Session, ctx: Context, part: str, limit: int = 1000) -> int:
    return service.purge_batch(db, ctx, part, AGES, limit)


def days_ago(db: Session, days: float) -> Any:
    """An instant of the database's real time."""
    return db.scalar(select(func.now() - timedelta(days=days)))


def job(db: Session, state: str, days: float | None) -> Job:
    row = Job(
        key=uuid4().hex,
        job_type="send_invite",
        subject_id=uuid7(),
        due_at=NOW - timedelta(days=1000),
        state=state,
        finished_at=None if days is None else days_ago(db, days),
    )
    db.add(row)
    db.flush()
    return row


def left(db: Session, model: type[Base]) -> list[Any]:
    db.expire_all()
    return list(db.scalars(select(model)))


def test_settled_jobs_go_after_their_age(db: Session, ctx: Context) -> None:
    for state in ("done", "skipped"):
        job(db, state, 91)
    kept = {job(db, "done", 89).id, job(db, "skipped", 1).id}
    assert purge(db, ctx, "jobs") == 2
    assert {row.id for row in left(db, Job)} == kept


def test_jobs_that_wait_for_a_person_are_kept_twice_as_long(db: Session, ctx: Context) -> None:
    for state in ("uncertain", "dead"):
        job(db, state, 181)
    kept = {job(db, state, 179).id for state in ("uncertain", "dead")}
    assert purge(db, ctx, "jobs") == 2
    assert {row.id for row in left(db, Job)} == kept


def test_a_job_still_to_be_done_is_never_forgotten(db: Session, ctx: Context) -> None:
    job(db, "waiting", None)
    assert purge(db, ctx, "jobs") == 0


def test_answered_messages_go_and_unanswered_ones_stay(db: Session, ctx: Context) -> None:
    old, young, open_ = uuid4(), uuid4(), uuid4()
    for message_id, state, days in ((old, "done", 31), (young, "dead", 29), (open_, "received", None)):
        db.add(
            InboxMessage(
                message_id=message_id,
                task="t",
                body_hash="h",
                entry_point="booking",
                state=state,
                outcome=None if days is None else {},
                received_at=days_ago(db, 500),
                finished_at=None if days is None else days_ago(db, days),
            )
        )
    db.flush()
    assert purge(db, ctx, "inbox") == 1
    assert {row.message_id for row in left(db, InboxMessage)} == {young, open_}


def test_events_stand_on_the_business_clock(db: Session, ctx: Context) -> None:
    for days in (731, 729):
        db.add(
            Event(
                type="session.started", occurred_at=NOW - timedelta(days=days), actor="a", entry_point="sweep"
            )
        )
    db.flush()
    assert purge(db, replace(ctx, now=NOW - timedelta(days=2)), "events") == 0
    assert purge(db, ctx, "events") == 1
    assert [row.occurred_at for row in left(db, Event)] == [NOW - timedelta(days=729)]


@pytest.mark.parametrize(
    ("status", "days", "goes"),
    [
        ("completed", 181, True),
        ("no_show_user", 181, True),
        ("attendance_unknown", 181, True),
        ("cancelled_by_user", 181, True),
        ("completed", 179, False),
        ("in_progress", 181, False),
        ("scheduled", 181, False),
    ],
)
def test_evidence_goes_only_with_a_session_that_is_over(
    db: Session, ctx: Context, status: str, days: int, goes: bool
) -> None:
    session = booked_session(db, status=status)
    db.add(
        AttendanceEvidence(
            scheduled_session_id=session.id,
            evidence_type="room_opened",
            observed_at=NOW,
            source="platform",
            external_id="1",
            recorded_at=days_ago(db, days),
        )
    )
    db.flush()
    assert purge(db, ctx, "evidence") == int(goes)
    assert len(left(db, AttendanceEvidence)) == int(not goes)


def test_a_batch_of_assignments_goes_at_the_age_of_jobs(db: Session, ctx: Context) -> None:
    for days in (89, 91):
        db.add(
            AssignmentBatch(
                planned_at=NOW - timedelta(days=days),
                requests=days,
                pairs=0,
                served=0,
                score=0,
                served_bound=0,
                score_bound=0,
                method="greedy",
                is_complete=True,
                timed_out=False,
                seconds=0,
                left={},
            )
        )
    db.flush()
    assert purge(db, ctx, "assignment_batches") == 1
    assert [row.requests for row in left(db, AssignmentBatch)] == [89]


def test_leave_goes_with_its_reason_at_the_age_of_evidence(db: Session, ctx: Context) -> None:
    who = consultant(db).consultant_user_id
    for days in (179, 182):
        end = (NOW - timedelta(days=days)).replace(tzinfo=None)
        start = end - timedelta(days=5)
        db.add(ConsultantLeave(consultant_user_id=who, start_local=start, end_local=end, reason=f"{days}"))
    db.flush()
    assert purge(db, ctx, "leaves") == 1
    assert [row.reason for row in left(db, ConsultantLeave)] == ["179"]


def test_an_absence_plan_goes_with_its_reason_unless_a_proposal_of_it_is_open(
    db: Session, ctx: Context
) -> None:
    session = booked_session(db)
    for days, state in ((179, "done"), (182, "done"), (183, "offered")):
        plan = AbsencePlan(
            consultant_user_id=session.consultant_user_id,
            reason=f"{days}",
            actor="desk",
            state="announced",
            planned_at=NOW - timedelta(days=days),
            announce_at=NOW,
        )
        db.add(plan)
        db.flush()
        db.add(
            AbsencePlanStep(
                plan_id=plan.id,
                scheduled_session_id=session.id,
                position=1,
                session_revision=0,
                action="cancel",
                reason="nobody_can",
                state=state,
                booking_id=uuid7(),
            )
        )
    db.flush()
    assert purge(db, ctx, "absence_plans") == 1
    assert {row.reason for row in left(db, AbsencePlan)} == {"179", "183"}
    assert len(left(db, AbsencePlanStep)) == 2


def test_dead_letters_go_after_their_age(db: Session, ctx: Context) -> None:
    for days in (31, 29):
        db.add(DeadLetter(task="t", entry_point="broker", reason=str(days), received_at=days_ago(db, days)))
    db.flush()
    assert purge(db, ctx, "dead_letters") == 1
    assert [row.reason for row in left(db, DeadLetter)] == ["29"]


def test_runs_of_once_a_day_work_go_after_four_hundred_days(db: Session, ctx: Context) -> None:
    today = NOW.date()
    for days in (401, 400):
        db.add(ScheduleRun(schedule="purge", due_day=today - timedelta(days=days)))
    db.add(ScheduleRun(schedule="other", due_day=date(2025, 1, 1)))
    db.flush()
    assert purge(db, ctx, "schedule_runs") == 2
    assert [row.due_day for row in left(db, ScheduleRun)] == [today - timedelta(days=400)]


def test_a_batch_takes_the_oldest_up_to_its_limit(db: Session, ctx: Context) -> None:
    for days in (40, 60, 50):
        db.add(DeadLetter(task="t", entry_point="broker", reason=str(days), received_at=days_ago(db, days)))
    db.flush()
    assert purge(db, ctx, "dead_letters", limit=2) == 2
    assert [row.reason for row in left(db, DeadLetter)] == ["40"]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            "SELECT id FROM jobs WHERE finished_at < statement_timestamp() - interval '90 days'"
            " ORDER BY finished_at LIMIT 1000",
            "ix_jobs_finished_at",
        ),
        (
            "SELECT message_id FROM inbox WHERE finished_at < statement_timestamp() - interval '30 days'"
            " ORDER BY finished_at LIMIT 1000",
            "ix_inbox_finished_at",
        ),
    ],
)
def test_old_rows_are_found_by_an_index_condition(db: Session, query: str, index: str) -> None:
    db.execute(text("SET LOCAL enable_seqscan = off"))
    plan = "\n".join(db.scalars(text(f"EXPLAIN {query}")))
    assert index in plan
    assert "Cond" in plan


def test_the_jobs_of_a_session_still_to_come_tell_who_was_invited(db: Session, ctx: Context) -> None:
    ahead, over = booked_session(db), booked_session(db, status="cancelled_by_user")
    for session in (ahead, over):
        job(db, "done", 200).subject_id = session.id
    db.flush()
    assert purge(db, ctx, "jobs") == 1
    assert [row.subject_id for row in left(db, Job)] == [ahead.id]
