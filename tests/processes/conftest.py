"""The fixtures of the process tests: a database, a broker, a meeting platform and a mail sink."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from booking_tasks.client import BookingClient
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.mail_sink import MailSink
from booking_tasks.ops.service_processes import ServiceProcesses
from tests.conftest import valkey_url


@pytest.fixture
def broker(valkey: str) -> Iterator[str]:
    """An empty numbered database of the tests' Valkey; its URL."""
    url = valkey_url(valkey, 11)
    with Redis.from_url(url) as redis:
        redis.flushdb()
        yield url
        redis.flushdb()


@pytest.fixture
def redis(broker: str) -> Iterator[Any]:
    """The broker as its own client sees it."""
    with Redis.from_url(broker) as connection:
        yield connection


@pytest.fixture
def client(broker: str) -> Iterator[BookingClient]:
    """Another service's way in."""
    made = BookingClient(broker)
    yield made
    made.close()


@pytest.fixture
def platform() -> Iterator[FakeMeetingPlatform]:
    with FakeMeetingPlatform() as running:
        yield running


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[MailSink]:
    with MailSink(tmp_path / "mail") as running:
        yield running


@pytest.fixture
def stack(
    own_database: str, broker: str, platform: FakeMeetingPlatform, mail: MailSink, tmp_path: Path
) -> Iterator[ServiceProcesses]:
    """No process yet. Those that are started run in one folder and share everything else."""
    made = ServiceProcesses(
        tmp_path / "processes",
        {
            "DATABASE_URL": own_database,
            "REDIS_URL": broker,
            "BOOKING_MEETING_URL": platform.url,
            "BOOKING_SMTP_PORT": str(mail.port),
            "BOOKING_SWEEP_INTERVAL": "0.3s",
            "BOOKING_WAKEUP_TTL": "3s",
            "BOOKING_LEASE": "3s",
            "BOOKING_SMTP_TIMEOUT": "1.4s",
            "BOOKING_MEETING_TIMEOUT": "1.4s",
        },
    )
    yield made
    made.kill()
