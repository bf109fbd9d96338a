"""What ends its process every time ends dead after three tries, and takes nobody with it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from booking_tasks.assignment import asking
from booking_tasks.database import transaction
from booking_tasks.doorbell import occasion
from booking_tasks.models import ConsultationRequest, DeadLetter, InboxMessage, Job
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.stack import EFFECTS, FRONT
from tests.faults.conftest import Open
from tests.faults.house import TUESDAY, House, identity
from tests.faults.invariants import examined

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


@pytest.fixture
def house(open_house: Open) -> Iterator[House]:
    knobs = {"BOOKING_LEASE": "1s", "BOOKING_SMTP_TIMEOUT": "0.4s", "BOOKING_MEETING_TIMEOUT": "0.4s"}
    with open_house(BOOKING_JOB_ATTEMPTS="3", **knobs) as house:
        yield house


def start(house: House, poison: str, at: str) -> None:
    """A front worker that dies of a statement, and all the rest in health."""
    house.stack.environment |= {"TWIST_POISON": poison, "TWIST_POISON_AT": at}
    front = ("worker", "-Q", ",".join(FRONT), "-c", "2")
    house.stack.plain("front", *front, app="tests.faults.twisted")
    house.stack.worker("effects", EFFECTS)
    house.stack.beat()
    house.wait_ready()


def test_a_message_that_kills_its_process_is_dead_after_three_tries(house: House) -> None:
    wishes = house.wishes(8, random.Random(7))
    start(house, str(wishes[3].request_id), "SELECT refusal, session_end FROM give_start")

    house.call(wishes)

    answers = [house.book.answers[wish.message_id] for wish in wishes]
    assert [answer.result for answer in answers] == ["done"] * 3 + ["refused"] + ["done"] * 4
    assert answers[3].code == "dead"
    with transaction() as db:
        message = db.get_one(InboxMessage, wishes[3].message_id)
        letter = db.execute(select(DeadLetter)).scalar_one()
    assert (message.state, message.attempts) == ("dead", 4)
    assert "3 attempts" in letter.reason
    assert "wish" not in str(letter.payload)


@pytest.mark.long
def test_a_job_that_kills_its_process_dies_alone(house: House) -> None:
    """Those that stood behind it in the batch keep their tries."""
    poisoned = identity("request 0")
    wishes = house.wishes(12, random.Random(8))
    with occasion("shop", "booking") as (db, moment):
        for wish in wishes:
            assert asking.submit_only(db, moment, wish).status == "pending"

    start(house, str(poisoned), "SELECT refusal, session_end FROM give_start")
    wait_until(lambda: all(job.settled_at is not None for job in assignments()), "an end of every look", 90)

    assert Counter(job.state for job in assignments()) == {"done": 11, "dead": 1}
    [dead] = [job for job in assignments() if job.state == "dead"]
    assert (dead.subject_id, dead.attempts) == (poisoned, 4)
    assert max(job.attempts for job in assignments() if job.state == "done") <= 2

    # Nobody looks at it any more, and at its time the requester is told.
    house.live_through(TUESDAY + timedelta(days=3), hop=timedelta(days=4))
    ledger = examined(house)
    assert [one for one in ledger.wrong if "no decision kept" not in one] == []
    with transaction() as db:
        assert db.get_one(ConsultationRequest, poisoned).status == "rejected"


def assignments() -> list[Job]:
    with transaction() as db:
        return list(db.execute(select(Job).where(Job.kind == "assign_request")).scalars())
