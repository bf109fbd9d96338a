"""Messages for RabbitMQ's queues with any bytes, and what the worker's channel makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import amqp
from kombu import Connection

from booking_tasks.celery import TRANSPORTS
from booking_tasks.guard.consumer import replace_with_call
from booking_tasks.guard.rules import EntryPoint
from booking_tasks.kit.broker_topology import declare_missing
from booking_tasks.kit.queues import declared_queue
from tests.messages.property_frames import BODY, RawMessage


class RawProducer:
    """An account that may publish everything, and writes the bytes it likes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: Connection | None = None
        with Connection(url) as connection:
            connection.ensure_connection(max_retries=1)
            declare_missing(connection.connection)

    def publish(self, properties: bytes, body: bytes = BODY, key: str | bytes = "booking") -> bool:
        """Send one message and wait for its confirmation; False when RabbitMQ refused it as malformed."""
        return self.send(RawMessage(properties, body), "booking", key)

    def send(self, message: amqp.Message, queue: str, key: str | bytes = "") -> bool:
        """Send one message to the exchange of a queue, as `publish` does."""
        if self._connection is None:
            self._connection = Connection(self.url, transport_options={"confirm_publish": True})
        try:
            channel = self._connection.default_channel
            exchange = declared_queue(queue, self.url).exchange.name
            channel.basic_publish(message, exchange=exchange, routing_key=key or queue)
        except (amqp.AMQPError, OSError, UnicodeDecodeError):  # RabbitMQ's reason quotes the bytes
            self.close()
            return False
        return True

    def close(self) -> None:
        if self._connection is not None:
            with suppress(amqp.AMQPError, OSError):
                self._connection.collect()
        self._connection = None


def calls_made_of(url: str, number: int, entry_points: dict[str, EntryPoint]) -> Iterator[dict[str, Any]]:
    """Take so many messages through the worker's transport; the headers of the call that replaces each."""
    calls: list[dict[str, Any]] = []

    def receive(message: Any) -> None:
        replace_with_call(message, "booking", entry_points)
        calls.append(message.headers)
        message.ack()

    with Connection(url, transport=TRANSPORTS["amqp"]) as connection:
        queue = declared_queue("booking", url)
        with connection.Consumer(queue, on_message=receive, accept=["json"]):
            while len(calls) < number:
                connection.drain_events(timeout=60)
    yield from calls
