"""A plan that waits for one lock holds none that comes later in the one lock order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from booking_tasks.absence.store import lock_consultants, lock_persons
from booking_tasks.absence.tasks import apply_absence_plan, plan_absence
from booking_tasks.assignment.store import lock_pools
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.settings import settings
from booking_tasks.models import ScheduledSession
from booking_tasks.sessions.tasks import cancel_session
from tests import builders
from tests.absence.scenario import DAY, HOUR, TEN, colleague, meeting
from tests.absence.test_rivals import say
from tests.builders import NOW
from tests.concurrent_transactions import waits_for_a_lock

Lock = Callable[[Session], object]


@pytest.fixture(autouse=True)
def _own_rows(own_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_CLOCK", "stepped")
    settings.cache_clear()
    with transaction() as db:
        clock.step(db, NOW)


def person(who: UUID) -> Lock:
    return lambda db: lock_persons(db, [], [who])


def consultant(who: UUID) -> Lock:
    return lambda db: lock_consultants(db, [who])


def pool(service_type_id: UUID) -> Lock:
    return lambda db: lock_pools(db, [service_type_id], NOW)


def answer_of(call: Callable[[], dict[str, Any]], *, holding: Lock, then: Lock) -> dict[str, Any]:
    """The answer to a call that waits for one lock, while another one must be free.

    The second lock is taken by who holds the first; where the call had it, each would wait for the other.
    """
    with ThreadPoolExecutor(1) as threads:
        with transaction() as db:
            holding(db)
            later: Future[dict[str, Any]] = threads.submit(call)
            while not waits_for_a_lock():
                assert not later.done(), later.result()
            db.execute(text("SET LOCAL lock_timeout = '300ms'"))  # a free lock is taken without waiting
            then(db)
        return later.result(60)


def drafting(absent: UUID, plan_id: UUID) -> Callable[[], dict[str, Any]]:
    span = {"start": "2027-03-03T00:00:00", "end": "2027-03-04T00:00:00"}
    return say(plan_absence, plan_id=str(plan_id), consultant_user_id=str(absent), reason="ill", **span)


def test_a_plan_that_waits_for_who_has_another_time_has_not_locked_the_requester() -> None:
    with transaction() as db:
        service_type_id = builders.service_type(db).id
        absent = colleague(db, (TEN - HOUR, 8))
        other = colleague(db, (TEN + DAY, 4))
        requester = meeting(db, absent, service_type_id, TEN).requester_user_id

    answer = answer_of(drafting(absent, uuid7()), holding=consultant(other), then=person(requester))

    [step] = answer["steps"]
    assert (step["action"], step["consultant_user_id"]) == ("propose", str(other))


def test_a_plan_that_waits_for_a_pool_has_not_locked_a_later_one() -> None:
    with transaction() as db:
        first, second = sorted(builders.service_type(db).id for _ in range(2))
        absent = colleague(db, (TEN - HOUR, 8))
        colleague(db, (TEN - HOUR, 8))
        meeting(db, absent, second, TEN)
        meeting(db, absent, first, TEN + HOUR)

    answer = answer_of(drafting(absent, uuid7()), holding=pool(first), then=pool(second))

    assert [one["action"] for one in answer["steps"]] == ["reassign", "reassign"]


@pytest.mark.parametrize("then", ["consultant", "requester"])
def test_an_outdated_plan_is_drafted_again_without_the_locks_of_the_old_draft(then: str) -> None:
    with transaction() as db:
        service_type_id = builders.service_type(db).id
        absent = colleague(db, (TEN - HOUR, 8))
        colleague(db, (TEN - HOUR, 8))
        gone, stays = (meeting(db, absent, service_type_id, TEN + hours * HOUR).id for hours in range(2))
        requester = db.get_one(ScheduledSession, stays).requester_user_id
    plan_id = uuid7()
    assert drafting(absent, plan_id)()["result"] == "done"
    assert say(cancel_session, session_id=str(gone), cancelled_by="user", reason="exam")()["result"] == "done"

    answer = answer_of(
        say(apply_absence_plan, plan_id=str(plan_id)),
        holding=pool(service_type_id),
        then=consultant(absent) if then == "consultant" else person(requester),
    )

    assert (answer["code"], len(answer["steps"])) == ("plan_outdated", 1)
