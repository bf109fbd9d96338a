"""Events on RabbitMQ, with the shipped accounts: its exchange, a task of another service, a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from kombu import Connection
from redis import Redis

from booking_tasks.celery import configuration
from booking_tasks.events.publisher import Publisher
from booking_tasks.events.tasks import targets_of
from booking_tasks.kit.errors import EffectNotDoneError
from booking_tasks.kit.settings import load_settings
from tests.messages.access import GuardedRabbitMQ

pytestmark = pytest.mark.rabbitmq

TYPE = "booking.session.started.v1"
Publish = Callable[[dict[str, Any]], None]


def event() -> dict[str, Any]:
    return {"id": str(uuid4()), "type": TYPE, "data": {}}


@pytest.fixture
def publish(guarded_rabbitmq: GuardedRabbitMQ, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Publishes one event as a worker with the present environment does; REDIS_URL is not set."""
    monkeypatch.setenv("CELERY_BROKER_URL", guarded_rabbitmq.url_of("worker"))
    monkeypatch.delenv("REDIS_URL")

    def publish_as_configured(one: dict[str, Any]) -> None:
        config = load_settings()
        mandatory = "booking_tasks.kit.amqp_transport:MandatoryTasks"
        with Celery("worker", amqp=mandatory, set_as_current=False) as app:
            app.conf.update(configuration(config))
            with Publisher(targets_of(config), app.send_task, app.producer_or_acquire) as publisher:
                publisher.publish(json.dumps(one).encode())

    return publish_as_configured


class Reader:
    """Another service that reads events, with a queue of its own."""

    def __init__(self, connection: Connection) -> None:
        self.queue = f"events.{uuid4()}"
        self.channel = connection.default_channel
        self.channel.queue_declare(
            self.queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"}
        )

    def bind(self, key: str) -> None:
        self.channel.queue_bind(self.queue, "booking.events", key)

    def next(self) -> Any:
        """The next message, which the broker has confirmed to its sender; None when there is none."""
        return self.channel.basic_get(self.queue, no_ack=True)


@pytest.fixture
def reader(guarded_rabbitmq: GuardedRabbitMQ) -> Iterator[Reader]:
    with Connection(guarded_rabbitmq.url_of("events")) as connection:
        reader = Reader(connection)
        yield reader
        reader.channel.queue_delete(reader.queue)


def test_another_services_task_is_called_over_the_exchange_of_events(
    publish: Publish, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKING_EVENT_TASK", "ledger.hear_booking_event")
    monkeypatch.setenv("BOOKING_EVENT_QUEUE", reader.queue)
    one = event()
    with pytest.raises(
        EffectNotDoneError, match=f"no queue of exchange 'booking.events' takes '{reader.queue}'"
    ):
        publish(one)

    reader.bind(reader.queue)
    publish(one)

    call = reader.next()
    assert (call.headers["task"], call.headers["id"]) == ("ledger.hear_booking_event", one["id"])
    assert json.loads(call.body)[:2] == [[], {"event": one}]
    assert reader.next() is None, "the event itself goes to those who bind its type"


def test_an_event_is_in_a_stream_only_where_a_redis_is_named(
    publish: Publish, reader: Reader, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = f"events:{uuid4()}"
    monkeypatch.setenv("BOOKING_EVENT_STREAM", stream)
    reader.bind("booking.session.#")
    first, second = event(), event()

    publish(first)
    monkeypatch.setenv("REDIS_URL", valkey)
    publish(second)

    assert [json.loads(reader.next().body) for _ in range(2)] == [first, second]
    with Redis.from_url(valkey) as redis:
        entries: Any = redis.xrange(stream)
    assert [json.loads(fields[b"event"]) for _, fields in entries] == [second]
