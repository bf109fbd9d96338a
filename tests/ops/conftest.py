"""The fixtures of the operator's tests: processes on their own broker database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.service_processes import ServiceProcesses
from tests.conftest import valkey_url


@pytest.fixture
def broker(valkey: str) -> Iterator[str]:
    """An empty numbered database of the tests' Valkey; its URL."""
    url = valkey_url(valkey, 13)
    with redis.Redis.from_url(url) as connection:
        connection.flushdb()
        yield url
        connection.flushdb()


@pytest.fixture
def platform() -> Iterator[FakeMeetingPlatform]:
    with FakeMeetingPlatform() as running:
        yield running


@pytest.fixture
def stack(
    own_database: str, broker: str, platform: FakeMeetingPlatform, tmp_path: Path
) -> Iterator[ServiceProcesses]:
    """No process yet; those that are started share the test's database and broker."""
    made = ServiceProcesses(
        tmp_path / "processes",
        {
            "DATABASE_URL": own_database,
            "REDIS_URL": broker,
            "BOOKING_MEETING_URL": platform.url,
            "BOOKING_LEASE": "30s",
            "BOOKING_SWEEP_INTERVAL": "0.2s",
        },
    )
    yield made
    made.stop()
