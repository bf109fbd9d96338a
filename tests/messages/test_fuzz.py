"""Some hundred elements, most of them broken, at a running worker: each has its end, and the worker lives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.messages.books import Pushed, settled
from tests.messages.fuzz import elements
from tests.messages.post import Post
from tests.messages.tokens import with_tokens

pytestmark = pytest.mark.stack

QUEUES = ("booking", "admin", "sweep")


def _pushed_at(post: Post) -> list[Pushed]:
    pushed: list[Pushed] = []

    @settings(max_examples=60, derandomize=True, deadline=None, database=None)
    @given(st.lists(elements(), min_size=3, max_size=3))
    def push(some: list[bytes]) -> None:
        for queue in QUEUES:
            post.push(queue, *some)
            pushed.extend((queue, one) for one in some)

    push()
    return pushed


def test_a_worker_outlives_whatever_is_pushed_and_nothing_of_it_vanishes(post: Post) -> None:
    post.forget()
    pushed = _pushed_at(post)

    post.drained()
    assert post.good_message_takes() < 5
    post.nothing_is_held()
    assert post.worker_runs()
    books = settled(post, pushed)
    assert books.lost == []
    assert books.strange == []
    assert sum(books.ends.values()) == len(pushed)
    # None of the ways to end went untried.
    assert set(books.ends) == {"refused", "parked", "too late", "invalid", "run"}
    assert books.ends["refused"] > 150
    log = post.worker.log.read_text()
    assert "onnection to broker lost" not in log
    assert "Unrecoverable" not in log


def test_what_only_some_parsers_take_has_its_end_wherever_it_stands(post: Post) -> None:
    post.forget()
    pushed = [("booking", one) for one in with_tokens()]
    for queue, one in pushed:
        post.push(queue, one)

    post.drained()
    books = settled(post, pushed)
    assert books.lost == []
    assert books.strange == []
    assert set(books.ends) == {"refused", "parked", "invalid", "run"}
    assert post.good_message_takes() < 5
    post.nothing_is_held()
