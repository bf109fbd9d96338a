"""A beat records what it published: dead workers of sweeps do not look like a dead beat."""

from __future__ import annotations

import psycopg
import pytest
import redis
from sqlalchemy import func, select

from booking_tasks.celery import app
from booking_tasks.kit.database import transaction
from booking_tasks.models import SweepRun
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import ServiceProcesses
from tests.accounts import as_superuser

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'sweep_runs'::regclass"


def last_runs() -> tuple[object, object]:
    """When a beat last published, and when a sweep last succeeded."""
    with transaction() as db:
        row = db.execute(select(func.max(SweepRun.published_at), func.max(SweepRun.succeeded_at))).one()
    return row[0], row[1]


def test_a_beat_without_workers_records_and_is_not_held_up_by_the_database(
    stack: ServiceProcesses, own_database: str, broker: str
) -> None:
    with psycopg.connect(as_superuser(own_database)) as superuser, redis.Redis.from_url(broker) as queue:
        for sweep in app.conf.beat_schedule:
            superuser.execute("INSERT INTO sweep_runs VALUES (%s, '2020-01-01Z', '2020-01-01Z')", [sweep])
        superuser.commit()
        before = last_runs()

        superuser.execute("LOCK TABLE sweep_runs")
        beat = stack.beat()
        wait_until(lambda: superuser.execute(_WAITING).fetchone() == (1,), "a record that waits", 60)
        length = queue.llen("sweep")
        wait_until(lambda: queue.llen("sweep") >= length + 20, "more messages", 60)

        superuser.commit()
        wait_until(lambda: last_runs()[0] != before[0], "a record", 60)
        assert last_runs()[1] == before[1]
        assert beat.end() == 0
