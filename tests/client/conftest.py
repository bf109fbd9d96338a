"""The one fixture of the client's tests; tests/installed has another one for installed wheels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.conftest import valkey_url


@pytest.fixture
def broker(valkey: str) -> Iterator[str]:
    """An empty numbered database of the tests' Valkey; its URL."""
    url = valkey_url(valkey, 14)
    with Redis.from_url(url) as redis:
        redis.flushdb()
        yield url
        redis.flushdb()
