"""The broker's queues and exchanges, named in the same way by the service and its clients. Needs kombu only.

The queues are split by trust and by latency: booking, evidence, admin and replies take messages from outside;
provision, notify and sweep take the service's own wake-up messages. RabbitMQ knows permissions for exchanges
and not for routing keys, so there each queue of trust has an exchange of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from kombu import Exchange, Queue

from booking_tasks.kit.broker_urls import is_amqp

#: The exchange of each queue on RabbitMQ. All are direct, and the routing key is the name of the queue.
EXCHANGES = {
    "booking": "booking.requests",
    "evidence": "booking.evidence",
    "admin": "booking.admin",
    "replies": "booking.replies",
    "provision": "booking.internal",
    "notify": "booking.internal",
    "sweep": "booking.internal",
}
QUEUES = tuple(EXCHANGES)
#: RabbitMQ's exchange of answers (direct; the routing key is the sender's address).
ANSWERS_EXCHANGE = "booking.answers"
#: RabbitMQ's exchange of events (topic; the routing key is the type of the event).
EVENTS_EXCHANGE = "booking.events"
#: RabbitMQ's exchange of dead messages (fanout), and the queue behind it.
DEAD_LETTERS = "booking.dead"

#: The transport of a client for each scheme of a RabbitMQ URL; workers have the guarded one.
AMQP_TRANSPORTS = {
    "amqp": "booking_tasks.kit.amqp_transport:ConfirmingTransport",
    "pyamqp": "booking_tasks.kit.amqp_transport:ConfirmingTransport",
    "amqps": "booking_tasks.kit.amqp_transport:ConfirmingTLSTransport",
}

#: The time-out of one exchange with the broker, in seconds.
BROKER_SECONDS = 5.0
_STALE_SECONDS = 0.5

SentT = TypeVar("SentT")

#: The default exchange, used on Redis: the routing key is the name of the queue, and there are no bindings.
#: (Celery replaces it by its own exchange unless `task_default_exchange` is empty too.)
_DEFAULT_EXCHANGE = Exchange("")


def declared_queue(name: str, broker_url: str) -> Queue:
    """Describe a durable queue under its name; on RabbitMQ it is replicated (a quorum queue).

    On RabbitMQ nothing is declared by using it, because the accounts may not: `declare_missing` of
    `kit/broker_topology.py` does that where an account may.
    """
    if not is_amqp(broker_url):
        return Queue(name, exchange=_DEFAULT_EXCHANGE, routing_key=name, durable=True)
    return Queue(
        name,
        exchange=Exchange(EXCHANGES[name], "direct", no_declare=True),
        routing_key=name,
        durable=True,
        queue_arguments={"x-queue-type": "quorum"},
        no_declare=True,
    )


def destination(queue: str, broker_url: str) -> dict[str, str]:
    """Return how Celery publishes to a queue.

    Celery replaces a direct exchange by the default exchange unless exchange and routing key are both named.
    """
    if not is_amqp(broker_url):
        return {"queue": queue}
    return {"queue": queue, "exchange": EXCHANGES[queue], "routing_key": queue}


def send_with_reconnect(send: Callable[[], SentT]) -> SentT:
    """Send over a connection that may be stale, for example after a restart of the broker.

    A stale connection fails at once, and a second try opens a new one. There is no second try when the first
    took long, because the caller must not wait twice for a broker that hangs.
    """
    began = time.monotonic()
    try:
        return send()
    except Exception:  # each transport has its own errors; the second try raises those that remain
        if time.monotonic() - began > _STALE_SECONDS:
            raise
    return send()


def declared_queues(broker_url: str) -> list[Queue]:
    """Describe all queues, for Celery's `task_queues`."""
    return [declared_queue(name, broker_url) for name in QUEUES]
