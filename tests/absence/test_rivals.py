"""A session that two want to change at once: one after the other, and the rows agree."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from booking_tasks.absence.tasks import reassign_session
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.settings import settings
from booking_tasks.models import AvailabilitySlot, Event, ScheduledSession
from booking_tasks.sessions.tasks import cancel_session, reschedule_session
from tests import builders
from tests.builders import NOW
from tests.invariants import ALWAYS, of_rows

START = NOW + timedelta(days=2)
#: Built by hand, so nobody decided about them.
UNDECIDED = "a choice was made and no decision kept"


@pytest.fixture(autouse=True)
def _own_rows(own_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_CLOCK", "stepped")
    settings.cache_clear()
    from booking_tasks.kit import clock

    with transaction() as db:
        clock.step(db, NOW)


def made() -> tuple[ScheduledSession, list[UUID]]:
    """A session and two other consultants; all three work that day."""
    with transaction() as db:
        session = builders.booked_session(db, start=START, meeting_platform_join_url="https://m.example.org")
        others = [builders.consultant(db).consultant_user_id for _ in range(2)]
        for who in (session.consultant_user_id, *others):
            builders.window(db, who, START - timedelta(hours=2))
    return session, others


def at_once(*calls: Callable[[], dict[str, Any]]) -> list[dict[str, Any]]:
    """Each call in a thread and a connection of its own, all released together; their answers."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        gate.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def say(task: Any, **body: Any) -> Callable[[], dict[str, Any]]:
    """A message of its own."""
    message = {"message_id": str(uuid7()), "actor": "rival", **body}
    return lambda: task(request=message)


def reassign(session: ScheduledSession, who: UUID | None) -> Callable[[], dict[str, Any]]:
    named = {"consultant_user_id": str(who)} if who else {}
    return say(reassign_session, session_id=str(session.id), reason="ill", **named)


def agree(session_id: UUID) -> tuple[ScheduledSession, list[AvailabilitySlot], list[str]]:
    """A session, its reservations, and its events in order; the rows must not contradict each other."""
    with transaction() as db:
        assert [one for one in of_rows(db) if not one.startswith(UNDECIDED)] == []
        reservations = select(AvailabilitySlot).where(AvailabilitySlot.scheduled_session_id == session_id)
        events = select(Event.type).where(Event.scheduled_session_id == session_id).order_by(Event.position)
        return (
            db.get_one(ScheduledSession, session_id),
            list(db.execute(reservations).scalars()),
            list(db.execute(events).scalars()),
        )


def test_the_rule_that_is_left_out_here_is_one_of_the_invariants() -> None:
    assert UNDECIDED in ALWAYS


def test_of_two_who_reassign_it_at_once_the_second_moves_it_on() -> None:
    session, others = made()

    answers = at_once(*(reassign(session, who) for who in others))

    assert [one["result"] for one in answers] == ["done", "done"]
    row, [reservation], events = agree(session.id)
    last = max(answers, key=lambda one: one["revision"])
    assert (row.revision, str(row.consultant_user_id)) == (2, last["consultant_user_id"])
    assert reservation.consultant_user_id == row.consultant_user_id
    assert events == ["session.reassigned"] * 2


def test_to_the_same_one_twice_at_once_is_done_once() -> None:
    session, [who, _] = made()

    answers = at_once(reassign(session, who), reassign(session, who))

    assert Counter(one["result"] for one in answers) == {"done": 1, "already_done": 1}
    row, _, events = agree(session.id)
    assert (row.revision, events) == (1, ["session.reassigned"])


def test_against_a_cancellation_the_session_ends_and_nobody_keeps_its_time() -> None:
    session, [who, _] = made()
    end = say(cancel_session, session_id=str(session.id), cancelled_by="user", reason="exam")

    reassigned, ended = at_once(reassign(session, who), end)

    assert ended["result"] == "done"
    assert (reassigned["result"], reassigned["code"]) in {("done", None), ("refused", "already_ended")}
    row, reservations, events = agree(session.id)
    assert (row.status, reservations) == ("cancelled_by_user", [])
    assert events == ["session.reassigned"] * (reassigned["result"] == "done") + ["session.cancelled"]


def test_against_a_move_both_come_true() -> None:
    session, [who, _] = made()
    later = START + timedelta(hours=2)
    move = say(reschedule_session, session_id=str(session.id), new_start=later.isoformat())

    reassigned, moved = at_once(reassign(session, who), move)

    assert (reassigned["result"], moved["result"]) == ("done", "done")
    row, [reservation], events = agree(session.id)
    assert (row.consultant_user_id, row.scheduled_start_time, row.revision) == (who, later, 2)
    assert (reservation.consultant_user_id, reservation.session_start_time) == (who, later)
    assert sorted(events) == ["session.reassigned", "session.rescheduled"]


def test_two_consultants_who_take_each_others_sessions_at_once_do_not_block_each_other() -> None:
    session, [who, _] = made()
    with transaction() as db:
        other = builders.booked_session(db, start=START + timedelta(hours=3))
        builders.change_session(db, other, consultant_user_id=who)
    first = session.consultant_user_id

    answers = at_once(reassign(session, who), reassign(other, first))

    assert [one["result"] for one in answers] == ["done", "done"]
    with transaction() as db:
        assert db.get_one(ScheduledSession, session.id).consultant_user_id == who
        assert db.get_one(ScheduledSession, other.id).consultant_user_id == first


def test_of_two_sessions_at_one_time_the_best_goes_to_one_and_the_other_to_the_next() -> None:
    session, others = made()
    with transaction() as db:
        other = builders.booked_session(db, start=START)

    answers = at_once(reassign(session, None), reassign(other, None))

    assert [one["result"] for one in answers] == ["done", "done"]
    taken = {one["consultant_user_id"] for one in answers}
    assert len(taken) == 2
    assert taken <= {str(who) for who in (*others, session.consultant_user_id, other.consultant_user_id)}
