"""A worker dies in the middle of a batch, again and again: everyone is served once, or still waits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import psycopg
import pytest
from sqlalchemy import func, select, text

from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AssignmentBatch, ConsultationRequest
from booking_tasks.ops.servers import wait_until
from tests import builders
from tests.accounts import as_superuser
from tests.faults.conftest import Open
from tests.faults.running_service import MONDAY, RunningService

#: What is not whole: a request that is served without all that belongs to it once, or waits with any of it.
_TORN = text("""
    SELECT r.id, r.status, s.sessions, f.facts, d.decisions, e.events, c.credits
      FROM consultation_requests r
     CROSS JOIN LATERAL (SELECT count(*) AS sessions FROM scheduled_sessions
                          WHERE consultation_request_id = r.id AND status = 'scheduled') s
     CROSS JOIN LATERAL (SELECT count(*) AS facts FROM consultant_availability_slots
                          WHERE consultation_request_id = r.id AND status = 'booked') f
     CROSS JOIN LATERAL (SELECT count(*) AS decisions FROM assignment_decisions
                          WHERE consultation_request_id = r.id AND consultant_user_id IS NOT NULL) d
     CROSS JOIN LATERAL (SELECT count(*) AS events FROM events
                          WHERE consultation_request_id = r.id AND type = 'session.scheduled') e
     CROSS JOIN LATERAL (SELECT coalesce(sum(amount), 0) AS credits FROM assignment_credits
                          WHERE consultation_request_id = r.id) c
     WHERE ARRAY[s.sessions, f.facts, d.decisions, e.events, c.credits]
           <> array_fill(CASE WHEN r.status = 'scheduled' THEN 1 ELSE 0 END::numeric, ARRAY[5])
""")

#: A pace that one who watches can follow, however quick the machine is.
_PACE = """
    CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END';
    CREATE TRIGGER pace BEFORE INSERT ON scheduled_sessions FOR EACH ROW EXECUTE FUNCTION take_time();
"""


@pytest.fixture
def service(open_service: Open) -> Iterator[RunningService]:
    """Everything runs but the worker that is to die."""
    with open_service(1, 1) as service:
        service.stack.beat()
        yield service


def waiting(requests: int, consultants: int) -> None:
    """Requests that nobody has looked at, and time for all of them."""
    start = MONDAY + timedelta(days=1)
    with transaction() as db:
        service_type = builders.service_type(db, slot_step_minutes=60)
        for _ in range(consultants):
            who = builders.consultant(db, specializations=["batch"]).consultant_user_id
            builders.window(db, who, start, hours=12)
        db.add_all(
            ConsultationRequest(
                id=uuid7(),
                requester_user_id=uuid7(),
                consultation_service_type_id=service_type.id,
                required_specializations=["batch"],
                deadline_at=start,
            )
            for _ in range(requests)
        )


def served() -> int:
    with transaction() as db:
        found = select(func.count()).where(ConsultationRequest.status == "scheduled")
        return db.execute(found).scalar_one()


def reached(goal: int) -> bool:
    return served() >= goal


def killed_in_batches(service: RunningService, requests: int, kills: int) -> None:
    """Kill the worker with SIGKILL at random moments of its batches, then let one finish."""
    dice = random.Random(5)
    with psycopg.connect(as_superuser(service.stage.environment["DATABASE_URL"])) as admin:
        admin.execute(_PACE)
    waiting(requests, consultants=-(-requests // 10))
    for number in range(kills):
        doomed, before = service.stack.worker(f"doomed-{number}", ("sweep",), concurrency=1), served()
        goal = before + dice.randint(1, max(2, requests // (2 * kills)))
        wait_until(partial(reached, goal), "the middle of a batch", 120)
        doomed.kill()
        with transaction() as db:
            assert db.execute(_TORN).all() == []
    assert served() < requests, "the last one died after the end of its batch"
    service.stack.worker("heir", ("sweep",), concurrency=1)
    wait_until(partial(reached, requests), "the rest of the batch", 300)
    with transaction() as db:
        assert db.execute(_TORN).all() == []
        unfinished = select(func.count()).where(AssignmentBatch.finished_at.is_(None))
        assert db.execute(unfinished).scalar_one() >= 1


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_a_batch_whose_worker_is_killed_serves_everybody_once(service: RunningService) -> None:
    killed_in_batches(service, requests=40, kills=2)


@pytest.mark.long
@pytest.mark.stack
@pytest.mark.timeout(1800)
def test_a_batch_of_five_hundred_survives_a_dozen_deaths(service: RunningService) -> None:
    killed_in_batches(service, requests=500, kills=12)
