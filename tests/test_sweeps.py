"""Sweeps: a tick without work is one look that misses no work, and a subject that fails delays no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from booking_tasks.assignment.rules import Criteria
from booking_tasks.assignment.store import lock_pool
from booking_tasks.celery import app, schedule_module
from booking_tasks.context import Context
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.credits.service import grant_credit
from booking_tasks.kit import clock
from booking_tasks.kit.database import engine, transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.settings import settings
from booking_tasks.models import Consultant, ConsultantLeave, ScheduledSession
from booking_tasks.outbox.daily_runs import claim_daily_run
from booking_tasks.unit_of_work import for_each_in_own_transaction
from tests import builders
from tests.builders import NOW

app.loader.import_default_modules()


@pytest.fixture(params=["database", "stepped"])
def business_clock(request: pytest.FixtureRequest, own_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Either clock; the stepped one stands at `NOW`."""
    chosen = str(request.param)
    monkeypatch.setenv("BOOKING_CLOCK", chosen)
    settings.cache_clear()
    with transaction() as db:
        clock.step(db, NOW)
    return chosen


@contextmanager
def statements() -> Iterator[list[str]]:
    """What this process sends to the database in the block."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(engine(), "before_cursor_execute", note)
    yield sent
    event.remove(engine(), "before_cursor_execute", note)


def tick(sweep: str) -> int:
    """What one tick returns."""
    done: int = app.tasks[TASK_PREFIX + sweep]()
    return done


@pytest.mark.usefixtures("business_clock", "valkey")
def test_a_tick_without_work_is_one_statement() -> None:
    with transaction() as db:
        now = clock.now(db)
        for sweep in ("extend_availability", "reconcile_meetings", "purge"):
            for days in (0, 1):  # midnight may come
                claim_daily_run(db, sweep, now + timedelta(days=days))
    sent: dict[str, list[str]] = {}
    for sweep in schedule_module().SWEEPS:
        with statements() as sent[sweep]:
            assert tick(sweep) == 0
    assert {sweep: texts for sweep, texts in sent.items() if len(texts) != 1} == {}


@pytest.mark.usefixtures("business_clock", "valkey")
def test_a_session_whose_start_has_come_is_started_by_the_next_tick() -> None:
    with transaction() as db:
        now = clock.now(db)
        session_id = builders.booked_session(db, start=now).id
        builders.booked_session(db, start=now + timedelta(hours=1))
    assert tick("advance_sessions") == 1
    with transaction() as db:
        started = select(ScheduledSession.id).where(ScheduledSession.status == "in_progress")
        assert list(db.scalars(started)) == [session_id]


@pytest.mark.usefixtures("business_clock", "valkey")
@pytest.mark.parametrize(("hours_since", "credited"), [(1, 1), (-1, 0), (24 * 6, 1)])
def test_a_leave_of_the_last_days_is_credited_by_the_next_tick(hours_since: int, credited: int) -> None:
    with transaction() as db:
        ctx = Context(clock.now(db), "test", "booking")
        end = ctx.now.replace(tzinfo=None) - timedelta(hours=hours_since)
        service_type_id = builders.service_type(db).id
        there, away = (builders.consultant(db, time_zone="UTC").consultant_user_id for _ in range(2))
        lock_pool(db, Criteria(uuid4(), service_type_id), ctx.now)
        begin = end - timedelta(days=3)
        db.add(ConsultantLeave(consultant_user_id=away, start_local=begin, end_local=end, reason="rest"))
        during = Context(ctx.now - timedelta(hours=hours_since + 2), "test", "booking")
        grant_credit(db, during, builders.request(db, service_type_id), there)
    assert tick("credit_leaves") == credited
    assert tick("credit_leaves") == 0


@pytest.mark.usefixtures("own_database", "valkey")
def test_a_subject_that_fails_leaves_nothing_and_holds_up_no_other() -> None:
    subjects = [uuid7() for _ in range(3)]

    def step(db: Session, ctx: Context, subject: UUID) -> None:
        db.add(Consultant(consultant_user_id=subject))
        db.flush()
        if subject == subjects[1]:
            raise RuntimeError("this one cannot be done")

    assert for_each_in_own_transaction(subjects, step) == 2
    with transaction() as db:
        assert set(db.scalars(select(Consultant.consultant_user_id))) == {subjects[0], subjects[2]}
