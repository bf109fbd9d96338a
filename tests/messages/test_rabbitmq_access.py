"""The permissions of each account of the shipped definitions on a real RabbitMQ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import amqp
import pytest
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError

from booking_tasks.kit.broker_topology import (
    BINDINGS,
    DELIVERY_LIMIT,
    EXCHANGE_TYPES,
    declare_missing,
    missing,
)
from booking_tasks.kit.queues import DEAD_LETTERS, EXCHANGES, QUEUES
from booking_tasks.ops.secret_files import ACCESS, accounts_of, write_secrets
from tests.messages.access import GuardedRabbitMQ
from tests.messages.broker_permissions import QUEUE_OF

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(600)]

ACCOUNTS = (*QUEUE_OF, "worker", "events", "operator")
#: Account -> the exchanges that it may publish to.
PUBLISH = {
    **{account: {EXCHANGES[queue]} for account, queue in QUEUE_OF.items()},
    "worker": {"booking.internal", "booking.answers", "booking.events"},
    "events": set(),
    "operator": set(),
}
#: Exchanges that every RabbitMQ has; "" is the default exchange, which reaches every queue by its name.
BUILT_IN = ("", "amq.direct", "amq.topic", "amq.fanout", "amq.headers")


@contextmanager
def connected(broker: GuardedRabbitMQ, account: str) -> Iterator[amqp.Connection]:
    url = urlsplit(broker.url_of(account))
    connection = amqp.Connection(
        f"{url.hostname}:{url.port}", url.username, url.password, virtual_host="booking", confirm_publish=True
    )
    with connection:
        yield connection


def attempt(connection: amqp.Connection, use: Callable[[amqp.Channel], Any]) -> str:
    """`ok`, or the name of the refusal."""
    channel = connection.channel()
    try:
        use(channel)
    except amqp.exceptions.AMQPError as refusal:
        return type(refusal).__name__
    finally:
        channel.close()
    return "ok"


def publish(exchange: str, key: str = "nowhere", **properties: Any) -> Callable[[amqp.Channel], Any]:
    return lambda channel: channel.basic_publish(amqp.Message("x", **properties), exchange, key)


def consume(queue: str) -> Callable[[amqp.Channel], Any]:
    return lambda channel: channel.basic_cancel(channel.basic_consume(queue))


def declare_queue(name: str, **arguments: Any) -> Callable[[amqp.Channel], Any]:
    return lambda channel: channel.queue_declare(name, durable=True, auto_delete=False, arguments=arguments)


def expected(allowed: set[str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: "ok" if name in allowed else "AccessRefused" for name in names}


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_publishes_to_its_own_exchanges_and_no_other(
    guarded_rabbitmq: GuardedRabbitMQ, account: str
) -> None:
    names = (*EXCHANGE_TYPES, *BUILT_IN)
    with connected(guarded_rabbitmq, account) as connection:
        seen = {name: attempt(connection, publish(name)) for name in names}

    assert seen == expected(PUBLISH[account], names)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_only_workers_consume_and_nobody_reads_the_dead_letters(
    guarded_rabbitmq: GuardedRabbitMQ, account: str
) -> None:
    names = (*QUEUES, DEAD_LETTERS)
    with connected(guarded_rabbitmq, account) as connection:
        seen = {name: attempt(connection, consume(name)) for name in names}

    assert seen == expected(set(QUEUES) if account == "worker" else set(), names)


def _changes(queues: tuple[str, ...], exchanges: tuple[str, ...]) -> dict[str, Callable[[amqp.Channel], Any]]:
    """Every way to change what belongs to the service."""
    changes: dict[str, Callable[[amqp.Channel], Any]] = {}
    for name in queues:
        changes |= {
            f"declare queue {name}": declare_queue(name),
            f"delete queue {name}": partial(amqp.Channel.queue_delete, queue=name),
        }
    for name in exchanges:
        changes |= {
            f"declare exchange {name}": partial(amqp.Channel.exchange_declare, exchange=name, type="direct"),
            f"delete exchange {name}": partial(amqp.Channel.exchange_delete, exchange=name),
        }
    for name in QUEUES:
        binding = {"queue": name, "exchange": EXCHANGES[name], "routing_key": name}
        changes |= {
            f"bind {name}": partial(amqp.Channel.queue_bind, **binding),
            f"unbind {name}": partial(amqp.Channel.queue_unbind, **binding),
        }
    return changes


@pytest.mark.parametrize("account", ACCOUNTS)
def test_no_account_configures_anything_of_the_service(
    guarded_rabbitmq: GuardedRabbitMQ, account: str
) -> None:
    queues, exchanges = (*QUEUES, DEAD_LETTERS, "another"), (*EXCHANGE_TYPES, "another")
    with connected(guarded_rabbitmq, account) as connection:
        seen = {what: attempt(connection, use) for what, use in _changes(queues, exchanges).items()}

    assert set(seen.values()) == {"AccessRefused"}


@pytest.mark.parametrize("account", ACCOUNTS)
def test_every_account_may_ask_what_exists(guarded_rabbitmq: GuardedRabbitMQ, account: str) -> None:
    with connected(guarded_rabbitmq, account) as connection:
        assert missing(connection) == ([], [])
        declare_missing(connection)


@pytest.mark.parametrize("account", QUEUE_OF)
def test_a_producer_declares_queues_for_its_own_answers_only(
    guarded_rabbitmq: GuardedRabbitMQ, account: str
) -> None:
    own, other = f"answers.{account}.{uuid4()}", f"answers.other.{uuid4()}"
    own_exchange = EXCHANGES[QUEUE_OF[account]]
    another_exchange = "booking.evidence" if own_exchange == "booking.admin" else "booking.admin"
    with connected(guarded_rabbitmq, account) as connection:
        seen = {
            "declare": attempt(connection, declare_queue(own, **{"x-expires": 600_000})),
            "bind": attempt(connection, lambda ch: ch.queue_bind(own, "booking.answers", own)),
            "consume": attempt(connection, consume(own)),
            "declare another's": attempt(connection, declare_queue(other)),
            "dead letters to admin": attempt(
                connection, declare_queue(f"{own}1", **{"x-dead-letter-exchange": another_exchange})
            ),
            "dead letters to any queue": attempt(
                connection, declare_queue(f"{own}2", **{"x-dead-letter-exchange": ""})
            ),
            "alternate exchange": attempt(
                connection,
                lambda ch: ch.exchange_declare(
                    own, "direct", arguments={"alternate-exchange": another_exchange}
                ),
            ),
            "answers into another exchange": attempt(
                connection, lambda ch: ch.exchange_bind(another_exchange, "booking.answers", own)
            ),
            "own queue to events": attempt(connection, lambda ch: ch.queue_bind(own, "booking.events", "#")),
            "own queue to requests": attempt(connection, lambda ch: ch.queue_bind(own, own_exchange, "x")),
        }

    assert [name for name, result in seen.items() if result == "ok"] == ["declare", "bind", "consume"]
    assert set(seen.values()) == {"ok", "AccessRefused"}


def test_a_producer_cannot_use_the_queue_of_anothers_answers(guarded_rabbitmq: GuardedRabbitMQ) -> None:
    queue = f"answers.producer-booking.{uuid4()}"
    with connected(guarded_rabbitmq, "producer-booking") as owner:
        owner.channel().queue_declare(queue, durable=True, auto_delete=False)
        for account in (*(set(QUEUE_OF) - {"producer-booking"}), "events", "operator", "worker"):
            with connected(guarded_rabbitmq, account) as other:
                uses = {
                    "consume": attempt(other, consume(queue)),
                    "get": attempt(other, lambda ch: ch.basic_get(queue)),
                    "purge": attempt(other, lambda ch: ch.queue_purge(queue)),
                    "delete": attempt(other, lambda ch: ch.queue_delete(queue)),
                    "bind": attempt(other, lambda ch: ch.queue_bind(queue, "booking.answers", "x")),
                }
                assert set(uses.values()) == {"AccessRefused"}, account


def test_the_broker_verifies_the_user_id_of_a_message(guarded_rabbitmq: GuardedRabbitMQ) -> None:
    with connected(guarded_rabbitmq, "producer-booking") as connection:
        own = attempt(connection, publish("booking.requests", "booking", user_id="producer-booking"))
        forged = attempt(connection, publish("booking.requests", "booking", user_id="producer-admin"))

    assert (own, forged) == ("ok", "PreconditionFailed")


def test_a_reader_of_events_binds_queues_of_its_own(guarded_rabbitmq: GuardedRabbitMQ) -> None:
    queue = f"events.{uuid4()}"
    with connected(guarded_rabbitmq, "events") as connection:
        assert attempt(connection, declare_queue(queue, **{"x-queue-type": "quorum"})) == "ok"
        assert attempt(connection, lambda ch: ch.queue_bind(queue, "booking.events", "#")) == "ok"
        assert attempt(connection, lambda ch: ch.queue_bind(queue, "booking.answers", "#")) == "AccessRefused"
        with connected(guarded_rabbitmq, "worker") as worker:
            assert attempt(worker, publish("booking.events", "booking.session.scheduled.v1")) == "ok"
        assert connection.channel().basic_get(queue, no_ack=True).body == "x"
        assert attempt(connection, lambda ch: ch.queue_delete(queue)) == "ok"


def test_nobody_comes_in_without_an_account(guarded_rabbitmq: GuardedRabbitMQ) -> None:
    for account, password in (
        ("guest", "guest"),
        ("worker", "guess"),
        (guarded_rabbitmq.account, guarded_rabbitmq.password),
    ):
        connection = amqp.Connection(
            f"127.0.0.1:{guarded_rabbitmq.port}", account, password, virtual_host="booking"
        )
        with pytest.raises(amqp.exceptions.AccessRefused):
            connection.connect()


def test_the_definitions_say_what_the_code_says() -> None:
    shipped = json.loads((ACCESS / "rabbitmq.json").read_text())

    assert {one["name"]: one["type"] for one in shipped["exchanges"]} == EXCHANGE_TYPES
    assert {one["name"] for one in shipped["queues"]} == set(BINDINGS)
    assert all(one["arguments"] == {"x-queue-type": "quorum"} for one in shipped["queues"])
    bound = {one["destination"]: (one["source"], one["routing_key"]) for one in shipped["bindings"]}
    assert bound == BINDINGS
    [messages] = [one for one in shipped["policies"] if one["name"] == "messages"]
    assert messages["pattern"] == f"^({'|'.join(QUEUES)})$"
    assert messages["definition"]["delivery-limit"] == DELIVERY_LIMIT
    assert messages["definition"]["dead-letter-exchange"] == DEAD_LETTERS
    assert [one["name"] for one in shipped["users"]] == list(ACCOUNTS)
    assert [one["user"] for one in shipped["permissions"]] == list(ACCOUNTS)


def test_every_account_has_a_password_of_its_own_and_only_its_hash_is_in_the_definitions(
    guarded_rabbitmq: GuardedRabbitMQ,
) -> None:
    assert accounts_of((ACCESS / "rabbitmq.json").read_text()) == sorted(ACCOUNTS)
    file = (guarded_rabbitmq.secrets / "rabbitmq_definitions.json").read_text()
    passwords = [path.read_text() for path in sorted(guarded_rabbitmq.secrets.glob("rabbitmq_*_password"))]
    hashes = {one["password_hash"] for one in json.loads(file)["users"]}

    assert len(hashes) == len(set(passwords)) == len(passwords) == len(ACCOUNTS)
    assert all(len(one) == 48 and one not in file for one in passwords)
    assert write_secrets(guarded_rabbitmq.secrets, rabbitmq=f"127.0.0.1:{guarded_rabbitmq.port}") == []


def test_an_ordinary_celery_app_names_exchange_and_routing_key(guarded_rabbitmq: GuardedRabbitMQ) -> None:
    url = guarded_rabbitmq.url_of("producer-booking")
    with Celery("shop", broker=url, set_as_current=False) as shop:
        shop.conf.broker_transport_options = {"confirm_publish": True}
        call = {"name": "booking_tasks.v1.x", "kwargs": {"request": {}}, "declare": [], "retry": False}
        shop.send_task(**call, exchange="booking.requests", routing_key="booking")
        with pytest.raises((OperationalError, amqp.exceptions.AccessRefused)):
            shop.send_task(**call, exchange="booking.admin", routing_key="admin")


def test_a_broker_without_definitions_gets_what_is_missing_once(rabbitmq: str) -> None:
    # A quorum queue has a message once the publish is confirmed, not before.
    with Connection(rabbitmq, transport_options={"confirm_publish": True}) as connection:
        assert missing(connection.connection) == (list(EXCHANGE_TYPES), list(BINDINGS))
        declare_missing(connection.connection)
        assert missing(connection.connection) == ([], [])
        declare_missing(connection.connection)
        for queue, (exchange, key) in BINDINGS.items():
            connection.default_channel.basic_publish(amqp.Message("x"), exchange, key, mandatory=True)
            assert connection.default_channel.basic_get(queue, no_ack=True) is not None, queue


@pytest.fixture(params=["policy of the definitions", "arguments of declared queues"])
def limited(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The URLs of a sender to the queue `replies` and of a reader of it and of the dead letters."""
    reading = {"configure": "^$", "write": "^$", "read": r"^(replies|booking\.dead)$"}
    if request.param == "policy of the definitions":
        guarded: GuardedRabbitMQ = request.getfixturevalue("guarded_rabbitmq")
        reader = guarded.add_user("reader", "secret", "booking", **reading)
        return guarded.url_of("producer-replies"), reader
    url: str = request.getfixturevalue("rabbitmq")
    with Connection(url) as connection:
        declare_missing(connection.connection)
    return url, url


def test_a_message_beyond_the_delivery_limit_is_one_dead_letter(limited: tuple[str, str]) -> None:
    sender, reader = limited
    with Connection(sender, transport_options={"confirm_publish": True}) as connection:
        message = amqp.Message("x", delivery_mode=2)
        connection.default_channel.basic_publish(message, "booking.replies", "replies", mandatory=True)
    deliveries: list[amqp.Message] = []
    dead: list[amqp.Message] = []
    with Connection(reader) as connection:
        channel = connection.default_channel

        def reject(message: amqp.Message) -> None:
            deliveries.append(message)
            channel.basic_reject(message.delivery_tag, requeue=True)

        channel.basic_consume("replies", callback=reject)
        channel.basic_consume(DEAD_LETTERS, callback=dead.append, no_ack=True)
        while not dead:
            connection.drain_events(timeout=60)
        left = {name: channel.queue_declare(name, passive=True)[1:] for name in ("replies", DEAD_LETTERS)}

    assert len(deliveries) == DELIVERY_LIMIT + 1
    assert [one.body for one in dead] == ["x"]
    [death] = dead[0].headers["x-death"]
    assert (death["queue"], death["reason"], death["count"]) == ("replies", "delivery_limit", 1)
    assert left == {"replies": (0, 1), DEAD_LETTERS: (0, 1)}  # no message, and this reader
