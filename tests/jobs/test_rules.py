"""When a job is tried again, and what a lost outcome means."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking_tasks.jobs.rules import backoff, may_repeat
from booking_tasks.outbox.jobs import NewJob
from tests.builders import NOW

BASE, CAP = timedelta(seconds=5), timedelta(hours=1)


@given(attempt=st.integers(1, 60), luck=st.floats(0, 1))
def test_a_wait_is_never_shorter_than_half_the_base_nor_longer_than_the_cap(
    attempt: int, luck: float
) -> None:
    wait = backoff(attempt, BASE, CAP, lambda: luck)
    assert BASE / 2 <= wait <= CAP


def test_waits_double_until_the_cap() -> None:
    longest = [backoff(attempt, BASE, CAP, lambda: 1.0) for attempt in (1, 2, 3, 12)]
    assert longest == [timedelta(seconds=5), timedelta(seconds=10), timedelta(seconds=20), CAP]


@pytest.mark.parametrize(
    ("policy", "send_attempts", "again"),
    [
        ("repeat", 7, True),
        ("repeat_once", 1, True),
        ("repeat_once", 2, False),
        ("never", 1, False),
    ],
)
def test_a_lost_outcome_is_repeated_by_policy(policy: str, send_attempts: int, again: bool) -> None:
    assert may_repeat(policy, send_attempts) is again  # type: ignore[arg-type]


def test_a_key_tells_apart_kind_subject_revision_recipient_and_detail() -> None:
    subject, person = uuid4(), uuid4()
    jobs = [
        NewJob("send_reminder", subject, NOW, 0, person, "3600s"),
        NewJob("send_reminder", subject, NOW, 0, person, "86400s"),
        NewJob("send_reminder", subject, NOW, 1, person, "3600s"),
        NewJob("send_reminder", subject, NOW, 0, None, "3600s"),
        NewJob("send_invite", subject, NOW, 0, person, "3600s"),
    ]
    assert len({job.key for job in jobs}) == len(jobs)
