"""What a worker leased and cannot begin in time goes back as if it had never been taken."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.jobs import runner, store
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import Send, run_due
from booking_tasks.kit import shutdown as stopping
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.models import Job
from booking_tasks.ops.servers import wait_until
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.job_args import JobArgs, SendInvite, SendReminder
from tests.conftest import DIRECT_AND_POOLED
from tests.sample_jobs import sample_job

pytestmark = [DIRECT_AND_POOLED, pytest.mark.usefixtures("own_database", "valkey")]

PAST = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_shutdown() -> Iterator[None]:
    yield
    stopping.reset()


class Acting:
    """Sends a message for every job, doing what the test says meanwhile."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[JobArgs]) -> Send:
        return Send(b"message")

    def perform(self, payload: bytes) -> None:
        self._meanwhile()

    def record(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], result: Any) -> None:
        """Nothing."""

    def record_delay(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], reason: str) -> None:
        """Nothing."""

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], reason: str) -> None:
        """Nothing."""


def three_jobs() -> None:
    with transaction() as db:
        outbox_store.insert_jobs(db, [sample_job("send_invite", PAST) for _ in range(3)])


def found() -> Counter[tuple[str, int]]:
    with transaction() as db:
        return Counter((job.state, job.attempts) for job in db.scalars(select(Job)))


def test_a_stopping_worker_ends_its_current_job_and_releases_the_others_uncounted() -> None:
    three_jobs()
    assert run_due(SendInvite, Acting(stopping.request)) == 3
    assert found() == {("done", 1): 1, ("waiting", 0): 2}
    stopping.reset()
    assert run_due(SendInvite, Acting(lambda: None)) == 2
    assert found() == {("done", 1): 3}


def test_a_worker_that_is_stopped_before_its_first_job_starts_none() -> None:
    three_jobs()
    stopping.request()
    run_due(SendInvite, Acting(lambda: pytest.fail("an effect after the stop")))
    assert found() == {("waiting", 0): 3}


def test_what_would_outlast_its_lease_is_put_back_and_does_not_count_as_sent() -> None:
    term = settings().lease
    with transaction() as db:
        outbox_store.insert_jobs(db, [sample_job("send_reminder", PAST)])
        [job], _ = store.lease(db, SendReminder, datetime.now(UTC), 1, term)
        store.begin_sending(db, job, b"message", term)
    nearly_over = time.monotonic() + 0.4 * (term / timedelta(seconds=1))

    runner._send(job, Acting(lambda: pytest.fail("an effect too late")), Send(b"message"), nearly_over)

    with transaction() as db:
        left = db.get_one(Job, job.id)
        assert (left.state, left.send_attempts, left.payload) == ("waiting", 0, None)


def test_what_is_not_begun_in_half_a_lease_goes_back_uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_LEASE", "2s")
    monkeypatch.setenv("BOOKING_SMTP_TIMEOUT", "0.5s")
    monkeypatch.setenv("BOOKING_MEETING_TIMEOUT", "0.5s")
    three_jobs()
    began = datetime.now(UTC)

    def slow() -> None:
        wait_until(lambda: datetime.now(UTC) - began > timedelta(seconds=1.1), "half the lease", 5)

    run_due(SendInvite, Acting(slow))
    assert found() == {("done", 1): 1, ("waiting", 0): 2}


def test_a_lease_that_is_no_longer_ours_is_not_handed_back() -> None:
    three_jobs()
    with transaction() as db:
        held, _ = store.lease(db, SendInvite, datetime.now(UTC), 10, timedelta(seconds=60))
    with transaction() as db:
        assert store.release(db, held[:1]) == 1
        [again], _ = store.lease(db, SendInvite, datetime.now(UTC), 10, timedelta(seconds=60))
    with transaction() as db:
        assert store.release(db, [held[0]]) == 0
        assert db.get_one(Job, again.id).lease_token == again.token
