"""A consultant who cannot come: their sessions go to others, and everybody hears of it once and rightly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from booking_tasks.contracts import (
    AddLeave,
    AnswerProposal,
    ApplyAbsencePlan,
    PlanAbsence,
    ReassignSession,
    SetAvailability,
    SingleSlot,
    UndoAbsencePlan,
    UpsertConsultant,
)
from booking_tasks.kit.ids import uuid7
from booking_tasks.outbox.workflow import PUBLISHED
from tests.journeys.world import DAY, HOUR, MINUTE, Journey, Letter, Person

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def works(journey: Journey, who: Person, *spans: tuple[datetime, int]) -> None:
    """Someone who is there in each (start, hours) alone."""
    journey.send(
        UpsertConsultant, consultant_user_id=who.id, time_zone="UTC", specializations=(journey.skill,)
    )
    single = tuple(
        SingleSlot(day=start.date(), start=start.time(), end=(start + hours * HOUR).time())
        for start, hours in spans
    )
    journey.send(SetAvailability, consultant_user_id=who.id, single=single)


def said(letters: list[Letter], since: int = 0) -> list[tuple[str | None, int | None, str]]:
    """(method, SEQUENCE, first word of the subject) of each letter."""
    return [(one.method, one.sequence, one.subject.partition(":")[0]) for one in letters[since:]]


def assert_told_once(journey: Journey, request_id: UUID, people: Sequence[Person]) -> None:
    """As at the end of every journey, while the session is still to come: its reminders wait."""
    heard = [event["id"] for event in journey.published(request_id)]
    assert heard == [str(one.id) for one in journey.history(request_id) if one.type in PUBLISHED]
    assert len(heard) == len(set(heard))
    assert set(Counter(one.message_id for one in journey.letters(*people)).values()) <= {1}


def give(journey: Journey, session_id: UUID, who: Person) -> None:
    outcome = journey.send(
        ReassignSession, actor="desk", session_id=session_id, consultant_user_id=who.id, reason="ill"
    )
    assert (outcome.result, outcome.consultant_user_id) == ("done", who.id)
    journey.stage.settle()


def test_a_session_that_goes_to_a_colleague_and_back_is_one_event_at_each_who_has_it(
    journey: Journey,
) -> None:
    kind, ten = journey.offer(), journey.morning + 2 * DAY + 2 * HOUR
    mira, okafor = journey.person("Mira"), journey.person("Okafor")
    works(journey, okafor, (ten, 1))
    request = journey.submit(mira, kind, ten)
    session = journey.session(request)
    stein = journey.person("Stein")
    works(journey, stein, (ten, 1))

    give(journey, session.id, stein)
    give(journey, session.id, okafor)

    invited = ("REQUEST", 0, "Consultation")
    assert said(journey.letters(okafor)) == [
        invited,
        ("CANCEL", 1, "Given to a colleague"),
        ("REQUEST", 2, "Consultation"),
    ]
    assert said(journey.letters(stein)) == [
        ("REQUEST", 1, "Consultation"),
        ("CANCEL", 2, "Given to a colleague"),
    ]
    assert said(journey.letters(mira)) == [invited, ("REQUEST", 1, "Changed"), ("REQUEST", 2, "Changed")]
    assert {one.uid for one in journey.letters(mira, okafor, stein)} == {journey.letters(mira)[0].uid}
    assert (journey.facts(okafor), journey.facts(stein)) == ([("booked", ten)], [])
    assert [call.revision for call in journey.calls(session.id, "PUT")] == [0, 1, 2]
    assert_told_once(journey, request, [mira, okafor, stein])


class Day:
    """Three sessions of Okafor's; Stein can take the first, and has time the next day."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.ten = journey.morning + 2 * DAY + 2 * HOUR
        self.kind = journey.offer()
        self.okafor, self.stein = journey.person("Okafor"), journey.person("Stein")
        self.who = [journey.person(name) for name in ("Mira", "Noor", "Sven")]
        works(journey, self.okafor, (self.ten, 3))
        self.requests = [
            journey.submit(person, self.kind, self.ten + hours * HOUR)
            for hours, person in enumerate(self.who)
        ]
        works(journey, self.stein, (self.ten, 1), (self.ten + DAY, 1))
        self.before = {one: len(journey.letters(one)) for one in self.everybody()}
        assert set(self.before.values()) == {0, 1, 3}

    def everybody(self) -> list[Person]:
        return [self.okafor, self.stein, *self.who]

    def news(self, who: Person) -> list[tuple[str | None, int | None, str]]:
        return said(self.journey.letters(who), self.before[who])

    def plan(self) -> Any:
        """Leave for the day, and what can become of the sessions."""
        leave_id, midnight = uuid7(), datetime.combine(self.ten.date(), time())
        leave = self.journey.send(
            AddLeave,
            actor="desk",
            leave_id=leave_id,
            consultant_user_id=self.okafor.id,
            reason="a broken leg",
            start=midnight,
            end=midnight + timedelta(days=1),
        )
        assert len(leave.uncovered) == 3
        return self.journey.send(
            PlanAbsence,
            actor="desk",
            plan_id=uuid7(),
            consultant_user_id=self.okafor.id,
            leave_id=leave_id,
            reason="a broken leg",
        )


def test_a_day_of_leave_is_planned_undone_applied_and_told_and_each_person_hears_once(
    journey: Journey,
) -> None:
    day = Day(journey)
    planned = day.plan()
    assert [(one.action, one.start) for one in planned.steps] == [
        ("reassign", day.ten),
        ("propose", day.ten + DAY),
        ("cancel", None),
    ]
    journey.send(ApplyAbsencePlan, actor="desk", plan_id=planned.plan_id)
    undone = journey.send(UndoAbsencePlan, actor="desk", plan_id=planned.plan_id)
    assert (undone.result, undone.state) == ("done", "undone")
    journey.stage.advance(journey.stage.now() + 10 * MINUTE)
    assert all(day.news(one) == [] for one in day.everybody())
    assert (len(journey.facts(day.okafor)), journey.facts(day.stein)) == (3, [])

    planned = day.plan()
    applied = journey.send(ApplyAbsencePlan, actor="desk", plan_id=planned.plan_id)
    assert (applied.result, applied.state) == ("done", "applied")
    journey.stage.settle()
    assert all(day.news(one) == [] for one in day.everybody())

    journey.stage.advance(applied.announce_at)

    mira, noor, sven = day.who
    assert day.news(mira) == [("REQUEST", 1, "Changed")]
    assert day.news(noor) == [(None, None, "Please answer")]
    assert day.news(sven) == [("CANCEL", 1, "Cancelled")]
    assert day.news(day.stein) == [("REQUEST", 1, "Consultation")]
    assert sorted(day.news(day.okafor), key=str) == [
        ("CANCEL", 1, "Cancelled"),
        ("CANCEL", 1, "Given to a colleague"),
    ]
    assert day.stein.name in journey.letters(mira)[-1].text
    assert "we are sorry" in journey.letters(sven)[-1].text
    assert all("leg" not in one.text for one in journey.letters(*day.everybody()))

    answered = journey.send(
        AnswerProposal, actor=str(noor.id), proposal_id=planned.steps[1].proposal_id, accepted=True
    )
    assert (answered.result, answered.start) == ("done", day.ten + DAY)
    journey.stage.settle()

    assert day.news(noor)[1:] == [("REQUEST", 1, "Changed")]
    assert day.news(day.stein)[1:] == [("REQUEST", 1, "Consultation")]
    assert len(day.news(day.okafor)) == 3
    assert journey.facts(day.okafor) == []
    assert journey.facts(day.stein) == [("booked", day.ten), ("booked", day.ten + DAY)]
    for request in day.requests:
        assert_told_once(journey, request, day.everybody())
