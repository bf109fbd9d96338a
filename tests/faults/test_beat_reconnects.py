"""A beat whose connection breaks sends its next tick over a new one, on every broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection
from redis import Redis

from booking_tasks.kit.broker_topology import declare_missing
from booking_tasks.kit.queues import declared_queue
from booking_tasks.ops.servers import Valkey, wait_until
from booking_tasks.ops.service_processes import ServiceProcess
from tests.faults.fault_injector import crash
from tests.rabbitmq_server import RabbitMQ

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@dataclass
class Broker:
    """A broker of the module's own: its URL, the length of the queue of ticks, and the ways to break it."""

    url: str
    length: Callable[[], int]
    breaks: Mapping[str, Callable[[], object]]


@pytest.fixture(scope="module")
def valkey_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:

        def restart() -> None:
            server.stop()
            server.start()

        def close_all() -> None:
            with Redis.from_url(server.url()) as redis:
                redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        def kill() -> None:
            crash(server)
            server.start()

        def length() -> int:
            with Redis.from_url(server.url()) as redis:
                return int(redis.llen("sweep"))

        yield Broker(
            server.url(), length, {"restart": restart, "close_all_connections": close_all, "kill": kill}
        )


@pytest.fixture(scope="module")
def rabbitmq_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as server:
        with Connection(server.url()) as connection:
            connection.ensure_connection(max_retries=1)
            declare_missing(connection.connection)

        def kill() -> None:
            server.kill()
            server.start()

        def length() -> int:
            with Connection(server.url()) as connection:
                found = declared_queue("sweep", server.url())(connection.default_channel).queue_declare(
                    passive=True
                )
                return int(found.message_count)

        ways = {
            "restart": server.restart,
            "close_all_connections": server.close_all_connections,
            "kill": kill,
        }
        yield Broker(server.url(), length, ways)


@pytest.fixture(params=["valkey", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def broker(request: pytest.FixtureRequest) -> Broker:
    found: Broker = request.getfixturevalue(f"{request.param}_broker")
    return found


@pytest.fixture
def beat(broker: Broker, own_database: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    environment = {
        "DATABASE_URL": own_database,
        "CELERY_BROKER_URL": broker.url,
        "BOOKING_SWEEP_INTERVAL": "0.5s",
    }
    process = ServiceProcess("beat", tmp_path, ["beat"], environment)
    try:
        wait_until(process.heartbeat.exists, "the first tick", 120)
        yield process
    finally:
        process.stop()


def _ticks_on(broker: Broker, beat: ServiceProcess) -> None:
    """Until three more messages are there, and the beat counts as healthy again."""
    before = broker.length()
    wait_until(lambda: broker.length() >= before + 3, "three more ticks", 60)
    beaten = beat.heartbeat.stat().st_mtime_ns
    wait_until(lambda: beat.heartbeat.stat().st_mtime_ns > beaten, "a heartbeat", 60)
    assert beat.running


@pytest.mark.parametrize("way", ["restart", "close_all_connections", "kill"])
def test_a_beat_ticks_on_after_its_connection_broke(broker: Broker, beat: ServiceProcess, way: str) -> None:
    _ticks_on(broker, beat)

    broker.breaks[way]()

    _ticks_on(broker, beat)


def test_a_beat_that_reaches_no_broker_has_no_heartbeat(tmp_path: Path, own_database: str) -> None:
    environment: dict[str, Any] = {
        "DATABASE_URL": own_database,
        "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
        "BOOKING_SWEEP_INTERVAL": "0.5s",
    }
    process = ServiceProcess("beat-alone", tmp_path, ["beat"], environment)
    try:
        wait_until(lambda: process.log.read_text().count("beat.not_sent") >= 3, "three failed ticks", 120)

        assert process.running
        assert not process.heartbeat.exists()
    finally:
        process.stop()
