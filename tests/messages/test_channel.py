"""The channel below the worker: a rejected message returns to the queue that it was taken from."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery
from kombu import Connection

from booking_tasks.celery import TRANSPORTS, configuration
from booking_tasks.guard.channel import Channel
from booking_tasks.kit.errors import SettingsError
from booking_tasks.kit.queues import declared_queue
from booking_tasks.kit.settings import load_settings
from tests.conftest import valkey_url
from tests.messages.raw import element


@pytest.fixture
def broker(valkey: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey_url(valkey, 6)) as connection:
        connection.flushdb()
        yield connection
        connection.flushdb()


@pytest.fixture
def connection(valkey: str, broker: redis.Redis) -> Iterator[Connection]:
    with Connection(valkey_url(valkey, 6), transport=TRANSPORTS["redis"]) as made:
        yield made


def _taken(connection: Connection) -> list[Any]:
    """The messages of the booking queue, taken and not acknowledged."""
    taken: list[Any] = []
    queue = declared_queue("booking", "redis://")
    with connection.Consumer(queue, on_message=taken.append, accept=["json"]):
        connection.drain_events(timeout=5)
    return taken


@pytest.mark.parametrize("claim", [{"exchange": "", "routing_key": "admin"}, {"exchange": "x"}, {}])
def test_what_is_handed_back_goes_to_the_queue_it_came_from(
    connection: Connection, broker: redis.Redis, claim: dict[str, str]
) -> None:
    broker.lpush("booking", element(properties={"delivery_info": claim, "priority": 6}))
    (message,) = _taken(connection)
    assert broker.llen("booking") == 0

    message.requeue()

    assert broker.llen("booking") == 1
    assert broker.keys() == [b"booking"]


def test_what_was_no_message_at_all_can_be_handed_back_too(
    connection: Connection, broker: redis.Redis
) -> None:
    broker.lpush("booking", b"\xff")
    (message,) = _taken(connection)
    assert message.headers["fault"]["reason"].startswith("the message is not JSON")

    message.requeue()

    (again,) = _taken(connection)
    assert "fault" not in again.headers  # nobody may say `fault` but the channel that finds it


@pytest.mark.parametrize("settle", ["ack", "reject", "requeue"])
def test_a_message_whose_settling_the_broker_did_not_hear_takes_no_place_of_the_prefetch(
    connection: Connection, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch, settle: str
) -> None:
    def is_gone(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("gone")

    broker.lpush("booking", element())
    (message,) = _taken(connection)
    qos = message.channel.qos
    qos.prefetch_count = 1
    assert not qos.can_consume()
    for name in ("_remove_from_indices", "restore_by_tag"):
        monkeypatch.setattr(qos, name, is_gone)

    with pytest.raises(redis.ConnectionError):
        getattr(message, settle)()

    assert qos.can_consume()
    assert broker.hlen("unacked") == 1  # for whoever comes after the visibility time-out


def test_nothing_is_declared_that_a_producer_could_bend(connection: Connection, broker: redis.Redis) -> None:
    declared_queue("booking", "redis://")(connection.channel()).declare()

    assert broker.keys() == []


def test_a_broker_whose_messages_are_not_guarded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "sqs://")

    with pytest.raises(SettingsError, match="CELERY_BROKER_URL: must start with redis"):
        configuration(load_settings())


def test_a_list_of_brokers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://one.example.org;redis://two.example.org")

    with pytest.raises(SettingsError, match="CELERY_BROKER_URL: names several brokers"):
        configuration(load_settings())


def test_a_tls_broker_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.setenv(name, "rediss://broker.example.org:6380/0")
    config = configuration(load_settings())

    with Celery(set_as_current=False, changes=config) as app:
        assert app.backend.connparams["ssl_cert_reqs"] == ssl.CERT_REQUIRED
    with Connection(
        config["broker_url"], transport=config["broker_transport"], ssl=config["broker_use_ssl"]
    ) as made:
        assert made.ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
        assert (made.hostname, made.port) == ("broker.example.org", 6380)
        assert issubclass(made.transport.Channel, Channel)


def test_every_transport_there_is_can_be_loaded() -> None:
    for scheme, transport in TRANSPORTS.items():
        with Connection(f"{scheme}://localhost", transport=transport) as made:
            assert made.transport.driver_type in {"redis", "amqp"}
