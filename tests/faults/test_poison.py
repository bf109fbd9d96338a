"""What ends its process every time, or never returns, ends dead after its tries and takes nobody with it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select

from booking_tasks.assignment import service as assignment
from booking_tasks.client import BookingClient
from booking_tasks.contracts import SubmitRequest
from booking_tasks.kit.database import transaction
from booking_tasks.models import ConsultationRequest, DeadLetter, InboxMessage, Job
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import EFFECTS, FRONT, ServiceProcess
from booking_tasks.unit_of_work import unit_of_work
from tests.faults.conftest import Open
from tests.faults.invariants import examined
from tests.faults.running_service import TUESDAY, Nuisance, RunningService, identity

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

#: Where a request's way into the service and every later look at it pass by.
BOOKING_QUERY = "SELECT refusal, session_end FROM book_or_hold_v3"


KNOBS = {
    "BOOKING_JOB_ATTEMPTS": "3",
    "BOOKING_LEASE": "1s",
    "BOOKING_SMTP_TIMEOUT": "0.4s",
    "BOOKING_MEETING_TIMEOUT": "0.4s",
}


@pytest.fixture(
    params=["valkey", pytest.param("rabbitmq", marks=[pytest.mark.rabbitmq, pytest.mark.long])],
)
def broker(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of each broker in turn: Valkey in every run, RabbitMQ in `make faults`."""
    if request.param == "valkey":
        return {}
    return {"CELERY_BROKER_URL": request.getfixturevalue("rabbitmq")}


@pytest.fixture
def service(open_service: Open, broker: dict[str, str]) -> Iterator[RunningService]:
    with open_service(**KNOBS, **broker) as service:
        yield service


def poisoned(service: RunningService, poison: object, *pool: str, **faults: str) -> ServiceProcess:
    """A front worker that comes to harm when it looks at the request `poison`."""
    service.stack.environment |= {"FAULTY_POISON": str(poison), "FAULTY_POISON_AT": BOOKING_QUERY} | faults
    return service.stack.plain("front", "worker", "-Q", ",".join(FRONT), *pool, app="tests.faults.faulty_app")


def start(service: RunningService, poison: object) -> None:
    """A front worker that dies of a request, and all the rest in health."""
    poisoned(service, poison, "-c", "2")
    service.stack.worker("effects", EFFECTS)
    service.stack.beat()
    service.wait_ready()


def test_a_message_that_kills_its_process_is_dead_after_three_tries(service: RunningService) -> None:
    requests = service.requests(8, random.Random(7))
    start(service, requests[3].request_id)

    service.call(requests)

    answers = [service.book.answers[request.message_id] for request in requests]
    assert [answer.result for answer in answers] == ["done"] * 3 + ["refused"] + ["done"] * 4
    assert answers[3].code == "dead"
    assert_buried(requests[3], tries=3)


def assert_buried(request: SubmitRequest, tries: int) -> None:
    """Its message is dead after so many tries, and a letter says why and nothing of its content."""
    with transaction() as db:
        message = db.get_one(InboxMessage, request.message_id)
        of_it = select(DeadLetter).where(DeadLetter.message_id == request.message_id)
        row = db.execute(of_it).scalar_one()
    assert (message.state, message.attempts) == ("dead", tries + 1)
    assert f"{tries} attempts" in row.reason
    assert "wish" not in str(row.payload)


@contextmanager
def kept_running(start: Callable[[], ServiceProcess]) -> Iterator[list[ServiceProcess]]:
    """Start a worker, and start it again at once whenever it has ended; yields all that were started."""
    started = [start()]

    def restart() -> None:
        if not started[-1].running:
            started.append(start())

    with Nuisance(restart, lambda: 0.05):
        yield started


def test_a_message_that_kills_a_worker_without_a_pool_ends_three_of_them_and_no_more(
    service: RunningService,
) -> None:
    """There the death takes the whole worker; a supervisor that never tires starts it again."""
    *requests, later = service.requests(6, random.Random(7))
    deadly = requests[2]
    service.stack.beat()

    with kept_running(lambda: poisoned(service, deadly.request_id, "-P", "solo")) as workers:
        service.call(requests)
        assert service.book.answers[deadly.message_id].code == "dead"
        assert_buried(deadly, tries=3)

        service.call([deadly, later])  # whoever hands it in again is answered; nobody dies of it any more

    assert service.book.accepted == {request.message_id for request in (*requests, later)} - {
        deadly.message_id
    }
    assert [worker.running for worker in workers] == [False] * 3 + [True]


def test_a_message_whose_run_never_returns_is_ended_at_the_time_limit_and_gives_its_slot_back(
    open_service: Open, broker: dict[str, str]
) -> None:
    """Nobody waits for it, so the sweep takes it again; the worker has one slot, for it and all others."""
    with open_service(BOOKING_MESSAGE_ATTEMPTS="2", **broker) as service:
        endless, *requests = service.requests(4, random.Random(7))
        worker = poisoned(
            service, endless.request_id, "-c", "1", FAULTY_POISON_BY="SIGSTOP", FAULTY_HASTE="50"
        )
        service.stack.beat()
        service.wait_ready()  # RabbitMQ takes messages once a worker has declared the queues
        client = BookingClient(service.broker_url)
        client.send(endless)
        client.close()

        service.call(requests)
        wait_until(lambda: state_of(endless) == "dead", "the end of what never returns", 90)

        assert_buried(endless, tries=2)
        assert service.book.accepted == {request.message_id for request in requests}
        assert worker.running
        assert worker.log.read_text().count("Hard time limit") >= 2


def state_of(request: SubmitRequest) -> str | None:
    with transaction() as db:
        found = db.get(InboxMessage, request.message_id)
        return None if found is None else found.state


@pytest.mark.long
def test_a_job_that_kills_its_process_dies_alone(service: RunningService) -> None:
    """Those that stood behind it in the batch keep their tries."""
    poison = identity("request 0")
    requests = service.requests(12, random.Random(8))
    with unit_of_work("shop", "booking") as (db, ctx):
        for request in requests:
            assert assignment.submit_only(db, ctx, request).status == "pending"

    start(service, poison)
    wait_until(lambda: all(job.finished_at is not None for job in assignments()), "an end of every look", 90)

    assert Counter(job.state for job in assignments()) == {"done": 11, "dead": 1}
    [dead] = [job for job in assignments() if job.state == "dead"]
    assert (dead.subject_id, dead.attempts) == (poison, 4)
    assert max(job.attempts for job in assignments() if job.state == "done") <= 2

    # Nobody looks at it any more, and at its time the requester is told.
    service.live_through(TUESDAY + timedelta(days=3), hop=timedelta(days=4))
    ledger = examined(service)
    assert [one for one in ledger.wrong if "no decision kept" not in one] == []
    with transaction() as db:
        assert db.get_one(ConsultationRequest, poison).status == "rejected"


def assignments() -> list[Job]:
    with transaction() as db:
        return list(db.execute(select(Job).where(Job.job_type == "assign_request")).scalars())
