"""The commands for jobs, dead letters and the timeline, called as on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update
from typer.testing import CliRunner, Result

from booking_tasks.assignment.tasks import submit_request
from booking_tasks.inbox import service as inbox
from booking_tasks.inbox.tasks import recover_inbox
from booking_tasks.kit.database import transaction
from booking_tasks.models import DeadLetter, Event, InboxMessage, Job, ScheduledSession
from booking_tasks.ops.cli import cli
from tests import builders
from tests.jobs.test_decisions import job

pytestmark = pytest.mark.usefixtures("own_database", "valkey")

Booking = Callable[..., Result]


@pytest.fixture
def booking(monkeypatch: pytest.MonkeyPatch) -> Booking:
    """`booking-tasks ...`; who types it is ann."""
    monkeypatch.setenv("USER", "ann")

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(cli, [str(one) for one in arguments], catch_exceptions=False)

    return run


def dead_job(**values: Any) -> UUID:
    with transaction() as db:
        return job(db, builders.booked_session(db).id, **values).id


def state_of(job_id: UUID) -> str:
    with transaction() as db:
        return db.get_one(Job, job_id).state


def decided() -> list[tuple[str, str, str | None]]:
    with transaction() as db:
        found = db.scalars(select(Event).where(Event.actor != "test").order_by(Event.position))
        return [(one.type, one.actor, one.reason) for one in found]


def test_jobs_are_listed_with_their_cause_and_as_json(booking: Booking) -> None:
    one, other = dead_job(), dead_job(state="uncertain", job_type="send_reminder")
    lines = booking("jobs", "list", "--state", "dead").stdout.splitlines()
    assert len(lines) == 1
    assert str(one) in lines[0]
    assert "550 no" in lines[0]
    listed = json.loads(booking("jobs", "list", "--type", "send_reminder", "--json").stdout)
    assert [(row["id"], row["state"]) for row in listed] == [(str(other), "uncertain")]
    assert "payload" not in listed[0]
    assert json.loads(booking("jobs", "list", "--since", "2100-01-01T00:00Z", "--json").stdout) == []
    assert len(json.loads(booking("jobs", "list", "--since", "1h", "--json").stdout)) == 2


def test_one_job_is_shown_and_an_unknown_one_is_not(booking: Booking) -> None:
    one = dead_job()
    assert json.loads(booking("jobs", "show", one).stdout)["last_error"] == "550 no"
    unknown = booking("jobs", "show", uuid4())
    assert unknown.exit_code == 1
    assert "there is no job" in unknown.stderr


def test_jobs_are_replayed_one_by_one_or_by_filter_in_the_operators_name(booking: Booking) -> None:
    one, other, third = dead_job(), dead_job(job_type="send_notice"), dead_job(job_type="send_notice")
    assert booking("jobs", "replay", one, "--why", "mailbox open").exit_code == 0
    assert (state_of(one), state_of(other)) == ("waiting", "dead")
    ran = booking("jobs", "replay", "--type", "send_notice", "--why", "all of them", "--who", "bea")
    assert {line.split()[0] for line in ran.stdout.splitlines()} == {str(other), str(third)}
    assert (state_of(other), state_of(third)) == ("waiting", "waiting")
    assert decided() == [
        ("job.replayed", "ann", "mailbox open"),
        ("job.replayed", "bea", "all of them"),
        ("job.replayed", "bea", "all of them"),
    ]
    again = booking("jobs", "replay", one, "--why", "again")
    assert again.exit_code == 1
    assert "nothing was changed" in again.stderr


def test_a_job_is_discarded_with_who_and_why(booking: Booking) -> None:
    one = dead_job()
    assert booking("jobs", "discard", one, "--why", "informed by phone").exit_code == 0
    assert state_of(one) == "skipped"
    assert decided() == [("job.discarded", "ann", "informed by phone")]


@pytest.mark.parametrize("ledger", ["jobs", "dead"])
@pytest.mark.parametrize("what", ["replay", "discard"])
def test_nothing_is_decided_without_a_reason_a_name_or_a_filter(
    booking: Booking, monkeypatch: pytest.MonkeyPatch, ledger: str, what: str
) -> None:
    one = dead_job()
    assert booking(ledger, what, one).exit_code == 2
    assert booking(ledger, what, "--why", "everything").exit_code == 2
    assert booking(ledger, what, one, "--why", "x", "--who", " ").exit_code == 2
    monkeypatch.delenv("USER")
    assert booking(ledger, what, one, "--why", "x").exit_code == 2
    assert (state_of(one), decided()) == ("dead", [])


def test_all_dead_jobs_are_selected_only_with_the_option(booking: Booking) -> None:
    ids = {dead_job(), dead_job()}
    assert booking("jobs", "discard", "--all", "--why", "a rehearsal").exit_code == 0
    assert {state_of(one) for one in ids} == {"skipped"}


def test_an_unknown_state_or_time_is_refused(booking: Booking) -> None:
    assert "is one of waiting" in booking("jobs", "list", "--state", "lost").stderr
    assert "write an instant" in booking("jobs", "list", "--since", "yesterday").stderr


def test_dead_letters_are_listed_shown_and_discarded(booking: Booking) -> None:
    submit_request({"message_id": "nonsense", "surprise": "Mira Lang"})
    [row] = json.loads(booking("dead", "list", "--task", "submit_request", "--json").stdout)
    assert "message_id" in row["reason"]
    assert "Mira" not in str(row)
    assert json.loads(booking("dead", "show", row["id"]).stdout) == row
    refused = booking("dead", "replay", row["id"], "--why", "x")
    assert refused.exit_code == 1
    assert "under a new message_id" in refused.stderr
    assert booking("dead", "discard", row["id"], "--why", "a test message").exit_code == 0
    with transaction() as db:
        assert db.scalars(select(DeadLetter)).all() == []
    assert decided() == [("message.discarded", "ann", "a test message")]


def test_the_timeline_of_a_request_is_printed_as_lines_and_as_json(booking: Booking) -> None:
    job_id = dead_job()
    with transaction() as db:
        session = db.scalars(select(ScheduledSession)).one()
    lines = booking("timeline", session.id).stdout.splitlines()
    assert lines[0] == f"request {session.consultation_request_id}, session {session.id}"
    assert any(str(job_id) in line and "550 no" in line for line in lines[2:])

    timeline = json.loads(booking("timeline", session.consultation_request_id, "--json").stdout)

    assert timeline["session"] == str(session.id)
    assert str(job_id) in {line["id"] for line in timeline["entries"] if line["source"] == "job"}


def test_an_id_without_a_timeline_is_refused(booking: Booking) -> None:
    unknown = booking("timeline", uuid4())
    assert unknown.exit_code == 1
    assert "neither a request nor a session" in unknown.stderr


def test_a_dead_message_is_run_again_by_the_command(booking: Booking) -> None:
    body = {
        "message_id": str(uuid4()),
        "actor": "shop",
        "request_id": str(uuid4()),
        "requester_user_id": str(uuid4()),
        "service_type_id": str(uuid4()),
    }
    with transaction() as db:
        for _ in range(2):
            inbox.begin_attempt(db, UUID(body["message_id"]), "submit_request", "booking", body, 1)
            db.execute(update(InboxMessage).values(attempted_at=text("clock_timestamp() - interval '1 min'")))
        dead_letter = db.scalars(select(DeadLetter)).one()

    done = booking("dead", "replay", dead_letter.id, "--why", "mended")

    assert done.exit_code == 0
    assert recover_inbox() == 1
    with transaction() as db:
        message = db.get_one(InboxMessage, UUID(body["message_id"]))
        assert (message.state, message.attempts) == ("done", 1)
        assert db.scalars(select(DeadLetter)).all() == []
