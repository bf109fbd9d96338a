"""Kombu's Redis transport, whose client rebuilds every envelope before kombu reads it.

Kombu parses a list element and trusts what its properties say about delivery before any code of this package
runs. Therefore the Redis client below kombu returns only envelopes that the guard has checked and rebuilt.
docs/decisions/0009-guard-at-the-channel.md has the reasons.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import redis
from kombu.transport.redis import Channel as RedisChannel
from kombu.transport.redis import QoS
from kombu.transport.redis import Transport as RedisTransport

from booking_tasks.guard.envelope import clean_envelope


class GuardedRedis(redis.Redis):
    """A Redis client whose BRPOP returns rebuilt envelopes; every other command is unchanged."""

    def parse_response(self, connection: Any, command_name: str | bytes, **options: Any) -> Any:
        response = super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call]
        if command_name == "BRPOP" and response:
            key, element = response
            # A queue's lists for other priorities have its name, a separator and a number.
            queue = key.decode(errors="replace").rsplit(RedisChannel.sep, 1)[0]
            return key, clean_envelope(element, queue, str(uuid4()))
        return response


class QoSThatReleasesFailedAcks(QoS):
    """The list of unacknowledged messages, which drops a message also when its acknowledgement fails.

    Kombu would keep such a message, and it would occupy a place of the prefetch for good. When the broker
    goes away while every slot is busy, no place would be left: the worker would stop reading and would never
    notice that its connection is gone. The broker delivers the message again after its visibility time-out.
    """

    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)
        finally:
            self._quick_ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        try:
            super().reject(delivery_tag, requeue=requeue)
        finally:
            self._quick_ack(delivery_tag)


class Channel(RedisChannel):
    """A channel that consumes through the guarded client."""

    QoS = QoSThatReleasesFailedAcks

    def _get_client(self) -> type[redis.Redis]:
        super()._get_client()  # refuses versions of redis-py that kombu cannot work with
        return GuardedRedis


class Transport(RedisTransport):
    """The transport for redis:// and rediss:// addresses."""

    Channel = Channel
