"""Leases, fences, retries and lost outcomes, with real transactions and a real broker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.enums import JobState, PutOffReason
from booking_tasks.jobs import service, store
from booking_tasks.jobs.rules import Failure, JobFilter, LeasedJob
from booking_tasks.jobs.runner import Finished, Send, Skipped, Snooze, Step, run_due
from booking_tasks.kit.database import transaction
from booking_tasks.kit.errors import (
    EffectNotDoneError,
    EffectRefusedError,
    EffectUnknownError,
    LostLeaseError,
)
from booking_tasks.models import Job
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.job_args import (
    ARGS_TYPES,
    JobArgs,
    JobType,
    ProvisionMeeting,
    PublishEvent,
    SendInvite,
)
from booking_tasks.unit_of_work import unit_of_work
from tests.conftest import DIRECT_AND_POOLED
from tests.sample_jobs import sample_job

PAST = datetime(2026, 1, 1, tzinfo=UTC)
SOON = timedelta(seconds=60)
LATE = Failure(PutOffReason.HELD_UP, "late")

pytestmark = [DIRECT_AND_POOLED, pytest.mark.usefixtures("own_database", "valkey")]


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_RETRY_BASE", "0.001")
    monkeypatch.setenv("BOOKING_JOB_ATTEMPTS", "3")


class Recorder:
    """A handler that does what the test says and remembers what it was asked."""

    def __init__(
        self, perform: Callable[[bytes], Any] = lambda effect: "ok", step: Step | None = None
    ) -> None:
        self.step, self._perform = step or Send(b"message"), perform
        self.sent: list[bytes] = []
        self.recorded: list[Any] = []
        self.delayed: list[str] = []
        self.abandoned: list[str] = []

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[JobArgs]) -> Step:
        if isinstance(self.step, Send) and job.payload is not None:
            return Send(job.payload)
        return self.step

    def perform(self, payload: bytes) -> Any:
        self.sent.append(payload)
        return self._perform(payload)

    def record(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], result: Any) -> None:
        self.recorded.append(result)

    def record_delay(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], reason: str) -> None:
        self.delayed.append(reason)

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], reason: str) -> None:
        self.abandoned.append(reason)


def written(job_type: str = "send_invite", due: datetime = PAST, **values: Any) -> UUID:
    new = sample_job(job_type, due, **values)
    with transaction() as db:
        assert outbox_store.insert_jobs(db, [new]) == [new]
        return db.execute(select(Job.id).where(Job.key == new.key)).scalar_one()


def row(job_id: UUID) -> Job:
    with transaction() as db:
        return db.get_one(Job, job_id)


def run_until_settled(job_id: UUID, handler: Recorder, job_type: str = "send_invite") -> Job:
    for _ in range(200):
        run_due(ARGS_TYPES[JobType(job_type)], handler)
        found = row(job_id)
        if found.finished_at is not None:
            return found
    raise AssertionError(f"not settled: {found.state} {found.last_error}")


def failing(error: Exception) -> Callable[[bytes], Any]:
    def perform(effect: bytes) -> Any:
        raise error

    return perform


def test_a_due_job_is_done_once_and_its_effect_forgotten() -> None:
    job_id, handler = written(), Recorder()
    assert run_due(SendInvite, handler) == 1
    assert run_due(SendInvite, handler) == 0
    found = row(job_id)
    assert (found.state, found.attempts, found.send_attempts, found.payload) == ("done", 1, 1, None)
    assert (handler.sent, handler.recorded) == ([b"message"], ["ok"])


def test_the_same_key_is_written_once() -> None:
    new = sample_job("send_invite", PAST)
    with transaction() as db:
        assert outbox_store.insert_jobs(db, [new, new]) == [new]
        assert outbox_store.insert_jobs(db, [new]) == []


def test_a_job_whose_arguments_do_not_fit_ends_as_dead_and_the_others_run() -> None:
    unreadable, good, handler = written(), written(), Recorder()
    with transaction() as db:
        db.execute(update(Job).where(Job.id == unreadable).values(args={"session_id": "none"}))
    assert run_due(SendInvite, handler) == 1
    found = row(unreadable)
    assert (found.state, found.last_error, found.lease_token) == ("dead", store.UNREADABLE, None)
    assert (row(good).state, handler.sent) == ("done", [b"message"])


def test_what_is_not_due_waits_on_the_business_clock() -> None:
    written(due=datetime(2100, 1, 1, tzinfo=UTC))
    assert run_due(SendInvite, Recorder()) == 0


def test_a_try_that_certainly_failed_does_not_count_as_sent() -> None:
    job_id, handler = written(), Recorder(failing(EffectNotDoneError("450 later")))
    run_due(SendInvite, handler)
    assert row(job_id).send_attempts == 0
    assert run_until_settled(job_id, Recorder(failing(EffectRefusedError("550 no")))).send_attempts == 0


def test_bytes_of_an_unknown_outcome_outlive_a_later_certain_failure() -> None:
    job_id = written()
    errors = iter([EffectUnknownError("reply lost"), EffectNotDoneError("450 later")])

    def perform(effect: bytes) -> str:
        for error in errors:
            raise error
        return "ok"

    class Rebuilding(Recorder):
        """Would send other bytes each time, if it were not given those of before."""

        def prepare(self, db: Session, ctx: Context, job: LeasedJob[JobArgs]) -> Step:
            return Send(job.payload or f"message {job.attempts}".encode())

    handler = Rebuilding(perform)
    assert run_until_settled(job_id, handler).state == "done"
    assert handler.sent == [b"message 1"] * 3


def test_a_final_refusal_ends_dead_at_once() -> None:
    job_id, handler = written(), Recorder(failing(EffectRefusedError("no such mailbox")))
    assert run_until_settled(job_id, handler).state == "dead"
    assert len(handler.sent) == 1


@pytest.mark.parametrize(("job_type", "send_attempts"), [("send_reminder", 1), ("send_invite", 2)])
def test_an_unknown_result_is_repeated_as_its_job_type_allows_then_left_to_a_person(
    job_type: str, send_attempts: int
) -> None:
    job_id, handler = written(job_type), Recorder(failing(EffectUnknownError("reply lost")))
    found = run_until_settled(job_id, handler, job_type)
    assert (found.state, found.send_attempts, found.payload) == ("uncertain", send_attempts, b"message")
    assert handler.sent == [b"message"] * send_attempts


def test_what_may_always_be_repeated_is_repeated_under_its_key_until_its_deadline() -> None:
    job_id = written("close_meeting")
    handler = Recorder(failing(EffectUnknownError("reply lost")))
    found = run_until_settled(job_id, handler, "close_meeting")
    assert (found.state, handler.sent, handler.abandoned) == ("dead", [b"message"] * 3, ["reply lost"])
    assert found.payload == b"message"  # a replay sends the same


def test_an_unexpected_error_while_sending_counts_as_a_lost_outcome() -> None:
    job_id, handler = written("send_reminder"), Recorder(failing(RuntimeError("bug")))
    assert run_until_settled(job_id, handler, "send_reminder").state == "uncertain"


@pytest.mark.parametrize(
    ("step", "state"), [(Finished(), "done"), (Skipped("moved"), "skipped"), (Snooze("wait"), "waiting")]
)
def test_a_job_that_sends_nothing_ends_as_its_step_says(step: Step, state: str) -> None:
    job_id, handler = written(), Recorder(step=step)
    run_due(SendInvite, handler)
    found = row(job_id)
    assert (found.state, handler.sent) == (state, [])
    assert found.attempts == (0 if state == "waiting" else 1)


def lapse(job_id: UUID) -> None:
    """Let the lease run out."""
    with transaction() as db:
        db.execute(
            update(Job)
            .where(Job.id == job_id)
            .values(lease_until=text("clock_timestamp() - interval '1 second'"))
        )


def leased(job_type: str = "send_invite") -> LeasedJob[JobArgs]:
    with transaction() as db:
        [job], _ = store.lease(db, ARGS_TYPES[JobType(job_type)], datetime.now(UTC), 10, SOON)
        return job


def recover() -> int:
    with transaction() as db:
        return service.recover(db)


def test_a_vanished_worker_gives_its_job_back_and_the_attempt_stays_counted() -> None:
    job_id = written()
    leased()
    assert recover() == 0
    lapse(job_id)
    assert recover() == 1
    found = row(job_id)
    assert (found.state, found.attempts, found.lease_token) == ("waiting", 1, None)


def test_a_job_that_kills_its_worker_every_time_ends_dead() -> None:
    job_id, handler = written(), Recorder()
    for _ in range(3):
        leased()
        lapse(job_id)
        recover()
    run_due(SendInvite, handler)
    assert (row(job_id).state, handler.sent) == ("dead", [])


@pytest.mark.parametrize(
    ("job_type", "state"),
    [("send_reminder", "uncertain"), ("send_invite", "waiting"), ("publish_event", "waiting")],
)
def test_a_worker_that_vanished_while_sending_leaves_the_outcome_to_the_policy(
    job_type: str, state: str
) -> None:
    job_id = written(job_type)
    job = leased(job_type)
    with transaction() as db:
        store.begin_sending(db, job, b"message", SOON)
    lapse(job_id)
    assert recover() == 1
    found = row(job_id)
    assert (found.state, found.payload) == (state, b"message")


def test_whenever_leases_run_out_each_job_is_judged_once() -> None:
    with transaction() as db:
        outbox_store.insert_jobs(db, [sample_job("publish_event", PAST) for _ in range(600)])
        jobs, _ = store.lease(db, PublishEvent, datetime.now(UTC), 600, SOON)
        ending = text("clock_timestamp() + make_interval(secs => 0.0001 * (random() * 1000))")
        db.execute(update(Job).values(state="sending", send_attempts=1, payload=b"event", lease_until=ending))

    recovered = 0
    while recovered < len(jobs):
        recovered += recover()

    with transaction() as db:
        assert set(db.scalars(select(Job.state))) == {"waiting"}


def test_whoever_lost_the_lease_may_write_nothing() -> None:
    job_id = written()
    zombie = leased()
    lapse(job_id)
    writes: list[Callable[[Session], None]] = [
        lambda db: store.begin_sending(db, zombie, b"message", SOON),
        lambda db: store.finish(db, zombie, JobState.LEASED, JobState.DONE),
        lambda db: store.reschedule(db, zombie, JobState.LEASED, SOON, LATE),
    ]
    for write in writes:
        with pytest.raises(LostLeaseError), transaction() as db:
            write(db)
    recover()
    current = leased()
    for write in writes:
        with pytest.raises(LostLeaseError), transaction() as db:
            write(db)
    assert row(job_id).lease_token == current.token


def test_a_worker_paused_past_its_lease_wakes_to_find_its_result_refused() -> None:
    job_id = written("provision_meeting")

    def slow(effect: bytes) -> str:
        lapse(job_id)
        recover()
        return "late"

    late = Recorder(slow)
    run_due(ProvisionMeeting, late)
    assert row(job_id).state == "waiting"
    run_due(ProvisionMeeting, Recorder())
    assert (row(job_id).state, row(job_id).send_attempts) == ("done", 2)


def test_rival_workers_take_every_job_once() -> None:
    jobs = {written() for _ in range(40)}
    gate = threading.Barrier(8)
    handler = Recorder()

    def work(_: int) -> int:
        gate.wait(30)
        return sum(run_due(SendInvite, handler) for _ in range(3))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 40
    assert len(handler.sent) == 40
    assert {row(one).state for one in jobs} == {"done"}


def test_a_dead_or_uncertain_job_is_replayed_under_its_key_and_a_done_one_is_not() -> None:
    job_id, handler = written(), Recorder(failing(EffectRefusedError("closed")))
    run_until_settled(job_id, handler)
    key = row(job_id).key
    with unit_of_work("ann", "operator") as (db, ctx):
        assert service.replay(db, ctx, JobFilter(job_id), "the mailbox is open again") == [job_id]
    good = Recorder()
    assert run_until_settled(job_id, good).state == "done"
    assert row(job_id).key == key
    with unit_of_work("ann", "operator") as (db, ctx):
        assert service.replay(db, ctx, JobFilter(job_id), "once more") == []


def test_a_replayed_job_still_counts_what_it_sent_before() -> None:
    job_id = written()
    for _ in range(2):
        run_until_settled(job_id, Recorder(failing(EffectUnknownError("the reply was lost"))))
        with transaction() as db:
            store.replay(db, job_id)
            assert db.get_one(Job, job_id).send_attempts > 0
