"""The reply to a COMMIT is lost: what was committed stands, and nobody acts on a guess."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import Finished, Send, Step, run_due
from booking_tasks.kit import database
from booking_tasks.kit.database import transaction
from booking_tasks.kit.errors import EffectNotDoneError, EffectRefusedError
from booking_tasks.kit.settings import settings
from booking_tasks.models import Job
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.job_args import AssignRequest, JobArgs, SendReminder
from tests.faults.conftest import Open
from tests.faults.invariants import examined
from tests.faults.proxy import Wire
from tests.faults.running_service import PATIENT
from tests.sample_jobs import sample_job

PAST = datetime(2026, 1, 1, tzinfo=UTC)


class Letters:
    """A handler whose letters are counted; `perform` does what the test says."""

    def __init__(self, perform: Callable[[], None] = lambda: None, step: Step | None = None) -> None:
        self.step, self._perform, self.sent = step or Send(b"message"), perform, 0

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[JobArgs]) -> Step:
        return self.step

    def perform(self, payload: bytes) -> None:
        self.sent += 1
        self._perform()

    def record(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], result: object) -> None:
        """Nothing."""

    def record_delay(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], reason: str) -> None:
        """Nothing."""

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[JobArgs], reason: str) -> None:
        """Nothing."""


@pytest.fixture
def wire(own_database: str, valkey: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """A wire to the test's database, which this process's settings point to."""
    monkeypatch.setenv("BOOKING_RETRY_BASE", "0.001")
    with Wire(own_database) as wire, pointed_to(wire.url, monkeypatch):
        yield wire


@contextmanager
def pointed_to(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DATABASE_URL", url)
    settings.cache_clear()
    database.engine.cache_clear()
    yield
    database.engine().dispose()
    database.engine.cache_clear()


def written(job_type: str = "send_reminder") -> UUID:
    new = sample_job(job_type, PAST)
    with transaction() as db:
        outbox_store.insert_jobs(db, [new])
        return db.execute(select(Job.id).where(Job.key == new.key)).scalar_one()


def row(job_id: UUID) -> Job:
    with transaction() as db:
        return db.get_one(Job, job_id)


def nth(number: int) -> Callable[[], bool]:
    """True at the given call alone, counted from 1."""
    calls = iter(range(1, 1_000_000))
    return lambda: next(calls) == number


def raising(error: Exception) -> Callable[[], None]:
    def perform() -> None:
        raise error

    return perform


# The commits of one job: 1 the lease, 2 what is to be sent, 3 what came of it.


def test_a_lease_whose_reply_was_lost_runs_out_and_nothing_was_sent(wire: Wire) -> None:
    job_id, letters = written(), Letters()
    wire.cut = nth(1)
    with pytest.raises(Exception, match="closed"):
        run_due(SendReminder, letters)
    assert (row(job_id).state, letters.sent) == ("leased", 0)


def test_what_was_to_be_sent_and_was_not_is_no_uncertain_outcome(wire: Wire) -> None:
    job_id, letters = written(), Letters()
    wire.cut = nth(2)
    run_due(SendReminder, letters)
    found = row(job_id)
    assert (found.state, found.send_attempts, found.payload, letters.sent) == ("waiting", 0, None, 0)


def test_an_outcome_whose_reply_was_lost_is_written_once(wire: Wire) -> None:
    job_id, letters = written(), Letters()
    wire.cut = nth(3)
    run_due(SendReminder, letters)
    assert run_due(SendReminder, letters) == 0
    assert (row(job_id).state, row(job_id).send_attempts, letters.sent) == ("done", 1, 1)


@pytest.mark.parametrize(
    ("error", "state"),
    [(None, "done"), (EffectRefusedError("550 no"), "dead"), (EffectNotDoneError("450 later"), "waiting")],
)
def test_what_is_known_is_written_down_when_the_database_is_back(
    wire: Wire, error: Exception | None, state: str
) -> None:
    """Away right after the mail server's answer, for several tries to connect."""

    def go_away() -> None:
        database.engine().dispose()
        wire.refuse = 3
        if error is not None:
            raise error

    job_id, letters = written(), Letters(go_away)
    run_due(SendReminder, letters)
    assert wire.refuse == 0
    assert (row(job_id).state, letters.sent) == (state, 1)


def test_work_inside_the_service_is_done_once_whichever_reply_is_lost(wire: Wire) -> None:
    for number in (1, 2):
        job_id = written("assign_request")
        wire.cut = nth(number)
        try:
            run_due(AssignRequest, Letters(step=Finished()))
        except Exception:  # noqa: BLE001 - the lost lease: it runs out
            assert row(job_id).state == "leased"
        else:
            assert row(job_id).state == "done"


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_any_commit_may_lose_its_reply(open_service: Open) -> None:
    """Real workers behind a wire that is cut at one commit in twelve."""
    chance = random.Random(53100)
    knobs = {"BOOKING_MESSAGE_ATTEMPTS": "12", "BOOKING_JOB_ATTEMPTS": "30", "BOOKING_RETRY_BASE": "0.05s"}
    with (
        open_service(**PATIENT | knobs) as service,
        Wire(service.stage.environment["DATABASE_URL"], lambda: chance.random() < 1 / 12) as wire,
    ):
        service.stack.environment["DATABASE_URL"] = wire.url
        service.start()
        service.call(service.requests(25, chance))
        service.calm()
        ledger = examined(service)
        assert ledger.wrong == ()
        assert (ledger.accepted, ledger.uncertain, ledger.dead) == (25, 0, 0)
        assert wire.cuts >= 12
