"""The RabbitMQ of the tests: accounts, lost connections, loss of power, and no process left behind."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import amqp
import pytest
from kombu import Connection, Queue

from booking_tasks.ops.servers import wait_until
from tests.rabbitmq_server import RabbitMQ

pytestmark = pytest.mark.rabbitmq

DURABLE = Queue("kept", durable=True, queue_arguments={"x-queue-type": "quorum"})


def _send(url: str, body: str) -> None:
    with Connection(url, transport_options={"confirm_publish": True}) as connection:
        DURABLE(connection.default_channel).declare()
        connection.Producer().publish(body, routing_key="kept")


def _received(url: str) -> str:
    """The next message. A node that has just started may not have elected the queue's leader yet (541)."""
    found: list[str] = []

    def has_come() -> bool:
        with suppress(amqp.AMQPError), Connection(url) as connection:
            message = DURABLE(connection.default_channel).get(no_ack=True)
            found.extend([] if message is None else [message.payload])
        return found != []

    wait_until(has_come, "a message", 120)
    return found[0]


def test_an_account_may_do_only_what_its_permissions_allow(rabbitmq_server: RabbitMQ, rabbitmq: str) -> None:
    host = rabbitmq.rpartition("/")[2]
    url = rabbitmq_server.add_user("shop", "secret", host, configure="^mine$", write="^mine$", read="^$")

    with Connection(url) as connection:
        connection.default_channel.queue_declare("mine")
        with pytest.raises(amqp.AccessRefused):
            connection.default_channel.queue_declare("others")


def test_each_test_has_an_empty_virtual_host(rabbitmq_server: RabbitMQ, rabbitmq: str) -> None:
    _send(rabbitmq, "here")

    with (
        rabbitmq_server.virtual_host() as other,
        Connection(other) as connection,
        pytest.raises(amqp.NotFound),
    ):
        connection.default_channel.queue_declare("kept", passive=True)

    assert _received(rabbitmq) == "here"


def test_closing_all_connections_breaks_those_that_are_open(rabbitmq_server: RabbitMQ, rabbitmq: str) -> None:
    with Connection(rabbitmq) as connection:
        connection.default_channel.queue_declare("any")

        rabbitmq_server.close_all_connections()

        with pytest.raises(connection.recoverable_connection_errors):
            connection.drain_events(timeout=30)


def test_a_killed_node_keeps_its_messages_and_leaves_no_process(tmp_path: Path) -> None:
    with RabbitMQ(tmp_path) as server:
        assert server.process is not None
        groups = [server.process.pid]
        _send(server.url(), "kept")
        server.write_to_disk()
        server.kill()
        server.start()
        groups.append(server.process.pid)
        assert _received(server.url()) == "kept"
        mapper = server._mapper
        assert mapper is not None
        assert mapper.process is not None
        groups.append(mapper.process.pid)

    for group in groups:
        with pytest.raises(ProcessLookupError):
            os.killpg(group, 0)
