"""The client as another service has it; nothing else is imported, for tests/installed runs this file too."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from redis import Redis

from booking_tasks.client import BookingClient, NoAnswerError, NotSentError
from booking_tasks.contracts import PUBLIC, TASK_PREFIX, Outcome, UpsertUser, UserOutcome


def user(**fields: Any) -> UpsertUser:
    defaults = {"name": "Mira", "email": "mira@example.org", "time_zone": "Europe/Vienna"}
    return UpsertUser(message_id=uuid4(), actor="shop", user_id=UUID(int=1), **(defaults | fields))


@pytest.fixture
def client(broker: str) -> Iterator[BookingClient]:
    made = BookingClient(broker)
    yield made
    made.close()


@pytest.fixture
def redis(broker: str) -> Iterator[Any]:
    with Redis.from_url(broker) as connection:
        connection.delete("admin")
        yield connection


def sent(redis: Any) -> dict[str, Any]:
    """The one message that is in the queue."""
    (message,) = redis.lrange("admin", 0, -1)
    found: dict[str, Any] = json.loads(message)
    return found


def test_a_command_is_one_json_document_in_the_queue_of_its_contract(
    client: BookingClient, redis: Any
) -> None:
    command = user()
    client.send(command)

    message = sent(redis)
    body = json.loads(base64.b64decode(message["body"]))
    assert message["headers"]["task"] == TASK_PREFIX + "upsert_user"
    assert body[0] == []
    assert UpsertUser.model_validate(body[1]["request"]) == command


def test_the_outcome_is_the_answer_as_its_contract_has_it(client: BookingClient, redis: Any) -> None:
    receipt = client.send(user(), wait=True)
    id_ = sent(redis)["headers"]["id"]
    answer = {"result": "refused", "code": "conflict", "message": "the id was used with other content"}
    meta = {"task_id": id_, "status": "SUCCESS", "result": answer, "traceback": None, "children": []}
    redis.set(f"celery-task-meta-{id_}", json.dumps(meta))

    outcome = receipt.outcome(timeout=10)

    assert isinstance(outcome, UserOutcome)
    assert (outcome.result, outcome.code) == ("refused", "conflict")


def test_an_answer_that_does_not_come_is_an_error(client: BookingClient) -> None:
    with pytest.raises(NoAnswerError, match="upsert_user"):
        client.send(user(), wait=True).outcome(timeout=0.1)


def test_a_broker_that_refuses_connections_is_an_error_at_once() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # not listening: the port refuses
        client = BookingClient(f"redis://127.0.0.1:{listener.getsockname()[1]}/0")
        with pytest.raises(NotSentError, match="upsert_user"):
            client.send(user())
        client.close()


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"time_zone": "Europe/Wien"}, "time_zone"), ({"email": "mira"}, "email"), ({"nmae": "M"}, "nmae")],
)
def test_a_wrong_field_is_refused_before_anything_is_sent(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        user(**fields)

    assert [one["loc"] for one in refused.value.errors()] == [(field,)]


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_contract_has_a_schema_and_an_outcome(name: str) -> None:
    contract = PUBLIC[name]

    assert contract.task == name
    assert contract.model_json_schema()["type"] == "object"
    assert issubclass(contract.outcome, Outcome)
    assert contract.outcome(result="done").result == "done"
