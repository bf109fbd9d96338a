"""Forgetting a person while something else happens to them: wholly before it or wholly after."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from booking_tasks.assignment import service as assignment
from booking_tasks.assignment.tasks import submit_request
from booking_tasks.context import Context
from booking_tasks.forgetting.tasks import forget_user
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.models import (
    AvailabilitySlot,
    Consultant,
    ConsultationRequest,
    Event,
    ForgottenPerson,
    ScheduledSession,
)
from booking_tasks.retention.service import purge_batch
from booking_tasks.retention.tasks import retention_of
from tests import builders
from tests.absence.test_rivals import at_once, say
from tests.builders import NOW
from tests.concurrent_transactions import waits_for_a_lock
from tests.forgetting.search import places_with, spellings
from tests.invariants import of_rows

UNDECIDED = "waits for a person"
CTX = Context(now=NOW, actor="sweep", entry_point="sweep")


@pytest.fixture(autouse=True)
def _own_rows(own_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_CLOCK", "stepped")
    settings.cache_clear()
    with transaction() as db:
        clock.step(db, NOW)


@pytest.fixture
def people() -> tuple[UUID, UUID, UUID]:
    """A service type, a consultant who is there tomorrow, and a requester."""
    with transaction() as db:
        service_type, teacher, requester = (
            builders.service_type(db),
            builders.consultant(db),
            builders.user(db),
        )
        builders.user(db, user_id=teacher.consultant_user_id)
        builders.window(db, teacher.consultant_user_id, NOW + timedelta(days=1))
        return service_type.id, teacher.consultant_user_id, requester.user_id


def submit(service_type_id: UUID, requester_id: UUID) -> Callable[[], dict[str, Any]]:
    return say(
        submit_request,
        actor=str(requester_id),
        request_id=str(uuid4()),
        requester_user_id=str(requester_id),
        service_type_id=str(service_type_id),
        details="canary",
    )


def forget(user_id: UUID) -> Callable[[], dict[str, Any]]:
    return say(forget_user, user_id=str(user_id))


def assert_sound() -> None:
    with transaction() as db:
        assert [one for one in of_rows(db) if UNDECIDED not in one] == []


@pytest.mark.parametrize("run", range(3))
def test_two_at_once_forget_a_person_once(people: tuple[UUID, UUID, UUID], run: int) -> None:
    service_type, _, requester = people
    assert submit(service_type, requester)()["result"] == "done"
    answers = at_once(forget(requester), forget(requester))
    assert sorted(one["result"] for one in answers) == ["already_done", "done"]
    assert sum(one["cancelled_sessions"] for one in answers) == 1
    with transaction() as db:
        assert places_with(db, [*spellings(requester), "canary"]) == []
        assert len(db.scalars(select(ForgottenPerson)).all()) == 1
    assert_sound()


@pytest.mark.parametrize("run", range(3))
def test_a_booking_at_once_is_cancelled_or_belongs_to_a_new_person(
    people: tuple[UUID, UUID, UUID], run: int
) -> None:
    service_type, _, requester = people
    booked, forgotten = at_once(submit(service_type, requester), forget(requester))
    assert forgotten["result"] == "done"
    assert_sound()
    with transaction() as db:
        requests = db.scalars(select(ConsultationRequest)).all()
        sessions = db.scalars(select(ScheduledSession)).all()
        owners = {one.requester_user_id for one in requests} | {one.requester_user_id for one in sessions}
        [person] = [one.person_id for one in db.scalars(select(ForgottenPerson))]
        if booked["result"] == "refused":  # its message was accepted, and not run before
            assert [*requests, *sessions] == []
            assert places_with(db, [*spellings(requester), "canary"]) == []
        elif forgotten["cancelled_sessions"]:
            assert owners == {person}
            assert {one.status for one in sessions} == {"cancelled_by_user"}
            assert places_with(db, [*spellings(requester), "canary"]) == []
        else:
            assert owners == {requester}
            assert {one.status for one in sessions} == {"scheduled"}
            actors = {one.actor for one in db.scalars(select(Event)) if one.consultation_request_id}
            assert str(person) not in actors
            assert places_with(db, [str(person)]) == [
                f"events.after: {person}",
                f"forgotten_people.person_id: {person}",
            ]


@pytest.mark.parametrize("run", range(3))
def test_a_consultant_is_forgotten_or_booked_and_never_both(
    people: tuple[UUID, UUID, UUID], run: int
) -> None:
    service_type, consultant, requester = people
    booked, forgotten = at_once(submit(service_type, requester), forget(consultant))
    assert_sound()
    assert booked["result"] == "done"
    with transaction() as db:
        sessions = db.scalars(select(ScheduledSession)).all()
        if forgotten["result"] == "refused":
            assert forgotten["code"] == "sessions_ahead"
            assert [one.consultant_user_id for one in sessions] == [consultant]
        else:
            assert sessions == []
            assert {one.status for one in db.scalars(select(AvailabilitySlot))} == set()
            assert {one.is_available_for_booking for one in db.scalars(select(Consultant))} == {False}
            # A choice that was being made may be stored afterwards; the daily purge removes the candidate.
            purge_batch(db, CTX, "forgotten_candidates", retention_of(settings()), 100)
            assert places_with(db, spellings(consultant)) == []


def test_a_request_that_is_being_booked_is_waited_for_and_then_cancelled(
    people: tuple[UUID, UUID, UUID],
) -> None:
    """The session is a row that was not there when forgetting began: a second snapshot has it."""
    service_type, _, requester = people
    with transaction() as db:
        request = builders.request(
            db,
            service_type,
            requester_user_id=requester,
            status="pending_assignment",
            request_details="canary",
        )
    with ThreadPoolExecutor(1) as pool:
        with transaction() as db:
            booked = assignment.assign(db, Context(NOW, "sweep", "sweep"), request.id)
            assert booked.result == "scheduled"
            db.flush()
            later = pool.submit(forget(requester))
            while not waits_for_a_lock():
                assert not later.done(), "it did not wait for the booking"
        answer = later.result(30)
    assert (answer["result"], answer["cancelled_sessions"], answer["withdrawn_requests"]) == ("done", 1, 0)
    assert_sound()
    with transaction() as db:
        assert places_with(db, [*spellings(requester), "canary"]) == []
