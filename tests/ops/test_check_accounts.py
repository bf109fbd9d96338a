"""`booking-tasks check` reports the accounts of a RabbitMQ."""

from __future__ import annotations

import amqp
import pytest
from kombu import Connection

from booking_tasks.kit.broker_topology import declare_missing
from booking_tasks.ops.check import findings
from booking_tasks.ops.check_accounts import rabbitmq_accounts
from booking_tasks.ops.findings import Finding
from tests.messages.access import GuardedRabbitMQ
from tests.rabbitmq_server import RabbitMQ

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(600)]


def accounts(url: str) -> list[Finding]:
    return list(rabbitmq_accounts(url, 30))


@pytest.mark.parametrize(
    ("account", "exchanges"),
    [
        ("producer-booking", "booking.requests"),
        ("producer-evidence", "booking.evidence"),
        ("producer-admin", "booking.admin"),
        ("producer-replies", "booking.replies"),
        ("worker", "booking.internal, booking.answers"),
        ("events", "none of the service"),
        ("operator", "none of the service"),
    ],
)
def test_a_shipped_account_has_its_own_rights(
    guarded_rabbitmq: GuardedRabbitMQ, account: str, exchanges: str
) -> None:
    [rights] = accounts(guarded_rabbitmq.url_of(account))

    assert (rights.state, rights.seen) == ("ok", f"{account} may publish to {exchanges}")


def test_nothing_is_sent_to_anybody(guarded_rabbitmq: GuardedRabbitMQ) -> None:
    with Connection(guarded_rabbitmq.url_of("worker")) as connection:
        channel = connection.default_channel
        before = {one: channel.queue_declare(one, passive=True).message_count for one in ("sweep", "admin")}
        accounts(guarded_rabbitmq.url_of("worker"))
        accounts(guarded_rabbitmq.url_of("producer-admin"))
        after = {one: channel.queue_declare(one, passive=True).message_count for one in ("sweep", "admin")}

    assert after == before


def test_an_account_that_reaches_every_queue_is_warned_of(rabbitmq: str) -> None:
    missing, rights = accounts(rabbitmq)
    assert (missing.state, rights.state) == ("warning", "warning")
    assert missing.seen.startswith("the broker has no exchange booking.requests, ")
    assert "may publish to the default exchange, which reaches every queue" in rights.seen
    assert "rabbitmq_definitions.json" in rights.remedy


def test_an_account_for_several_trusts_and_dead_messages_are_warned_of(
    rabbitmq: str, rabbitmq_server: RabbitMQ
) -> None:
    with Connection(rabbitmq) as connection:
        declare_missing(connection.connection)
        connection.default_channel.basic_publish(amqp.Message("x"), "booking.dead", "")
    host = rabbitmq.rpartition("/")[2]
    url = rabbitmq_server.add_user("mixed", "secret", host, "^$", r"^booking\.(requests|admin)$", "^$")

    rights, dead = accounts(url)

    assert (
        rights.seen == "mixed may publish to booking.requests, booking.admin: one account for several trusts"
    )
    assert (dead.state, dead.seen.split(":")[0]) == ("warning", "1 messages in booking.dead")


def test_the_known_account_guest_is_warned_of(rabbitmq: str, rabbitmq_server: RabbitMQ) -> None:
    host = rabbitmq.rpartition("/")[2]
    rabbitmq_server.add_user("guest", "guest", host, "^$", "^$", "^$")
    try:
        assert "the account guest comes in" in accounts(rabbitmq)[0].seen
    finally:
        rabbitmq_server.evaluate('rabbit_auth_backend_internal:delete_user(<<"guest">>, <<"tests">>).')


def test_the_command_shows_the_account(
    guarded_rabbitmq: GuardedRabbitMQ, own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("CELERY_BROKER_URL", guarded_rabbitmq.url_of("worker"))
    monkeypatch.setattr("booking_tasks.ops.check.TIMEOUT", 30.0)
    found = [one for one in findings() if one.check in {"broker", "accounts", "queues", "results"}]

    assert [(one.check, one.state) for one in found] == [
        ("broker", "ok"),
        ("accounts", "ok"),
        ("queues", "ok"),
    ]
    assert guarded_rabbitmq.url_of("worker") not in str(found)
