"""The fake meeting platform as the service's platform."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from booking_tasks.kit.settings import settings
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform


@pytest.fixture
def platform(
    own_database: str, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeMeetingPlatform]:
    with FakeMeetingPlatform() as running:
        monkeypatch.setenv("BOOKING_MEETING_URL", running.url)
        monkeypatch.setenv("BOOKING_RETRY_BASE", "0.01s")
        monkeypatch.setenv("BOOKING_RETRY_CAP", "0.02s")
        settings.cache_clear()
        yield running
