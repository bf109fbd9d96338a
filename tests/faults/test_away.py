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
from booking_tasks.ops.stack import FRONT
from tests.faults.conftest import started_house
from tests.faults.house import House, Servers
from tests.faults.nemesis import end_at_once
from tests.messages.raw import PREFIX, element, submit

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


@pytest.fixture
def house(servers: Servers) -> Iterator[House]:
    with started_house(servers, consultants=4, people=20) as house:
        yield house


def said(house: House, event: str) -> bool:
    return any(f'"{event}"' in log.read_text() for log in house.stack.folder.glob("*.log"))


def test_what_nobody_sends_again_is_there_when_the_database_is_back(house: House, servers: Servers) -> None:
    wishes = house.wishes(6, random.Random(1))
    client = BookingClient(house.redis_url)
    [front, *_] = house.stack.processes
    end_at_once(servers.postgres)
    try:
        for wish in wishes:
            client.send(wish)
        wait_until(lambda: said(house, "message.waits"), "a message that waits for the database")
        front.stop()
        with Redis.from_url(house.redis_url) as redis:
            assert redis.llen("booking") == len(wishes)  # also those it had in hand
        assert said(house, "message.handed_back")
    finally:
        servers.postgres.start()
        client.close()
    house.stack.worker("another front", FRONT)

    def answered() -> bool:
        with transaction() as db:
            done = select(InboxMessage.message_id).where(InboxMessage.state == "done")
            return set(db.scalars(done)) == {wish.message_id for wish in wishes}

    wait_until(answered, "an answer to every message", 60)


def test_what_comes_while_the_database_is_away_waits_in_its_slot(house: House, servers: Servers) -> None:
    wishes = house.wishes(6, random.Random(2))
    client = BookingClient(house.redis_url)
    wrong = submit() | {"preferred_start": "tomorrow"}
    end_at_once(servers.postgres)
    try:
        with Redis.from_url(house.redis_url) as redis:
            redis.lpush("booking", element(PREFIX + "submit_request", [[], {"request": wrong}, {}]))
        for wish in wishes:
            client.send(wish)
        wait_until(lambda: said(house, "message.waits"), "a message that waits for the database")
    finally:
        servers.postgres.start()
        client.close()

    def settled() -> bool:
        with transaction() as db:
            done = select(InboxMessage.message_id).where(InboxMessage.state == "done")
            letters = [letter.reason for letter in db.scalars(select(DeadLetter))]
            return len(db.scalars(done).all()) == len(wishes) and len(letters) == 1

    wait_until(settled, "an answer to every message, and a letter", 60)
    with transaction() as db:
        assert "preferred_start" in db.scalars(select(DeadLetter)).one().reason
    assert not said(house, "message.handed_back")


def test_what_cannot_be_used_is_kept_when_the_database_is_back(house: House, servers: Servers) -> None:
    end_at_once(servers.postgres)
    try:
        with Redis.from_url(house.redis_url) as redis:
            redis.lpush("booking", b"no message", element(PREFIX + "dance", [[], {"request": submit()}, {}]))
        for event in ("message.dead", "message.parked"):
            wait_until(partial(said, house, event), event)
    finally:
        servers.postgres.start()

    def kept() -> bool:
        with transaction() as db:
            return bool(db.scalars(select(ParkedMessage)).all() and db.scalars(select(DeadLetter)).all())

    wait_until(kept, "both in their places", 60)
    with transaction() as db:
        assert db.scalars(select(ParkedMessage.task)).all() == [PREFIX + "dance"]
        [letter] = db.scalars(select(DeadLetter)).all()
    assert letter.reason.startswith("the message is not JSON")
