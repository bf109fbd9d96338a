"""Many at once, and a worker that dies: no request gets two offers, no piece goes to two, nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from booking_tasks.availability.tasks import expire_holds
from booking_tasks.batch.tasks import assign_waiting
from booking_tasks.context import Context
from booking_tasks.intake.tasks import cancel_request, expire_requests
from booking_tasks.jobs.tasks import recover_jobs
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.settings import settings
from booking_tasks.models import ConsultationRequest, Event, Job, TimeOffer
from booking_tasks.outbox.capacity_released import record_capacity_released
from booking_tasks.waiting.tasks import accept_offer, decline_offer, lapse_offers, offer_time
from tests import builders
from tests.builders import NOW
from tests.invariants import TIME_PASSES, of_rows
from tests.waiting.waiting_scenario import HOUR, START, WaitingScenario

MOMENT = Context(now=NOW, actor="test", entry_point="booking")


@pytest.fixture(autouse=True)
def _own_rows(own_database: str, valkey: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_CLOCK", "stepped")
    settings.cache_clear()
    step(timedelta(0))


def step(since: timedelta) -> None:
    with transaction() as db:
        clock.step(db, NOW + since)


def opened(waiting: int, consultants: int, hours: float = 1) -> tuple[list[UUID], list[UUID]]:
    """So many wait, then that many consultants have time; (requests by waiting time, consultants)."""
    with transaction() as db:
        room = WaitingScenario(db, MOMENT)
        requests = [room.waits(waiting_since=NOW - timedelta(hours=waiting - n)).id for n in range(waiting)]
        people = [builders.consultant(db).consultant_user_id for _ in range(consultants)]
        for who in people:
            room.frees(hours=hours, who=who)
        record_capacity_released(db, MOMENT, people, "test")
    return requests, people


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Each call in a thread and a connection of its own, all released together; what came back."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        gate.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def offers(state: str | None = None) -> Sequence[TimeOffer]:
    with transaction() as db:
        assert of_rows(db) == []
        found = select(TimeOffer).order_by(TimeOffer.consultant_user_id, TimeOffer.start_time)
        return db.scalars(found if state is None else found.where(TimeOffer.state == state)).all()


def apart(found: Sequence[TimeOffer]) -> None:
    """No request has two of these offers, and no consultant's time is in two of them."""
    assert len({one.consultation_request_id for one in found}) == len(found)
    for one in found:
        for other in found:
            if one is not other and one.consultant_user_id == other.consultant_user_id:
                assert one.end_time <= other.start_time or other.end_time <= one.start_time


def status(request_id: UUID) -> str:
    with transaction() as db:
        return db.get_one(ConsultationRequest, request_id).status


def announced(request_id: UUID) -> list[str]:
    with transaction() as db:
        found = select(Event.type).where(Event.consultation_request_id == request_id)
        return list(db.scalars(found.order_by(Event.position)))


def say(task: Any, offer: TimeOffer) -> Callable[[], dict[str, Any]]:
    body = {"request_id": str(offer.consultation_request_id), "hold_token": str(offer.hold_token)}
    return lambda: task(request={"message_id": str(uuid7()), "actor": "rival", **body})


def test_two_pieces_freed_at_once_go_to_the_two_best_whoever_works_on_them() -> None:
    requests, people = opened(waiting=3, consultants=2)
    at_once(*[offer_time] * 4, *[assign_waiting] * 2)
    while offer_time():
        pass
    found = offers("open")
    apart(found)
    assert {one.consultant_user_id for one in found} == set(people)
    assert len(found) == 2
    assert {one.consultation_request_id for one in found} <= set(requests)


def test_without_the_sweep_the_two_best_get_the_two_pieces_in_any_interleaving() -> None:
    requests, _ = opened(waiting=4, consultants=2)
    at_once(*[offer_time] * 6)
    while offer_time():
        pass
    found = offers("open")
    apart(found)
    assert {one.consultation_request_id for one in found} == set(requests[:2])


def test_a_whole_morning_for_many_is_assigned_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_JOB_BATCH", "1")
    settings.cache_clear()
    requests, _ = opened(waiting=12, consultants=2, hours=4)

    def work() -> None:
        while offer_time():
            pass

    at_once(*[work] * 4)
    work()
    found = offers("open")
    apart(found)
    assert len(found) == 8
    assert {one.consultation_request_id for one in found} == set(requests[:8])


def test_sweeps_doubled_and_rivalling_let_an_offer_lapse_once_and_pass_it_on_once() -> None:
    requests, _ = opened(waiting=2, consultants=1)
    offer_time()
    step(timedelta(minutes=30))
    at_once(*[lapse_offers] * 3, *[expire_holds] * 2, *[offer_time] * 2)
    while offer_time():
        pass
    assert [(one.consultation_request_id, one.state) for one in sorted(offers(), key=lambda one: one.id)] == [
        (requests[0], "lapsed"),
        (requests[1], "open"),
    ]
    assert announced(requests[0]) == ["request.waiting", "request.offered", "request.offer_lapsed"]


def test_at_the_deadline_rival_sweeps_reject_once_and_tell_once() -> None:
    (request_id,), _ = opened(waiting=1, consultants=1)
    with transaction() as db:
        db.get_one(ConsultationRequest, request_id).deadline_at = NOW + timedelta(minutes=20)
    offer_time()
    step(timedelta(minutes=20))
    at_once(*[expire_requests] * 3, *[lapse_offers] * 2, *[expire_holds] * 2)
    expire_requests()
    assert status(request_id) == "rejected"
    assert announced(request_id)[1:] == ["request.offered", "request.offer_lapsed", "request.rejected"]
    with transaction() as db:
        notices = db.scalars(select(Job.id).where(Job.args["notice"].astext == "request_rejected")).all()
        assert len(notices) == 1


@pytest.mark.parametrize("rival", [decline_offer, cancel_request, lapse_offers])
def test_an_answer_against_a_rival_ends_one_way_or_the_other(rival: Any) -> None:
    opened(waiting=1, consultants=1)
    offer_time()
    (offer,) = offers("open")
    calls = {
        decline_offer: say(decline_offer, offer),
        cancel_request: lambda: cancel_request(
            request={
                "message_id": str(uuid7()),
                "actor": "rival",
                "request_id": str(offer.consultation_request_id),
            }
        ),
        lapse_offers: lapse_offers,
    }
    answers = at_once(say(accept_offer, offer), say(accept_offer, offer), calls[rival])
    ended = {"accepted": "scheduled", "declined": "pending_assignment", "withdrawn": "cancelled"}
    (after,) = offers()
    assert status(offer.consultation_request_id) == ended[after.state]
    accepted = [one["result"] for one in answers[:2]]
    if after.state == "accepted":
        assert sorted(accepted) == ["already_done", "done"]
    else:
        assert accepted == ["refused", "refused"]
    assert announced(offer.consultation_request_id).count("session.scheduled") == (after.state == "accepted")


DIES = """
import sys, time
from booking_tasks.waiting import offering
give = offering.offer_released_time
def given_and_gone(*arguments):
    given = give(*arguments)
    print(given, flush=True)
    time.sleep(60)
offering.offer_released_time = given_and_gone
from booking_tasks.waiting.tasks import offer_time
offer_time()
"""


def test_a_worker_killed_after_it_gave_and_before_it_committed_loses_nothing() -> None:
    requests, _ = opened(waiting=2, consultants=1)
    worker = subprocess.Popen([sys.executable, "-c", DIES], stdout=subprocess.PIPE, text=True, env=os.environ)
    assert worker.stdout is not None
    assert worker.stdout.readline().strip() == str(requests[0])
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(30)
    worker.stdout.close()
    assert offers() == []
    with transaction() as db:
        for statement in TIME_PASSES:
            db.execute(text(statement))
    assert recover_jobs() >= 1
    while offer_time():
        pass
    (offer,) = offers()
    assert (offer.consultation_request_id, offer.start_time) == (requests[0], START)
    assert offer.end_time == START + HOUR
