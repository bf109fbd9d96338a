"""A running worker gets hundreds of elements, most of them invalid: each has one end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.messages.fuzz import elements
from tests.messages.message_accounts import Pushed, wait_for_accounts
from tests.messages.running_worker import RunningWorker
from tests.messages.tokens import with_tokens

pytestmark = pytest.mark.stack

QUEUES = ("booking", "admin", "sweep")


def _pushed_at(running_worker: RunningWorker) -> list[Pushed]:
    pushed: list[Pushed] = []

    @settings(max_examples=60, derandomize=True, deadline=None, database=None)
    @given(st.lists(elements(), min_size=3, max_size=3))
    def push(some: list[bytes]) -> None:
        for queue in QUEUES:
            running_worker.push(queue, *some)
            pushed.extend((queue, one) for one in some)

    push()
    return pushed


def test_a_worker_outlives_whatever_is_pushed_and_nothing_of_it_vanishes(
    running_worker: RunningWorker,
) -> None:
    running_worker.forget()
    pushed = _pushed_at(running_worker)

    running_worker.wait_for_empty_queues()
    assert running_worker.answers_a_good_message()
    running_worker.wait_until_nothing_is_held()
    assert running_worker.worker_runs()
    accounts = wait_for_accounts(running_worker, pushed)
    assert accounts.lost == []
    assert accounts.strange == []
    assert sum(accounts.ends.values()) == len(pushed)
    # None of the ways to end went untried.
    assert set(accounts.ends) == {"refused", "parked", "too late", "invalid", "run"}
    assert accounts.ends["refused"] > 150
    log = running_worker.worker.log.read_text()
    assert "onnection to broker lost" not in log
    assert "Unrecoverable" not in log


def test_what_only_some_parsers_take_has_its_end_wherever_it_stands(running_worker: RunningWorker) -> None:
    running_worker.forget()
    pushed = [("booking", one) for one in with_tokens()]
    for queue, one in pushed:
        running_worker.push(queue, one)

    running_worker.wait_for_empty_queues()
    accounts = wait_for_accounts(running_worker, pushed)
    assert accounts.lost == []
    assert accounts.strange == []
    assert set(accounts.ends) == {"refused", "parked", "invalid", "run"}
    assert running_worker.answers_a_good_message()
    running_worker.wait_until_nothing_is_held()
