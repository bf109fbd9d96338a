"""The broker's queues, declared alike by the service and its clients. Needs kombu only.

Few, by trust and by latency: booking, evidence and admin are for messages from outside; provision,
notify and sweep are rung by the service itself.
"""

from __future__ import annotations

from typing import Any

from kombu import Exchange, Queue

QUEUES = ("booking", "evidence", "admin", "provision", "notify", "sweep")

_EXCHANGE = Exchange("booking_tasks", type="direct", durable=True)


def declared_queue(name: str, broker_url: str) -> Queue:
    """A durable queue under its own routing key; replicated (quorum) where the broker is RabbitMQ."""
    replicated = broker_url.startswith(("amqp", "pyamqp"))
    arguments: dict[str, Any] | None = {"x-queue-type": "quorum"} if replicated else None
    return Queue(name, exchange=_EXCHANGE, routing_key=name, durable=True, queue_arguments=arguments)


def declared_queues(broker_url: str) -> list[Queue]:
    """All of them, for Celery's `task_queues`."""
    return [declared_queue(name, broker_url) for name in QUEUES]
