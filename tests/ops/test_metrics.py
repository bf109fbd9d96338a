"""The exporter: what it says, what it costs, and what it says when the database is away."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from booking_tasks.enums import PutOffReason
from booking_tasks.jobs.tasks import wake_due_jobs
from booking_tasks.kit import database
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.ops.metrics import reading, serving
from booking_tasks.ops.metrics.serving import registry
from booking_tasks.ops.servers import free_port, wait_until
from booking_tasks.ops.service_processes import ServiceProcess
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import JobType
from tests import builders
from tests.accounts import READER, as_role, as_superuser
from tests.builders import booked_session

pytestmark = pytest.mark.usefixtures("own_database", "valkey")

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape() -> str:
    return generate_latest(registry()).decode()


def series(page: str) -> Series:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def value(page: str, name: str, **labels: str) -> float:
    return series(page)[f"booking_{name}", tuple(sorted(labels.items()))]


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def job(states: str, columns: str = "", values: str = "") -> str:
    """An INSERT of jobs, one for each (key, job_type, state)."""
    return f"""
        INSERT INTO jobs (key, job_type, state, subject_id, due_at, finished_at {columns})
        SELECT key, job_type, state, gen_random_uuid(), now() - interval '10 min',
               CASE WHEN state IN ('dead', 'uncertain', 'done') THEN now() END {values}
          FROM (VALUES {states}) t (key, job_type, state)
    """


# -- what it says -----------------------------------------------------------------------------------


def test_an_empty_database_has_a_zero_for_every_known_value() -> None:
    found = series(scrape())
    assert found["booking_exporter_up", ()] == 1
    assert {name for name, _ in found} > {"booking_build_info", "booking_dead_letters", "booking_holds"}
    others = {
        key: one for key, one in found.items() if key[0] not in {"booking_exporter_up", "booking_build_info"}
    }
    assert set(others.values()) == {0}
    for job_type in JobType:
        assert ("booking_jobs_dead", (("job_type", job_type),)) in found
        for reason in PutOffReason:
            assert ("booking_jobs_put_off", (("job_type", job_type), ("reason", reason))) in found
    for type_ in EventType:
        assert ("booking_events_last_hour", (("type", type_),)) in found


def test_jobs_are_counted_by_type_state_and_reason(own_database: str) -> None:
    execute(
        own_database,
        job(
            "('a', 'send_reminder', 'waiting'), ('b', 'send_invite', 'dead'),"
            " ('c', 'send_invite', 'uncertain')"
        ),
        job("('d', 'send_invite', 'waiting')", ", retry_at", ", now() - interval '2 min'"),
        job(
            "('e', 'send_invite', 'waiting')",
            ", retry_at, put_off_reason",
            ", now() + interval '2 min', 'unreachable'",
        ),
    )
    page = scrape()
    assert value(page, "jobs_due", job_type="send_reminder") == 1
    assert value(page, "jobs_due", job_type="send_invite") == 1
    assert value(page, "reminders_late") == 1
    assert value(page, "jobs_put_off", job_type="send_invite", reason="unreachable") == 1
    assert value(page, "jobs_dead", job_type="send_invite") == value(
        page, "jobs_uncertain", job_type="send_invite"
    )
    assert 600 <= value(page, "jobs_due_lag_seconds", job_type="send_reminder") < 900
    assert 120 <= value(page, "jobs_due_lag_seconds", job_type="send_invite") < 420
    assert 600 <= value(page, "jobs_due_age_seconds", job_type="send_invite") < 900


def test_messages_holds_requests_and_calendars_are_counted(own_database: str) -> None:
    with transaction() as db:
        session = booked_session(db)
        builders.request(db, session.consultation_service_type_id, status="pending_assignment")
        soon = datetime.now(UTC) + timedelta(minutes=10)
        builders.change_session(
            db,
            session,
            scheduled_start_time=soon,
            scheduled_end_time=soon + timedelta(hours=1),
            meeting_platform_session_id=None,
        )
        assert session.status == "scheduled"
    execute(
        own_database,
        "INSERT INTO dead_letters (task, entry_point, reason) VALUES ('t', 'd', 'r')",
        "INSERT INTO parked_messages (task, queue, body_hash, arguments) VALUES ('t', 'q', 'h', '{}')",
        "INSERT INTO inbox (message_id, task, body_hash, entry_point, body)"
        " VALUES (gen_random_uuid(), 't', 'h', 'booking', '{}')",
        "INSERT INTO calendar_feeds (consultant_user_id, feed_type, url, good_at, failures)"
        " SELECT consultant_user_id, 'ics', 'https://c.example/x', now() - interval '2 days', 3"
        " FROM consultant_profiles",
    )
    page = scrape()
    names = ("dead_letters", "parked_messages", "inbox_messages", "calendar_feeds", "calendar_feeds_stale")
    assert {name: value(page, name) for name in (*names, "calendar_feeds_failing")} == dict.fromkeys(
        (*names, "calendar_feeds_failing"), 1
    )
    assert value(page, "sessions_without_link") == 1
    assert value(page, "requests_waiting", status="pending_assignment") == 1


def test_holds_their_conversion_and_the_time_to_assign_come_from_the_rows_instants(own_database: str) -> None:
    with transaction() as db:
        sessions = [booked_session(db) for _ in range(3)]
        db.execute(
            text(
                "UPDATE consultation_requests SET requested_at = now() - interval '90 seconds',"
                " scheduled_session_id = (SELECT id FROM scheduled_sessions s"
                " WHERE s.consultation_request_id = consultation_requests.id)"
            )
        )
        lost = sessions[0].consultation_request_id
        db.execute(
            text("UPDATE consultation_requests SET scheduled_session_id = NULL WHERE id = :id"), {"id": lost}
        )
    execute(
        own_database,
        """
        INSERT INTO events (id, type, occurred_at, consultation_request_id, actor, entry_point)
        SELECT gen_random_uuid(), type, requested_at + later, id, 'a', 'booking'
          FROM consultation_requests,
               (VALUES ('request.held', interval '30 s'), ('session.scheduled', interval '1 min'),
                       ('session.cancelled', interval '-2 hours')) t (type, later)
        """,
    )
    page = scrape()
    assert (value(page, "holds_made_last_hour"), value(page, "holds_booked_last_hour")) == (3, 2)
    assert value(page, "assignments_last_hour") == 3
    for name in ("median", "p95", "max"):
        assert value(page, f"assignment_{name}_seconds") == 60
    assert value(page, "events_last_hour", type="session.scheduled") == 3
    assert value(page, "events_last_hour", type="session.cancelled") == 0


def test_the_last_publish_of_beat_is_the_newest_of_all_sweeps(own_database: str) -> None:
    execute(
        own_database,
        "INSERT INTO sweep_runs VALUES ('purge', '2027-03-01 09:00Z', '2027-03-01 09:30Z'),"
        " ('wake_due_jobs', '2027-03-01 09:10Z', '2027-03-01 09:10:01Z')",
    )
    page = scrape()
    assert value(page, "beat_last_publish_timestamp_seconds") == 1_803_892_200
    assert value(page, "sweep_last_success_timestamp_seconds", sweep="purge") == 1_803_893_400
    assert wake_due_jobs.name.endswith("wake_due_jobs")


def test_the_number_of_series_is_the_same_after_ten_times_as_many_bookings() -> None:
    with transaction() as db:
        booked_session(db)
    before = series(scrape()).keys()
    with transaction() as db:
        for _ in range(10):
            booked_session(db)
    assert series(scrape()).keys() == before


def test_no_series_is_a_counter_that_retention_could_lower() -> None:
    assert {family.type for family in text_string_to_metric_families(scrape())} == {"gauge"}


def test_the_role_that_reads_reports_may_read_all_of_it(own_database: str) -> None:
    engine = create_engine(as_superuser(own_database).replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        connection.execute(text("SET ROLE booking_reader"))
        now = connection.execute(text("SELECT statement_timestamp()")).scalar_one()
        for name in reading.QUERIES:
            connection.execute(reading.statement(name), reading.parameters(settings(), now))
    engine.dispose()


@pytest.mark.pgbouncer
@pytest.mark.parametrize("own_database", ["pooled"], indirect=True)
def test_the_role_that_reads_reports_may_read_through_a_pooler(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", as_role(own_database, READER))
    settings.cache_clear()
    database.engine.cache_clear()
    found = series(scrape())
    assert found["booking_exporter_up", ()] == 1
    assert found["booking_reminders_late", ()] == 0


# -- when the database is away ----------------------------------------------------------------------


@pytest.fixture
def exporter(own_database: str, tmp_path: Any) -> Iterator[tuple[ServiceProcess, str]]:
    """The process as it is started, on a database that can be made unreachable by its name."""
    port = free_port()
    process = ServiceProcess(
        "metrics", tmp_path, ["metrics", "--port", str(port)], {"DATABASE_URL": own_database}
    )
    try:
        process.wait_ready()
        yield process, f"http://127.0.0.1:{port}/metrics"
    finally:
        process.stop()


def test_a_database_that_is_away_is_one_zero_and_no_series_of_it(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://127.0.0.1:{free_port()}/nothing")
    settings.cache_clear()
    database.engine.cache_clear()
    found = series(scrape())
    assert {name for name, _ in found} == {"booking_exporter_up", "booking_build_info"}
    assert found["booking_exporter_up", ()] == 0


@pytest.mark.stack
def test_the_process_answers_while_the_database_goes_and_comes_and_ends_by_a_signal(
    exporter: tuple[ServiceProcess, str], own_database: str
) -> None:
    process, url = exporter

    def page() -> str:
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert answer.status == 200
            return str(answer.read().decode())

    assert value(page(), "exporter_up") == 1
    with psycopg.connect(own_database) as connection:  # whoever may not see the table reads nothing
        connection.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        found = series(page())
        assert found["booking_exporter_up", ()] == 0
        assert not [name for name, _ in found if name.startswith("booking_jobs")]
    wait_until(lambda: value(page(), "exporter_up") == 1, "the database's return")
    assert process.end() == 0


# -- what it costs ----------------------------------------------------------------------------------

#: Tables whose finished rows are many.
LARGE = {
    "jobs",
    "inbox",
    "events",
    "consultation_requests",
    "scheduled_sessions",
    "consultant_availability_slots",
    "time_offers",
}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


MANY = """
    SET session_replication_role = replica;
    INSERT INTO jobs (key, job_type, subject_id, due_at, state, finished_at)
    SELECT 'k' || n, 'send_invite', gen_random_uuid(), now() - interval '2 days', 'done', now()
      FROM generate_series(1, 20000) n;
    INSERT INTO jobs (key, job_type, subject_id, due_at)
    SELECT 'later' || n, 'send_reminder', gen_random_uuid(), now() + interval '2 days'
      FROM generate_series(1, 5000) n;
    INSERT INTO inbox (message_id, task, body_hash, entry_point, state, attempts, outcome, finished_at)
    SELECT gen_random_uuid(), 't', 'h', 'booking', 'done', 1, '{}', now()
      FROM generate_series(1, 20000) n;
    INSERT INTO events (id, type, occurred_at, actor, entry_point)
    SELECT gen_random_uuid(), 'session.scheduled', now() - interval '2 days', 'a', 'booking'
      FROM generate_series(1, 20000) n;
    INSERT INTO consultation_service_types (id, name, default_duration_minutes)
    VALUES ('00000000-0000-7000-8000-000000000001', 'a', 60);
    INSERT INTO consultation_requests (id, requester_user_id, consultation_service_type_id, status)
    SELECT gen_random_uuid(), gen_random_uuid(), '00000000-0000-7000-8000-000000000001', 'completed'
      FROM generate_series(1, 20000) n;
    ANALYZE jobs, inbox, events, consultation_requests
"""
#: The index by which each query finds what is open, or recent.
INDEXES = {
    "jobs": "ix_jobs_due",
    "put_off": "ix_jobs_put_off",
    "undecided": "ix_jobs_undecided",
    "leases": "ix_jobs_leases",
    "messages": "ix_inbox_received",
    "requests": "ix_consultation_requests_open",
    "assignments": "ix_events_occurred_at",
    "events": "ix_events_occurred_at",
}


def plan_of(db: Session, name: str) -> list[dict[str, Any]]:
    """The nodes of a query's plan."""
    found = reading.statement(name)
    explained = text(f"EXPLAIN (FORMAT JSON) {found.text}").bindparams(*found._bindparams.values())
    now = db.execute(text("SELECT statement_timestamp()")).scalar_one()
    [[plan]] = db.execute(explained, reading.parameters(settings(), now)).scalars().all()
    return list(nodes(plan["Plan"]))


def test_no_query_reads_a_table_of_finished_rows_whole(own_database: str) -> None:
    execute(as_superuser(own_database), *MANY.split(";"))
    with transaction() as db:
        for name, index in INDEXES.items():
            plan = plan_of(db, name)
            assert index in {one.get("Index Name") for one in plan}, f"{name}: {plan}"
        # Of tables that are empty here every planner reads the whole, if it may.
        db.execute(text("SET LOCAL enable_seqscan = off"))
        for name in reading.QUERIES:
            for one in plan_of(db, name):
                assert (one["Node Type"], one.get("Relation Name") in LARGE) != ("Seq Scan", True), name


def test_a_slow_statement_ends_after_one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "QUERIES", ("sleep",))
    monkeypatch.setattr(reading, "statement", lambda _: text("SELECT pg_sleep(30)"))
    found = series(scrape())
    assert found["booking_exporter_up", ()] == 0
    assert serving.registry is registry


# -- promtool ---------------------------------------------------------------------------------------


@pytest.mark.prometheus
def test_promtool_accepts_the_page(own_database: str) -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=scrape(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
