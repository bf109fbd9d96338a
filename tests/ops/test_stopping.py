"""A worker that is stopped finishes the current effect and releases the other jobs."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import redis
from sqlalchemy import func, select

from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.kit.database import transaction
from booking_tasks.models import Job
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import ServiceProcess, ServiceProcesses
from booking_tasks.outbox import service as outbox
from booking_tasks.outbox.event_types import EventType
from booking_tasks.unit_of_work import unit_of_work
from tests.builders import booked_session
from tests.mail.servers import STALL, scripted_server
from tests.ops.producer import send

pytestmark = pytest.mark.stack


def requested_rooms(count: int) -> None:
    """Sessions whose rooms are to be made, and nothing else that is due."""
    start = datetime.now(UTC) + timedelta(days=3)
    for number in range(count):
        with unit_of_work("test", "booking") as (db, ctx):
            session = booked_session(db, start + timedelta(hours=2 * number))
            outbox.record_event(db, ctx, EventType.SESSION_SCHEDULED, session=session)


def jobs(service_type: str) -> Counter[tuple[str, int]]:
    """State and attempts of every job of a kind."""
    with transaction() as db:
        return Counter(
            (job.state, job.attempts) for job in db.scalars(select(Job).where(Job.job_type == service_type))
        )


def settled(service_type: str) -> int:
    with transaction() as db:
        done = select(func.count()).where(Job.job_type == service_type, Job.state == "done")
        return db.execute(done).scalar_one()


def unacknowledged(broker: str) -> int:
    with redis.Redis.from_url(broker) as connection:
        return int(connection.hlen("unacked"))


def busy_worker(stack: ServiceProcesses, platform: FakeMeetingPlatform, broker: str) -> ServiceProcess:
    """A worker with one process that waits for the platform's answer, with more jobs in its batch."""
    platform.control(delay_seconds=9)
    worker = stack.worker("stopping", ("provision",), concurrency=1)
    stack.wait_ready()
    send(broker, "provision", TASK_PREFIX + "provision_meeting")
    wait_until(lambda: len(platform.ledger()) == 1, "the first call")
    return worker


def test_the_effect_in_hand_is_finished_and_the_rest_of_the_batch_handed_back(
    stack: ServiceProcesses, platform: FakeMeetingPlatform, broker: str
) -> None:
    requested_rooms(3)
    worker = busy_worker(stack, platform, broker)
    assert jobs("provision_meeting") == {("sending", 1): 1, ("leased", 1): 2}

    worker._process.terminate()
    wait_until(lambda: b"shutdown" in worker.log.read_bytes(), "the signal")
    platform.control(delay_seconds=0)
    assert worker.end() == 0

    assert jobs("provision_meeting") == {("done", 1): 1, ("waiting", 0): 2}
    assert len(platform.ledger()) == 1
    assert unacknowledged(broker) == 0

    stack.worker("next", ("provision",))  # the wake-up that was sent on the way out is enough
    wait_until(lambda: settled("provision_meeting") == 3, "the rest")
    assert len(platform.ledger()) == 3


def test_an_effect_that_never_answers_ends_at_its_timeout_and_its_job_is_finished(
    stack: ServiceProcesses, broker: str
) -> None:
    with scripted_server({"body": STALL}) as (script, port):
        stack.environment |= {"BOOKING_SMTP_PORT": str(port), "BOOKING_SMTP_TIMEOUT": "2s"}
        with unit_of_work("test", "booking") as (db, ctx):
            session = booked_session(db, datetime.now(UTC) + timedelta(days=3))
            outbox.record_event(db, ctx, EventType.SESSION_MEETING_READY, session=session)
        worker = stack.worker("stopping", ("notify",), concurrency=1)
        stack.wait_ready()
        send(broker, "notify", TASK_PREFIX + "send_invite")
        wait_until(lambda: bool(script.bodies), "the body of the first invite")

        assert worker.end(10) == 0

    # Nobody knows whether the first one arrived: its policy is one byte-identical repeat.
    assert jobs("send_invite") == {("waiting", 1): 1, ("waiting", 0): 1}
    assert unacknowledged(broker) == 0
