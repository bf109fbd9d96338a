"""`booking-tasks ready` on a real RabbitMQ, with the account of the shipped definitions."""

from __future__ import annotations

import pytest

from booking_tasks.ops.ready import write_to_broker
from booking_tasks.ops.secret_files import ACCESS, accounts_of, definitions_file
from tests.rabbitmq_server import RabbitMQ

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(600)]

#: More than a loaded machine takes; a broker that answers does so in milliseconds.
SECONDS = 60.0


@pytest.fixture(scope="module")
def worker(rabbitmq_server: RabbitMQ) -> str:
    """The URL of the account of workers, after the definitions were loaded."""
    template = (ACCESS / "rabbitmq.json").read_text()
    passwords = {account: f"password-of-{account}" for account in accounts_of(template)}
    rabbitmq_server.import_definitions(definitions_file(template, passwords))
    return rabbitmq_server.url("booking", "worker", passwords["worker"])


def test_the_account_of_workers_may_write_and_leaves_no_message(
    rabbitmq_server: RabbitMQ, worker: str
) -> None:
    write_to_broker(worker, SECONDS)

    messages = "[N || Q <- rabbit_amqqueue:list(), {messages, N} <- rabbit_amqqueue:info(Q, [messages])]"
    assert rabbitmq_server.evaluate(f"lists:sum({messages}).") == "0"


def test_a_wrong_password_is_refused(rabbitmq_server: RabbitMQ, worker: str) -> None:
    with pytest.raises(Exception, match=r"ACCESS_REFUSED|Access|refused"):
        write_to_broker(rabbitmq_server.url("booking", "worker", "another"), SECONDS)


def test_an_account_that_may_only_read_is_refused(rabbitmq_server: RabbitMQ, worker: str) -> None:
    reader = rabbitmq_server.add_user("reader", "word", "booking", "^$", "^$", ".*")

    with pytest.raises(Exception, match="ACCESS_REFUSED"):
        write_to_broker(reader, SECONDS)


def test_a_broker_without_the_exchanges_is_not_ready(rabbitmq_server: RabbitMQ, rabbitmq: str) -> None:
    with pytest.raises(Exception, match="NOT_FOUND"):
        write_to_broker(rabbitmq, SECONDS)


def test_a_broker_that_takes_no_messages_is_not_ready(rabbitmq_server: RabbitMQ, worker: str) -> None:
    """RabbitMQ reads nothing more from a connection that publishes while an alarm is set."""
    alarm = "{resource_limit, memory, node()}, []"
    rabbitmq_server.evaluate(f"rabbit_alarm:set_alarm({{{alarm}}}).")
    try:
        with pytest.raises(OSError):  # noqa: PT011 - a time-out has no text
            write_to_broker(worker, 2.0)
    finally:
        rabbitmq_server.evaluate("rabbit_alarm:clear_alarm({resource_limit, memory, node()}).")
    write_to_broker(worker, SECONDS)
