"""When a job is tried again, and what an unknown result means."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking_tasks.jobs.rules import backoff, may_repeat
from booking_tasks.outbox.job_args import (
    CheckAttendance,
    CloseMeeting,
    CloseReason,
    CollectAttendance,
    JobType,
    SendCancellation,
    SendInvite,
    SendNotice,
    SendReminder,
    parse_args,
)
from booking_tasks.outbox.jobs import OnUnknownResult
from tests.sample_jobs import sample_args

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
        (OnUnknownResult.REPEAT, 7, True),
        (OnUnknownResult.REPEAT_ONCE, 1, True),
        (OnUnknownResult.REPEAT_ONCE, 2, False),
        (OnUnknownResult.NEVER, 1, False),
    ],
)
def test_an_unknown_result_is_repeated_by_policy(
    policy: OnUnknownResult, send_attempts: int, again: bool
) -> None:
    assert may_repeat(policy, send_attempts) is again


def test_a_key_tells_apart_the_type_and_every_argument() -> None:
    session, person = uuid4(), uuid4()
    jobs = [
        SendReminder(session, 0, person, 3600),
        SendReminder(session, 0, person, 86400),
        SendReminder(session, 1, person, 3600),
        SendReminder(session, 0, uuid4(), 3600),
        SendReminder(uuid4(), 0, person, 3600),
        SendInvite(session, 0, person),
        CollectAttendance(session, 0),
        CollectAttendance(session, 0, is_repeat=True),
        CheckAttendance(session, 0),
    ]
    assert len({job.key for job in jobs}) == len(jobs)


def test_an_optional_argument_that_is_not_set_leaves_the_key_as_it_was() -> None:
    session, person = uuid4(), uuid4()
    assert SendCancellation(session, 2, person).key == f"send_cancellation:{session}:2:{person}"


@pytest.mark.parametrize("job_type", JobType)
def test_arguments_are_read_back_from_json_as_they_were(job_type: JobType) -> None:
    args = sample_args(job_type)
    assert parse_args(type(args), json.loads(json.dumps(args.to_json()))) == args
    assert args.subject_id == getattr(args, fields(args)[0].name)


def test_arguments_of_a_later_release_are_read_and_unfit_ones_are_refused() -> None:
    stored = CloseMeeting(uuid4(), 1, CloseReason.FOUND_ORPHANED, date(2027, 3, 3)).to_json()
    assert parse_args(CloseMeeting, stored | {"later": 1}).reason == CloseReason.FOUND_ORPHANED
    with pytest.raises(ValueError, match="session_id"):
        parse_args(CloseMeeting, {"revision": 1})
    with pytest.raises(ValueError, match="notice"):
        parse_args(SendNotice, sample_args("send_notice").to_json() | {"notice": "season_greetings"})
