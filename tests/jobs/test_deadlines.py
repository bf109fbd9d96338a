"""Until when a job is tried while its target is away: its own deadline, and never a count of tries."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.enums import PutOffReason
from booking_tasks.jobs.put_off import make_due_now
from booking_tasks.jobs.rules import JobFilter, LeasedJob
from booking_tasks.jobs.runner import Send, Skipped, Step, run_due
from booking_tasks.kit.database import transaction
from booking_tasks.kit.errors import AwaitedDataError, EffectNotDoneError, EffectUnknownError
from booking_tasks.outbox.job_args import ARGS_TYPES, JobArgs, JobType
from tests.conftest import DIRECT_AND_POOLED
from tests.jobs.test_runner import Recorder, _quick_retries, failing, row, run_until_settled, written

__all__ = ["_quick_retries"]

pytestmark = [DIRECT_AND_POOLED, pytest.mark.usefixtures("own_database", "valkey")]


def tried(handler: Recorder, times: int, job_type: str = "send_invite") -> None:
    """Run until the handler has sent so often; each try waits for its retry time, a few milliseconds."""
    end = time.monotonic() + 60
    while len(handler.sent) < times:
        assert time.monotonic() < end
        run_due(ARGS_TYPES[JobType(job_type)], handler)


def test_a_failed_try_goes_back_with_its_reason_and_the_wait() -> None:
    job_id, handler = written(), Recorder(failing(EffectNotDoneError("refused", PutOffReason.UNREACHABLE)))
    tried(handler, 1)
    found = row(job_id)
    assert (found.state, found.last_error, found.put_off_reason) == ("waiting", "refused", "unreachable")
    assert found.retry_at is not None
    assert run_until_settled(job_id, Recorder()).put_off_reason is None


UNTIL_ITS_SUBJECT_ENDS = ["provision_meeting", "collect_attendance", "send_invite", "send_reminder"]


@pytest.mark.parametrize("job_type", [*UNTIL_ITS_SUBJECT_ENDS, "publish_event"])
def test_no_count_of_tries_ends_what_its_own_subject_ends(job_type: str) -> None:
    job_id, away = written(job_type), Recorder(failing(EffectNotDoneError("connection refused")))
    tried(away, 9, job_type)
    found = row(job_id)
    assert (found.state, found.send_attempts, away.abandoned) == ("waiting", 0, [])
    assert found.attempts < 3  # what kills its worker still counts
    assert set(away.delayed) == {"connection refused"}
    assert run_until_settled(job_id, Recorder(), job_type).state == "done"
    over = written(job_type)
    assert run_until_settled(over, Recorder(step=Skipped("it is over")), job_type).state == "skipped"


@pytest.mark.parametrize("job_type", ["close_meeting", "send_cancellation", "send_notice"])
def test_what_has_no_end_of_its_own_is_tried_for_the_outage_retry_window(job_type: str) -> None:
    away = Recorder(failing(EffectNotDoneError("connection refused")))
    job_id = written(job_type, due=datetime.now(UTC) - timedelta(days=4, hours=23))
    tried(away, 8, job_type)
    assert row(job_id).state == "waiting"
    assert run_until_settled(job_id, Recorder(), job_type).state == "done"

    late = written(job_type, due=datetime.now(UTC) - timedelta(days=5))
    found = run_until_settled(late, away, job_type)
    assert (found.state, found.attempts, found.last_error) == ("dead", 3, "connection refused")
    assert away.abandoned == ["connection refused"]


def test_a_window_reaches_to_the_end_that_the_step_names() -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    away = Recorder(failing(EffectNotDoneError("away")), Send(b"message", useful_until=until))
    job_id = written("send_cancellation")
    tried(away, 6, "send_cancellation")
    assert row(job_id).state == "waiting"


def test_a_reply_that_keeps_getting_lost_is_outlasted_where_a_repeat_is_harmless() -> None:
    job_id = written("publish_event", due=datetime.now(UTC))
    unanswered = Recorder(failing(EffectUnknownError("reply lost")))
    tried(unanswered, 8, "publish_event")
    assert (row(job_id).state, set(unanswered.sent), unanswered.abandoned) == ("waiting", {b"message"}, [])
    assert run_until_settled(job_id, Recorder(), "publish_event").state == "done"


@pytest.mark.parametrize("job_type", ["assign_request", "publish_event", "provision_meeting"])
def test_a_mistake_of_ours_ends_dead_after_every_attempt(job_type: str) -> None:
    class Broken(Recorder):
        def prepare(self, db: Session, ctx: Context, job: LeasedJob[JobArgs]) -> Step:
            raise LookupError("no such row")

    handler = Broken()
    found = run_until_settled(written(job_type), handler, job_type)
    assert (found.state, found.attempts) == ("dead", 3)
    assert handler.abandoned == ["LookupError: no such row"]


def test_a_person_whom_the_directory_does_not_know_yet_is_waited_for() -> None:
    class Unknown(Recorder):
        def prepare(self, db: Session, ctx: Context, job: LeasedJob[JobArgs]) -> Step:
            self.sent.append(b"asked")
            raise AwaitedDataError("directory has no user")

    job_id = written()
    unknown = Unknown()
    for times in range(1, 7):
        tried(unknown, times)
        with transaction() as db:
            make_due_now(db, JobFilter(job_id=job_id), 1)
    assert (row(job_id).state, row(job_id).put_off_reason) == ("waiting", "directory")
    assert row(job_id).attempts == 0
