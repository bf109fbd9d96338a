"""The purge as a sweep: once a day, batch by batch, past rows that others hold."""

from __future__ import annotations

from datetime import timedelta

import psycopg
from sqlalchemy import func, select, text

from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import load_settings
from booking_tasks.models import DeadLetter, ScheduleRun
from booking_tasks.retention import tasks
from tests.accounts import as_superuser

_OLD_LETTERS = text(
    "INSERT INTO dead_letters (task, entry_point, reason, received_at)"
    " SELECT 't', 'broker', n::text, now() - interval '40 days' FROM generate_series(1, :count) n"
)


def dead_letters() -> int:
    with transaction() as db:
        return db.scalar(select(func.count()).select_from(DeadLetter)) or 0


def old_letters(count: int) -> None:
    with transaction() as db:
        db.execute(_OLD_LETTERS, {"count": count})


def test_everything_old_goes_in_as_many_batches_as_it_takes(own_database: str, valkey: str) -> None:
    old_letters(2 * tasks.BATCH + 1)
    assert tasks.purge() == 2 * tasks.BATCH + 1
    assert dead_letters() == 0


def test_the_purge_runs_once_a_day(own_database: str, valkey: str) -> None:
    assert tasks.purge() == 0
    old_letters(1)
    assert tasks.purge() == 0
    with transaction() as db:
        db.execute(text("UPDATE schedule_runs SET due_day = due_day - 1"))
    assert tasks.purge() == 1
    with transaction() as db:
        assert set(db.scalars(select(ScheduleRun.schedule))) == {"purge"}


def test_a_row_that_somebody_holds_is_left_for_another_day(own_database: str, valkey: str) -> None:
    old_letters(3)
    with transaction() as db:
        db.execute(text("SELECT FROM dead_letters WHERE reason = '2' FOR UPDATE"))
        assert tasks.purge() == 2
    assert dead_letters() == 1


def test_the_ages_are_the_deployments() -> None:
    ages = tasks.retention_of(
        load_settings(
            {
                "retain_jobs": "1d",
                "retain_inbox": "2d",
                "retain_events": "3d",
                "retain_evidence": "4d",
                "retain_dead_letters": "5d",
            }
        )
    )
    assert (ages.jobs, ages.inbox, ages.events, ages.evidence, ages.dead_letters) == tuple(
        timedelta(days=days) for days in range(1, 6)
    )


def test_a_part_that_cannot_be_forgotten_holds_up_no_other(own_database: str, valkey: str) -> None:
    old_letters(1)
    with psycopg.connect(as_superuser(own_database)) as superuser:
        superuser.execute("ALTER TABLE jobs RENAME TO jobs_away")
    assert tasks.purge() == 1
    assert dead_letters() == 0
