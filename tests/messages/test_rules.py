"""The rules of the guard without a worker."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu import Connection
from kombu.transport.virtual import Message

from booking_tasks.guard.envelope import MAX_DEPTH, FaultError, clean_envelope, depth, read_json
from booking_tasks.guard.rules import (
    DEAD_LETTER,
    Admitted,
    AwaitedAnswer,
    EntryPoint,
    ReceivedMessage,
    Refused,
    awaited_id,
    body_of,
    headers_of,
    judge,
    replacement_call,
)
from booking_tasks.kit.answer_addresses import address_problem
from tests.messages.corpus import ENVELOPES, MESSAGES, TRUST
from tests.messages.fuzz import elements
from tests.messages.raw import OUT, PREFIX, SEARCH, element, nested, search

ENTRY_POINTS = {
    SEARCH: EntryPoint("booking", frozenset({"request"})),
    PREFIX + "submit_request": EntryPoint("booking", frozenset({"request"})),
    PREFIX + "record_billing": EntryPoint("evidence", frozenset({"request"})),
    PREFIX + "upsert_user": EntryPoint("admin", frozenset({"request"})),
    PREFIX + "send_invite": EntryPoint("notify", frozenset()),
    PREFIX + "purge": EntryPoint("sweep", frozenset()),
    DEAD_LETTER: EntryPoint(None, frozenset({"task"})),
}


@cache
def _channel() -> Any:
    """Any of kombu's virtual channels: all of them open an envelope alike."""
    return Connection("memory://").channel()


def opened(raw: bytes, queue: str = "booking") -> ReceivedMessage:
    """An element as kombu hands it on from the guarded channel."""
    envelope = json.loads(clean_envelope(raw, queue, "a-fresh-tag"))
    message = Message(envelope, channel=_channel())
    assert message.delivery_tag == "a-fresh-tag"
    assert message.delivery_info == {"exchange": "", "routing_key": queue}
    assert message.errors == []
    return ReceivedMessage(
        message.headers, message.body, message.content_type, message.content_encoding, queue
    )


def judged(raw: bytes, queue: str = "booking") -> Any:
    return judge(opened(raw, queue), ENTRY_POINTS)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(elements())
def test_whatever_comes_one_sound_call_goes_on(raw: bytes) -> None:
    verdict = judged(raw)

    call = replacement_call(verdict, "booking", "fresh")
    args, kwargs, embed = json.loads(body_of(call))
    headers = headers_of(call)
    assert (args, kwargs, embed) == ([], call.arguments, {})
    assert headers["task"] == call.task
    assert headers["id"] == (verdict.id if isinstance(verdict, Admitted) else "fresh")
    allowed = {"lang", "task", "id", "argsrepr", "kwargsrepr", "expires", "ignore_result"}
    assert headers.keys() <= allowed | {"root_id", "parent_id", "traceparent", "tracestate", "baggage"}
    if isinstance(verdict, Admitted):
        assert ENTRY_POINTS[verdict.task].queue == "booking"
    elif isinstance(verdict, Refused):
        assert verdict.reason
        assert "\0" not in body_of(call).decode()


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.binary(max_size=200) | elements())
def test_depth_is_counted_as_a_parser_would(raw: bytes) -> None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return
    real = _levels(value)
    assert depth(raw) == real or (depth(raw) <= MAX_DEPTH and real <= depth(raw))


def _levels(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_levels, value.values()), default=0)
    return 1 + max(map(_levels, value), default=0) if isinstance(value, list) else 0


def test_brackets_in_texts_are_no_nesting() -> None:
    text = json.dumps({"bio": '[[[{{"\\' * 50, "list": [1]})

    assert read_json(text.encode(), "it")["list"] == [1]
    with pytest.raises(FaultError, match="deeper than 20"):
        read_json(nested(21), "it")
    assert read_json(nested(20), "it")


@pytest.mark.timeout(10)
@pytest.mark.parametrize("piece", [b'"\\', b'"', b'\\"', b'["', b'"\\u0022['])
def test_depth_takes_time_in_proportion_to_size(piece: bytes) -> None:
    depth(b"[" * 21 + piece * 60_000)


@pytest.mark.parametrize("name", ENVELOPES | MESSAGES | TRUST)
def test_each_row_has_its_verdict(name: str) -> None:
    queue, raw, reason = (ENVELOPES | MESSAGES | TRUST)[name]
    verdict = judged(raw, queue)

    if "request: Input" in reason:  # a sound call; the task itself says what is wrong with it
        assert isinstance(verdict, Admitted)
    else:
        assert isinstance(verdict, Refused)
        assert reason in verdict.reason


@pytest.mark.parametrize(
    "task", ["booking_tasks.v2.submit_request", "booking_tasks.v1.dance", "booking_tasks.v10.dance"]
)
def test_a_task_of_another_release_is_unknown_and_not_refused(task: str) -> None:
    assert judged(element(task, [[], {"request": search()}, {}])).task == task


@pytest.mark.parametrize(
    "task", ["booking_tasks.submit", "booking_tasks.v1.", "booking_tasks.v1.a b", "x" * 201, "celery.chain"]
)
def test_a_name_that_no_release_could_have_is_refused(task: str) -> None:
    assert isinstance(judged(element(task)), Refused)


def test_what_a_sender_may_decide_is_passed_on() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    call = judged(
        element(
            headers={
                "id": "abc",
                "ignore_result": False,
                "traceparent": trace,
                "root_id": "abc",
                "expires": "2030-01-01T01:00:00+01:00",
                "origin": "shop@host",
            }
        )
    )

    assert call.headers == {
        "expires": "2030-01-01T00:00:00+00:00",
        "ignore_result": False,
        "root_id": "abc",
        "traceparent": trace,
    }


def test_results_are_kept_only_when_the_message_requests_them() -> None:
    wishes = [OUT, None, True, "no", 0]

    assert all(judged(element(headers={"ignore_result": one})).headers["ignore_result"] for one in wishes)


def test_bytes_that_rabbitmq_hands_over_are_judged_alike() -> None:
    headers = {"task": SEARCH, "id": "1"}
    body = json.dumps([[], {"request": search()}, {}]).encode()

    for one in (body, memoryview(body), body.decode()):
        sound = ReceivedMessage(headers, one, "application/json", "utf-8", "booking")
        assert isinstance(judge(sound, ENTRY_POINTS), Admitted)
    bad: Any
    for bad in (None, 7, {}, []):
        assert isinstance(
            judge(ReceivedMessage(headers, bad, "application/json", "utf-8", "booking"), ENTRY_POINTS),
            Refused,
        )
        assert isinstance(
            judge(ReceivedMessage(bad, body, "application/json", "utf-8", "booking"), ENTRY_POINTS), Refused
        )


def test_a_sender_that_waits_is_answered_under_its_own_id_whatever_becomes_of_the_message() -> None:
    headers: dict[str, Any]
    for headers in ({"task": "booking_tasks.v1.dance"}, {"eta": "now"}, {}):
        raw = element(headers={"id": "abc", "ignore_result": False, **headers})
        call = replacement_call(judged(raw), "booking", "fresh", AwaitedAnswer("abc"))
        assert (call.id, call.headers["ignore_result"]) == ("abc", False)
        unanswered = replacement_call(judged(raw), "booking", "fresh")
        assert unanswered.headers["ignore_result"] is True


def test_an_answer_is_awaited_when_the_headers_say_so_and_the_id_is_sound() -> None:
    assert awaited_id({"id": "abc", "ignore_result": False}) == "abc"
    assert awaited_id({"fault": {"id": "abc", "ignore_result": False}}) == "abc"
    assert awaited_id({"id": "abc"}, is_awaited_by_default=True) == "abc"
    unsound: tuple[Any, ...] = (
        None,
        [],
        {},
        {"id": "abc"},
        {"id": "abc", "ignore_result": True},
        {"id": "a b", "ignore_result": False},
        {"id": 7, "ignore_result": False},
        {"fault": {"ignore_result": False}},
    )
    for headers in unsound:
        assert awaited_id(headers) is None, headers


UUID = "01890a5d-ac96-474b-8cce-b302099a8057"


@pytest.mark.parametrize(
    ("address", "account", "problem"),
    [
        (f"answers.shop.{UUID}", "shop", None),
        (f"answers.shop.{UUID}", None, "user_id is missing"),
        (f"answers.shop.{UUID}", "", "user_id is missing"),
        (f"answers.shop.{UUID}", 7, "user_id is missing"),
        (None, "shop", "reply_to is missing"),
        ("", "shop", "reply_to is missing"),
        (f"answers.other.{UUID}", "shop", "reply_to is not"),
        (f"answers.shop.x.{UUID}", "shop", "reply_to is not"),
        (f"answers.shop.x.{UUID}", "shop.x", "reply_to is not"),
        (f"answers.shop.{UUID}\n", "shop", "reply_to is not"),
        (f"answers.shop.{UUID.upper()}", "shop", "reply_to is not"),
        ("answers.shop.", "shop", "reply_to is not"),
        ("amq.rabbitmq.reply-to", "shop", "reply_to is not"),
        ("booking", "shop", "reply_to is not"),
        (f"answers.*.{UUID}", "*", "reply_to is not"),
    ],
)
def test_an_answer_goes_to_an_address_of_the_verified_account_only(
    address: Any, account: Any, problem: str | None
) -> None:
    found = address_problem(address, account)
    assert found is None if problem is None else found is not None and found.startswith(problem)
