"""Forgetting stands in nobody's way: neither waits for the other's locks, whoever holds them how long."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import text

from booking_tasks.context import Context
from booking_tasks.kit import database
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.retention import service, tasks
from tests import builders
from tests.accounts import as_superuser
from tests.mail.servers import Sink, post
from tests.ops.bookings import book_session, bookable, request_message

__all__ = ["post"]

#: Old rows of each kind, more than a booking leaves behind.
ROWS = 30
_AGO = "now() - interval '1000 days'"
_LONG_AGO = "now() - interval '2000 days'"
#: What a booking has written itself, made as old.
_AGED = (
    f"UPDATE jobs SET finished_at = {_AGO} WHERE finished_at IS NOT NULL",
    f"UPDATE inbox SET finished_at = {_AGO} WHERE finished_at IS NOT NULL",
    f"UPDATE events SET occurred_at = {_AGO}",
)
#: Part -> columns, values of the n-th row, and where else from.
_OLD: dict[str, tuple[str, str, str]] = {
    "jobs": (
        "jobs (key, job_type, subject_id, due_at, state, finished_at)",
        f"'old ' || n, 'publish_event', gen_random_uuid(), {_AGO}, 'done', {_AGO}",
        "",
    ),
    "inbox": (
        "inbox (message_id, task, body_hash, entry_point, state, outcome, finished_at)",
        f"gen_random_uuid(), 't', 'h', 'booking', 'done', '{{}}', {_AGO}",
        "",
    ),
    "events": (
        "events (id, type, occurred_at, actor, entry_point)",
        f"gen_random_uuid(), 'session.started', {_AGO}, 'a', 'sweep'",
        "",
    ),
    "evidence": (
        "attendance_evidence"
        " (scheduled_session_id, evidence_type, observed_at, source, external_id, recorded_at)",
        f"id, 'room_opened', {_AGO}, 'platform', n::text, {_AGO}",
        ", scheduled_sessions WHERE status = 'completed'",
    ),
    "session_mailboxes": (
        "session_mailboxes (scheduled_session_id, consultation_request_id, user_id, party, mailbox, address,"
        " method, sequence, invited_sequence, created_at)",
        "id, consultation_request_id, requester_user_id, 'requester', n || '@x.org', n || '@x.org',"
        f" 'REQUEST', 0, 0, {_AGO}",
        ", scheduled_sessions WHERE status = 'completed'",
    ),
    "leaves": (
        "consultant_leaves (consultant_user_id, start_local, end_local, reason)",
        f"consultant_user_id, {_AGO} - interval '1 day', {_AGO}, 'ill'",
        ", consultant_profiles",
    ),
    "absence_plans": (
        "absence_plans (consultant_user_id, reason, actor, planned_at)",
        f"consultant_user_id, 'ill', 'desk', {_AGO}",
        ", consultant_profiles",
    ),
    "assignment_batches": (
        "assignment_batches (planned_at, requests, pairs, served, score, served_bound, score_bound, method,"
        ' is_complete, timed_out, seconds, "left")',
        f"{_AGO}, 0, 0, 0, 0, 0, 0, 'greedy', true, false, 0, '{{}}'",
        "",
    ),
    "dead_letters": (
        "dead_letters (task, entry_point, reason, received_at)",
        f"'t', 'broker', 'r', {_AGO}",
        "",
    ),
    "parked_messages": (
        "parked_messages (task, queue, body_hash, arguments, received_at)",
        f"'t', 'q', n::text, '{{}}', {_AGO}",
        "",
    ),
    "schedule_runs": ("schedule_runs (schedule, due_day)", "'old', current_date - 1000 - n::int", ""),
    "request_texts": (
        "consultation_requests"
        " (requester_user_id, consultation_service_type_id, status, request_details, requested_at)",
        f"gen_random_uuid(), id, 'pending', 'canary', {_AGO}",
        ", (SELECT id FROM consultation_service_types ORDER BY name LIMIT 1) t",
    ),
    "decisions": (
        "assignment_decisions"
        " (id, consultation_request_id, decided_at, policy_version, reason, inputs, candidates)",
        f"('01800000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, id, {_AGO}, '1', 'chosen',"
        " '{}', '[]'",
        ", (SELECT id FROM consultation_requests WHERE request_details = 'canary' LIMIT 1) r",
    ),
    "credits": (
        "assignment_credits (consultation_service_type_id, consultant_user_id, credit_type, amount,"
        " credited_at, is_counted)",
        f"t.id, consultant_user_id, 'leave', 1, {_AGO}, true",
        ", (SELECT id FROM consultation_service_types ORDER BY name LIMIT 1) t"
        ", (SELECT consultant_user_id FROM consultant_profiles LIMIT 1) c",
    ),
    "requests": (
        "consultation_requests (requester_user_id, consultation_service_type_id, status, requested_at)",
        f"gen_random_uuid(), id, 'pending', {_LONG_AGO}",
        ", (SELECT id FROM consultation_service_types ORDER BY name LIMIT 1) t",
    ),
    "people": (
        "directory_users (user_id, name, email, created_at)",
        f"gen_random_uuid(), 'n', 'n@example.org', {_LONG_AGO}",
        "",
    ),
    "forgotten_people": (
        "forgotten_people (person_id, forgotten_at)",
        f"gen_random_uuid(), {_AGO}",
        "",
    ),
    "past_hours": (
        "consultant_availability_slots (consultant_user_id, start_time, end_time, status, source)",
        f"consultant_user_id, {_AGO}, {_AGO} + interval '1 hour', 'unavailable', 'manual'",
        ", consultant_profiles",
    ),
    "single_hours": (
        "availability_rules (consultant_user_id, local_date, start_local, end_local)",
        "consultant_user_id, current_date - 1000 - n::int, '09:00', '10:00'",
        ", consultant_profiles",
    ),
}
#: What ends the requests above: they are inserted with a first status.
_END_REQUESTS = (
    "UPDATE consultation_requests SET status = 'cancelled'"
    f" WHERE status = 'pending' AND requested_at <= {_AGO}"
)
#: Parts whose rows the others already have: a session's texts, a pool instead of rows, and choices.
_WITHOUT_ROWS = {"session_texts", "uncounted_credits", "forgotten_candidates"}


@pytest.fixture
def impatient(
    own_database: str, valkey: str, post: Sink, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[object, ...]]:
    """A deployment in which any wait for a lock is an error at once, and a kind that can be booked."""
    with FakeMeetingPlatform() as platform:
        monkeypatch.setenv("BOOKING_MEETING_URL", platform.url)
        monkeypatch.setenv("BOOKING_LOCK_TIMEOUT", "0.2s")
        settings.cache_clear()
        database.engine.cache_clear()
        yield bookable()


def old_things(service_and_requester: tuple[object, ...]) -> None:
    """What an old booking left behind, and more of every kind that is forgotten, every consultant's."""
    assert set(_OLD) == set(service.PARTS) - _WITHOUT_ROWS
    book_session(*service_and_requester)  # type: ignore[arg-type]
    # History is not rewritten by the service's own role.
    with psycopg.connect(as_superuser(os.environ["DATABASE_URL"])) as superuser:
        for statement in _AGED:
            superuser.execute(statement.encode())
    with transaction() as db:
        builders.booked_session(db, status="completed")
        for into, values, others in _OLD.values():
            rows = f"FROM generate_series(1, {ROWS}) n{others}"
            db.execute(text(f"INSERT INTO {into} SELECT {values} {rows}"))
            db.execute(text(_END_REQUESTS))


def forgotten(limit: int = 1000) -> Iterator[dict[str, int]]:
    """Delete a batch of every part in one transaction; it commits when the iterator goes on."""
    ctx = Context(now=datetime.now(UTC), actor="sweep", entry_point="sweep")
    with transaction() as db:
        ages = tasks.retention_of(settings())
        yield {part: service.purge_batch(db, ctx, part, ages, limit) for part in service.PARTS}


def test_bookings_go_on_while_a_batch_of_everything_is_deleted_and_not_yet_committed(
    impatient: tuple[object, ...],
) -> None:
    old_things(impatient)
    open_batch = forgotten()
    few = {part for part, count in next(open_batch).items() if count < ROWS}
    assert few == _WITHOUT_ROWS
    book_session(*impatient)  # type: ignore[arg-type]
    assert list(open_batch) == []


def test_the_purge_goes_on_while_a_booking_is_being_made(impatient: tuple[object, ...]) -> None:
    old_things(impatient)
    message = request_message(*impatient)  # type: ignore[arg-type]
    with transaction() as db:
        db.execute(text("SELECT FROM consultant_profiles FOR NO KEY UPDATE"))
        db.execute(
            text(
                "INSERT INTO inbox (message_id, task, body_hash, entry_point, body)"
                " VALUES (:id, 't', 'h', 'booking', '{}')"
            ),
            {"id": message.message_id},
        )
        db.execute(text("UPDATE jobs SET retry_at = now() WHERE state = 'waiting'"))
        assert tasks.purge() >= ROWS * len(_OLD)
        assert set(next(forgotten()).values()) == {0}
