"""Kombu's Redis transport with one difference: what is taken from a list is an envelope made here.

Kombu parses the element, reads its properties and its body, and believes what it says about delivery,
before any code of ours could look. So the client under it hands over elements that are sound already.
docs/decisions/0009-guard-at-the-channel.md says why it is done here.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import redis
from kombu.transport.redis import Channel as RedisChannel
from kombu.transport.redis import QoS
from kombu.transport.redis import Transport as RedisTransport

from booking_tasks.guard.envelope import stamped


class GuardedRedis(redis.Redis):
    """A client whose BRPOP returns sound envelopes; everything else is as it was."""

    def parse_response(self, connection: Any, command_name: str | bytes, **options: Any) -> Any:
        response = super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call]
        if command_name == "BRPOP" and response:
            key, element = response
            # The other lists of a queue, for priorities, are named with a separator and a number.
            queue = key.decode(errors="replace").rsplit(RedisChannel.sep, 1)[0]
            return key, stamped(element, queue, str(uuid4()))
        return response


class QoSThatReleasesFailedAcks(QoS):
    """Unacknowledged messages, of which one does not stay in hand because its acknowledgement failed.

    kombu keeps it then, and it takes a place of the prefetch for good: when the broker goes away while every
    slot is at work, none is left, the worker asks for nothing more, and so it never hears that its
    connection is gone. The broker gives the message out again after its visibility time-out.
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
    """Consumes through the guarded client."""

    QoS = QoSThatReleasesFailedAcks

    def _get_client(self) -> type[redis.Redis]:
        super()._get_client()  # refuses versions of redis-py that kombu cannot work with
        return GuardedRedis


class Transport(RedisTransport):
    """redis:// and rediss://"""

    Channel = Channel
