"""The broker's queues, declared in the same way by the service and its clients. Needs kombu only.

The queues are split by trust and by latency: booking, evidence, admin and replies take messages from outside;
provision, notify and sweep take the service's own wake-up messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from kombu import Exchange, Queue

QUEUES = ("booking", "evidence", "admin", "replies", "provision", "notify", "sweep")

#: The time-out of one exchange with the broker, in seconds.
BROKER_SECONDS = 5.0
_STALE_SECONDS = 0.5

SentT = TypeVar("SentT")

#: The broker's default exchange: the routing key is the name of the queue, and there are no bindings.
#: (Celery replaces it by its own exchange unless `task_default_exchange` is empty too.)
_EXCHANGE = Exchange("")


def declared_queue(name: str, broker_url: str) -> Queue:
    """Declare a durable queue under its name; on RabbitMQ it is replicated (a quorum queue)."""
    replicated = broker_url.startswith(("amqp", "pyamqp"))
    arguments: dict[str, Any] | None = {"x-queue-type": "quorum"} if replicated else None
    return Queue(name, exchange=_EXCHANGE, routing_key=name, durable=True, queue_arguments=arguments)


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
    """Declare all queues, for Celery's `task_queues`."""
    return [declared_queue(name, broker_url) for name in QUEUES]
