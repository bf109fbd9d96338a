"""Some hundred broken messages at a running worker; afterwards it works as before."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.messages.fuzz import elements
from tests.messages.post import Post

pytestmark = pytest.mark.stack


def test_a_worker_outlives_whatever_is_pushed(post: Post) -> None:
    @settings(max_examples=60, derandomize=True, deadline=None, database=None)
    @given(st.lists(elements(), min_size=3, max_size=3))
    def push(broken: list[bytes]) -> None:
        for queue in ("booking", "admin", "sweep"):
            post.push(queue, *broken)

    post.forget()
    push()

    post.drained()
    assert post.good_message_takes() < 5
    post.nothing_is_held()
    assert post.worker_runs()
    assert len(post.letters()) > 150
    log = post.worker.log.read_text()
    assert "onnection to broker lost" not in log
    assert "Unrecoverable" not in log
