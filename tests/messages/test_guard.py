"""Each bad message becomes a dead letter with its reason, and the next good one is answered at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from celery import Celery

from booking_tasks.ops.servers import wait_until
from tests.messages.corpus import ENVELOPES, MESSAGES, TRUST
from tests.messages.raw import OUT, PREFIX, element, envelope, search, submit
from tests.messages.running_worker import RunningWorker

pytestmark = pytest.mark.stack

CORPUS = ENVELOPES | MESSAGES | TRUST


@pytest.mark.parametrize("name", CORPUS)
def test_a_bad_message_becomes_a_dead_letter_with_its_reason_and_the_next_one_runs(
    running_worker: RunningWorker, name: str
) -> None:
    queue, bad, reason = CORPUS[name]

    dead_letter = running_worker.dead_letter_for(queue, bad)

    assert reason in dead_letter["reason"]
    assert dead_letter["entry_point"] == queue
    assert running_worker.answers_a_good_message()
    running_worker.wait_until_nothing_is_held()


def test_the_worker_is_the_one_that_was_started(running_worker: RunningWorker) -> None:
    running_worker.forget()
    for queue, bad, _ in CORPUS.values():
        running_worker.push(queue, bad)

    assert running_worker.answers_a_good_message()
    running_worker.wait_until_nothing_is_held()
    running_worker.wait_for_dead_letters(len(CORPUS))
    log = running_worker.worker.log.read_text()
    for word in ("Restart", "onnection to broker lost", "Unrecoverable", "Traceback", "Couldn't ack"):
        assert word not in log


def test_no_slot_of_the_pool_is_lost(running_worker: RunningWorker) -> None:
    running_worker.forget()
    for queue, bad, _ in CORPUS.values():
        running_worker.push(queue, bad)
    running_worker.wait_for_dead_letters(len(CORPUS))
    commands = [submit() for _ in range(running_worker.slots)]

    with running_worker.blocked([command["message_id"] for command in commands]) as at_work:
        running_worker.push(
            "booking", *(element(PREFIX + "submit_request", [[], {"request": one}, {}]) for one in commands)
        )
        at_work()  # every slot has one at the same time
    running_worker.wait_until_nothing_is_held()


def test_sixty_megabytes_are_refused_and_hold_nobody_up(running_worker: RunningWorker) -> None:
    dead_letter = running_worker.dead_letter_for("booking", element(body=b" " * 45_000_000))

    assert "larger than 262144 bytes" in dead_letter["reason"]
    assert dead_letter["payload"]["bytes"] > 60_000_000
    assert running_worker.answers_a_good_message()
    running_worker.wait_until_nothing_is_held()


def test_the_smallest_message_is_answered(running_worker: RunningWorker) -> None:
    task_id = running_worker.fresh()
    running_worker.push("booking", element(headers={"id": task_id, "lang": OUT, "ignore_result": False}))

    assert running_worker.answer_to(task_id)["result"] == "refused"


@pytest.mark.parametrize(
    ("headers", "body", "code", "reason"),
    [
        ({}, b"{", "invalid", "the body is not JSON"),
        ({}, b" " * 170_000, "invalid", "the body is larger than"),
        ({"compression": "application/x-gzip"}, b"x", "invalid", "headers.compression is not accepted"),
        ({"task": "celery.backend_cleanup"}, [[], {}, {}], "invalid", "there is no such task"),
        ({"eta": "2030-01-01"}, [[], {}, {}], "invalid", "headers.eta is not accepted"),
        ({"task": PREFIX + "dance"}, [[], {"request": {}}, {}], "parked", "no such task in this release"),
    ],
)
def test_a_sender_that_waits_is_answered_with_the_reason_of_a_refusal(
    running_worker: RunningWorker, headers: dict[str, Any], body: Any, code: str, reason: str
) -> None:
    task_id = running_worker.fresh()
    message = element(body=body, headers={"id": task_id, "ignore_result": False} | headers)
    running_worker.push("booking", message)

    answer = running_worker.answer_to(task_id)
    assert (answer["result"], answer["code"]) == ("refused", code)
    assert reason in answer["message"]


def test_a_body_may_be_plain_json(running_worker: RunningWorker) -> None:
    task_id = running_worker.fresh()
    body = json.dumps([[], {"request": search()}, {}])
    message = envelope(headers={"id": task_id, "ignore_result": False}, properties={"body_encoding": OUT})
    running_worker.push("booking", json.dumps(message | {"body": body}).encode())

    assert running_worker.answer_to(task_id)["result"] == "refused"


def test_time_limits_reply_addresses_and_kin_of_a_message_are_not_honoured(
    running_worker: RunningWorker,
) -> None:
    task_id = running_worker.fresh()
    running_worker.push(
        "booking",
        element(
            headers={
                "id": task_id,
                "ignore_result": False,
                "timelimit": [0.000001, 0.000001],
                "root_id": ["x"],
                "parent_id": {},
                "shadow": "another name",
                "retries": "many",
                "stamped_headers": ["x"],
                "stamps": {"x": "y"},
                "replaced_task_nesting": "deep",
            },
            properties={"reply_to": "answers", "correlation_id": ["x"], "priority": 9},
        ),
    )

    assert running_worker.answer_to(task_id)["result"] == "refused"
    assert running_worker.broker.exists("answers") == 0
    assert "another name" not in running_worker.worker.log.read_text()


def test_an_expired_message_is_left_alone(running_worker: RunningWorker) -> None:
    running_worker.forget()
    task_id = running_worker.fresh()
    running_worker.push("booking", element(headers={"id": task_id, "expires": "2020-01-01T00:00:00Z"}))

    assert running_worker.answers_a_good_message()
    running_worker.wait_until_nothing_is_held()
    assert running_worker.dead_letters() == []
    assert running_worker.result_of(task_id) is None


def test_what_comes_later_under_the_id_of_an_expired_message_is_answered(
    running_worker: RunningWorker,
) -> None:
    task_id = running_worker.fresh()
    headers = {"id": task_id, "ignore_result": False}
    running_worker.push("booking", element(headers=headers | {"expires": "2020-01-01T00:00:00Z"}))
    assert running_worker.answer_to(task_id)["exc_type"] == "TaskRevokedError"

    running_worker.push("booking", element(headers=headers))

    wait_until(lambda: running_worker.result_of(task_id).get("result") == "refused", "an answer", 15)


def test_one_delivery_tag_for_two_messages_confuses_nobody(running_worker: RunningWorker) -> None:
    ids = [running_worker.fresh(), running_worker.fresh()]
    same = {"delivery_tag": "the same"}
    running_worker.push(
        "booking", *(element(headers={"id": one, "ignore_result": False}, properties=same) for one in ids)
    )

    assert [running_worker.answer_to(one)["result"] for one in ids] == ["refused", "refused"]
    running_worker.wait_until_nothing_is_held()


def test_the_lists_for_priorities_are_the_same_queue(running_worker: RunningWorker) -> None:
    task_id = running_worker.fresh()
    running_worker.push("booking\x06\x163", element(headers={"id": task_id, "ignore_result": False}))

    assert running_worker.answer_to(task_id)["result"] == "refused"


def test_nothing_of_a_dead_message_is_kept_but_its_shape(running_worker: RunningWorker) -> None:
    command = submit()
    dead_letter = running_worker.dead_letter_for(
        "booking", element(PREFIX + "submit_request", [[], {"request": command, "name": "Mira Lang"}, {}])
    )

    assert dead_letter["task"] == PREFIX + "submit_request"
    assert str(dead_letter["message_id"]) == command["message_id"]
    assert dead_letter["payload"]["arguments"]["request"]["request_id"] == command["request_id"]
    assert dead_letter["payload"]["bytes"] > 0
    assert len(dead_letter["payload"]["sha256"]) == 64
    assert "secret" not in str(dead_letter)
    assert "Mira" not in str(dead_letter)
    assert "Mira" not in running_worker.worker.log.read_text()


def test_remote_control_is_off(running_worker: RunningWorker) -> None:
    with Celery("stranger", broker=running_worker.url, set_as_current=False) as stranger:
        stranger.control.broadcast("shutdown")
        stranger.control.broadcast("cancel_consumer", {"queue": "booking"})

    assert running_worker.answers_a_good_message()
    assert running_worker.worker_runs()
