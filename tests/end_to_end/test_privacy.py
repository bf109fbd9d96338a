"""What the broker and the logs know of people after a whole scenario: nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy import select

from booking_tasks.client import BookingClient
from booking_tasks.contracts import (
    CancelSession,
    RecordOutcome,
    SearchSlots,
    UpsertUser,
)
from booking_tasks.enums import RefusalCode
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import DirectoryUser
from booking_tasks.ops.servers import wait_until
from tests.end_to_end.scenario import DAY, HOUR, STREAM, Scenario

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

RESULT = b"celery-task-meta-"


@pytest.fixture
def redis(scenario: Scenario) -> Iterator[Any]:
    """The stage's broker, stream and result store."""
    with Redis.from_url(scenario.stage.environment["REDIS_URL"]) as connection:
        yield connection


def everything(redis: Any) -> dict[bytes, str]:
    """Every key with its whole content as text."""
    readers = {
        b"string": redis.get,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"hash": redis.hgetall,
        b"zset": lambda key: redis.zrange(key, 0, -1),
        b"stream": redis.xrange,
        b"none": lambda _: "",  # consumed or expired since it was listed
    }
    return {key: str(readers[redis.type(key)](key)) for key in redis.scan_iter(count=1000)}


def people() -> set[str]:
    """Every name and address in the directory."""
    with transaction() as db:
        users = db.execute(select(DirectoryUser)).scalars().all()
    return {word for one in users for word in (one.name, one.email)}


def test_broker_results_and_logs_hold_nothing_about_people(scenario: Scenario, redis: Any) -> None:
    texts = {f"{topic} {uuid4().hex}" for topic in ("details", "reason", "notes")}
    details, reason, notes = sorted(texts)
    service = scenario.offer()
    weber, mira = scenario.consultant("Weber"), scenario.person("Mira")
    start = scenario.morning + 2 * HOUR
    held = scenario.submit(mira, service, start, details=details)
    called_off = scenario.submit(mira, service, start + DAY, details=details)
    scenario.send(
        CancelSession,
        session_id=scenario.session(called_off).id,
        cancelled_by="user",
        reason=reason,
    )
    scenario.stage.advance(start + 2 * HOUR)
    scenario.send(RecordOutcome, session_id=scenario.session(held).id, notes=notes)
    scenario.stage.settle()
    assert any(details in mail.text for mail in scenario.letters(weber))

    canaries = texts | people()
    assert {mira.name, mira.email, weber.name, weber.email} < canaries
    stored = everything(redis)
    assert any(key.startswith(RESULT) for key in stored)
    assert STREAM.encode() in stored
    logs = {log.name: log.read_text() for log in scenario.stage.service.folder.glob("*.log")}
    assert set(logs) - {"web.log"} == {"front.log", "effects.log", "beat.log"}
    assert str(scenario.jobs(scenario.session(held).id, "send_invite")[0].id) in logs["effects.log"]
    for place, content in (stored | logs).items():
        assert [one for one in canaries if one in content] == [], place


def test_a_result_exists_only_where_a_caller_waits_and_expires_within_minutes(
    scenario: Scenario, redis: Any
) -> None:
    who = uuid7()
    with_client = BookingClient(scenario.stage.environment["REDIS_URL"])
    try:
        command = UpsertUser(
            message_id=uuid7(), actor="test", user_id=who, name="Ada", email="a@example.org", time_zone="UTC"
        )
        unwaited = with_client.send(command)
        query = SearchSlots(service_type_id=uuid7(), start=scenario.morning, end=scenario.morning + HOUR)
        waited = with_client.send(query, wait=True)
        assert waited.outcome().code == RefusalCode.UNKNOWN_SERVICE_TYPE
        wait_until(lambda: _known(who), "the command without a waiting caller")
        scenario.stage.settle()
    finally:
        with_client.close()

    results = set(redis.scan_iter(match=RESULT + b"*", count=1000))
    assert RESULT + waited.result.id.encode() in results
    assert RESULT + unwaited.result.id.encode() not in results
    # Every one is the outcome of a public message; the service's own tasks return bare numbers.
    outcomes = [json.loads(redis.get(key))["result"] for key in results]
    assert {type(outcome) for outcome in outcomes} == {dict}
    assert {"done", "refused"} <= {outcome["result"] for outcome in outcomes}
    longest = timedelta(minutes=10) / timedelta(seconds=1)
    assert all(0 < redis.ttl(key) <= longest for key in results)


def _known(user_id: Any) -> bool:
    with transaction() as db:
        return db.get(DirectoryUser, user_id) is not None
