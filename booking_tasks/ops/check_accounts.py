"""The checks of RabbitMQ's accounts: who comes in, and what the account in use may publish to.

A message is sent to each direct exchange under a key that no queue is bound with, so nobody receives it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from booking_tasks.kit.broker_topology import EXCHANGE_TYPES, missing
from booking_tasks.kit.queues import ANSWERS_EXCHANGE, DEAD_LETTERS
from booking_tasks.ops.findings import Finding, State

_CHECK = "accounts"
_LOAD = "load the rabbitmq_definitions.json of booking-tasks secrets, and use its accounts"
_SENT_TO_ALL = "the default exchange, which reaches every queue"


def rabbitmq_accounts(url: str, seconds: float) -> Iterator[Finding]:
    """Check the accounts of a RabbitMQ that answers, and what its account of this address may do."""
    if _can_guest_log_in(url, seconds):
        seen = "the account guest comes in with its known password"
        yield Finding(_CHECK, State.WARNING, seen, f"delete it (rabbitmqctl delete_user guest); {_LOAD}")
    with _connected(url, seconds) as connection:
        exchanges, _ = missing(connection.connection)
        if exchanges:
            seen = f"the broker has no exchange {', '.join(exchanges)}"
            remedy = f"{_LOAD}, or start a worker whose account may declare them"
            yield Finding(_CHECK, State.WARNING, seen, remedy)
        yield _rights(connection.connection, urlsplit(url).username or "guest", set(exchanges))
        if DEAD_LETTERS not in exchanges:
            yield from _dead_letters(connection.connection)


def _rights(connection: Any, account: str, without: set[str]) -> Finding:
    direct = [name for name, type_ in EXCHANGE_TYPES.items() if type_ == "direct" and name not in without]
    allowed = [name for name in direct if _can_publish(connection, name)]
    if _can_publish(connection, ""):
        seen = f"{account} may publish to {_SENT_TO_ALL}"
        return Finding(_CHECK, State.WARNING, seen, _LOAD)
    trusts = set(allowed) - {ANSWERS_EXCHANGE}
    seen = f"{account} may publish to {', '.join(allowed) or 'none of the service'}"
    if len(trusts) > 1:
        return Finding(_CHECK, State.WARNING, f"{seen}: one account for several trusts", _LOAD)
    return Finding(_CHECK, State.OK, seen)


def _can_publish(connection: Any, exchange: str) -> bool:
    from amqp import Message
    from amqp.exceptions import AccessRefused

    channel = connection.channel()
    try:
        channel.basic_publish_confirm(Message(""), exchange, f"check.{uuid4()}")
    except AccessRefused:
        return False
    finally:
        channel.close()
    return True


def _dead_letters(connection: Any) -> Iterator[Finding]:
    channel = connection.channel()
    try:
        count = channel.queue_declare(DEAD_LETTERS, passive=True).message_count
    finally:
        channel.close()
    if count:
        seen = f"{count} messages in {DEAD_LETTERS}: they went back to their queues too often"
        yield Finding(
            _CHECK, State.WARNING, seen, "read them on the management page; their senders send again"
        )


def _can_guest_log_in(url: str, seconds: float) -> bool:
    from amqp.exceptions import AccessRefused, NotAllowed

    parts = urlsplit(url)
    guest = parts._replace(netloc=f"guest:guest@{parts.netloc.rpartition('@')[2]}").geturl()
    try:
        _connected(guest, seconds).release()
    except AccessRefused:
        return False
    except NotAllowed:  # the password was right, and the virtual host is another's
        return True
    return True


def _connected(url: str, seconds: float) -> Any:
    from kombu import Connection

    options = {"read_timeout": seconds, "write_timeout": seconds}
    connection = Connection(url, connect_timeout=seconds, transport_options=options)
    connection.ensure_connection(max_retries=1, timeout=seconds)
    return connection
