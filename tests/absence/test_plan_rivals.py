"""A plan and somebody else at once: one after the other, and the rows agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from booking_tasks.absence.tasks import (
    announce_absence,
    answer_proposal,
    apply_absence_plan,
    end_proposal,
    plan_absence,
    undo_absence_plan,
)
from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.settings import settings
from booking_tasks.models import AbsencePlan, AbsencePlanStep, AvailabilitySlot, Event, Job, ScheduledSession
from booking_tasks.sessions.tasks import cancel_session
from tests import builders
from tests.absence.scenario import DAY, HOUR, MINUTE, TEN, colleague, meeting
from tests.absence.test_rivals import at_once, say
from tests.builders import NOW
from tests.invariants import of_rows

GRACE = 5 * MINUTE


@pytest.fixture(autouse=True)
def _own_rows(own_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_CLOCK", "stepped")
    settings.cache_clear()
    step(NOW)


def step(to: Any) -> None:
    with transaction() as db:
        clock.step(db, to)


@dataclass
class Day:
    """Two sessions of one consultant: a colleague can take the first, and is there the day after."""

    absent: UUID
    colleague: UUID
    first: UUID
    second: UUID


@pytest.fixture
def day() -> Day:
    with transaction() as db:
        service_type_id = builders.service_type(db).id
        absent = colleague(db, (TEN - HOUR, 8))
        other = colleague(db, (TEN, 1), (TEN + DAY, 4))
        first, second = (meeting(db, absent, service_type_id, TEN + hours * HOUR).id for hours in range(2))
    return Day(absent, other, first, second)


def planned(day: Day, **more: object) -> UUID:
    plan_id = uuid7()
    span = {"start": "2027-03-03T00:00:00", "end": "2027-03-04T00:00:00"}
    fields = {"plan_id": str(plan_id), "consultant_user_id": str(day.absent), "reason": "ill"}
    answer = say(plan_absence, **fields, **span, **more)()
    assert answer["result"] == "done", answer
    return plan_id


def applied(day: Day) -> UUID:
    plan_id = planned(day)
    assert say(apply_absence_plan, plan_id=str(plan_id))()["result"] == "done"
    return plan_id


def cancel(session_id: UUID) -> Any:
    return say(cancel_session, session_id=str(session_id), cancelled_by="user", reason="exam")


def calm() -> tuple[dict[UUID, str], list[AbsencePlanStep]]:
    """Every session's status, and the steps; the rows must not contradict each other."""
    with transaction() as db:
        assert of_rows(db) == []
        rows = db.execute(select(ScheduledSession.id, ScheduledSession.status))
        steps = db.execute(select(AbsencePlanStep).order_by(AbsencePlanStep.position)).scalars()
        return {row.id: row.status for row in rows}, list(steps)


def kept() -> int:
    """How many blocks and holds plans have."""
    with transaction() as db:
        mine = AvailabilitySlot.source.in_(("absence", "hold"))
        return len(db.execute(select(AvailabilitySlot.id).where(mine)).all())


def test_applied_while_a_requester_calls_off_it_is_either_seen_or_overtaken(day: Day) -> None:
    plan_id = planned(day)

    done, ended = at_once(say(apply_absence_plan, plan_id=str(plan_id)), cancel(day.first))

    assert ended["result"] == "done"
    status, _ = calm()
    assert status[day.first] == "cancelled_by_user"
    if done["result"] == "done":  # the plan came first
        assert done["state"] == "applied"
        step(NOW + GRACE)
        announce_absence()
        assert [one.state for one in calm()[1]] == ["overtaken", "offered"]
    else:
        assert (done["code"], [one["session_id"] for one in done["steps"]]) == (
            "plan_outdated",
            [str(day.second)],
        )
        assert kept() == 0


def test_applied_twice_at_once_it_is_applied_once(day: Day) -> None:
    plan_id = planned(day)

    answers = at_once(*(say(apply_absence_plan, plan_id=str(plan_id)) for _ in range(2)))

    assert sorted(one["result"] for one in answers) == ["already_done", "done"]
    assert kept() == 2
    calm()


def test_of_two_plans_for_the_same_sessions_one_is_applied(day: Day) -> None:
    plans = [planned(day), planned(day)]

    answers = at_once(*(say(apply_absence_plan, plan_id=str(one)) for one in plans))

    assert sorted((one["result"], one["code"] or "") for one in answers) == [
        ("done", ""),
        ("refused", "plan_outdated"),
    ]
    assert kept() == 2
    calm()


def test_two_absent_consultants_are_planned_at_once_and_their_colleague_takes_what_fits(day: Day) -> None:
    with transaction() as db:
        service_type_id = db.get_one(ScheduledSession, day.first).consultation_service_type_id
        other = colleague(db, (TEN - HOUR, 8))
        meeting(db, other, service_type_id, TEN)
    fields = {"reason": "ill", "start": "2027-03-03T00:00:00", "end": "2027-03-04T00:00:00"}
    ids = [uuid7(), uuid7()]
    drafted = at_once(
        *(
            say(plan_absence, plan_id=str(one), consultant_user_id=str(who), **fields)
            for one, who in zip(ids, (day.absent, other), strict=True)
        )
    )
    assert [one["result"] for one in drafted] == ["done", "done"]
    for _ in range(2):
        at_once(*(say(apply_absence_plan, plan_id=str(one)) for one in ids))
    with transaction() as db:
        assert set(db.execute(select(AbsencePlan.state)).scalars()) == {"applied"}
    calm()


def test_announced_while_a_requester_cancels_nobody_keeps_its_time(day: Day) -> None:
    applied(day)
    step(NOW + GRACE)

    def tell() -> dict[str, Any]:
        return {"ran": announce_absence()}

    _, ended = at_once(tell, cancel(day.first))

    assert ended["result"] == "done"
    announce_absence()
    status, steps = calm()
    assert status[day.first] == "cancelled_by_user"
    assert steps[0].state in {"done", "overtaken"}
    with transaction() as db:
        booked = AvailabilitySlot.scheduled_session_id == day.first
        assert db.execute(select(AvailabilitySlot.id).where(booked)).all() == []


def test_undone_while_it_is_announced_one_of_both_holds_for_every_session(day: Day) -> None:
    plan_id = applied(day)
    step(NOW + GRACE)

    def tell() -> dict[str, Any]:
        return {"ran": announce_absence()}

    _, undone = at_once(tell, say(undo_absence_plan, plan_id=str(plan_id)))
    announce_absence()

    _, steps = calm()
    states = [one.state for one in steps]
    with transaction() as db:
        types = select(Event.type).where(Event.type.like("session.%"))
        recorded = set(db.execute(types).scalars())
    if undone["result"] == "done":
        assert (states, recorded, kept()) == (["undone", "undone"], set(), 0)
    else:
        assert (undone["code"], states) == ("already_announced", ["done", "offered"])
        assert recorded == {"session.reassigned", "session.time_proposed"}


def test_answered_at_the_moment_it_ends_it_is_moved_or_over_and_never_both(day: Day) -> None:
    applied(day)
    step(NOW + GRACE)
    announce_absence()
    _, steps = calm()
    step(NOW + GRACE + DAY)
    yes = say(answer_proposal, proposal_id=str(steps[1].id), accepted=True)

    def end() -> dict[str, Any]:
        return {"ran": end_proposal()}

    _, answered = at_once(end, yes)
    end_proposal()

    status, steps = calm()
    assert kept() == 0
    assert answered["code"] in {"not_offered", "hold_expired"}  # its time is over by the clock
    assert (status[day.second], steps[1].state) == ("cancelled_by_consultant", "cancelled")


def test_accepted_twice_at_once_it_is_moved_once(day: Day) -> None:
    applied(day)
    step(NOW + GRACE)
    announce_absence()
    _, steps = calm()
    yes = [say(answer_proposal, proposal_id=str(steps[1].id), accepted=True) for _ in range(2)]

    answers = at_once(*yes)

    assert sorted(one["result"] for one in answers) == ["already_done", "done"]
    with transaction() as db:
        row = db.get_one(ScheduledSession, day.second)
        assert (row.revision, row.consultant_user_id) == (1, day.colleague)
        jobs = select(Job.job_type).where(Job.job_type == "send_cancellation", Job.subject_id == day.second)
        assert len(db.execute(jobs).all()) == 1
    calm()
