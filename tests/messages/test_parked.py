"""A message of an unknown task is parked whole, and a release that has the task runs it."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from booking_tasks.celery import app
from booking_tasks.guard import store
from booking_tasks.guard.tasks import park_message, run_parked
from booking_tasks.kit.database import transaction
from booking_tasks.models import ConsultationRequest, DeadLetter, InboxMessage, ParkedMessage
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import ServiceProcess
from booking_tasks.retention import store as retention
from tests import builders
from tests.conftest import valkey_url
from tests.messages.conftest import QUEUES, started
from tests.messages.raw import PREFIX, element, submit
from tests.messages.running_worker import RunningWorker

SUBMIT = PREFIX + "submit_request"


@pytest.fixture
def service_type(own_database: str, valkey: str) -> UUID:
    app.loader.import_default_modules()  # as a worker does: run_parked looks for tasks by name
    with transaction() as db:
        return builders.service_type(db).id


def _rows(model: type[Any]) -> list[Any]:
    with transaction() as db:
        return list(db.scalars(select(model)))


@pytest.mark.stack
@pytest.mark.parametrize(
    ("queue", "task"),
    [
        ("booking", "booking_tasks.v2.submit_request"),
        ("admin", "booking_tasks.v1.merge_users"),
        ("notify", "booking_tasks.v1.send_survey"),
    ],
)
def test_a_task_or_version_of_another_release_is_parked_whole_and_once(
    running_worker: RunningWorker, queue: str, task: str
) -> None:
    running_worker.forget()
    arguments = {"request": submit()}
    for _ in range(2):
        running_worker.push(queue, element(task, [[], arguments, {}]))

    assert running_worker.answers_a_good_message()
    running_worker.wait_for_empty_queues()
    running_worker.wait_until_nothing_is_held()
    (parked,) = running_worker.parked()
    assert (parked["task"], parked["queue"], parked["arguments"]) == (task, queue, arguments)
    assert running_worker.dead_letters() == []
    assert "secret" not in running_worker.worker.log.read_text()


@pytest.mark.stack
def test_what_a_worker_of_the_release_before_took_is_run_by_the_one_after(
    own_database: str, service_type: UUID, valkey: str, tmp_path: Path
) -> None:
    broker = valkey_url(valkey, 7)  # not the one of `post`, whose worker may still run
    worker = ServiceProcess(
        "earlier",
        tmp_path,
        ["worker", "-Q", QUEUES, "-P", "solo"],
        {"DATABASE_URL": own_database, "REDIS_URL": broker},
        (sys.executable, "-m", "celery", "-A", "tests.messages.earlier_release"),
    )
    earlier = RunningWorker(broker, own_database, worker, 1)
    try:
        started(worker)
        command = submit() | {"service_type_id": str(service_type)}
        earlier.push("booking", element(SUBMIT, [[], {"request": command}, {}]))
        wait_until(lambda: len(earlier.parked()) == 1, "the message parked")
        assert earlier.answers_a_good_message()
    finally:
        worker.stop()
        earlier.close()

    assert run_parked() == 1

    assert [str(one.id) for one in _rows(ConsultationRequest)] == [command["request_id"]]
    assert _rows(ParkedMessage) == _rows(DeadLetter) == []
    assert run_parked() == 0


def test_a_parked_message_of_the_wrong_queue_becomes_a_dead_letter(service_type: UUID) -> None:
    park_message(SUBMIT, "evidence", {"request": submit()})

    assert run_parked() == 1

    (dead_letter,) = _rows(DeadLetter)
    assert (dead_letter.entry_point, dead_letter.reason) == (
        "evidence",
        "this task is taken from the queue booking only",
    )
    assert "secret" not in str(dead_letter.payload)
    assert _rows(ParkedMessage) == _rows(InboxMessage) == []


def test_a_parked_message_with_wrong_arguments_becomes_a_dead_letter(service_type: UUID) -> None:
    park_message(SUBMIT, "booking", {"request": submit(), "force": True})

    assert run_parked() == 1

    assert "keyword arguments" in _rows(DeadLetter)[0].reason
    assert _rows(ParkedMessage) == []


def test_a_parked_message_that_fails_stays_until_it_is_settled(
    service_type: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    park_message(SUBMIT, "booking", {"request": submit() | {"service_type_id": str(service_type)}})
    with monkeypatch.context() as broken:
        broken.setattr(app.tasks[SUBMIT], "run", _fails)
        assert run_parked() == 1
    assert len(_rows(ParkedMessage)) == 1

    assert run_parked() == 1

    assert _rows(ParkedMessage) == []
    assert len(_rows(ConsultationRequest)) == 1


def _fails(request: Any = None) -> None:
    raise RuntimeError("the database went away")


def test_what_no_release_knows_yet_stays_parked(service_type: UUID) -> None:
    park_message("booking_tasks.v9.dance", "booking", {"request": {}})

    assert run_parked() == 0
    assert len(_rows(ParkedMessage)) == 1


def test_a_message_beyond_the_limit_becomes_a_dead_letter(
    service_type: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_PARKED", 2)
    for _ in range(3):
        park_message("booking_tasks.v9.dance", "booking", {"request": submit()})

    assert len(_rows(ParkedMessage)) == 2
    (dead_letter,) = _rows(DeadLetter)
    assert "2 messages are parked already" in dead_letter.reason
    assert "secret" not in str(dead_letter.payload)


def test_who_may_write_to_one_queue_cannot_fill_the_room_of_another(
    service_type: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_PARKED", 1)
    for _ in range(2):
        park_message("booking_tasks.v9.dance", "booking", {"request": submit()})
    park_message("booking_tasks.v9.dance", "admin", {"request": submit()})

    assert sorted(one.queue for one in _rows(ParkedMessage)) == ["admin", "booking"]
    assert [dead_letter.entry_point for dead_letter in _rows(DeadLetter)] == ["booking"]


def test_parked_messages_are_forgotten_by_age(service_type: UUID) -> None:
    park_message("booking_tasks.v9.dance", "booking", {"request": {}})
    with transaction() as db:
        row = db.scalars(select(ParkedMessage)).one()
        age = timedelta(days=1)
        assert retention.delete_parked_messages(db, age, 10) == 0
        row.received_at -= timedelta(days=2)
        db.flush()
        assert retention.delete_parked_messages(db, age, 10) == 1
