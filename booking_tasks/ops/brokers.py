"""What can be seen of a broker from outside: does it answer, to whom, and how long are the queues."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from booking_tasks.kit.queues import QUEUES, declared_queue

#: Where kombu's Redis transport keeps what workers took and did not acknowledge yet.
UNACKNOWLEDGED = "unacked"


def without_password(url: str) -> str:
    """The address as it may be shown."""
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{user}{parts.hostname}{port}{parts.path}"


def is_redis(url: str) -> bool:
    """Whether it is a Redis, with or without TLS."""
    return url.startswith(("redis://", "rediss://"))


def ping(url: str, seconds: float) -> None:
    """Return when it answered. Raises the client's own error when it did not in time."""
    if is_redis(url):
        with _redis(url, seconds) as client:
            client.ping()
        return
    from kombu import Connection

    with Connection(url, connect_timeout=seconds) as connection:
        connection.ensure_connection(max_retries=1, timeout=seconds)


def queue_lengths(url: str, seconds: float) -> dict[str, int]:
    """Messages waiting in each queue and, on Redis, those in workers' hands. Raises as `ping` does."""
    if is_redis(url):
        with _redis(url, seconds) as client:
            lengths = {name: int(client.llen(name)) for name in QUEUES}
            return lengths | {"in hand": int(client.hlen(UNACKNOWLEDGED))}
    from kombu import Connection

    with Connection(url, connect_timeout=seconds) as connection:
        connection.ensure_connection(max_retries=1, timeout=seconds)
        found = {}
        for name in QUEUES:
            with connection.channel() as channel:
                counted = declared_queue(name, url)(channel).queue_declare(passive=True)
                found[name] = int(counted.message_count)
        return found


def is_open(url: str, seconds: float) -> bool:
    """Whether anybody may come in: a Redis without a password, or RabbitMQ's well-known guest."""
    parts = urlsplit(url)
    if not is_redis(url):
        return (parts.username, parts.password) in {(None, None), ("guest", "guest")}
    import redis

    stranger = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    try:
        ping(stranger, seconds)
    except (redis.AuthenticationError, redis.ResponseError):
        return False
    return True


def eviction(url: str, seconds: float) -> str | None:
    """What a Redis does when its memory is full; None when it does not tell this account."""
    import redis

    try:
        with _redis(url, seconds) as client:
            policy: str | None = client.info("memory").get("maxmemory_policy")
            return policy
    except redis.ResponseError:
        return None  # a worker's account need not know


def _redis(url: str, seconds: float) -> Any:
    import redis

    return redis.Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds)
