"""RabbitMQ's exchanges, queues and bindings, declared where they are missing. Needs kombu only.

A deployment loads them with its accounts from the definitions of `booking-tasks secrets`; then nothing is
missing and no account may declare anything. On a broker without definitions, the first worker declares them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amqp.exceptions import AccessRefused, NotFound

from booking_tasks.kit.errors import BookingTasksError
from booking_tasks.kit.queues import ANSWERS_EXCHANGE, DEAD_LETTERS, EVENTS_EXCHANGE, EXCHANGES

#: How often RabbitMQ delivers one message before it is dead: more often than a message goes back to its queue
#: while the database is away (once a minute) for an hour and a half.
DELIVERY_LIMIT = 100

#: Each exchange with its type.
EXCHANGE_TYPES = {
    **dict.fromkeys(EXCHANGES.values(), "direct"),
    ANSWERS_EXCHANGE: "direct",
    EVENTS_EXCHANGE: "topic",
    DEAD_LETTERS: "fanout",
}
#: Each queue with its exchange and routing key.
BINDINGS = {
    **{queue: (exchange, queue) for queue, exchange in EXCHANGES.items()},
    DEAD_LETTERS: (DEAD_LETTERS, ""),
}


class IncompleteBrokerError(BookingTasksError):
    """An exchange or queue is missing on the broker, and this account may not declare it."""


def missing(connection: Any) -> tuple[list[str], list[str]]:
    """Return the exchanges and the queues that the broker does not have; any account may ask."""
    exchanges = [
        name for name, type_ in EXCHANGE_TYPES.items() if not _exists(connection, _find_exchange(name, type_))
    ]
    queues = [name for name in BINDINGS if not _exists(connection, _find_queue(name))]
    return exchanges, queues


def _find_exchange(name: str, type_: str) -> Callable[[Any], Any]:
    return lambda channel: channel.exchange_declare(name, type_, passive=True)


def _find_queue(name: str) -> Callable[[Any], Any]:
    return lambda channel: channel.queue_declare(name, passive=True)


def _exists(connection: Any, ask: Callable[[Any], Any]) -> bool:
    channel = connection.channel()
    try:
        ask(channel)
    except NotFound:  # the broker has closed the channel
        return False
    finally:
        channel.close()
    return True


def declare_missing(connection: Any) -> None:
    """Declare the exchanges and queues that the broker does not have, and bind each such queue.

    What exists stays as it is, whatever its arguments. Raises IncompleteBrokerError when the account may not.
    """
    exchanges, queues = missing(connection)
    if not exchanges and not queues:
        return
    channel = connection.channel()
    try:
        for name in exchanges:
            channel.exchange_declare(name, EXCHANGE_TYPES[name], durable=True, auto_delete=False)
        for name in queues:
            channel.queue_declare(name, durable=True, auto_delete=False, arguments=_arguments(name))
        for name, (exchange, key) in BINDINGS.items():
            if name in queues or exchange in exchanges:
                channel.queue_bind(name, exchange, key)
    except AccessRefused as error:
        names = ", ".join(dict.fromkeys([*exchanges, *queues]))
        raise IncompleteBrokerError(
            f"RabbitMQ lacks {names}, and this account may not declare them: load the definitions that"
            " booking-tasks secrets writes (rabbitmq_definitions.json)"
        ) from error
    finally:
        channel.close()


def _arguments(queue: str) -> dict[str, Any]:
    """Return the arguments of a queue: those that the policies of the definitions set otherwise."""
    quorum = {"x-queue-type": "quorum"}
    if queue == DEAD_LETTERS:
        return quorum
    return quorum | {
        "x-dead-letter-exchange": DEAD_LETTERS,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-delivery-limit": DELIVERY_LIMIT,
    }
