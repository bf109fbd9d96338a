"""The brokers' addresses by their schemes."""

from __future__ import annotations


def is_amqp(url: str) -> bool:
    """Whether the address is of a RabbitMQ, with or without TLS."""
    return url.startswith(("amqp://", "amqps://", "pyamqp://"))


def is_redis(url: str) -> bool:
    """Whether the address is of a Redis, with or without TLS."""
    return url.startswith(("redis://", "rediss://"))
