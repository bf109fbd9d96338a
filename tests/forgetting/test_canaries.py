"""A whole life with canaries in every text, on real servers: after forgetting, nothing has them any more."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from redis import Redis

from booking_tasks.contracts import (
    CancelSession,
    ForgetUser,
    RecordAttendance,
    RecordOutcome,
    UpsertUser,
)
from booking_tasks.kit.database import transaction
from booking_tasks.kit.database_urls import libpq_url
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.settings import settings
from booking_tasks.ops.local_stack import LocalStack
from tests import conftest
from tests.accounts import as_superuser
from tests.conftest import copied_database, valkey_url
from tests.end_to_end.conftest import BEGIN
from tests.end_to_end.scenario import DAY, HOUR, Scenario
from tests.forgetting.search import places_with, spellings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

MARK = "cnry"
RESULT = b"celery-task-meta-"


class Canaries:
    """Texts that stand for what a person wrote; every one contains the mark and its field."""

    def __init__(self) -> None:
        self.made: set[str] = set()

    def __call__(self, field: str) -> str:
        one = f"{MARK}{field}{uuid7().hex[-6:]}"
        self.made.add(one)
        return one


@pytest.fixture
def redis(valkey: str) -> Iterator[Any]:
    url = valkey_url(valkey, 11)
    with Redis.from_url(url) as connection:
        connection.flushdb()
        yield connection
        connection.flushdb()


@pytest.fixture
def scenario(template: str, valkey: str, redis: Any) -> Iterator[Scenario]:
    """A service of this test's own, so that nobody else's rows are searched."""
    with (
        copied_database(template) as database_url,
        LocalStack(
            database_url,
            valkey_url(valkey, 11),
            BOOKING_RETRY_BASE="0.1s",
            BOOKING_JOB_ATTEMPTS="3",
            BOOKING_HORIZON="7d",
        ) as stage,
    ):
        stage.open(BEGIN)
        yield Scenario(stage)


def everything(redis: Any) -> dict[bytes, str]:
    readers = {
        b"string": redis.get,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"hash": redis.hgetall,
        b"zset": lambda key: redis.zrange(key, 0, -1),
        b"stream": redis.xrange,
        b"none": lambda _: "",
    }
    return {key: str(readers[redis.type(key)](key)) for key in redis.scan_iter(count=1000)}


def dump() -> str:
    """What pg_dump writes of the database of the settings."""
    server = conftest._POSTGRES
    program = "pg_dump" if server is None else str(server.binaries / "pg_dump")
    url = as_superuser(libpq_url(settings().database_url))
    return subprocess.run([program, url], check=True, capture_output=True, text=True).stdout


def named(scenario: Scenario, canaries: Canaries, user_id: UUID, role: str) -> None:
    scenario.send(
        UpsertUser,
        user_id=user_id,
        name=canaries(f"name{role}"),
        email=f"{canaries('mail' + role)}@example.org",
        time_zone="UTC",
    )


def requester_life(scenario: Scenario, canaries: Canaries) -> tuple[UUID, UUID]:
    """Sessions that were held, cancelled and lie ahead, and a request that waits; who and the other side."""
    service = scenario.offer()
    weber, mira = scenario.consultant("Weber"), scenario.person("Mira")
    named(scenario, canaries, mira.id, "requester")
    start = scenario.morning + 2 * HOUR
    held = scenario.submit(mira, service, start, details=canaries("details"))
    called_off = scenario.submit(mira, service, start + DAY, details=canaries("details"))
    scenario.submit(mira, service, start + 2 * DAY, details=canaries("details"))
    scenario.send(
        CancelSession,
        actor=str(mira.id),
        session_id=scenario.session(called_off).id,
        cancelled_by="user",
        reason=canaries("reason"),
    )
    scenario.stage.settle()
    scenario.stage.advance(start + 2 * HOUR)
    scenario.send(
        RecordAttendance,
        session_id=scenario.session(held).id,
        source="platform",
        observations=[
            {
                "evidence_type": "joined",
                "party": "requester",
                "observed_at": start,
                "external_id": canaries("evidence"),
            }
        ],
    )
    scenario.send(RecordOutcome, session_id=scenario.session(held).id, notes=canaries("notes"))
    scenario.stage.settle()
    return mira.id, weber.id


def test_nothing_of_a_forgotten_requester_is_left(scenario: Scenario, redis: Any) -> None:
    canaries = Canaries()
    who, other = requester_life(scenario, canaries)
    with transaction() as db:
        assert places_with(db, [MARK, str(who)])  # the search finds what is there
    outcome = scenario.send(ForgetUser, user_id=who)
    assert (outcome.result, outcome.cancelled_sessions) == ("done", 1)
    scenario.stage.settle()
    with transaction() as db:
        assert places_with(db, [MARK, *spellings(who)]) == []
    content = dump()
    assert [one for one in (MARK, *spellings(who)) if one in content.lower()] == []
    logs = {log.name: log.read_text() for log in scenario.stage.service.folder.glob("*.log")}
    for place, found in (everything(redis) | logs).items():
        assert [one for one in (MARK, *spellings(who)) if one in found.lower()] == [], place
    assert other != who
