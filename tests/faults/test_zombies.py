"""A worker is paused past its lease and wakes: what it writes then is refused."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from booking_tasks.jobs import runner
from booking_tasks.jobs.runner import Send
from booking_tasks.kit.database import transaction
from booking_tasks.kit.errors import LostLeaseError
from booking_tasks.models import Job
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import EFFECTS, FRONT, ServiceProcess
from tests.faults.conftest import Open
from tests.faults.fault_injector import family, send
from tests.faults.invariants import examined
from tests.faults.running_service import RunningService
from tests.faults.test_lost_replies import PAST, Letters
from tests.mail.servers import STALL, scripted_server
from tests.sample_jobs import leased_job, sample_args


@pytest.fixture
def service(open_service: Open) -> Iterator[RunningService]:
    """Everything runs but a worker for mail."""
    knobs = {"BOOKING_LEASE": "4s", "BOOKING_SMTP_TIMEOUT": "1.9s", "BOOKING_MEETING_TIMEOUT": "1.9s"}
    with open_service(2, 4, **knobs) as service:
        service.stack.worker("front", (*FRONT, "provision"))
        service.stack.beat()
        service.wait_ready()
        yield service


def jobs(job_type: str) -> list[Job]:
    with transaction() as db:
        return list(db.execute(select(Job).where(Job.job_type == job_type).order_by(Job.key)).scalars())


def states(job_type: str) -> set[str]:
    return {job.state for job in jobs(job_type)}


def stopped_while_sending(service: RunningService, job_type: str, zombie: ServiceProcess) -> ServiceProcess:
    """A worker that stands still in the middle of an effect."""
    service.call(service.requests(1, random.Random(9)))
    wait_until(lambda: "sending" in states(job_type), f"{job_type} being sent", 60)
    send(family(zombie.pid), signal.SIGSTOP)
    return zombie


def woken(zombie: ServiceProcess) -> None:
    """Let it go on until it has found out."""
    send(family(zombie.pid), signal.SIGCONT)
    wait_until(lambda: "job.lease_lost" in zombie.log.read_text(), "the zombie's refusal", 60)


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_a_worker_that_wakes_after_its_lease_changes_nothing(service: RunningService) -> None:
    service.platform.control(delay_seconds=1.2)  # so long is there time to stop it, and it gets the answer
    zombie = stopped_while_sending(service, "provision_meeting", service.stack.processes[0])
    service.platform.control(delay_seconds=0)
    service.stack.worker("healthy")
    service.calm()
    [before] = jobs("provision_meeting")
    assert (before.state, before.send_attempts) == ("done", 2)

    woken(zombie)

    [after] = jobs("provision_meeting")
    assert (after.state, after.send_attempts, after.finished_at) == ("done", 2, before.finished_at)
    keys = {call["idempotency_key"] for call in service.platform.ledger() if call["method"] == "PUT"}
    assert keys == {before.key}
    assert examined(service).wrong == ()


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_a_mail_in_transmission_is_not_completed_after_the_lease(service: RunningService) -> None:
    """Paused while the mail server hesitates to greet: another worker sends it, the first one must not."""
    with scripted_server({"greeting": STALL}, {}) as (script, port):
        service.stack.environment["BOOKING_SMTP_PORT"] = str(port)
        zombie = service.stack.worker("zombie", ("notify",), concurrency=1)
        service.wait_ready()
        stopped_while_sending(service, "send_invite", zombie)
        service.stack.worker("healthy", EFFECTS)
        service.calm()

        woken(zombie)

    assert {(job.state, job.send_attempts) for job in jobs("send_invite")} == {("done", 1), ("done", 2)}
    assert len(script.bodies) == len(set(script.bodies)) == 2


@pytest.mark.usefixtures("own_database", "valkey")
def test_nothing_is_sent_once_the_lease_is_over() -> None:
    job = leased_job(sample_args("send_reminder"), due_at=PAST)
    letters = Letters()
    with pytest.raises(LostLeaseError):
        runner._send(job, letters, Send(b"message"), lease_ends=time.monotonic() - 0.1)
    assert letters.sent == 0
