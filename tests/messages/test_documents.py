"""docs/messages.md agrees with the code."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from booking_tasks.guard.envelope import MAX_BODY_BYTES, MAX_DEPTH, MAX_MESSAGE_BYTES
from booking_tasks.guard.rules import Admitted, Refused
from booking_tasks.guard.store import MAX_PARKED
from tests.messages.corpus import ENVELOPES, MESSAGES, TRUST
from tests.messages.running_worker import RunningWorker
from tests.messages.test_rules import judged

TEXT = (Path(__file__).parents[2] / "docs" / "messages.md").read_text()
SMALLEST: dict[str, Any] = json.loads(re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)[0])


def _leaves(message: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in message.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from _leaves(value, (*path, name))


def test_the_smallest_message_is_admitted() -> None:
    assert isinstance(judged(json.dumps(SMALLEST).encode()), Admitted)


@pytest.mark.parametrize("path", [*_leaves(SMALLEST)], ids=".".join)
def test_it_can_do_without_nothing(path: tuple[str, ...]) -> None:
    smaller = copy.deepcopy(SMALLEST)
    at = smaller
    for name in path[:-1]:
        at = at[name]
    del at[path[-1]]

    assert isinstance(judged(json.dumps(smaller).encode()), Refused)


@pytest.mark.stack
def test_a_worker_answers_it(running_worker: RunningWorker) -> None:
    message = copy.deepcopy(SMALLEST)
    message["headers"] |= {"id": running_worker.fresh(), "ignore_result": False}
    running_worker.push("booking", json.dumps(message).encode())

    assert (
        running_worker.answer_to(message["headers"]["id"])["result"] == "refused"
    )  # no such kind of consultation


def _documented() -> list[str]:
    rows = TEXT.split("| reason begins with |")[1].split("\n\n")[0].splitlines()[2:]
    return [reason for row in rows for reason in re.findall(r"`([^`]+)`", row.split("|")[1])]


def _reasons() -> set[str]:
    """Every reason there is, as dead letters have it."""
    reasons = set()
    for queue, raw, reason in (ENVELOPES | MESSAGES | TRUST).values():
        verdict = judged(raw, queue)
        reasons.add(verdict.reason if isinstance(verdict, Refused) else reason)
    return reasons


def test_every_reason_stands_in_the_table_and_every_entry_has_its_test() -> None:
    known, reasons = tuple(_documented()), _reasons()

    assert len(known) > 25
    assert [reason for reason in reasons if not reason.startswith(known)] == []
    assert [one for one in known if not any(reason.startswith(one) for reason in reasons)] == []


def test_the_limits_are_these() -> None:
    for number in (MAX_MESSAGE_BYTES, MAX_BODY_BYTES):
        assert f"| {number} bytes |" in TEXT
    assert f"| {MAX_DEPTH} levels |" in TEXT
    assert f"at most {MAX_PARKED:,} are kept" in TEXT
