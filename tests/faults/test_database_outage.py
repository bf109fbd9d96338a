"""The database is away while messages come that nobody waits for: they wait till it is back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

import pytest
from redis import Redis
from sqlalchemy import select

from booking_tasks.client import BookingClient
from booking_tasks.kit.database import transaction
from booking_tasks.models import DeadLetter, InboxMessage, ParkedMessage
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import FRONT
from tests.faults.conftest import started_service
from tests.faults.fault_injector import end_at_once
from tests.faults.running_service import RunningService, Servers
from tests.messages.raw import PREFIX, element, submit

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


@pytest.fixture
def service(servers: Servers) -> Iterator[RunningService]:
    with started_service(servers, consultants=4, people=20) as service:
        yield service


def has_logged(service: RunningService, event: str) -> bool:
    return any(f'"{event}"' in log.read_text() for log in service.stack.folder.glob("*.log"))


def test_what_nobody_sends_again_is_there_when_the_database_is_back(
    service: RunningService, servers: Servers
) -> None:
    requests = service.requests(6, random.Random(1))
    client = BookingClient(service.redis_url)
    [front, *_] = service.stack.processes
    end_at_once(servers.postgres)
    try:
        for request in requests:
            client.send(request)
        wait_until(lambda: has_logged(service, "message.waits"), "a message that waits for the database")
        front.stop()
        with Redis.from_url(service.redis_url) as redis:
            assert redis.llen("booking") == len(requests)  # also those it had in hand
        assert has_logged(service, "message.returned")
    finally:
        servers.postgres.start()
        client.close()
    service.stack.worker("another front", FRONT)

    def answered() -> bool:
        with transaction() as db:
            done = select(InboxMessage.message_id).where(InboxMessage.state == "done")
            return set(db.scalars(done)) == {request.message_id for request in requests}

    wait_until(answered, "an answer to every message", 60)


def test_what_comes_while_the_database_is_away_waits_in_its_slot(
    service: RunningService, servers: Servers
) -> None:
    requests = service.requests(6, random.Random(2))
    client = BookingClient(service.redis_url)
    wrong = submit() | {"preferred_start": "tomorrow"}
    end_at_once(servers.postgres)
    try:
        with Redis.from_url(service.redis_url) as redis:
            redis.lpush("booking", element(PREFIX + "submit_request", [[], {"request": wrong}, {}]))
        for request in requests:
            client.send(request)
        wait_until(lambda: has_logged(service, "message.waits"), "a message that waits for the database")
    finally:
        servers.postgres.start()
        client.close()

    def settled() -> bool:
        with transaction() as db:
            done = select(InboxMessage.message_id).where(InboxMessage.state == "done")
            letters = [row.reason for row in db.scalars(select(DeadLetter))]
            return len(db.scalars(done).all()) == len(requests) and len(letters) == 1

    wait_until(settled, "an answer to every message, and a letter", 60)
    with transaction() as db:
        assert "preferred_start" in db.scalars(select(DeadLetter)).one().reason
    assert not has_logged(service, "message.returned")


def test_what_cannot_be_used_is_kept_when_the_database_is_back(
    service: RunningService, servers: Servers
) -> None:
    end_at_once(servers.postgres)
    try:
        with Redis.from_url(service.redis_url) as redis:
            redis.lpush("booking", b"no message", element(PREFIX + "dance", [[], {"request": submit()}, {}]))
        for event in ("message.dead", "message.parked"):
            wait_until(partial(has_logged, service, event), event)
    finally:
        servers.postgres.start()

    def kept() -> bool:
        with transaction() as db:
            return bool(db.scalars(select(ParkedMessage)).all() and db.scalars(select(DeadLetter)).all())

    wait_until(kept, "both in their places", 60)
    with transaction() as db:
        assert db.scalars(select(ParkedMessage.task)).all() == [PREFIX + "dance"]
        [row] = db.scalars(select(DeadLetter)).all()
    assert row.reason.startswith("the message is not JSON")
