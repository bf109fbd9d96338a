"""A whole life with canaries in every text, on real servers: after forgetting, nothing has them any more."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from redis import Redis

from booking_tasks.contracts import (
    AddLeave,
    CancelSession,
    ForgetUser,
    PlanAbsence,
    RecordAttendance,
    RecordOutcome,
    SetCalendarFeed,
    UpsertConsultant,
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
from tests.end_to_end.scenario import DAY, HOUR, STREAM, Scenario
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


def requester_life(scenario: Scenario, canaries: Canaries) -> UUID:
    """A requester with sessions that were held and cancelled, and one ahead."""
    service = scenario.offer()
    scenario.consultant("Weber")
    mira = scenario.person("Mira")
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
    return mira.id


def consultant_life(scenario: Scenario, canaries: Canaries) -> UUID:
    """A consultant whose sessions are over or cancelled, with all that one can declare and write."""
    service = scenario.offer()
    weber, mira = scenario.consultant("Weber"), scenario.person("Mira")
    named(scenario, canaries, weber.id, "consultant")
    scenario.send(
        UpsertConsultant,
        consultant_user_id=weber.id,
        time_zone="UTC",
        specializations=(scenario.skill, canaries("skill")),
        bio=canaries("bio"),
    )
    day = scenario.morning.replace(tzinfo=None)
    for contract, key in ((AddLeave, "leave_id"), (PlanAbsence, "plan_id")):
        scenario.send(
            contract,
            actor=str(weber.id),
            consultant_user_id=weber.id,
            start=day + 5 * DAY,
            end=day + 6 * DAY,
            reason=canaries("absence"),
            **{key: uuid7()},
        )
    scenario.send(
        SetCalendarFeed,
        feed_id=uuid7(),
        consultant_user_id=weber.id,
        feed_type="ics",
        url=f"https://{canaries('host')}.invalid/{canaries('path')}",
        username=canaries("login"),
        password=canaries("password"),
        addresses=(f"{canaries('address')}@example.org",),
    )
    start = scenario.morning + 2 * HOUR
    held = scenario.submit(mira, service, start, details="my own words")
    called_off = scenario.submit(mira, service, start + DAY)
    scenario.send(
        CancelSession,
        actor=str(weber.id),
        session_id=scenario.session(called_off).id,
        cancelled_by="consultant",
        reason=canaries("reason"),
    )
    scenario.stage.settle()
    scenario.stage.advance(start + 2 * HOUR)
    notes = canaries("notes")
    scenario.send(RecordOutcome, actor=str(weber.id), session_id=scenario.session(held).id, notes=notes)
    scenario.stage.settle()
    return weber.id


def logs_of(scenario: Scenario) -> dict[str, str]:
    found = {log.name: log.read_text() for log in scenario.stage.service.folder.glob("*.log")}
    assert {"front.log", "effects.log", "beat.log"} <= found.keys()
    return found


def assert_nowhere(scenario: Scenario, redis: Any, who: UUID, ids_may_be_in: tuple[bytes | str, ...]) -> None:
    """Search every column, a dump, every key of Redis and every log for the canaries and the user id.

    The id alone may be where docs/operations.md says that forgetting cannot reach it: in answers, which
    expire within minutes, and in the places that the test names.
    """
    with transaction() as db:
        assert places_with(db, [MARK, *spellings(who)]) == []
    content = dump().lower()
    assert "copy public.events" in content
    assert [one for one in (MARK, *spellings(who)) if one in content] == []
    for place, found in (everything(redis) | logs_of(scenario)).items():
        is_result = isinstance(place, bytes) and place.startswith(RESULT)
        if is_result:
            assert 0 < redis.ttl(place) <= 600 or not redis.exists(place)
        texts = [MARK] if is_result or place in ids_may_be_in else [MARK, *spellings(who)]
        lines = [line for line in found.splitlines() if any(one in line.lower() for one in texts)]
        assert [line[:500] for line in lines] == [], place


def test_nothing_of_a_forgotten_requester_is_left(scenario: Scenario, redis: Any) -> None:
    canaries = Canaries()
    who = requester_life(scenario, canaries)
    with transaction() as db:
        before = places_with(db, [*canaries.made, str(who)])
    assert {one for one in canaries.made if any(place.endswith(one) for place in before)} == canaries.made
    assert sum(place.endswith(str(who)) for place in before) > 5
    outcome = scenario.send(ForgetUser, user_id=who)
    assert (outcome.result, outcome.cancelled_sessions) == ("done", 1)
    scenario.stage.settle()
    assert_nowhere(scenario, redis, who, ())


def test_nothing_of_a_forgotten_consultant_is_left(scenario: Scenario, redis: Any) -> None:
    canaries = Canaries()
    who = consultant_life(scenario, canaries)
    with transaction() as db:
        before = places_with(db, [*canaries.made, str(who)])
    assert {one for one in canaries.made if any(place.endswith(one) for place in before)} == canaries.made
    assert scenario.send(ForgetUser, user_id=who).result == "done"
    scenario.stage.settle()
    assert_nowhere(scenario, redis, who, (STREAM.encode(), "front.log", "effects.log"))
