"""A publish that RabbitMQ did not put into a queue is an error of the sender: worker, beat and client."""

from __future__ import annotations

from typing import Any

import pytest
from amqp.exceptions import NotFound
from celery import Celery
from kombu import Connection, Exchange, Queue

from booking_tasks.celery import TRANSPORTS
from booking_tasks.client import BookingClient, NotSentError
from booking_tasks.contracts import SearchSlots
from booking_tasks.kit.amqp_transport import MandatoryTasks, UnroutableError
from booking_tasks.kit.broker_topology import declare_missing
from booking_tasks.kit.queues import AMQP_TRANSPORTS
from tests.messages.raw import search

pytestmark = pytest.mark.rabbitmq

OPTIONS = {"confirm_publish": True}


@pytest.fixture(params=[TRANSPORTS["amqp"], AMQP_TRANSPORTS["amqp"]], ids=["worker", "client"])
def connection(request: pytest.FixtureRequest, rabbitmq: str) -> Any:
    with Connection(rabbitmq, transport=request.param, transport_options=OPTIONS) as made:
        yield made


def test_a_mandatory_message_without_a_queue_is_an_error_and_the_next_is_not(connection: Connection) -> None:
    producer = connection.Producer()
    connection.default_channel.queue_declare("here")

    with pytest.raises(UnroutableError, match="no queue of exchange '' takes 'nowhere'"):
        producer.publish("x", routing_key="nowhere", mandatory=True)

    producer.publish("x", routing_key="here", mandatory=True)
    assert connection.default_channel.queue_declare("here", passive=True).message_count == 1


def test_a_missing_exchange_is_an_error(connection: Connection) -> None:
    with pytest.raises(NotFound):
        connection.Producer().publish("x", exchange="nowhere", routing_key="a", mandatory=True)


def test_what_nobody_must_get_may_be_published_without_a_queue(connection: Connection) -> None:
    connection.default_channel.exchange_declare("news", "topic")

    connection.Producer().publish("x", exchange="news", routing_key="a")


def test_a_message_that_is_not_confirmed_in_time_is_an_error_and_its_connection_ends(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue without a majority of its nodes, or a broker short of memory, confirms nothing."""
    channel = connection.default_channel
    monkeypatch.setattr(channel, "confirm_select", lambda: None)  # nothing will be confirmed

    with pytest.raises(TimeoutError):
        connection.Producer().publish("x", routing_key="nowhere", confirm_timeout=0.2)

    assert channel.connection is None


def test_every_task_is_sent_as_mandatory(rabbitmq: str) -> None:
    queue = Queue(
        "shop", exchange=Exchange("shop", "direct", no_declare=True), routing_key="shop", no_declare=True
    )
    with Celery(amqp=MandatoryTasks, set_as_current=False) as app:
        app.conf.update(
            broker_url=rabbitmq,
            broker_transport=AMQP_TRANSPORTS["amqp"],
            broker_transport_options=OPTIONS,
            task_queues=[queue],
        )
        with Connection(rabbitmq) as connection:
            connection.default_channel.exchange_declare("shop", "direct", durable=True, auto_delete=False)

        with pytest.raises(UnroutableError):
            app.send_task("any", queue="shop", exchange="shop", routing_key="shop", retry=False)


@pytest.mark.parametrize("wait", [False, True])
def test_a_client_learns_that_the_queue_of_its_message_is_gone(rabbitmq: str, wait: bool) -> None:
    client, question = BookingClient(rabbitmq), SearchSlots.model_validate(search())
    with Connection(rabbitmq) as connection:
        declare_missing(connection.connection)
        client.send(question, wait=wait)

        connection.default_channel.queue_delete("booking")

        with pytest.raises(NotSentError, match=r"no queue of exchange 'booking\.requests' takes 'booking'"):
            client.send(question, wait=wait)
    client.close()
