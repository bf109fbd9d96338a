"""The broker's queues, declared alike by the service and its clients. Needs kombu only.

Few, by trust and by latency: booking, evidence, admin and replies are for messages from outside; provision,
notify and sweep are rung by the service itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from kombu import Exchange, Queue

QUEUES = ("booking", "evidence", "admin", "replies", "provision", "notify", "sweep")

#: The longest that one exchange with the broker may take, in seconds.
BROKER_SECONDS = 5.0
_AT_ONCE = 0.5

SentT = TypeVar("SentT")

#: The broker's default exchange: a routing key is a queue's name, and no table of bindings says otherwise.
#: (Celery puts its own in its place unless `task_default_exchange` is empty too.)
_EXCHANGE = Exchange("")


def declared_queue(name: str, broker_url: str) -> Queue:
    """A durable queue under its own name; replicated (quorum) where the broker is RabbitMQ."""
    replicated = broker_url.startswith(("amqp", "pyamqp"))
    arguments: dict[str, Any] | None = {"x-queue-type": "quorum"} if replicated else None
    return Queue(name, exchange=_EXCHANGE, routing_key=name, durable=True, queue_arguments=arguments)


def send_with_reconnect(send: Callable[[], SentT]) -> SentT:
    """Send over a connection that may have gone stale since it was last used, as after a broker's restart.

    That shows at once, and one more try makes a new connection. A broker that only hangs is not
    waited for twice: whoever sends holds work that must not wait.
    """
    began = time.monotonic()
    try:
        return send()
    except Exception:  # each transport has errors of its own; the second try raises what remains
        if time.monotonic() - began > _AT_ONCE:
            raise
    return send()


def declared_queues(broker_url: str) -> list[Queue]:
    """All of them, for Celery's `task_queues`."""
    return [declared_queue(name, broker_url) for name in QUEUES]
