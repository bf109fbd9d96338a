"""Servers that may be killed, shared by one module each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from redis import Redis

from tests.conftest import copied_database, valkey_url
from tests.faults.running_service import RunningService, Servers, own_servers


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A PostgreSQL and a Valkey of the module's own."""
    with own_servers(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


@contextmanager
def started_service(
    servers: Servers, consultants: int, people: int, **knobs: str
) -> Iterator[RunningService]:
    """A running service on the module's servers, with a database and a broker of its own."""
    with RunningService(*servers.fresh(), **knobs).open(consultants, people) as service:
        service.start()
        yield service


Open = Callable[..., AbstractContextManager[RunningService]]


@pytest.fixture
def open_service(template: str, valkey: str) -> Open:
    """Opens a service on the tests' own servers, which stay alive: settings by name, then its people."""

    @contextmanager
    def opened(consultants: int = 4, people: int = 20, **knobs: str) -> Iterator[RunningService]:
        broker = valkey_url(valkey, 6)
        with Redis.from_url(broker) as redis:
            redis.flushdb()
        with (
            copied_database(template) as url,
            RunningService(url, broker, **knobs).open(consultants, people) as service,
        ):
            yield service

    return opened
