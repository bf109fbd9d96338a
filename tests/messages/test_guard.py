"""Each bad message ends as a dead letter with its reason; the next good one is answered at once."""

from __future__ import annotations

import json

import pytest
from celery import Celery

from booking_tasks.ops.servers import wait_until
from tests.messages.corpus import ENVELOPES, MESSAGES, TRUST
from tests.messages.post import Post
from tests.messages.raw import OUT, PREFIX, element, envelope, search, submit

pytestmark = pytest.mark.stack

CORPUS = ENVELOPES | MESSAGES | TRUST


@pytest.mark.parametrize("name", CORPUS)
def test_a_bad_message_is_buried_with_its_reason_and_the_next_one_runs(post: Post, name: str) -> None:
    queue, bad, reason = CORPUS[name]

    letter = post.letter_for(queue, bad)

    assert reason in letter["reason"]
    assert letter["entry_point"] == queue
    assert post.good_message_takes() < 5
    post.nothing_is_held()


def test_the_worker_is_the_one_that_was_started(post: Post) -> None:
    post.forget()
    for queue, bad, _ in CORPUS.values():
        post.push(queue, bad)

    assert post.good_message_takes() < 5
    post.nothing_is_held()
    post.all_buried(len(CORPUS))
    log = post.worker.log.read_text()
    for word in ("Restart", "onnection to broker lost", "Unrecoverable", "Traceback", "Couldn't ack"):
        assert word not in log


def test_no_slot_of_the_pool_is_lost(post: Post) -> None:
    post.forget()
    for queue, bad, _ in CORPUS.values():
        post.push(queue, bad)
    post.all_buried(len(CORPUS))
    commands = [submit() for _ in range(post.slots)]

    with post.blocked([command["message_id"] for command in commands]) as at_work:
        post.push(
            "booking", *(element(PREFIX + "submit_request", [[], {"request": one}, {}]) for one in commands)
        )
        at_work()  # every slot has one at the same time
    post.nothing_is_held()


def test_sixty_megabytes_are_refused_and_hold_nobody_up(post: Post) -> None:
    letter = post.letter_for("booking", element(body=b" " * 45_000_000))

    assert "larger than 131072 bytes" in letter["reason"]
    assert letter["payload"]["bytes"] > 60_000_000
    assert post.good_message_takes() < 5
    post.nothing_is_held()


def test_the_smallest_message_is_answered(post: Post) -> None:
    task_id = post.fresh()
    post.push("booking", element(headers={"id": task_id, "lang": OUT, "ignore_result": False}))

    assert post.answer_to(task_id)["result"] == "refused"


def test_a_body_may_be_plain_json(post: Post) -> None:
    task_id = post.fresh()
    body = json.dumps([[], {"request": search()}, {}])
    message = envelope(headers={"id": task_id, "ignore_result": False}, properties={"body_encoding": OUT})
    post.push("booking", json.dumps(message | {"body": body}).encode())

    assert post.answer_to(task_id)["result"] == "refused"


def test_time_limits_reply_addresses_and_kin_of_a_message_are_not_honoured(post: Post) -> None:
    task_id = post.fresh()
    post.push(
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

    assert post.answer_to(task_id)["result"] == "refused"
    assert post.broker.exists("answers") == 0
    assert "another name" not in post.worker.log.read_text()


def test_an_expired_message_is_left_alone(post: Post) -> None:
    post.forget()
    task_id = post.fresh()
    post.push("booking", element(headers={"id": task_id, "expires": "2020-01-01T00:00:00Z"}))

    assert post.good_message_takes() < 5
    post.nothing_is_held()
    assert post.letters() == []
    assert post.result_of(task_id) is None


def test_what_comes_later_under_the_id_of_an_expired_message_is_answered(post: Post) -> None:
    task_id = post.fresh()
    headers = {"id": task_id, "ignore_result": False}
    post.push("booking", element(headers=headers | {"expires": "2020-01-01T00:00:00Z"}))
    assert post.answer_to(task_id)["exc_type"] == "TaskRevokedError"

    post.push("booking", element(headers=headers))

    wait_until(lambda: post.result_of(task_id).get("result") == "refused", "an answer", 15)


def test_one_delivery_tag_for_two_messages_confuses_nobody(post: Post) -> None:
    ids = [post.fresh(), post.fresh()]
    same = {"delivery_tag": "the same"}
    post.push(
        "booking", *(element(headers={"id": one, "ignore_result": False}, properties=same) for one in ids)
    )

    assert [post.answer_to(one)["result"] for one in ids] == ["refused", "refused"]
    post.nothing_is_held()


def test_the_lists_for_priorities_are_the_same_queue(post: Post) -> None:
    task_id = post.fresh()
    post.push("booking\x06\x163", element(headers={"id": task_id, "ignore_result": False}))

    assert post.answer_to(task_id)["result"] == "refused"


def test_nothing_of_a_dead_message_is_kept_but_its_shape(post: Post) -> None:
    wish = submit()
    letter = post.letter_for(
        "booking", element(PREFIX + "submit_request", [[], {"request": wish, "name": "Mira Lang"}, {}])
    )

    assert letter["task"] == PREFIX + "submit_request"
    assert str(letter["message_id"]) == wish["message_id"]
    assert letter["payload"]["arguments"]["request"]["request_id"] == wish["request_id"]
    assert letter["payload"]["bytes"] > 0
    assert len(letter["payload"]["sha256"]) == 64
    assert "secret" not in str(letter)
    assert "Mira" not in str(letter)
    assert "Mira" not in post.worker.log.read_text()


def test_remote_control_is_off(post: Post) -> None:
    with Celery("stranger", broker=post.url, set_as_current=False) as stranger:
        stranger.control.broadcast("shutdown")
        stranger.control.broadcast("cancel_consumer", {"queue": "booking"})

    assert post.good_message_takes() < 5
    assert post.worker_runs()
