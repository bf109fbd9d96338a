"""Jobs that wait for their target: due when it recovers, due when an operator says so, and logged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import structlog
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from booking_tasks.enums import PutOffReason, Target
from booking_tasks.jobs import runner
from booking_tasks.jobs.put_off import RECOVERY_SPREAD, make_due_after_recovery
from booking_tasks.jobs.rules import MOST_RECOVERIES, shortened
from booking_tasks.jobs.runner import Skipped, Snooze, run_due
from booking_tasks.kit.database import transaction
from booking_tasks.kit.errors import EffectNotDoneError, EffectRefusedError, EffectUnknownError
from booking_tasks.models import Job
from booking_tasks.ops.cli import cli
from booking_tasks.outbox import store as outbox_store
from booking_tasks.outbox.job_args import ARGS_TYPES, JobType, ProvisionMeeting, SendInvite, SendReminder
from booking_tasks.outbox.jobs import JOB_TYPES, Deadline
from tests.builders import NOW
from tests.conftest import DIRECT_AND_POOLED
from tests.jobs.test_runner import PAST, Recorder, failing, row, written
from tests.sample_jobs import sample_job

pytestmark = [DIRECT_AND_POOLED, pytest.mark.usefixtures("own_database", "valkey")]

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, object]]]:
    """What the runner logs."""
    with structlog.testing.capture_logs() as lines:
        monkeypatch.setattr(runner, "log", structlog.get_logger("runner"))
        yield lines  # type: ignore[misc]


def put_off(
    job_type: str, count: int = 1, wait: timedelta = HOUR, reason: str | None = "unreachable"
) -> list[str]:
    """Jobs of a type that wait for their next try; their keys."""
    new = [sample_job(job_type, PAST + n * MINUTE) for n in range(count)]
    keys = [one.key for one in new]
    with transaction() as db:
        outbox_store.insert_jobs(db, new)
        db.execute(
            update(Job)
            .where(Job.key.in_(keys))
            .values(retry_at=func.clock_timestamp() + wait, put_off_reason=reason, attempts=3)
        )
    return keys


def waits(db: Session, keys: list[str]) -> list[timedelta]:
    """How long each job still waits, the one due first first."""
    left = select(Job.retry_at - func.clock_timestamp()).where(Job.key.in_(keys))
    return list(db.scalars(left.order_by(Job.due_at)))


def test_every_job_with_a_target_has_a_deadline_of_its_own() -> None:
    for job_type, policy in JOB_TYPES.items():
        assert (policy.target is None) == (policy.deadline == Deadline.ATTEMPTS), job_type
    assert {policy.target for policy in JOB_TYPES.values()} == {*Target, None}


def test_the_first_success_makes_all_jobs_of_its_target_due_within_a_minute_evenly_spread() -> None:
    invites, reminders = put_off("send_invite", 150), put_off("send_reminder", 50, reason="put_off")
    rooms = put_off("provision_meeting", 20)
    written()
    assert run_due(SendInvite, Recorder()) == 1

    with transaction() as db:
        mails, others = waits(db, invites + reminders), waits(db, rooms)
        reasons = set(db.scalars(select(Job.put_off_reason).where(Job.key.in_(invites + reminders))))
    assert (len(mails), reasons) == (200, {"recovered"})
    assert max(mails) <= RECOVERY_SPREAD
    for quarter in range(4):
        part = [one for one in sorted(mails) if quarter * 15 < one.total_seconds() + 5 <= quarter * 15 + 15]
        assert len(part) >= 20, quarter
    assert min(others) > timedelta(minutes=50)


def test_a_second_success_moves_nothing_again() -> None:
    keys = put_off("send_invite", 5)
    with transaction() as db:
        assert make_due_after_recovery(db, Target.MAIL) == 5
    with transaction() as db:
        assert make_due_after_recovery(db, Target.MAIL) == 0
        assert len(waits(db, keys)) == 5


@pytest.mark.parametrize("reason", ["directory", "snoozed", "failed", "put_off_again", None])
def test_what_does_not_wait_for_the_target_is_left_alone(reason: str | None) -> None:
    put_off("send_invite", reason=reason)
    with transaction() as db:
        assert make_due_after_recovery(db, Target.MAIL) == 0


def fails(keys: list[str], reason: PutOffReason) -> set[str | None]:
    """Each of the jobs is tried now, fails and waits for an hour; the reasons that are stored."""
    with transaction() as db:
        due = {"retry_at": func.clock_timestamp(), "attempts": 3}  # the count of tries is another rule
        db.execute(update(Job).where(Job.key.in_(keys)).values(due))
    assert run_due(SendInvite, Recorder(failing(EffectNotDoneError("4yz or another", reason)))) == len(keys)
    with transaction() as db:
        db.execute(update(Job).where(Job.key.in_(keys)).values(retry_at=func.clock_timestamp() + HOUR))
        return set(db.scalars(select(Job.put_off_reason).where(Job.key.in_(keys))))


def recovers() -> int:
    """The target answers another job; how many jobs that makes due."""
    with transaction() as db:
        return make_due_after_recovery(db, Target.MAIL)


@pytest.mark.parametrize("number", [1, 20])
@pytest.mark.parametrize("reason", ["put_off", "not_ready", "rate_limited"])
def test_a_second_outage_right_after_the_recovery_ends_as_the_first_one(number: int, reason: str) -> None:
    keys = put_off("send_invite", number, reason=reason)
    for _ in range(3):
        written()
        assert run_due(SendInvite, Recorder()) == 1
        with transaction() as db:
            assert max(waits(db, keys)) <= RECOVERY_SPREAD
        assert fails(keys, PutOffReason(reason)) == {reason}


@pytest.mark.parametrize(
    ("reason", "in_vain"), [("put_off", "put_off_again"), ("not_ready", "not_ready"), ("reply_lost",) * 2]
)
def test_what_fails_after_each_recovery_is_tried_at_most_twice_as_often_as_by_its_own_waits(
    reason: str, in_vain: str
) -> None:
    keys = put_off("send_invite", reason=reason)
    for _ in range(MOST_RECOVERIES):
        assert recovers() == 1
        hurried = fails(keys, PutOffReason(reason))
    assert hurried == {in_vain}

    for _ in range(3):
        assert recovers() == 0
        assert fails(keys, PutOffReason(reason)) == {reason}  # its own wait is over
        assert recovers() == 1
        assert fails(keys, PutOffReason(reason)) == {in_vain}


@pytest.mark.parametrize("reason", ["unreachable", "login_refused"])
def test_a_target_that_nothing_can_reach_is_an_outage_however_often(reason: str) -> None:
    keys = put_off("send_invite", reason=reason)
    for _ in range(8):
        assert recovers() == 1
        assert fails(keys, PutOffReason(reason)) == {reason}


# -- what is logged ---------------------------------------------------------------------------------


def test_a_put_off_job_is_a_warning_with_its_reason_and_never_the_line_of_a_success(
    log: list[dict[str, object]],
) -> None:
    written()
    run_due(SendInvite, Recorder(failing(EffectNotDoneError("451 later", PutOffReason.PUT_OFF))))
    [line] = [one for one in log if str(one["event"]).startswith("job.")]
    assert (line["event"], line["log_level"], line["reason"]) == ("job.put_off", "warning", "put_off")
    assert line["error"] == "451 later"


@pytest.mark.parametrize(
    ("handler", "event", "level"),
    [
        (Recorder(), "job.ran", "info"),
        (Recorder(step=Skipped("moved")), "job.ran", "info"),
        (Recorder(step=Snooze("wait")), "job.ran", "info"),
        (Recorder(failing(EffectRefusedError("550 no"))), "job.dead", "error"),
        (Recorder(failing(EffectUnknownError("lost"))), "job.uncertain", "error"),
    ],
)
def test_each_end_of_a_try_is_one_line(
    log: list[dict[str, object]], handler: Recorder, event: str, level: str
) -> None:
    written("send_reminder")
    run_due(SendReminder, handler)
    assert [(one["event"], one["log_level"]) for one in log] == [(event, level)]


def test_the_recovery_of_a_target_is_logged_with_how_many_jobs_waited(log: list[dict[str, object]]) -> None:
    put_off("close_meeting", 3)
    written("provision_meeting")
    run_due(ProvisionMeeting, Recorder())
    [line] = [one for one in log if one["event"] == "target.recovered"]
    assert (line["target"], line["jobs"]) == ("meetings", 3)


# -- waits -----------------------------------------------------------------------------------------


def test_waits_get_shorter_towards_the_instant_that_counts_and_never_shorter_than_the_base() -> None:
    base = timedelta(seconds=5)
    ahead = [NOW + HOUR, None]
    assert shortened(HOUR, NOW, base, ahead) == 15 * MINUTE
    assert shortened(MINUTE, NOW, base, ahead) == MINUTE
    assert shortened(HOUR, NOW, base, [NOW + timedelta(seconds=8)]) == base
    assert shortened(HOUR, NOW, base, [NOW - MINUTE, NOW + 4 * MINUTE]) == MINUTE
    assert shortened(HOUR, NOW, base, []) == HOUR


# -- retry-now -------------------------------------------------------------------------------------


def retry_now(*arguments: str) -> str:
    ran = CliRunner().invoke(cli, ["jobs", "retry-now", *arguments], catch_exceptions=False)
    return f"{ran.exit_code} {ran.output}"


def test_retry_now_makes_exactly_the_selected_jobs_due() -> None:
    put_off("send_invite", 2), put_off("send_reminder"), put_off("provision_meeting")
    later = put_off("publish_event")
    assert retry_now("--type", "send_invite").count("is tried now") == 2
    assert retry_now("--target", "mail").count("is tried now") == 1
    assert retry_now("--target", "mail").startswith("1 no job that matches waits for its next try")
    assert retry_now("--all").count("is tried now") == 2
    with transaction() as db:
        assert max(waits(db, later)) <= timedelta(0)
    handler = Recorder()
    assert run_due(SendInvite, handler) == 2


def test_retry_now_touches_nothing_that_is_not_put_off() -> None:
    future, dead = written(due=datetime.now(tz=PAST.tzinfo) + HOUR), written()
    run_due(SendInvite, Recorder(failing(EffectRefusedError("no"))))
    assert "nothing was changed" in retry_now("--all")
    assert (row(future).state, row(dead).state) == ("waiting", "dead")


def test_retry_now_needs_a_filter_and_a_target_that_exists() -> None:
    assert retry_now().startswith("2 ")
    assert retry_now("--target", "pigeons").startswith("2 ")


def test_the_jobs_that_wait_for_their_next_try_can_be_listed() -> None:
    put_off("send_invite", 2)
    written("send_invite")
    ran = CliRunner().invoke(cli, ["jobs", "list", "--put-off", "--target", "mail"], catch_exceptions=False)
    assert ran.output.count("send_invite") == 2
    assert set(ARGS_TYPES) == set(JobType)
