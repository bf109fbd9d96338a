"""What a worker or beat examines at its start, by `booking-tasks` and by `celery -A booking_tasks` alike."""

from __future__ import annotations

import json

import psycopg
import pytest

from booking_tasks.ops.servers import free_port
from booking_tasks.ops.service_processes import FRONT, ServiceProcess, ServiceProcesses
from tests.accounts import as_superuser
from tests.processes.rows import wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def started(stack: ServiceProcesses) -> list[ServiceProcess]:
    """A worker and a beat by each command, which start at the same time."""
    return [
        stack.worker("worker", FRONT, concurrency=1),
        stack.beat("beat"),
        stack.plain("plain-worker", "worker", "-c", "1"),
        stack.plain("plain-beat", "beat"),
    ]


def unreachable(process: ServiceProcess) -> list[dict[str, str]]:
    """The lines about servers that cannot be used."""
    lines = [one for one in process.log.read_text().splitlines() if "start.unreachable" in one]
    return [json.loads(one) for one in lines]


def test_each_logs_the_servers_that_are_away_and_runs(stack: ServiceProcesses) -> None:
    stack.environment |= {
        "DATABASE_URL": f"postgresql://booking_app@127.0.0.1:{free_port()}/booking",
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
    }
    for process in started(stack):
        wait_for(lambda one=process: len(unreachable(one)) == 2, f"the lines of {process.name}")  # type: ignore[misc]
        assert {one["server"] for one in unreachable(process)} == {"database", "broker"}
        assert {one["level"] for one in unreachable(process)} == {"warning"}
        assert "the database cannot be reached" in unreachable(process)[0]["error"]
        assert process.running


def test_none_starts_on_a_database_that_was_never_migrated(
    stack: ServiceProcesses, own_database: str
) -> None:
    with psycopg.connect(as_superuser(own_database)) as superuser:
        superuser.execute("DELETE FROM alembic_version")
    for process in started(stack):
        wait_for(lambda one=process: not one.running, f"the end of {process.name}")  # type: ignore[misc]
        assert process.end() == 1
        last = process.log.read_text().splitlines()[-1]
        assert last.startswith("booking-tasks: the database is at nothing and this release needs ")
        assert last.endswith("run booking-tasks migrate first")
        assert "Traceback" not in process.log.read_text()
