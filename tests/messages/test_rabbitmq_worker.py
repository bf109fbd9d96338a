"""A worker on RabbitMQ gets every hostile message at once: each is a dead letter, the neighbours run."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import amqp
import pytest

from booking_tasks.client import BookingClient
from booking_tasks.contracts import SearchSlots
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import ServiceProcess
from tests.accounts import as_superuser
from tests.conftest import copied_database
from tests.messages.compressions import bomb
from tests.messages.conftest import QUEUES, started
from tests.messages.corpus import MESSAGES, TRUST
from tests.messages.property_frames import BODY, RawMessage, corpus, long, properties, sound_parts
from tests.messages.rabbitmq_worker import RawProducer
from tests.messages.raw import search
from tests.messages.running_worker import Rows
from tests.rabbitmq_server import RabbitMQ

pytestmark = [pytest.mark.rabbitmq, pytest.mark.stack, pytest.mark.timeout(900)]

#: Where RabbitMQ's messages have another first fault than the elements of Redis, which are text.
_OTHER_REASONS = {"pickle": "content-type must be application/json"}
_PATIENCE = 300


class Worker:
    """A worker of all queues on a virtual host of its own, with its database and a client."""

    def __init__(self, url: str, process: ServiceProcess, rows: Rows) -> None:
        self.url, self.process, self.rows = url, process, rows
        self.producer = RawProducer(url)
        self.client = BookingClient(url)

    def reasons(self) -> list[str]:
        return [str(one["reason"]) for one in self.rows("SELECT reason FROM dead_letters")]

    def close(self) -> None:
        self.client.close()
        self.producer.close()
        self.rows.close()


@pytest.fixture(scope="module")
def worker(
    rabbitmq_server: RabbitMQ, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    with rabbitmq_server.virtual_host() as url, copied_database(template) as database:
        settings = {"DATABASE_URL": database, "CELERY_BROKER_URL": url}
        folder = tmp_path_factory.mktemp("rabbitmq-worker")
        process = ServiceProcess("worker", folder, ["worker", "-Q", QUEUES, "-c", "2"], settings)
        try:
            started(process)
            running = Worker(url, process, Rows(as_superuser(database)))
            yield running
            running.close()
        finally:
            process.stop()


def _as_amqp(element: bytes) -> amqp.Message | None:
    """The same message as a client of RabbitMQ writes it; None where its protocol has no such thing."""
    envelope = json.loads(element)
    encoding = envelope.get("content-encoding")
    content_type = envelope.get("content-type")
    if not isinstance(content_type, str | None):
        return None
    return amqp.Message(
        base64.b64decode(envelope["body"]),
        content_type=content_type,
        content_encoding=encoding,
        application_headers=envelope["headers"],
    )


def _hostile() -> Iterator[tuple[str, str, amqp.Message, str]]:
    """Every message of both corpora: its name, queue, itself, and a part of the reason."""
    for name, (raw, reason) in corpus().items():
        yield name, "booking", RawMessage(raw), reason
    for name, (queue, element, reason) in (MESSAGES | TRUST).items():
        message = _as_amqp(element)
        if message is not None:
            yield name, queue, message, _OTHER_REASONS.get(name, reason)
    for compression in ("application/x-gzip", "application/x-bz2", "application/x-lzma"):
        raw = properties(**sound_parts("", ("compression", long(compression))))
        yield compression, "booking", RawMessage(raw, bomb(compression)), "compression is not accepted"
    yield (
        "large",
        "booking",
        RawMessage(properties(**sound_parts()), b" " * 1_000_000),
        "the body is larger than",
    )


def test_hostile_messages_are_dead_letters_and_their_neighbours_are_answered(worker: Worker) -> None:
    question = SearchSlots.model_validate(search())
    expected: list[tuple[str, str]] = []
    receipts: list[Any] = []
    for name, queue, message, reason in _hostile():
        if worker.producer.send(message, queue):
            expected.append((name, reason))
        if len(expected) % 10 == 0:
            receipts.append(worker.client.send(question, wait=True))
    assert len(expected) > 80

    assert {one.outcome(timeout=_PATIENCE).result for one in receipts} == {"refused"}
    wait_until(lambda: len(worker.reasons()) >= len(expected), "every dead letter", _PATIENCE)

    reasons = worker.reasons()
    assert [name for name, part in expected if not any(part in one for one in reasons)] == []
    assert len(reasons) == len(expected)
    assert worker.process.running
    log = worker.process.log.read_text()
    assert "Unrecoverable" not in log
    assert "onnection to broker lost" not in log


def test_a_sound_message_of_raw_bytes_is_answered_as_well(worker: Worker) -> None:
    before = len(worker.reasons())

    assert worker.producer.send(RawMessage(properties(**sound_parts()), BODY), "booking")
    answer = worker.client.send(SearchSlots.model_validate(search()), wait=True).outcome(timeout=_PATIENCE)

    assert answer.result == "refused"
    assert len(worker.reasons()) == before


def test_a_worker_that_may_not_declare_what_is_missing_ends_with_the_remedy(
    rabbitmq_server: RabbitMQ, rabbitmq: str, own_database: str, tmp_path: Path
) -> None:
    host = rabbitmq.rpartition("/")[2]
    url = rabbitmq_server.add_user("alone", "secret", host, configure="^$", write="^booking", read="^booking")
    process = ServiceProcess(
        "worker", tmp_path, ["worker", "-Q", QUEUES], {"DATABASE_URL": own_database, "CELERY_BROKER_URL": url}
    )
    try:
        wait_until(lambda: not process.running, "the end of the worker", _PATIENCE)
    finally:
        process.stop()

    [line] = [one for one in process.log.read_text().splitlines() if "broker.incomplete" in one]
    assert "RabbitMQ lacks booking.requests" in line
    assert "load the definitions that booking-tasks secrets writes" in line
    assert "secret@" not in process.log.read_text()
