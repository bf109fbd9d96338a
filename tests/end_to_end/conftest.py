"""One running service for all scenarios; each takes its own days on the stepped clock, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from redis import Redis

from booking_tasks.ops.local_stack import LocalStack
from booking_tasks.ops.servers import free_port
from tests.conftest import copied_database, valkey_url
from tests.end_to_end.scenario import Scenario

BEGIN = datetime(2027, 3, 1, 7, 0, tzinfo=UTC)


@pytest.fixture(scope="package")
def broker(valkey: str) -> Iterator[str]:
    """An empty numbered database of the tests' Valkey; its URL."""
    url = valkey_url(valkey, 12)
    with Redis.from_url(url) as redis:
        redis.flushdb()
        yield url
        redis.flushdb()


@pytest.fixture(scope="package")
def stage(template: str, broker: str) -> Iterator[LocalStack]:
    """PostgreSQL, Valkey, two workers, a beat, a mail sink and a meeting platform, all real."""
    with (
        copied_database(template) as database_url,
        LocalStack(
            database_url,
            broker,
            BOOKING_RETRY_BASE="0.1s",
            BOOKING_JOB_ATTEMPTS="3",
            BOOKING_HORIZON="7d",
            BOOKING_PUBLIC_URL=f"http://127.0.0.1:{free_port()}",
            BOOKING_LINK_SECRET="of the scenarios, and as long as it must be",
        ) as stage,
    ):
        stage.open(BEGIN)
        yield stage


@pytest.fixture
def scenario(stage: LocalStack) -> Scenario:
    """The next scenario: its own people, its own days."""
    return Scenario(stage)
