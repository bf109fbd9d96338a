"""What ends its process every time, or never returns, ends dead after its tries and takes nobody with it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select

from booking_tasks.assignment import asking
from booking_tasks.client import BookingClient
from booking_tasks.contracts import SubmitRequest
from booking_tasks.kit.database import transaction
from booking_tasks.models import ConsultationRequest, DeadLetter, InboxMessage, Job
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.stack import EFFECTS, FRONT, ServiceProcess
from booking_tasks.unit_of_work import unit_of_work
from tests.faults.conftest import Open
from tests.faults.house import TUESDAY, House, Nuisance, identity
from tests.faults.invariants import examined

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

#: Where a request's way into the house and every later look at it pass by.
LOOK = "SELECT refusal, session_end FROM book_or_hold_v1"


@pytest.fixture
def house(open_house: Open) -> Iterator[House]:
    knobs = {"BOOKING_LEASE": "1s", "BOOKING_SMTP_TIMEOUT": "0.4s", "BOOKING_MEETING_TIMEOUT": "0.4s"}
    with open_house(BOOKING_JOB_ATTEMPTS="3", **knobs) as house:
        yield house


def poisoned(house: House, poison: object, *pool: str, **twists: str) -> ServiceProcess:
    """A front worker that comes to harm when it looks at the request `poison`."""
    house.stack.environment |= {"TWIST_POISON": str(poison), "TWIST_POISON_AT": LOOK} | twists
    return house.stack.plain("front", "worker", "-Q", ",".join(FRONT), *pool, app="tests.faults.twisted")


def start(house: House, poison: object) -> None:
    """A front worker that dies of a request, and all the rest in health."""
    poisoned(house, poison, "-c", "2")
    house.stack.worker("effects", EFFECTS)
    house.stack.beat()
    house.wait_ready()


def test_a_message_that_kills_its_process_is_dead_after_three_tries(house: House) -> None:
    wishes = house.wishes(8, random.Random(7))
    start(house, wishes[3].request_id)

    house.call(wishes)

    answers = [house.book.answers[wish.message_id] for wish in wishes]
    assert [answer.result for answer in answers] == ["done"] * 3 + ["refused"] + ["done"] * 4
    assert answers[3].code == "dead"
    assert_buried(wishes[3], tries=3)


def assert_buried(wish: SubmitRequest, tries: int) -> None:
    """Its message is dead after so many tries, and a letter says why and nothing of its content."""
    with transaction() as db:
        message = db.get_one(InboxMessage, wish.message_id)
        of_it = select(DeadLetter).where(DeadLetter.message_id == wish.message_id)
        letter = db.execute(of_it).scalar_one()
    assert (message.state, message.attempts) == ("dead", tries + 1)
    assert f"{tries} attempts" in letter.reason
    assert "wish" not in str(letter.payload)


@contextmanager
def kept_running(start: Callable[[], ServiceProcess]) -> Iterator[list[ServiceProcess]]:
    """Start a worker, and start it again at once whenever it has ended; yields all that were started."""
    started = [start()]

    def restart() -> None:
        if not started[-1].running:
            started.append(start())

    with Nuisance(restart, lambda: 0.05):
        yield started


def test_a_message_that_kills_a_worker_without_a_pool_ends_three_of_them_and_no_more(house: House) -> None:
    """There the death takes the whole worker; a supervisor that never tires starts it again."""
    *wishes, later = house.wishes(6, random.Random(7))
    deadly = wishes[2]
    house.stack.beat()

    with kept_running(lambda: poisoned(house, deadly.request_id, "-P", "solo")) as workers:
        house.call(wishes)
        assert house.book.answers[deadly.message_id].code == "dead"
        assert_buried(deadly, tries=3)

        house.call([deadly, later])  # whoever hands it in again is answered; nobody dies of it any more

    assert house.book.accepted == {wish.message_id for wish in (*wishes, later)} - {deadly.message_id}
    assert [worker.running for worker in workers] == [False] * 3 + [True]


def test_a_message_whose_run_never_returns_is_ended_at_the_time_limit_and_gives_its_slot_back(
    open_house: Open,
) -> None:
    """Nobody waits for it, so the sweep takes it again; the worker has one slot, for it and all others."""
    with open_house(BOOKING_MESSAGE_ATTEMPTS="2") as house:
        endless, *wishes = house.wishes(4, random.Random(7))
        worker = poisoned(house, endless.request_id, "-c", "1", TWIST_POISON_BY="SIGSTOP", TWIST_HASTE="50")
        house.stack.beat()
        client = BookingClient(house.redis_url)
        client.send(endless)
        client.close()

        house.call(wishes)
        wait_until(lambda: state_of(endless) == "dead", "the end of what never returns", 90)

        assert_buried(endless, tries=2)
        assert house.book.accepted == {wish.message_id for wish in wishes}
        assert worker.running
        assert worker.log.read_text().count("Hard time limit") >= 2


def state_of(wish: SubmitRequest) -> str | None:
    with transaction() as db:
        found = db.get(InboxMessage, wish.message_id)
        return None if found is None else found.state


@pytest.mark.long
def test_a_job_that_kills_its_process_dies_alone(house: House) -> None:
    """Those that stood behind it in the batch keep their tries."""
    poison = identity("request 0")
    wishes = house.wishes(12, random.Random(8))
    with unit_of_work("shop", "booking") as (db, ctx):
        for wish in wishes:
            assert asking.submit_only(db, ctx, wish).status == "pending"

    start(house, poison)
    wait_until(lambda: all(job.finished_at is not None for job in assignments()), "an end of every look", 90)

    assert Counter(job.state for job in assignments()) == {"done": 11, "dead": 1}
    [dead] = [job for job in assignments() if job.state == "dead"]
    assert (dead.subject_id, dead.attempts) == (poison, 4)
    assert max(job.attempts for job in assignments() if job.state == "done") <= 2

    # Nobody looks at it any more, and at its time the requester is told.
    house.live_through(TUESDAY + timedelta(days=3), hop=timedelta(days=4))
    ledger = examined(house)
    assert [one for one in ledger.wrong if "no decision kept" not in one] == []
    with transaction() as db:
        assert db.get_one(ConsultationRequest, poison).status == "rejected"


def assignments() -> list[Job]:
    with transaction() as db:
        return list(db.execute(select(Job).where(Job.job_type == "assign_request")).scalars())
