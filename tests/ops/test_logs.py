"""The logs of a running worker: what they contain, and what they must not contain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import func, select

from booking_tasks.client import BookingClient
from booking_tasks.contracts import UpsertUser
from booking_tasks.kit.database import transaction
from booking_tasks.kit.redaction import without_rows
from booking_tasks.models import Job, ScheduledSession
from booking_tasks.ops.servers import free_port, wait_until
from booking_tasks.ops.service_processes import ServiceProcesses
from tests.accounts import as_superuser
from tests.mail.servers import sink_server
from tests.ops.bookings import bookable, request_message

PERSONAL = ("Canary Lang", "canary@example.org", "my secret trouble")


@pytest.fixture
def client(broker: str) -> Iterator[BookingClient]:
    made = BookingClient(broker)
    yield made
    made.close()


def invited() -> bool:
    with transaction() as db:
        sent = select(func.count()).where(Job.job_type == "send_invite", Job.state == "done")
        return db.execute(sent).scalar_one() == 2


#: What Celery writes to standard output when it is told to stop: the handler of a signal may not log.
ON_OUTPUT = "\nworker: Warm shutdown (MainProcess)\n"


def lines_of(log: Path) -> list[dict[str, Any]]:
    """Every line of a log; one that is no JSON object is an error."""
    lines = log.read_text().replace(ON_OUTPUT, "", 1).splitlines()
    no_json = [one for one in lines if not one.startswith("{")]
    assert no_json == []
    return [json.loads(one) for one in lines]


@pytest.mark.stack
def test_every_log_line_of_a_booking_has_its_ids_and_none_has_personal_data(
    stack: ServiceProcesses, client: BookingClient, own_database: str
) -> None:
    command = request_message(*bookable(PERSONAL[0], PERSONAL[1]), details=PERSONAL[2])
    broken = UpsertUser(
        message_id=uuid4(),
        actor="iam",
        user_id=uuid4(),
        name=PERSONAL[0],
        email=PERSONAL[1],
        time_zone="Europe/Vienna",
        language="en",
    )
    with psycopg.connect(
        as_superuser(own_database)
    ) as connection:  # a row of people's data that the database refuses
        refusal = f"ADD CONSTRAINT ck_refused CHECK (user_id <> '{broken.user_id}') NOT VALID"
        connection.execute(f"ALTER TABLE directory_users {refusal}".encode())
    with sink_server() as (sink, port):
        stack.environment["BOOKING_SMTP_PORT"] = str(port)
        worker = stack.worker("logged")
        stack.wait_ready()
        client.send(command)
        client.send(broken)
        wait_until(invited, "both invites")
        wait_until(lambda: b"CheckViolation" in worker.log.read_bytes(), "the error")
        worker.end()

    with transaction() as db:
        session_id = db.execute(select(ScheduledSession.id)).scalar_one()
        job_ids = {
            str(one) for one in db.execute(select(Job.id).where(Job.finished_at.is_not(None))).scalars()
        }
    lines = lines_of(worker.log)
    [answered] = [one for one in lines if one["event"] == "message.answered"]
    assert answered["message"] == str(command.message_id)
    assert (answered["request"], answered["result"]) == (str(command.request_id), "done")
    ran = [one for one in lines if one["event"] == "job.ran"]
    assert {one["job"] for one in ran} >= job_ids
    assert {one["job_type"] for one in ran} >= {"provision_meeting", "send_invite", "publish_event"}
    assert {one["session"] for one in ran if one["job_type"] == "send_invite"} == {str(session_id)}
    assert all(one["attempt"] >= 1 for one in ran)
    [error] = [one for one in lines if "CheckViolation" in one.get("exception", "")]
    assert error["level"] == "error"
    text = worker.log.read_text()
    assert [word for word in PERSONAL if word in text] == []
    assert len(sink.mails) == 2


@pytest.mark.stack
def test_from_start_to_end_whatever_a_process_writes_is_json(
    stack: ServiceProcesses, client: BookingClient
) -> None:
    port = free_port()
    stack.environment |= {
        "BOOKING_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "BOOKING_LINK_SECRET": "of the tests" * 3,
        "PYTHONUNBUFFERED": "1",  # programs of their own: what they say as they start belongs to it
    }
    processes = [stack.worker("worker"), stack.beat(), stack.web(port)]
    stack.wait_ready()
    client.send(request_message(*bookable()), wait=True).outcome(timeout=15)
    for process in processes:
        process.end()

    for process in processes:
        lines = lines_of(process.log)
        assert lines, process.name
        assert all(one["event"] and one["level"] for one in lines), process.name
    assert any(one["event"] == "message.answered" for one in lines_of(processes[0].log))


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        ("violates\nDETAIL:  Failing row contains (a,\nb@c).\n[SQL: INSERT]", "violates\n[SQL: INSERT]"),
        ("violates\nDETAIL:  Key (x)=(b@c).\nHINT:  no", "violates\nHINT:  no"),
        ("violates\nDETAIL:  Key (x)=(b@c).\n\nThe above", "violates\n\nThe above"),
        ("Error('violates\\nDETAIL:  Key (x)=(b@c).\\n[SQL: INSERT]')", "Error('violates\\n[SQL: INSERT]')"),
        ("violates\nDETAIL:  Key (x)=(b@c).", "violates"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_the_row_that_a_database_error_quotes_is_left_out(error: str, kept: str) -> None:
    assert without_rows(error) == kept
