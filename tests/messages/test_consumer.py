"""How the consumer judges messages of RabbitMQ, with any headers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from kombu.message import Message

from booking_tasks.guard import consumer
from booking_tasks.guard.consumer import replace_with_call
from booking_tasks.guard.rules import DEAD_LETTER, EntryPoint
from tests.messages.raw import PREFIX, SEARCH, search

ENTRY_POINTS = {SEARCH: EntryPoint("booking", frozenset({"request"}))}


def message(headers: Any, **values: Any) -> Message:
    """A message from a broker whose client opened the headers itself; `fault` is a sender's word there."""
    body = json.dumps([[], {"request": search()}, {}]).encode()
    sound = {"content_type": "application/json", "content_encoding": "utf-8", "headers": headers}
    return Message(body, **(sound | values))


def reason_of(made: Message) -> str:
    assert made.headers["task"] == DEAD_LETTER
    return str(json.loads(made.body)[1]["reason"])


@pytest.mark.parametrize("odd", [datetime.now(UTC), Decimal("1.5"), b"\xff", {"deep": datetime.now(UTC)}])
@pytest.mark.parametrize("header", ["fault", "shadow", "expires", "eta", "task", "id", "root_id"])
def test_whatever_headers_hold_the_worker_gets_a_call_it_can_make(header: str, odd: object) -> None:
    made = message({"task": SEARCH, "id": "1", header: odd})

    replace_with_call(made, "booking", ENTRY_POINTS)

    assert made.headers["task"] in {SEARCH, DEAD_LETTER}
    json.loads(made.body)


@pytest.mark.parametrize(
    "fault",
    [
        {"reason": "all is well", "task": SEARCH, "shape": {"when": datetime.now(UTC)}},
        {"reason": "NUL", "shape": {"name": "Mira\0Lang"}},
    ],
)
def test_a_sender_cannot_say_what_is_kept_of_its_message(fault: dict[str, Any]) -> None:
    made = message({"task": PREFIX[:-1], "id": "1", "fault": fault})

    replace_with_call(made, "booking", ENTRY_POINTS)

    assert reason_of(made) == "there is no such task for messages from outside"
    assert b"Mira" not in made.body


def test_nothing_of_its_properties_goes_on() -> None:
    made = message({"task": SEARCH, "id": "1"}, properties={"reply_to": "answers", "priority": 9})

    replace_with_call(made, "booking", ENTRY_POINTS)

    assert made.properties == {"correlation_id": "1", "reply_to": None}


def test_what_could_not_be_opened_is_refused_for_that() -> None:
    made = message({"fault": {"reason": "the message cannot be opened (OSError)"}})
    made.opened = False

    replace_with_call(made, "booking", ENTRY_POINTS)

    assert reason_of(made) == "the message cannot be opened (OSError)"


def test_what_no_rule_foresaw_is_refused_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def trips(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(consumer, "judge", trips)
    made = message({"task": SEARCH, "id": "1"})

    replace_with_call(made, "booking", ENTRY_POINTS)

    assert reason_of(made) == "the message cannot be judged (RecursionError)"
