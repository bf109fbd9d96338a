"""Whether this host's processes can do their work now: `booking-tasks ready`, and /readyz of the web process.

Liveness is another question (`booking-tasks health`): a supervisor restarts what is not alive, and a restart
does not bring a database back. A former primary or a full disk answers every query, so a write is tried.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from booking_tasks.kit.broker_urls import is_redis
from booking_tasks.kit.database_urls import libpq_url
from booking_tasks.kit.settings import Settings

#: The time-out of each exchange with a server, in seconds.
TIMEOUT = 3.0
#: It changes no row, and PostgreSQL refuses it where it would refuse a change. Every role that receives
#: messages may do it.
_WRITE = "UPDATE inbox SET attempts = attempts WHERE false"
#: What RabbitMQ says of an exchange that nobody has declared yet.
_NO_EXCHANGE = "NOT_FOUND - no exchange"


def failures(config: Settings, seconds: float = TIMEOUT) -> dict[str, str]:
    """Return what cannot be used now: database, broker or results, each with the reason in one line."""
    probes: dict[str, Callable[[], None]] = {
        "database": lambda: _write_to_database(config, seconds),
        "broker": lambda: write_to_broker(config.broker, seconds),
    }
    if config.results not in {None, config.broker}:
        probes["results"] = lambda: write_to_broker(str(config.results), seconds)
    found = {}
    for name, probe in probes.items():
        try:
            probe()
        except Exception as error:  # noqa: BLE001 - after any error the server counts as away
            found[name] = _reason(error)
    return found


def _reason(error: Exception) -> str:
    from booking_tasks.ops.database_failures import failure_line

    lines = str(error).strip().splitlines()
    line = failure_line(error) or (f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)
    if _NO_EXCHANGE in line:
        return f"{line}; load RabbitMQ's definitions, or start a worker, which declares what is missing"
    return line


def _write_to_database(config: Settings, seconds: float) -> None:
    from booking_tasks.kit.deadline_connection import DeadlineConnection
    from booking_tasks.kit.pooler import prepare_connection, session_settings
    from booking_tasks.ops.migrate import refuse_older_schema

    arguments: dict[str, Any] = {
        "connect_timeout": max(2, int(seconds)),
        "application_name": "booking-tasks ready",
    }
    with DeadlineConnection.connect(libpq_url(config.database_url), **arguments) as db:
        db.deadline_seconds = seconds
        prepare_connection(db, session_settings(config.statement_timeout, config.lock_timeout))
        db.execute(_WRITE)
        db.rollback()
    refuse_older_schema(config.database_url)


def write_to_broker(url: str, seconds: float) -> None:
    """Return after the broker has taken a message that nobody reads. Raises the client's own error."""
    if is_redis(url):
        _write_to_redis(url, seconds)
    else:
        _write_to_rabbitmq(url, seconds)


def _write_to_redis(url: str, seconds: float) -> None:
    """Store a key that expires at once, under the name of a result, which workers may write."""
    import redis

    options: dict[str, Any] = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    with redis.Redis.from_url(url, **options) as client:
        client.set(f"celery-task-meta-ready-{uuid4()}", "", ex=1)


def _write_to_rabbitmq(url: str, seconds: float) -> None:
    """Publish to an exchange of ours under a key that no queue has; RabbitMQ confirms it and drops it."""
    from kombu import Connection

    from booking_tasks.kit.queues import EXCHANGES

    options = {"confirm_publish": True, "read_timeout": seconds, "write_timeout": seconds}
    with Connection(url, connect_timeout=seconds, transport_options=options) as connection:
        connection.ensure_connection(max_retries=1, timeout=seconds)
        with connection.channel() as channel:
            channel.basic_publish(
                channel.prepare_message(b""),
                exchange=EXCHANGES["sweep"],
                routing_key="ready",
                timeout=seconds,
            )
