"""The state of a broker from outside: whether it answers, its access and its queue lengths."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from booking_tasks.kit.queues import QUEUES, declared_queue

#: The key in which kombu's Redis transport keeps messages that workers took and did not acknowledge yet.
UNACKNOWLEDGED = "unacked"


def without_password(url: str) -> str:
    """Return the address without its password."""
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{user}{parts.hostname}{port}{parts.path}"


def is_redis(url: str) -> bool:
    """Whether the address is of a Redis, with or without TLS."""
    return url.startswith(("redis://", "rediss://"))


def ping(url: str, seconds: float) -> None:
    """Return after the broker has answered. Raises the client's own error when it does not in time."""
    if is_redis(url):
        with _redis(url, seconds) as client:
            client.ping()
        return
    with _rabbitmq(url, seconds):
        return


def queue_lengths(url: str, seconds: float) -> dict[str, int]:
    """Return the length of each queue and, on Redis, the unacknowledged messages. Raises as `ping` does.

    A queue that RabbitMQ does not have is left out: nothing has declared it yet.
    """
    if is_redis(url):
        with _redis(url, seconds) as client:
            lengths = {name: int(client.llen(name)) for name in QUEUES}
            return lengths | {"unacknowledged": int(client.hlen(UNACKNOWLEDGED))}
    from amqp.exceptions import NotFound

    found = {}
    with _rabbitmq(url, seconds) as connection:
        for name in QUEUES:
            with suppress(NotFound), connection.channel() as channel:
                counted = declared_queue(name, url)(channel).queue_declare(passive=True)
                found[name] = int(counted.message_count)
    return found


@contextmanager
def _rabbitmq(url: str, seconds: float) -> Iterator[Any]:
    """Connect to RabbitMQ; each exchange with it has the time-out."""
    from kombu import Connection

    options = {"read_timeout": seconds, "write_timeout": seconds}
    with Connection(url, connect_timeout=seconds, transport_options=options) as connection:
        connection.ensure_connection(max_retries=1, timeout=seconds)
        yield connection


def is_open(url: str, seconds: float) -> bool:
    """Whether the broker needs no secret: a Redis without a password, or RabbitMQ's known guest account."""
    parts = urlsplit(url)
    if not is_redis(url):
        return (parts.username, parts.password) in {(None, None), ("guest", "guest")}
    import redis

    anonymous = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    try:
        ping(anonymous, seconds)
    except (redis.AuthenticationError, redis.ResponseError):
        return False
    return True


def eviction(url: str, seconds: float) -> str | None:
    """Return the eviction policy of a Redis, or None when this account may not read it."""
    import redis

    try:
        with _redis(url, seconds) as client:
            policy: str | None = client.info("memory").get("maxmemory_policy")
            return policy
    except redis.ResponseError:
        return None  # the account of a worker may not


def _redis(url: str, seconds: float) -> Any:
    import redis

    return redis.Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds)
