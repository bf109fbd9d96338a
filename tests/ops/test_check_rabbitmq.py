"""`check` on RabbitMQ: queues that nobody has declared yet are not a broker that is away."""

from __future__ import annotations

import pytest
from kombu import Connection

from booking_tasks.kit.queues import QUEUES
from booking_tasks.ops import check
from booking_tasks.ops.findings import State

pytestmark = pytest.mark.rabbitmq


def _finding(url: str, name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[State, str]:
    monkeypatch.setenv("CELERY_BROKER_URL", url)
    monkeypatch.setattr(check, "_CHECKS", {"broker": check._broker})
    found = next(one for one in check.findings() if one.check == name)
    return found.state, f"{found.seen}; {found.remedy}"


def test_queues_that_are_not_declared_yet_are_named(rabbitmq: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Connection(rabbitmq) as connection:
        for name in QUEUES[1:]:
            connection.default_channel.queue_declare(
                name, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"}
            )

    state, text = _finding(rabbitmq, "queues", monkeypatch)

    assert state == State.WARNING
    assert text.startswith(
        "the broker has no queue booking yet; load RabbitMQ's definitions, or start a worker"
    )
    assert _finding(rabbitmq, "broker", monkeypatch)[0] == State.OK


def test_a_broker_that_is_away_is_another_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    state, text = _finding("amqp://worker:secret@127.0.0.1:1/booking", "broker", monkeypatch)

    assert state == State.BROKEN
    assert "refused" in text


def test_the_lengths_of_declared_queues_are_counted(rabbitmq: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Connection(rabbitmq) as connection:
        for name in QUEUES:
            connection.default_channel.queue_declare(
                name, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"}
            )
        connection.Producer().publish("x", routing_key="notify")
        connection.default_channel.queue_declare("notify", passive=True)

    state, text = _finding(rabbitmq, "queues", monkeypatch)

    assert state == State.OK
    assert "notify 1" in text
