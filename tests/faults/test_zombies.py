"""A worker is paused past its lease and wakes: what it writes then is refused."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from booking_tasks.jobs import runner
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import Send
from booking_tasks.kit.database import transaction
from booking_tasks.kit.errors import LostLeaseError
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import Job
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.stack import EFFECTS, FRONT, ServiceProcess
from tests.faults.conftest import Open
from tests.faults.house import House
from tests.faults.invariants import examined
from tests.faults.nemesis import family, send
from tests.faults.test_lost_replies import PAST, Letters
from tests.mail.servers import STALL, scripted_server


@pytest.fixture
def house(open_house: Open) -> Iterator[House]:
    """Everything runs but a worker for mail."""
    knobs = {"BOOKING_LEASE": "4s", "BOOKING_SMTP_TIMEOUT": "1.9s", "BOOKING_MEETING_TIMEOUT": "1.9s"}
    with open_house(2, 4, **knobs) as house:
        house.stack.worker("front", (*FRONT, "provision"))
        house.stack.beat()
        house.wait_ready()
        yield house


def jobs(kind: str) -> list[Job]:
    with transaction() as db:
        return list(db.execute(select(Job).where(Job.job_type == kind).order_by(Job.key)).scalars())


def states(kind: str) -> set[str]:
    return {job.state for job in jobs(kind)}


def stopped_while_sending(house: House, kind: str, zombie: ServiceProcess) -> ServiceProcess:
    """A worker that stands still in the middle of an effect."""
    house.call(house.wishes(1, random.Random(9)))
    wait_until(lambda: "sending" in states(kind), f"{kind} being sent", 60)
    send(family(zombie.pid), signal.SIGSTOP)
    return zombie


def woken(zombie: ServiceProcess) -> None:
    """Let it go on until it has found out."""
    send(family(zombie.pid), signal.SIGCONT)
    wait_until(lambda: "job.lease_lost" in zombie.log.read_text(), "the zombie's refusal", 60)


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_a_worker_that_wakes_after_its_lease_changes_nothing(house: House) -> None:
    house.platform.control(delay_seconds=1.2)  # so long is there time to stop it, and it gets the answer
    zombie = stopped_while_sending(house, "provision_meeting", house.stack.processes[0])
    house.platform.control(delay_seconds=0)
    house.stack.worker("healthy")
    house.calm()
    [before] = jobs("provision_meeting")
    assert (before.state, before.send_attempts) == ("done", 2)

    woken(zombie)

    [after] = jobs("provision_meeting")
    assert (after.state, after.send_attempts, after.finished_at) == ("done", 2, before.finished_at)
    keys = {call["idempotency_key"] for call in house.platform.ledger() if call["method"] == "PUT"}
    assert keys == {before.key}
    assert examined(house).wrong == ()


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_a_letter_that_was_on_its_way_is_not_finished_after_the_lease(house: House) -> None:
    """Paused while the mail server hesitates to greet: another worker sends it, the first one must not."""
    with scripted_server({"greeting": STALL}, {}) as (script, port):
        house.stack.environment["BOOKING_SMTP_PORT"] = str(port)
        zombie = house.stack.worker("zombie", ("notify",), concurrency=1)
        house.wait_ready()
        stopped_while_sending(house, "send_invite", zombie)
        house.stack.worker("healthy", EFFECTS)
        house.calm()

        woken(zombie)

    assert {(job.state, job.send_attempts) for job in jobs("send_invite")} == {("done", 1), ("done", 2)}
    assert len(script.bodies) == len(set(script.bodies)) == 2


@pytest.mark.usefixtures("own_database", "valkey")
def test_nothing_is_sent_once_the_lease_is_over() -> None:
    job = LeasedJob(uuid7(), "key", "send_reminder", uuid7(), 0, None, "", PAST, 1, 0, uuid7(), None)
    letters = Letters()
    with pytest.raises(LostLeaseError):
        runner._send(job, letters, Send(b"letter"), lease_ends=time.monotonic() - 0.1)
    assert letters.sent == 0
